//! The demo: a login and a chat, as a state machine beside the hub.
//!
//! The driver gives it what the hub hands on: [`Action::Request`], `Deliver`, `Joined` and `Left`. It opens no socket,
//! reads no clock and draws no random bytes of its own. What logged-in people may do is decided by the hub: the session
//! of a request is alive if it is there at all.
//!
//! [`Action::Request`]: tethered_core::hub::Action::Request

mod assets;
mod chat;
mod csrf;
mod form;
mod login;
mod outlet;
mod pages;
mod presence;
mod throttle;
mod timestamp;

use std::collections::BTreeMap;
use std::sync::Arc;

use tethered_core::http;
use tethered_core::hub::{self, Delivery, Hub};
use tethered_core::ids::ClientId;
use tethered_core::time::Now;

pub use self::login::{Verified, Verify};
pub use self::presence::BEAT_MS;

use self::outlet::HubOutlet;
use crate::settings::{CLOSE, ECHOES, Hash, Settings};

/// Fills a slice with random bytes that nobody can guess.
pub type Random<'a> = dyn FnMut(&mut [u8]) + 'a;

/// The demo application.
#[derive(Debug)]
pub struct Demo {
    users: BTreeMap<String, Hash>,
    timeout_ms: u64,
    conformance: bool,
    /// CONNECT has to carry the token: the page is told so.
    connect_csrf: bool,
    /// The README's users can log in: the login page may say so.
    demo_users: bool,
    logins: throttle::Throttle,
    present: presence::Present,
    counters: Counters,
}

/// The answer to a request.
#[derive(Debug)]
pub enum Reply {
    /// Here it is.
    Ready(Box<hub::Response>),
    /// A password has to be checked first, which takes some 20 ms of CPU: run it on another thread, then give the result
    /// to [`Demo::verified`], which has the answer. Each one must come back, also if its socket is gone.
    Verify(Verify),
}

/// What has happened since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Logins that succeeded.
    pub logins: u64,
    /// Logins with a wrong name or password.
    pub failed_logins: u64,
    /// Logins refused because there were too many.
    pub throttled_logins: u64,
    /// Forms without their token, or from a foreign page.
    pub forged_forms: u64,
    /// Chat messages passed on.
    pub messages: u64,
    /// Chat messages that could not be read; nothing is sent back for them.
    pub bad_messages: u64,
    /// Messages and subscriptions to application destinations that nobody serves.
    pub unserved: u64,
}

impl Demo {
    /// A demo with these users. `seed` keys the table of failed logins and should be random.
    pub fn new(settings: &Settings, seed: [u8; 16]) -> Self {
        Self {
            users: settings.users.clone(),
            timeout_ms: settings.session_timeout_ms,
            conformance: settings.conformance,
            connect_csrf: settings.connect_csrf,
            demo_users: settings.has_demo_users(),
            logins: throttle::Throttle::new(seed),
            present: presence::Present::default(),
            counters: Counters::default(),
        }
    }

    /// Answers a request that is no handshake.
    pub fn request(&mut self, now: Now, random: &mut Random<'_>, request: &hub::Request) -> Reply {
        let http = &request.http;
        let read = matches!(http.method(), "GET" | "HEAD");
        let visitor = login::Visitor::of(request);
        let response = match http.path() {
            "/login" if http.method() == "POST" => return self.log_in(now, random, http),
            "/logout" if http.method() == "POST" => self.log_out(http, visitor.as_ref()),
            "/login" if read => self.login_page(random, http, visitor.as_ref()),
            "/" | "/csrf" if read => match visitor {
                None => to_login(),
                Some(visitor) if http.path() == "/" => {
                    let connect = if self.connect_csrf { csrf::HEADER } else { "" };
                    keep(pages::chat(visitor.name, &csrf::mask(visitor.token, random), self.timeout_ms, connect))
                }
                Some(visitor) => keep(csrf::json(&csrf::mask(visitor.token, random))),
            },
            "/login" => method_not_allowed("GET, HEAD, POST"),
            "/logout" => method_not_allowed("POST"),
            path => match assets::find(path) {
                Some(asset) if read => keep(asset.response(http)),
                // No login leads to a path that is only nearly one of these.
                None if self.conformance && ECHOES.iter().any(|service| path.starts_with(service)) => {
                    keep(http::Response::text(404, "There is nothing here.\n"))
                }
                None if path != "/" && path != "/csrf" => match visitor {
                    None => to_login(),
                    Some(_) => keep(pages::error(404, "There is nothing here", "This address leads nowhere.")),
                },
                _ => method_not_allowed("GET, HEAD"),
            },
        };
        Reply::Ready(Box::new(response))
    }

    /// A client is there: its STOMP CONNECT was accepted, or its raw WebSocket is open.
    pub fn joined(&mut self, hub: &mut Hub, now: Now, client: ClientId, principal: Option<&Arc<str>>) {
        if let Some(name) = principal {
            self.present.came(&mut HubOutlet { hub, now }, name);
        }
        if self.conformance && hub.path_of(client).is_some_and(|path| **path == *CLOSE) {
            hub.close_client(now, client, 3000, "Go away!");
        }
    }

    /// A client that had joined is gone.
    pub fn left(&mut self, hub: &mut Hub, now: Now, principal: Option<&Arc<str>>) {
        if let Some(name) = principal {
            self.present.went(&mut HubOutlet { hub, now }, name);
        }
    }

    /// Another node said something.
    pub fn announced(&mut self, hub: &mut Hub, now: Now, from: &str, body: &[u8]) {
        self.present.heard(&mut HubOutlet { hub, now }, now.mono, from, body);
    }

    /// Tells the other nodes who is here: to be called every [`BEAT_MS`], if there are others.
    pub fn beat(&mut self, hub: &mut Hub, now: Now) {
        self.present.beat(&mut HubOutlet { hub, now }, now.mono);
    }

    /// A client sent something to the application.
    pub fn deliver(&mut self, hub: &mut Hub, now: Now, client: ClientId, delivery: &Delivery) {
        let mut outlet = HubOutlet { hub, now };
        chat::deliver(&self.present, &mut self.counters, &mut outlet, now.wall, client, delivery);
    }

    /// What has happened since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

fn to_login() -> hub::Response {
    keep(pages::redirect("/login"))
}

/// An answer that leaves the session as it is.
fn keep(http: http::Response) -> hub::Response {
    hub::Response { http, session: hub::Change::Keep }
}

fn method_not_allowed(allow: &str) -> hub::Response {
    let mut page = pages::error(405, "Not that way", "This address is not for such a request.");
    pages::put(&mut page, "Allow", allow);
    keep(page)
}

#[cfg(test)]
mod tests;
