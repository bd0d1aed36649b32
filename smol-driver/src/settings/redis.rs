//! Sessions on a Redis: its address, and where Spring Session keeps what there.

use std::io;

use tethered_core::config::named::nearest;
use tethered_core::session::spring::{self, Expirations, Layout, Serializer};

use super::table::{Arity, Group, Role, Setting, Shown, text};
use super::value::{self, Refused, one};
use super::{CSRF_ATTRIBUTES, Settings};
use crate::redis::{RedisOptions, RedisUrl, UrlError};

/// How sessions are kept on a Redis. Without an address they are kept in the server's own memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnRedis {
    /// Where it is.
    pub url: Option<RedisUrl>,
    /// The file whose first line is the password.
    pub password_file: Option<String>,
    /// The file with certificates of the authorities that are believed.
    pub authorities: Option<String>,
    /// The files with our own certificate and its key.
    pub certificate: Option<String>,
    /// See there.
    pub key: Option<String>,
    /// The sentinels' user.
    pub sentinel_user: Option<String>,
    /// The file whose first line is the sentinels' password.
    pub sentinel_password_file: Option<String>,
    /// What its keys begin with, without the colon behind it.
    pub namespace: String,
    /// Which keys make up a session.
    pub layout: Keys,
    /// How values of new sessions are written.
    pub serializer: Serializer,
    /// Whether the cleanup job is run.
    pub cleanup: bool,
    /// The attribute whose text is the principal's name.
    pub principal_attribute: String,
    /// How often a session is looked at while notices are missing, in milliseconds.
    pub check_interval_ms: u64,
    /// How often every session is looked at in any case, in milliseconds.
    pub sweep_interval_ms: u64,
    /// For how long sockets are kept that Redis, being away, does not vouch for, in milliseconds.
    pub blind_ms: u64,
}

/// Which keys make up a session, as one names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// As they are found.
    Detect,
    /// The indexed layout with a set for each minute.
    Indexed,
    /// The indexed layout with one sorted set.
    SortedSet,
    /// The hash alone.
    Plain,
}

impl Keys {
    const ALL: [Self; 4] = [Self::Detect, Self::Indexed, Self::SortedSet, Self::Plain];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Indexed => "indexed",
            Self::SortedSet => "sorted-set",
            Self::Plain => "plain",
        }
    }
}

impl Default for OnRedis {
    fn default() -> Self {
        Self {
            url: None,
            password_file: None,
            authorities: None,
            certificate: None,
            key: None,
            sentinel_user: None,
            sentinel_password_file: None,
            namespace: String::new(),
            layout: Keys::Detect,
            serializer: Serializer::Java,
            cleanup: true,
            principal_attribute: String::new(),
            check_interval_ms: 0,
            sweep_interval_ms: 0,
            blind_ms: 0,
        }
    }
}

impl OnRedis {
    /// What the hub is told.
    pub(super) fn to_core(&self) -> Option<spring::Config> {
        let url = self.url.as_ref()?;
        let (layout, expirations) = match self.layout {
            Keys::Detect => (Layout::Detect, Expirations::Detect),
            Keys::Indexed => (Layout::Indexed, Expirations::MinuteSets),
            Keys::SortedSet => (Layout::Indexed, Expirations::SortedSet),
            Keys::Plain => (Layout::Plain, Expirations::Detect),
        };
        Some(spring::Config {
            namespace: self.namespace.clone(),
            database: url.database(),
            layout,
            expirations,
            serializer: self.serializer,
            cluster: url.is_cluster(),
            cleanup: self.cleanup,
            principal_attribute: self.principal_attribute.clone(),
            attributes: CSRF_ATTRIBUTES.map(str::to_owned).to_vec(),
            ..spring::Config::default()
        })
    }
}

