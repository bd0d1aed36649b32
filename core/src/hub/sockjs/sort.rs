//! What a head below a service's prefix asks for, and whether it may.

use alloc::string::String;

use super::form::{allow, origin, put};
use super::{Errand, Name};
use crate::config::Login;
use crate::http::{self, Refusal, cookie};
use crate::hub::Hub;
use crate::hub::request::{Sorted, protocols};
use crate::sockjs::{self, Method, Route, Transport};

impl Hub {
    /// The order of the checks: Origin, a preflight, a cookie at all unless there is such a channel, path, method, upgrade
    /// headers or callback.
    pub(in crate::hub) fn sort_sockjs(&mut self, slot: u32, at: usize) -> Result<Sorted, Refusal> {
        if let Some(socket) = self.sockets.slot_mut(slot) {
            socket.endpoint = at as u8;
        }
        let endpoint = self.config.endpoints.get(at).ok_or(Refusal::NotFound)?;
        let sockjs = endpoint.sockjs.as_ref().ok_or(Refusal::NotFound)?;
        let pending = self.pending(slot).ok_or(Refusal::Malformed)?;
        let request = &pending.request;
        if !endpoint.any_origin {
            self.config.origin.check(request)?;
        }
        let rest = request.path().get(endpoint.path.len()..).unwrap_or_default();
        let route = Route::of(rest).filter(|route| match route {
            Route::RawWebSocket | Route::Session { transport: Transport::WebSocket, .. } => sockjs.websocket,
            Route::Session { transport: Transport::Jsonp | Transport::JsonpSend, .. } => sockjs.jsonp,
            _ => true,
        });
        if let Some(route) = route
            && request.method() == Method::Options.as_str()
            && route.methods().contains(&Method::Options)
        {
            return Ok(Sorted::Answer(self.preflight(request, route)));
        }
        let ids = match endpoint.login {
            Login::None => None,
            Login::Required => {
                let session = &self.config.session;
                let mut ids = cookie::session_ids(request, &session.cookie, session.encoding, &self.config.limits.http);
                ids.reverse();
                let known = matches!(route, Some(Route::Session { session, transport }) if transport != Transport::WebSocket
                    && self.channels.find(at as u8, session).is_some());
                if ids.is_empty() && !known {
                    return Err(Refusal::NoSession);
                }
                Some(ids)
            }
        };
        let route = route.ok_or(Refusal::NotFound)?;
        let page = matches!(route, Route::Greeting | Route::Info | Route::Iframe);
        let method = if page && request.method() == "HEAD" { Some(Method::Get) } else { Method::of(request.method()) };
        if !method.is_some_and(|method| route.methods().contains(&method)) {
            return Ok(Sorted::Answer(not_allowed(request, route)));
        }
        if page && http::upgrade::is_asked(request) {
            let mut response =
                http::Response::text(400, "A WebSocket is opened elsewhere: see the protocol of SockJS.\n");
            response.close();
            return Ok(Sorted::Answer(response));
        }
        let (errand, upgrade) = match route {
            Route::Greeting => (Some(Errand::Greeting), None),
            Route::Info => (Some(Errand::Info), None),
            Route::Iframe => (Some(Errand::Iframe), None),
            Route::RawWebSocket => (None, Some(http::upgrade::check(request, protocols(endpoint))?)),
            Route::Session { transport: Transport::WebSocket, .. } => {
                (Some(Errand::WebSocket), Some(http::upgrade::check(request, protocols(endpoint))?))
            }
            Route::Session { transport, session } => {
                if transport.calls_back()
                    && let Err(bad) = sockjs::callback(request.query())
                {
                    let mut response = http::Response::text(500, alloc::format!("{bad}\n"));
                    put(&mut response, "X-Content-Type-Options", "nosniff");
                    return Ok(Sorted::Answer(response));
                }
                (Some(Errand::Channel(transport, Name::at(request.path(), session, transport))), None)
            }
        };
        if upgrade.is_some() && request.has_body() {
            return Err(Refusal::Framing);
        }
        let body_bytes = usize::try_from(self.config.limits.ws.message_bytes).unwrap_or(usize::MAX);
        let pending = self.pending_mut(slot).ok_or(Refusal::Malformed)?;
        pending.ids = ids.unwrap_or_default();
        pending.errand = errand;
        pending.upgrade = upgrade;
        if upgrade.is_some() {
            return Ok(Sorted::Endpoint(at));
        }
        Ok(Sorted::Page { body_bytes: body_bytes.saturating_add(BODY_MORE) })
    }

    /// The answer to what a browser asks before it lets a page of another origin send.
    fn preflight(&self, request: &http::Request, route: Route<'_>) -> http::Response {
        let mut response = http::Response::new(204);
        let origin = origin(request);
        allow(&mut response, origin);
        put(&mut response, "Allow", methods(route));
        if origin.is_some() {
            put(&mut response, "Access-Control-Allow-Methods", methods(route));
            if let Some(names) = request.header("access-control-request-headers").and_then(sockjs::requested_headers) {
                put(&mut response, "Access-Control-Allow-Headers", names);
            }
            put(&mut response, "Access-Control-Max-Age", alloc::format!("{}", sockjs::AGE_SECONDS));
        }
        self.put_age(&mut response);
        response
    }

    /// Says that an answer is good for a year.
    pub(super) fn put_age(&self, response: &mut http::Response) {
        put(response, "Cache-Control", sockjs::long_lived());
        let mut expires = alloc::vec::Vec::new();
        http::push_date(&mut expires, self.now.wall.after(sockjs::AGE_SECONDS * 1_000));
        put(response, "Expires", expires);
    }
}

fn not_allowed(request: &http::Request, route: Route<'_>) -> http::Response {
    let mut response = http::Response::new(405);
    put(&mut response, "Allow", methods(route));
    allow(&mut response, origin(request));
    response
}

fn methods(route: Route<'_>) -> String {
    route.methods().iter().map(|method| method.as_str()).collect::<alloc::vec::Vec<_>>().join(", ")
}

/// BODY is so many bytes more than MSG_BYTES: what frames a message.
const BODY_MORE: usize = 1_024;
