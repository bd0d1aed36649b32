//! How a SockJS service is set up.

use alloc::borrow::ToOwned;
use alloc::string::String;

/// How an [`Endpoint`](super::Endpoint) is served through SockJS 0.3.3. Start from [`SockJs::default`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SockJs {
    /// Whether WebSockets are taken: at `PREFIX/websocket` plain ones, below `PREFIX/<server>/<session>/websocket` with the
    /// frames of SockJS. Default yes.
    pub websocket: bool,
    /// Whether answers set the cookie `JSESSIONID` that sticky load balancers look at. Default no.
    pub jsessionid: bool,
    /// Whether the transport `jsonp` is there. Default no: a script tag of any site could read its answers, since browsers
    /// send no `Origin` with one.
    pub jsonp: bool,
    /// Whether SJ_SESS and SJ_ADDR hold. Default yes.
    pub counted: bool,
    /// STREAM: bytes after which an answer that streams ends, so that browsers can forget what they have read of it; the
    /// client asks again. Default 128 KiB.
    pub stream_bytes: usize,
    /// Milliseconds without a frame after which one is sent that only says that the server is there. Default 25,000.
    pub heart_beat_ms: u64,
    /// GONE: milliseconds without a request that receives after which a session is over, and for which one that is over
    /// tells so to whoever asks. Default 5,000.
    pub disconnect_delay_ms: u64,
    /// Where the page `PREFIX/iframe.html` finds sockjs-client. Default its 1.6.1 at jsDelivr.
    pub client_url: String,
}

impl Default for SockJs {
    fn default() -> Self {
        Self {
            websocket: true,
            jsessionid: false,
            jsonp: false,
            counted: true,
            stream_bytes: 128 * 1024,
            heart_beat_ms: 25_000,
            disconnect_delay_ms: 5_000,
            client_url: "https://cdn.jsdelivr.net/npm/sockjs-client@1.6.1/dist/sockjs.min.js".to_owned(),
        }
    }
}

impl SockJs {
    pub(super) fn is_valid(&self) -> bool {
        self.stream_bytes > 0
            && self.heart_beat_ms > 0
            && self.disconnect_delay_ms > 0
            && !self.client_url.chars().any(char::is_control)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, ConfigError, Endpoint};
    use super::*;

    fn validated(path: &str, others: &[&str], sockjs: SockJs) -> Result<(), ConfigError> {
        let mut endpoints = alloc::vec![Endpoint::stomp(path).with_sockjs(sockjs)];
        endpoints.extend(others.iter().map(|path| Endpoint::raw(path)));
        Config { endpoints, ..Config::default() }.validate()
    }

    #[test]
    fn a_service_has_its_paths_to_itself() {
        assert_eq!(validated("/a", &["/ab", "/b"], SockJs::default()), Ok(()));
        for (path, other) in [("/a", "/a/websocket"), ("/a/", "/b"), ("/", "/b")] {
            assert_eq!(validated(path, &[other], SockJs::default()), Err(ConfigError::SockJs), "{path} {other}");
        }
        for bad in [
            SockJs { stream_bytes: 0, ..SockJs::default() },
            SockJs { heart_beat_ms: 0, ..SockJs::default() },
            SockJs { disconnect_delay_ms: 0, ..SockJs::default() },
            SockJs { client_url: "a\nb".to_owned(), ..SockJs::default() },
        ] {
            assert_eq!(validated("/a", &[], bad), Err(ConfigError::SockJs));
        }
    }
}