impl Settings {
    /// What the connections are made with; `None` without a Redis. Reads the files with the passwords.
    ///
    /// # Errors
    /// Where one cannot be read, or where what is set does not belong together.
    pub fn redis_options(&self) -> io::Result<Option<RedisOptions>> {
        let Some(mut url) = self.redis.url.clone() else { return Ok(None) };
        if let Some(file) = &self.redis.password_file {
            url = url.with_password(first_line("--redis-password-file", file)?);
        }
        match (&self.redis.sentinel_password_file, &self.redis.sentinel_user) {
            (None, None) => {}
            _ if !url.is_sentinel() => return Err(mismatch("--redis-sentinel-... needs --redis redis-sentinel://...")),
            (None, Some(_)) => return Err(mismatch("--redis-sentinel-user needs --redis-sentinel-password-file")),
            (Some(file), user) => {
                url = url.with_sentinel_login(user.clone(), first_line("--redis-sentinel-password-file", file)?);
            }
        }
        let identity = match (&self.redis.certificate, &self.redis.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            _ => return Err(mismatch("--redis-cert and --redis-key need each other")),
        };
        let limits = &self.limits;
        Ok(Some(RedisOptions {
            relay: Some(format!("{}:tethered:{}:relay", self.redis.namespace, url.database())),
            url,
            authorities: self.redis.authorities.as_ref().map(Into::into),
            identity,
            connect_ms: limits.redis.connect_ms,
            reply_ms: limits.redis.reply_ms,
            silent_ms: limits.redis.silent_ms,
            // The hub itself keeps to INFLIGHT; commands that want no reply come on top.
            inflight: (limits.core.inflight as usize).saturating_mul(2),
            bulk_bytes: limits.core.bulk,
            array: limits.core.array,
            depth: limits.redis.depth,
        }))
    }
}

