//! Settings of a [`Config`] by name, as people write them in files and flags: one table, whoever reads it.
//!
//! [`set`] sets one, [`set_limit`] one of the [`Limits`](super::Limits). The values are texts: durations such as `30m`,
//! sizes such as `64KiB`, words. What is refused says why, and what to write instead.

mod limits;
mod nearest;
mod settings;
pub mod value;

use alloc::format;
use alloc::string::String;

use super::Config;

pub use self::limits::{LIMITS, Limit, OFF, Unit, set_limit};
pub use self::nearest::nearest;
pub use self::settings::{Named, SETTINGS};

/// Why a name or a value was refused, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl Refused {
    /// The value in quotes, and what is wrong with it.
    pub fn new(value: &str, rest: &str) -> Self {
        Self(format!("\"{}\" {rest}", value.escape_debug()))
    }
}

/// Sets one by its name. A setting that takes several values gets all of them, any other the last.
///
/// # Errors
/// [`Refused`]: the sentence begins with the name. An unknown name is told together with the nearest one that there is.
pub fn set(config: &mut Config, name: &str, values: &[&str]) -> Result<(), Refused> {
    let Some(named) = SETTINGS.iter().find(|named| named.name == name) else {
        let near = nearest(name, SETTINGS.iter().map(|named| named.name));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        return Err(Refused(format!("there is no setting \"{}\"{hint}", name.escape_debug())));
    };
    named.apply(config, values).map_err(|Refused(why)| Refused(format!("{name}: {why}")))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::broker::access::Rules;
    use crate::config::{Login, Store};
    use crate::http::Encoding;
    use crate::session::spring::{Expirations, Layout, Serializer};

    fn with(settings: &[(&str, &str)]) -> Result<Config, Refused> {
        let mut config = Config::default();
        for (name, value) in settings {
            set(&mut config, name, &[value])?;
        }
        Ok(config)
    }

    #[test]
    fn each_setting_reaches_its_field() {
        let config = with(&[
            ("store", "redis"),
            ("session-timeout", "60s"),
            ("touch-interval", "0s"),
            ("check-interval", "2s"),
            ("sweep-interval", "3m"),
            ("blind-time", "1h"),
            ("cookie", "ID"),
            ("cookie-encoding", "plain"),
            ("require-origin", "true"),
            ("connect-csrf", "true"),
            ("stomp-heartbeat", "1000,2000"),
            ("redis-namespace", "chat"),
            ("redis-database", "3"),
            ("redis-layout", "sorted-set"),
            ("redis-serializer", "json"),
            ("redis-cleanup", "on"),
            ("redis-principal-attribute", "who"),
            ("redis-attributes", "csrf"),
            ("relay", "true"),
            ("decide", "true"),
            ("application-prefix", "/server"),
            ("rules", "sample"),
        ])
        .unwrap();
        let session = &config.session;
        assert_eq!((session.timeout_ms, session.touch_interval_ms, session.blind_ms), (60_000, 0, 3_600_000));
        assert_eq!((session.check_interval_ms, session.sweep_interval_ms), (2_000, 180_000));
        assert_eq!((session.cookie.as_str(), session.encoding), ("ID", Encoding::Plain));
        assert!(config.origin.require && config.relay && config.decide && session.connect_token.is_some());
        assert_eq!((config.heart_beat_ms, config.application_prefix.as_str()), ((1_000, 2_000), "/server"));
        assert_eq!(format!("{:?}", config.rules), format!("{:?}", Rules::sample()));
        let Store::Spring(spring) = &config.store else { panic!("{:?}", config.store) };
        assert_eq!((spring.namespace.as_str(), spring.database, spring.cleanup), ("chat", 3, true));
        assert_eq!((spring.layout, spring.expirations), (Layout::Indexed, Expirations::SortedSet));
        assert_eq!((spring.serializer, spring.principal_attribute.as_str()), (Serializer::Json, "who"));
        assert_eq!(spring.attributes, ["csrf"]);
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn lists_and_endpoints() {
        let mut config = Config::default();
        set(&mut config, "origin", &["https://a.example", "https://b.example"]).unwrap();
        set(&mut config, "proxy", &["10.0.0.0/8"]).unwrap();
        set(&mut config, "guarded", &["/a", "/b"]).unwrap();
        assert!(config.proxies.contains([10, 1, 2, 3].into()));
        assert_eq!(config.guarded, ["/a", "/b"]);
        let before = config.endpoints.len();
        assert_eq!((before, config.endpoints[0].login), (1, Login::Required));
    }

    #[test]
    fn every_setting_is_written_down_once_and_refuses_nonsense() {
        for (i, named) in SETTINGS.iter().enumerate() {
            assert!(SETTINGS[..i].iter().all(|other| other.name != named.name), "{} is there twice", named.name);
            let mut config = Config { store: Store::Spring(Default::default()), ..Config::default() };
            let before = format!("{config:?}");
            let refused = set(&mut config, named.name, &["\u{1}nonsense\0"]).expect_err(named.name);
            assert!(refused.to_string().starts_with(&format!("{}: ", named.name)), "{refused}");
            assert_eq!(format!("{config:?}"), before, "{}", named.name);
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (name, value, why) in [
            ("coookie", "x", "there is no setting \"coookie\"; did you mean cookie?"),
            ("colour", "x", "there is no setting \"colour\""),
            (
                "cookie",
                "a b",
                "cookie: \"a b\" is no cookie name; write 1 to 64 letters, digits, - and _, such as SESSION",
            ),
            ("session-timeout", "0s", "session-timeout: must be from 1ms to 3650d"),
            ("redis-namespace", "x", "redis-namespace: needs store redis before it"),
            ("store", "rediss", "store: \"rediss\" is none of memory, redis, external; did you mean redis?"),
        ] {
            assert_eq!(with(&[(name, value)]).unwrap_err(), Refused(why.to_string()));
        }
        assert_eq!(set(&mut Config::default(), "cookie", &[]), Err(Refused("cookie: its value is missing".into())));
    }
}
