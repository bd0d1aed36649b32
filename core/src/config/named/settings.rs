//! The table of settings.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::Refused;
use super::value::{self, one};
use crate::broker::access::Rules;
use crate::config::{Config, ConnectToken, Store};
use crate::http::{Encoding, OriginRules, Proxies};
use crate::session::spring::{self, Expirations, Layout, Serializer};

/// A setting by name.
#[derive(Debug)]
pub struct Named {
    /// Its name.
    pub name: &'static str,
    /// Whether it takes several values.
    pub many: bool,
    apply: fn(&mut Config, &[&str]) -> Result<(), Refused>,
}

impl Named {
    /// Applies what was written to a configuration; nothing is changed if it is refused.
    ///
    /// # Errors
    /// [`Refused`], without the name.
    pub fn apply(&self, config: &mut Config, values: &[&str]) -> Result<(), Refused> {
        (self.apply)(config, values)
    }
}

/// Every setting of a hub that has a name.
pub const SETTINGS: &[Named] = &[
    Named {
        name: "store",
        many: false,
        apply: |c, values| {
            let word = one(values, |v| value::word(v, &["memory", "redis", "external"]))?;
            c.store = match (word, &c.store) {
                ("redis", Store::Spring(spring)) => Store::Spring(spring.clone()),
                ("redis", _) => Store::Spring(spring::Config::default()),
                ("external", _) => Store::External,
                _ => Store::Memory,
            };
            Ok(())
        },
    },
    Named {
        name: "session-timeout",
        many: false,
        apply: |c, values| one(values, value::timeout_ms).map(|v| c.session.timeout_ms = v),
    },
    Named {
        name: "touch-interval",
        many: false,
        apply: |c, values| one(values, value::duration_ms).map(|v| c.session.touch_interval_ms = v),
    },
    Named {
        name: "check-interval",
        many: false,
        apply: |c, values| one(values, value::duration_ms).map(|v| c.session.check_interval_ms = v),
    },
    Named {
        name: "sweep-interval",
        many: false,
        apply: |c, values| one(values, value::duration_ms).map(|v| c.session.sweep_interval_ms = v),
    },
    Named {
        name: "blind-time",
        many: false,
        apply: |c, values| one(values, value::duration_ms).map(|v| c.session.blind_ms = v),
    },
    Named {
        name: "cookie",
        many: false,
        apply: |c, values| one(values, value::cookie_name).map(|v| c.session.cookie = v),
    },
    Named {
        name: "cookie-encoding",
        many: false,
        apply: |c, values| {
            let plain = one(values, |v| value::word(v, &["base64", "plain"]))? == "plain";
            c.session.encoding = if plain { Encoding::Plain } else { Encoding::Base64 };
            Ok(())
        },
    },
    Named {
        name: "origin",
        many: true,
        apply: |c, values| {
            let mut rules = OriginRules::default();
            rules.require = c.origin.require;
            for text in values {
                let origin = value::origin(text)?;
                rules.allow(&origin).map_err(|_| Refused::new(text, "is no origin"))?;
            }
            c.origin = rules;
            Ok(())
        },
    },
    Named {
        name: "require-origin",
        many: false,
        apply: |c, values| one(values, value::switch).map(|v| c.origin.require = v),
    },
    Named {
        name: "proxy",
        many: true,
        apply: |c, values| {
            let mut proxies = Proxies::default();
            for text in values {
                let network = value::network(text)?;
                proxies.add(&network).map_err(|_| Refused::new(text, "is no network"))?;
            }
            c.proxies = proxies;
            Ok(())
        },
    },
    Named {
        name: "connect-csrf",
        many: false,
        apply: |c, values| {
            let on = one(values, value::switch)?;
            c.session.connect_token = on.then(ConnectToken::default);
            Ok(())
        },
    },
    Named {
        name: "stomp-heartbeat",
        many: false,
        apply: |c, values| one(values, value::pair).map(|v| c.heart_beat_ms = v),
    },
    Named {
        name: "application-prefix",
        many: false,
        apply: |c, values| one(values, path).map(|v| c.application_prefix = v),
    },
    Named {
        name: "guarded",
        many: true,
        apply: |c, values| {
            c.guarded = values.iter().map(|v| path(v)).collect::<Result<Vec<_>, _>>()?;
            Ok(())
        },
    },
    Named {
        name: "rules",
        many: false,
        apply: |c, values| {
            let sample = one(values, |v| value::word(v, &["open", "sample"]))? == "sample";
            c.rules = if sample { Rules::sample() } else { Rules::open() };
            Ok(())
        },
    },
    Named { name: "relay", many: false, apply: |c, values| one(values, value::switch).map(|v| c.relay = v) },
    Named { name: "decide", many: false, apply: |c, values| one(values, value::switch).map(|v| c.decide = v) },
    Named {
        name: "redis-namespace",
        many: false,
        apply: |c, values| {
            let spring = on_redis(c)?;
            one(values, value::namespace).map(|v| spring.namespace = v)
        },
    },
    Named {
        name: "redis-database",
        many: false,
        apply: |c, values| {
            let spring = on_redis(c)?;
            let number = |text: &str| {
                let number = value::count(text)?;
                u32::try_from(number).map_err(|_| Refused::new(text, "is no database's number"))
            };
            one(values, number).map(|v| spring.database = v)
        },
    },
    Named {
        name: "redis-layout",
        many: false,
        apply: |c, values| {
            let spring = on_redis(c)?;
            let word = one(values, |v| value::word(v, &["detect", "indexed", "sorted-set", "plain"]))?;
            (spring.layout, spring.expirations) = match word {
                "indexed" => (Layout::Indexed, Expirations::MinuteSets),
                "sorted-set" => (Layout::Indexed, Expirations::SortedSet),
                "plain" => (Layout::Plain, Expirations::Detect),
                _ => (Layout::Detect, Expirations::Detect),
            };
            Ok(())
        },
    },
    Named {
        name: "redis-serializer",
        many: false,
        apply: |c, values| {
            let spring = on_redis(c)?;
            let json = one(values, |v| value::word(v, &["java", "json"]))? == "json";
            spring.serializer = if json { Serializer::Json } else { Serializer::Java };
            Ok(())
        },
    },
    Named {
        name: "redis-cleanup",
        many: false,
        apply: |c, values| {
            let spring = on_redis(c)?;
            one(values, |v| value::word(v, &["on", "off"])).map(|v| spring.cleanup = v == "on")
        },
    },
    Named {
        name: "redis-principal-attribute",
        many: false,
        apply: |c, values| {
            let spring = on_redis(c)?;
            one(values, value::attribute).map(|v| spring.principal_attribute = v)
        },
    },
    Named {
        name: "redis-attributes",
        many: true,
        apply: |c, values| {
            let spring = on_redis(c)?;
            spring.attributes = values.iter().map(|text| value::attribute(text)).collect::<Result<_, _>>()?;
            Ok(())
        },
    },
];

fn on_redis(config: &mut Config) -> Result<&mut spring::Config, Refused> {
    match &mut config.store {
        Store::Spring(spring) => Ok(spring),
        Store::Memory | Store::External => Err(Refused("needs store redis before it".to_owned())),
    }
}

/// A path, or the beginning of one.
fn path(text: &str) -> Result<String, Refused> {
    let plain = |c: char| !c.is_control() && !matches!(c, '?' | '#' | ' ');
    if !text.starts_with('/') || text.len() > 512 || !text.chars().all(plain) {
        return Err(Refused::new(text, "is no path; it begins with / and holds no ?, # or spaces"));
    }
    Ok(text.to_owned())
}
