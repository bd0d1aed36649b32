//! What the hub is told.

use tethered_core::broker::access::{Operation, Rule, Rules, Verdict};
use tethered_core::broker::destination::Pattern;
use tethered_core::config::{Config, ConnectToken, Endpoint, Session, SockJs, Store};
use tethered_core::http::{OriginRules, Proxies};
use tethered_core::session::spring;

use super::Settings;

/// The SockJS services of conformance mode: those that send back what they get, and the one that ends each client at once.
pub(crate) const ECHOES: [&str; 3] = ["/echo", "/disabled_websocket_echo", "/cookie_needed_echo"];
pub(crate) const CLOSE: &str = "/close";

/// The attributes of a session that may hold its CSRF token: ours, and Spring Security's in a session that was made
/// there.
pub(crate) const CSRF_ATTRIBUTES: [&str; 2] = ["csrf", spring::CSRF_TOKEN];
/// The header with the token: of a script's request, and of CONNECT.
pub(crate) const CSRF_HEADER: &str = "X-CSRF-TOKEN";

impl Settings {
    /// The hub's configuration: STOMP at `/stomp`, and through SockJS at `/messages`, with login, the sample's rules,
    /// sessions in memory or on a Redis, and what conformance mode adds.
    pub fn hub_config(&self) -> Config {
        let limits = &self.limits;
        let mut config = Config {
            endpoints: vec![Endpoint::stomp("/stomp"), Endpoint::stomp("/messages").with_sockjs(self.sockjs.to_core())],
            guarded: vec!["/stomp".to_owned(), "/messages".to_owned()],
            store: self.redis.to_core().map_or(Store::Memory, Store::Spring),
            session: Session {
                cookie: self.cookie.clone(),
                encoding: self.cookie_encoding,
                timeout_ms: self.session_timeout_ms,
                touch_interval_ms: self.touch_interval_ms,
                check_interval_ms: self.redis.check_interval_ms,
                sweep_interval_ms: self.redis.sweep_interval_ms,
                blind_ms: self.redis.blind_ms,
                reply_ms: limits.redis.reply_ms,
                connect_token: self.connect_csrf.then(|| ConnectToken {
                    header: CSRF_HEADER.to_owned(),
                    attributes: CSRF_ATTRIBUTES.map(str::to_owned).to_vec(),
                }),
                ..Session::default()
            },
            origin: self.origin_rules(),
            proxies: self.believed(),
            rules: Rules::sample(),
            relay: self.redis.url.is_some(),
            heart_beat_ms: self.heart_beat_ms,
            limits: limits.core.clone(),
            ..Config::default()
        };
        if self.conformance {
            conform(&mut config, &self.sockjs.to_core());
        }
        config
    }

    fn origin_rules(&self) -> OriginRules {
        let mut rules = OriginRules::default();
        rules.require = self.require_origin;
        for origin in &self.origins {
            rules.allow(origin).expect("INVARIANT: origins were checked when they were set");
        }
        rules
    }

    fn believed(&self) -> Proxies {
        let mut proxies = Proxies::default();
        for network in &self.proxies {
            proxies.add(network).expect("INVARIANT: networks were checked when they were set");
        }
        proxies
    }
}

/// Adds what test suites need, and nothing else.
fn conform(config: &mut Config, sockjs: &SockJs) {
    let sockjs = SockJs { jsonp: true, counted: false, stream_bytes: 4_096, ..sockjs.clone() };
    let [echo, no_websocket, cookies] = ECHOES;
    for (path, websocket, jsessionid) in
        [(echo, true, false), (no_websocket, false, false), (cookies, true, true), (CLOSE, true, false)]
    {
        let service = Endpoint::raw(path).with_sockjs(SockJs { websocket, jsessionid, ..sockjs.clone() });
        let large = path == echo;
        config.endpoints.push(Endpoint {
            message_bytes: large.then_some(16 << 20),
            out_bytes: large.then_some(32 << 20),
            any_origin: true,
            ..service
        });
    }
    for text in ["/topic/conformance.*", "/queue/conformance.*"] {
        let pattern = Pattern::parse(text, 64, 8).expect("INVARIANT: a short and well-formed pattern");
        config.rules.prepend(Rule { operation: Operation::Send, pattern, verdict: Verdict::Authenticated });
    }
}

#[cfg(test)]
mod tests {
    use tethered_core::config::{ConnectToken, Login, Protocol, SockJs};
    use tethered_core::http::Encoding;

    use super::CSRF_ATTRIBUTES;

    use crate::settings::tests::serve;