/// What stands in the first line of this setting's file.
fn first_line(setting: &str, file: &str) -> io::Result<String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| io::Error::new(error.kind(), format!("{setting} {file}: {error}")))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn mismatch(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// The address, with a hint where only its beginning is wrong. What is wrong is not repeated: it may hold a password.
fn url(text: &str) -> Result<RedisUrl, Refused> {
    RedisUrl::parse(text).map_err(|error| {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        let near = scheme.filter(|s| !SCHEMES.contains(s)).and_then(|s| nearest(s, SCHEMES.iter().copied()));
        match near {
            Some(near) if error == UrlError::Form => Refused(format!("{error}; did you mean {near}://?")),
            _ => Refused(error.to_string()),
        }
    })
}

fn file(values: &[&str]) -> Option<String> {
    values.last().filter(|v| !v.is_empty()).map(|v| (*v).to_owned())
}

const SCHEMES: [&str; 7] =
    ["redis", "rediss", "unix", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster"];

/// The settings of this page, in the order of the help.
pub(super) const REDIS: &[Setting] = &[
    Setting {
        name: "redis",
        short: None,
        group: Group::Redis,
        arity: Arity::One,
        placeholder: "URL",
        default: "",
        help: &[
            "Keep sessions on this Redis, where Spring Session has them:",
            "redis://[USER:PASSWORD@]HOST:PORT/DATABASE, with TLS",
            "rediss://..., unix:///PATH?db=N,",
            "redis-sentinel://HOST:PORT,HOST:PORT/DATABASE?master=NAME or",
            "redis-cluster://HOST:PORT,HOST:PORT. Without it sessions are",
            "kept in the server's own memory.",
        ],
        role: Role::Set {
            apply: |s, values| {
                s.redis.url = match values.last() {
                    Some(text) if !text.is_empty() => Some(url(text)?),
                    _ => None,
                };
                Ok(())
            },
            show: |s| Shown::Text(s.redis.url.as_ref().map(ToString::to_string).unwrap_or_default()),
        },
    },
    Setting {
        name: "redis-password-file",
        short: None,
        group: Group::Redis,
        arity: Arity::One,
        placeholder: "FILE",
        default: "",
        help: &["Take its password from this file's first line."],
        role: Role::Set {
            apply: |s, values| {
                s.redis.password_file = file(values);
                Ok(())
            },
            show: |s| Shown::Text(s.redis.password_file.clone().unwrap_or_default()),
        },
    },
    Setting {
        name: "redis-ca",
        short: None,
        group: Group::Redis,
        arity: Arity::One,
        placeholder: "FILE",
        default: "",
        help: &["Over TLS believe the authorities in this PEM file, instead", "of the system's."],
        role: Role::Set {
            apply: |s, values| {
                s.redis.authorities = file(values);
                Ok(())
            },
            show: |s| Shown::Text(s.redis.authorities.clone().unwrap_or_default()),
        },
    },
    Setting {
        name: "redis-cert",
        short: None,
        group: Group::Redis,
        arity: Arity::One,
        placeholder: "FILE",
        default: "",
        help: &["Over TLS show the certificate in this PEM file."],
        role: Role::Set {
            apply: |s, values| {
                s.redis.certificate = file(values);
                Ok(())
            },
            show: |s| Shown::Text(s.redis.certificate.clone().unwrap_or_default()),
        },
    },
    Setting {
        name: "redis-key",
        short: None,
        group: Group::Redis,
        arity: Arity::One,
        placeholder: "FILE",
        default: "",
        help: &["The key of that certificate, in PEM."],
        role: Role::Set {
            apply: |s, values| {
                s.redis.key = file(values);
                Ok(())
            },
            show: |s| Shown::Text(s.redis.key.clone().unwrap_or_default()),
        },
    },
    Setting {
        name: "redis-sentinel-user",
        short: None,
        group: Group::Redis,
        arity: Arity::One,
        placeholder: "NAME",
        default: "",
        help: &["Log in to the sentinels as this user; default: their default", "user."],
        role: Role::Set {
            apply: |s, values| {
                s.redis.sentinel_user = file(values);
                Ok(())
            },
            show: |s| Shown::Text(s.redis.sentinel_user.clone().unwrap_or_default()),
        },
    },
    Setting {
        name: "redis-sentinel-password-file",
        short: None,
        group: Group::Redis,
        arity: Arity::One,
        placeholder: "FILE",
        default: "",
        help: &["Take the sentinels' password from this file's first line."],
        role: Role::Set {
            apply: |s, values| {
                s.redis.sentinel_password_file = file(values);
                Ok(())
            },
            show: |s| Shown::Text(s.redis.sentinel_password_file.clone().unwrap_or_default()),
        },
    },
    Setting {
        name: "redis-namespace",
        short: None,
        group: Group::Redis,
        arity: Arity::One,
        placeholder: "NAME",
        default: "spring:session",
        help: &["What its keys begin with:", "spring.session.data.redis.namespace."],
        role: Role::Set {
            apply: |s, values| one(values, value::namespace).map(|v| s.redis.namespace = v),
            show: |s| Shown::Text(s.redis.namespace.clone()),
        },
    },
    Setting {
        name: "redis-layout",
        short: None,
        group: Group::Redis,
        arity: Arity::One,
        placeholder: "LAYOUT",
        default: "detect",
        help: &[
            "Which keys make up a session: indexed",
            "(repository-type=indexed), sorted-set (the same with a sorted",
            "set of expirations), plain (Spring Boot's default) or detect.",
        ],
        role: Role::Set {
            apply: |s, values| {
                let word = one(values, |v| value::word(v, &Keys::ALL.map(Keys::as_str)))?;
                s.redis.layout = Keys::ALL.into_iter().find(|keys| keys.as_str() == word).unwrap_or(Keys::Detect);
                Ok(())
            },
            show: |s| text(s.redis.layout.as_str()),
        },
    },
    Setting {
        name: "redis-serializer",
        short: None,
        group: Group::Redis,
        arity: Arity::One,
        placeholder: "FORM",
        default: "java",
        help: &[
            "How the values of new sessions are written: java, Spring's",
            "default, or json. What is read may be either.",
        ],
        role: Role::Set {
            apply: |s, values| {
                let json = one(values, |v| value::word(v, &["java", "json"]))? == "json";
                s.redis.serializer = if json { Serializer::Json } else { Serializer::Java };
                Ok(())
            },
            show: |s| text(if s.redis.serializer == Serializer::Json { "json" } else { "java" }),
        },
    },
    Setting {
        name: "redis-cleanup",
        short: None,
        group: Group::Redis,
        arity: Arity::One,
        placeholder: "SWITCH",
        default: "on",
        help: &[
            "Have Redis look each minute at the sessions that were due, as",
            "each Spring application does: on or off.",
        ],
        role: Role::Set {
            apply: |s, values| one(values, |v| value::word(v, &["on", "off"])).map(|v| s.redis.cleanup = v == "on"),
            show: |s| text(if s.redis.cleanup { "on" } else { "off" }),
        },
    },
    Setting {
        name: "redis-principal-attribute",
        short: None,
        group: Group::Redis,
        arity: Arity::One,
        placeholder: "NAME",
        default: "",
        help: &[
            "The session attribute whose text is the user's name. Default:",
            "Spring Security's context, and where that names nobody Spring",
            "Session's own attribute (...PRINCIPAL_NAME_INDEX_NAME).",
        ],
        role: Role::Set {
            apply: |s, values| {
                s.redis.principal_attribute = match values.last() {
                    Some(name) => value::attribute(name)?,
                    None => spring::Config::default().principal_attribute,
                };
                Ok(())
            },
            show: |s| Shown::Text(s.redis.principal_attribute.clone()),
        },
    },
    Setting {
        name: "check-interval",
        short: None,
        group: Group::Redis,
        arity: Arity::One,
        placeholder: "DURATION",
        default: "5s",
        help: &["While Redis announces no ends of sessions, look at each this", "often."],
        role: Role::Set {
            apply: |s, values| one(values, value::duration_ms).map(|v| s.redis.check_interval_ms = v),
            show: |s| Shown::Text(value::show_duration(s.redis.check_interval_ms)),
        },
    },
    Setting {
        name: "sweep-interval",
        short: None,
        group: Group::Redis,
        arity: Arity::One,
        placeholder: "DURATION",
        default: "1m",
        help: &["Look at each this often in any case: not all ends are", "announced."],
        role: Role::Set {
            apply: |s, values| one(values, value::duration_ms).map(|v| s.redis.sweep_interval_ms = v),
            show: |s| Shown::Text(value::show_duration(s.redis.sweep_interval_ms)),
        },
    },
    Setting {
        name: "blind-time",
        short: None,
        group: Group::Redis,
        arity: Arity::One,
        placeholder: "DURATION",
        default: "5m",
        help: &["While Redis is away, keep sockets for this long."],
        role: Role::Set {
            apply: |s, values| one(values, value::duration_ms).map(|v| s.redis.blind_ms = v),
            show: |s| Shown::Text(value::show_duration(s.redis.blind_ms)),
        },
    },
];

#[cfg(test)]
mod tests {
    use tethered_core::config::Store;

    use super::super::tests::{MACHINE, serve};
    use super::super::{Source, command};
    use super::*;

    fn refused(flag: &str) -> String {
        let source = Source {
            arguments: [flag.into()],
            variables: [],
            read: |_: &std::path::Path| Err(io::Error::from(io::ErrorKind::NotFound)),
            machine: MACHINE,
        };
        command(source).expect_err(flag).to_string()
    }

    #[test]
    fn without_an_address_sessions_are_kept_in_memory() {
        let settings = serve(&["--redis-namespace=chat"]);
        assert_eq!(settings.hub_config().store, Store::Memory);
        assert!(settings.redis_options().expect("no file is read").is_none());
    }

    #[test]
    fn settings_reach_the_hub_and_the_connections() {
        let settings = serve(&[
            "--redis=rediss://rob:secret@example.org:7000/3",
            "--redis-namespace=chat",
            "--redis-layout=sorted-set",
            "--redis-serializer=json",
            "--redis-cleanup=off",
            "--redis-principal-attribute=who",
            "--redis-ca=/etc/ca.pem",
            "--check-interval=1s",
            "--sweep-interval=2s",
            "--blind-time=3s",
            "--limit=BULK=2MiB",
            "--limit=ARRAY=5",
            "--limit=DEPTH=4",
            "--limit=INFLIGHT=6",
            "--limit=TOUCH_RATE=7",
            "--limit=CONNECT=8s",
            "--limit=REPLY=9s",
            "--limit=SUB_SILENT=10m",
        ]);
        let config = settings.hub_config();
        let Store::Spring(spring) = &config.store else { panic!("{:?}", config.store) };
        assert_eq!((spring.namespace.as_str(), spring.database, spring.cluster), ("chat", 3, false));
        assert_eq!((spring.layout, spring.expirations), (Layout::Indexed, Expirations::SortedSet));
        assert_eq!((spring.serializer, spring.cleanup, spring.scripts), (Serializer::Json, false, true));
        assert_eq!(spring.principal_attribute, "who");
        let session = &config.session;
        assert_eq!((session.check_interval_ms, session.sweep_interval_ms, session.blind_ms), (1_000, 2_000, 3_000));
        assert_eq!(session.reply_ms, 9_000);
        let limits = &config.limits;
        assert_eq!((limits.bulk, limits.array, limits.inflight, limits.touch_rate), (2 << 20, 5, 6, 7));
        let options = settings.redis_options().expect("no file is read").expect("there is a Redis");
        assert_eq!((options.connect_ms, options.reply_ms, options.silent_ms), (8_000, 9_000, 600_000));
        assert_eq!((options.bulk_bytes, options.array, options.depth, options.inflight), (2 << 20, 5, 4, 12));
        assert_eq!(options.authorities, Some("/etc/ca.pem".into()));
    }

    #[test]
    fn each_layout_is_what_spring_calls_it() {
        for (word, layout, expirations) in [
            ("detect", Layout::Detect, Expirations::Detect),
            ("indexed", Layout::Indexed, Expirations::MinuteSets),
            ("sorted-set", Layout::Indexed, Expirations::SortedSet),
            ("plain", Layout::Plain, Expirations::Detect),
        ] {
            let settings = serve(&["--redis=redis-cluster://a:1,b:2", &format!("--redis-layout={word}")]);
            let Store::Spring(spring) = settings.hub_config().store else { panic!("{word}") };
            assert_eq!((spring.layout, spring.expirations, spring.cluster), (layout, expirations, true), "{word}");
        }
    }

    #[test]
    fn mistakes_are_named_with_what_was_meant_and_passwords_are_not_repeated() {
        for (flag, wanted) in [
            ("--redis-layot=plain", "did you mean --redis-layout?"),
            ("--redis-layout=plian", "did you mean plain?"),
            ("--redis-layout=sorted", "is none of detect, indexed, sorted-set, plain"),
            ("--redis-serializer=jdk", "is none of java, json"),
            ("--redis-cleanup=true", "is none of on, off"),
            ("--redis=redsi://rob:secret@localhost", "did you mean redis://?"),
            ("--redis=redis-sentinal://a:1?master=x", "did you mean redis-sentinel://?"),
            ("--redis=localhost:6379", "write redis://HOST:PORT/DATABASE"),
            ("--redis=redis-sentinel://a:1", "names no primary"),
            ("--redis=redis://rob:secret@local host", "write redis://HOST:PORT/DATABASE"),
            ("--redis-namespace=spring:session:", "without a colon at its end"),
            ("--redis-namespace=*", "is no namespace"),
            ("--check-interval=1ms", "at least 10"),
        ] {
            let why = refused(flag);
            assert!(why.contains(wanted) && !why.contains("secret"), "{flag}: {why}");
        }
    }

    #[test]
    fn what_belongs_together_is_asked_for_together() {
        let why = |flags: &[&str]| serve(flags).redis_options().expect_err("it is refused").to_string();
        for flag in ["--redis-cert=a.pem", "--redis-key=a.pem"] {
            assert_eq!(why(&["--redis=rediss://localhost", flag]), "--redis-cert and --redis-key need each other");
        }
        let sentinel = "--redis=redis-sentinel://a:1?master=x";
        assert!(why(&[sentinel, "--redis-sentinel-user=u"]).contains("needs --redis-sentinel-password-file"));
        assert!(why(&["--redis=redis://a", "--redis-sentinel-user=u"]).contains("needs --redis redis-sentinel://"));
        assert!(why(&[sentinel, "--redis-sentinel-password-file=/nowhere/at/all"]).contains("/nowhere/at/all"));
        let options = serve(&["--redis=rediss://localhost", "--redis-cert=a.pem", "--redis-key=b.pem"]).redis_options();
        let identity = options.expect("no file is read yet").expect("there is a Redis").identity;
        assert_eq!(identity, Some(("a.pem".into(), "b.pem".into())));
    }

    #[test]
    fn the_password_may_stand_in_a_file() {
        let path = std::env::temp_dir().join(format!("tethered-password-{}", std::process::id()));
        std::fs::write(&path, "p@ss word\r\nsecond line\n").expect("a file can be written");
        let flag = format!("--redis-password-file={}", path.display());
        let options = serve(&["--redis=redis://rob@localhost", &flag]).redis_options();
        std::fs::remove_file(&path).expect("it is there");
        let url = options.expect("it can be read").expect("there is a Redis").url;
        assert_eq!(url.login(), (Some("rob"), Some("p@ss word")));
        let why = serve(&["--redis=redis://localhost", &flag]).redis_options().expect_err("it is gone").to_string();
        assert!(why.starts_with("--redis-password-file "), "{why}");
    }
}
