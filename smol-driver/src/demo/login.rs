//! Logging in and out.
//!
//! The login form of somebody who has no session is guarded by a random cookie that it must repeat, masked, in a hidden
//! field: nothing is kept here for strangers. All other forms carry the session's own token.

use std::sync::Arc;

use bytes::Bytes;
use tethered_core::http::{self, OriginRules, Scheme, cookie};
use tethered_core::hub::{self, Change};
use tethered_core::time::Now;

use super::pages::{self, Notice};
use super::throttle::Attempt;
use super::{Demo, Random, Reply, csrf, form, keep, to_login};
use crate::settings::{CSRF_ATTRIBUTES, Hash, PASSWORD_BYTES_MAX};

/// Somebody who is logged in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visitor<'a> {
    pub(super) name: &'a str,
    /// The session's token.
    pub(super) token: &'a [u8],
}

impl<'a> Visitor<'a> {
    /// A session without a token was made by an application that has none: its owner logs in anew.
    pub(super) fn of(request: &'a hub::Request) -> Option<Self> {
        let session = request.session.as_ref()?;
        let tokens = CSRF_ATTRIBUTES.iter().filter_map(|name| session.attribute(name));
        let token = tokens.into_iter().find(|token| csrf::is_token(token))?;
        Some(Self { name: session.principal.as_deref()?, token })
    }
}

/// A password to be checked. It is not shown by `Debug`.
pub struct Verify {
    name: String,
    password: String,
    hash: Hash,
    known: bool,
    attempt: Attempt,
}

/// What came of it; for [`Demo::verified`].
#[derive(Debug)]
pub struct Verified {
    /// Whose password it was; `None` if nobody's.
    name: Option<String>,
    attempt: Attempt,
}

impl Verify {
    /// Checks the password: some 20 ms of CPU, no less for unknown names.
    pub fn run(self) -> Verified {
        let right = self.hash.verify(self.password.as_bytes()) && self.known;
        Verified { name: right.then_some(self.name), attempt: self.attempt }
    }
}

impl std::fmt::Debug for Verify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verify(..)")
    }
}

impl Demo {
    pub(super) fn login_page(
        &self,
        random: &mut Random<'_>,
        http: &http::Request,
        visitor: Option<&Visitor<'_>>,
    ) -> hub::Response {
        match visitor {
            Some(_) => keep(pages::redirect("/")),
            None => keep(self.login_form(random, http, 200, Notice::of(http.query()))),
        }
    }

    pub(super) fn log_in(&mut self, now: Now, random: &mut Random<'_>, http: &http::Request) -> Reply {
        let ready = |response: http::Response| Reply::Ready(Box::new(keep(response)));
        let Some([token, name, password]) = form::fields(http, [csrf::FIELD, "username", "password"]) else {
            return ready(pages::error(415, "Not a form", "A login is sent as application/x-www-form-urlencoded."));
        };
        if !same_origin(http) {
            self.counters.forged_forms += 1;
            return ready(foreign());
        }
        if !cookie_token(http)
            .is_some_and(|cookie| token_sent(http, token.as_deref()).is_some_and(|sent| csrf::matches(sent, cookie)))
        {
            self.counters.forged_forms += 1;
            return ready(self.login_form(random, http, 403, Notice::Stale));
        }
        let (name, password) = (name.unwrap_or_default(), password.unwrap_or_default());
        match self.logins.begin(now.mono, &name, http.client()) {
            Ok(attempt) => self.verify(name, password, attempt).map_or_else(|| ready(failed()), Reply::Verify),
            Err(seconds) => {
                self.counters.throttled_logins += 1;
                let mut page = self.login_form(random, http, 429, Notice::TooOften);
                pages::put(&mut page, "Retry-After", &seconds.to_string());
                ready(page)
            }
        }
    }

    /// The answer to a login whose password has been checked.
    pub fn verified(&mut self, random: &mut Random<'_>, verified: Verified) -> hub::Response {
        self.logins.end(verified.attempt, verified.name.is_some());
        let Some(name) = verified.name else {
            self.counters.failed_logins += 1;
            return keep(failed());
        };
        self.counters.logins += 1;
        let token = Bytes::from(csrf::token(random));
        let session =
            Change::Login { principal: Arc::from(name), attributes: vec![(CSRF_ATTRIBUTES[0].into(), token)] };
        hub::Response { http: pages::redirect("/"), session }
    }

    pub(super) fn log_out(&mut self, http: &http::Request, visitor: Option<&Visitor<'_>>) -> hub::Response {
        let Some(visitor) = visitor else { return to_login() };
        let token = form::fields(http, [csrf::FIELD]).and_then(|[token]| token);
        if !same_origin(http)
            || !token_sent(http, token.as_deref()).is_some_and(|sent| csrf::matches(sent, visitor.token))
        {
            self.counters.forged_forms += 1;
            return keep(foreign());
        }
        hub::Response { http: pages::redirect("/login?logout"), session: Change::End }
    }

    /// The login page, with its cookie if the visitor has none yet.
    fn login_form(&self, random: &mut Random<'_>, http: &http::Request, status: u16, notice: Notice) -> http::Response {
        if let Some(token) = cookie_token(http) {
            return pages::login(status, &csrf::mask(token, random), notice, self.demo_users);
        }
        let token = csrf::token(random);
        let mut page = pages::login(status, &csrf::mask(token.as_bytes(), random), notice, self.demo_users);
        let attributes = cookie::Attributes {
            path: "/login",
            secure: http.scheme() == Scheme::Https,
            http_only: true,
            same_site: Some(cookie::SameSite::Strict),
        };
        let value = cookie::set(COOKIE, &token, &attributes).expect("INVARIANT: a token is a cookie's value");
        pages::put(&mut page, "Set-Cookie", &value);
        page
    }

    /// An unknown name is checked against somebody's hash all the same, so that it takes as long.
    fn verify(&mut self, name: String, password: String, attempt: Attempt) -> Option<Verify> {
        let known = self.users.get(&name);
        let hash = known.or_else(|| self.users.values().next()).cloned();
        let Some(hash) = hash.filter(|_| password.len() <= PASSWORD_BYTES_MAX) else {
            self.logins.end(attempt, false);
            self.counters.failed_logins += 1;
            return None;
        };
        Some(Verify { known: known.is_some(), name, password, hash, attempt })
    }
}

fn cookie_token(http: &http::Request) -> Option<&[u8]> {
    cookie::pairs(http)
        .find(|(name, value)| *name == COOKIE.as_bytes() && csrf::is_token(value))
        .map(|(_, value)| value)
}

fn token_sent<'a>(http: &'a http::Request, field: Option<&'a str>) -> Option<&'a str> {
    http.text(csrf::HEADER).or(field)
}

/// Whether a form came from one of our own pages, as far as the browser tells.
fn same_origin(http: &http::Request) -> bool {
    OriginRules::default().check(http).is_ok()
}

fn failed() -> http::Response {
    pages::redirect("/login?error")
}

fn foreign() -> http::Response {
    pages::error(
        403,
        "Not from here",
        "This form was not sent by a page of ours, or had grown old. Go back, reload, and try again.",
    )
}

const COOKIE: &str = "LOGIN";