    #[test]
    fn settings_reach_the_hub() {
        let config = serve(&[
            "--session-timeout=60s",
            "--touch-interval=2s",
            "--cookie=ID",
            "--cookie-encoding=plain",
            "--stomp-heartbeat=1000,2000",
            "--limit=MSG_BYTES=1MiB",
            "--limit=HALF_OPEN_ADDR=5",
            "--connect-csrf",
        ])
        .hub_config();
        let token =
            ConnectToken { header: "X-CSRF-TOKEN".to_owned(), attributes: CSRF_ATTRIBUTES.map(str::to_owned).to_vec() };
        assert_eq!(config.session.connect_token, Some(token));
        assert_eq!(serve(&[]).hub_config().session.connect_token, None);
        assert_eq!(config.session.timeout_ms, 60_000);
        assert_eq!(config.session.touch_interval_ms, 2_000);
        assert_eq!((config.session.cookie.as_str(), config.session.encoding), ("ID", Encoding::Plain));
        assert_eq!(config.heart_beat_ms, (1_000, 2_000));
        assert_eq!((config.limits.ws.message_bytes, config.limits.stomp.frame_bytes), (1 << 20, 1 << 20));
        assert_eq!(config.limits.half_open_address, 5);
        assert_eq!(config.limits.total, 18_000);
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn what_is_set_of_sockjs_reaches_the_hub() {
        let sockjs = |arguments: &[&str]| serve(arguments).hub_config().endpoints[1].sockjs.clone().unwrap();
        assert_eq!(sockjs(&[]), SockJs::default());
        assert_eq!(sockjs(&["--conformance"]), SockJs::default());
        assert_eq!(
            sockjs(&[
                "--sockjs-heartbeat=2s",
                "--sockjs-disconnect-delay=1500ms",
                "--sockjs-stream=1MiB",
                "--sockjs-jsonp",
                "--sockjs-client-url=/sockjs.js",
            ]),
            SockJs {
                heart_beat_ms: 2_000,
                disconnect_delay_ms: 1_500,
                stream_bytes: 1 << 20,
                jsonp: true,
                client_url: "/sockjs.js".to_owned(),
                ..SockJs::default()
            }
        );
    }

    #[test]
    fn both_endpoints_ask_for_a_login_and_all_below_them_is_guarded() {
        let config = serve(&[]).hub_config();
        let paths: Vec<_> =
            config.endpoints.iter().map(|e| (e.path.as_str(), e.protocol, e.login, e.any_origin)).collect();
        assert_eq!(
            paths,
            [
                ("/stomp", Protocol::Stomp, Login::Required, false),
                ("/messages", Protocol::Stomp, Login::Required, false)
            ]
        );
        assert_eq!(config.guarded, ["/stomp", "/messages"]);
        assert!(!config.rules.may_send("/topic/conformance.x", true));
    }

    #[test]
    fn conformance_mode_changes_this_and_no_more() {
        let config = serve(&["--conformance"]).hub_config();
        let plain = serve(&[]).hub_config();
        let services: Vec<_> = config.endpoints[2..]
            .iter()
            .map(|at| {
                let sockjs = at.sockjs.as_ref().unwrap();
                assert_eq!((at.protocol, at.login, at.any_origin), (Protocol::Raw, Login::None, true));
                assert_eq!((sockjs.jsonp, sockjs.counted, sockjs.stream_bytes), (true, false, 4_096));
                (at.path.as_str(), at.message_bytes, at.out_bytes, sockjs.websocket, sockjs.jsessionid)
            })
            .collect();
        assert_eq!(
            services,
            [
                ("/echo", Some(16 << 20), Some(32 << 20), true, false),
                ("/disabled_websocket_echo", None, None, false, false),
                ("/cookie_needed_echo", None, None, true, true),
                ("/close", None, None, true, false),
            ]
        );
        for (destination, allowed) in [
            ("/topic/conformance.1", true),
            ("/queue/conformance.a.b", true),
            ("/topic/conformance", false),
            ("/topic/conformance.1/x", false),
            ("/topic/friends/signin", false),
            ("/queue/messages", false),
            ("/user/luke/queue/messages", false),
        ] {
            assert_eq!(config.rules.may_send(destination, true), allowed, "{destination}");
            assert!(!config.rules.may_send(destination, false), "{destination} without a login");
        }
        assert_eq!(format!("{:?}", config.endpoints[..2].to_vec()), format!("{:?}", plain.endpoints));
        assert_eq!(format!("{:?}", config.limits), format!("{:?}", plain.limits));
        assert_eq!(
            format!("{:?}", (config.origin, config.session, config.guarded)),
            format!("{:?}", (plain.origin, plain.session, plain.guarded))
        );
        assert_eq!(config.limits.ws.message_bytes, 64 << 10);
    }
}
