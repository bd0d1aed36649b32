//! A configuration as TOML.

use tethered_core::config::named::{self, Refused, nearest, value};
use tethered_core::config::{Config, Endpoint, Login, SockJs};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::config::Given;
use crate::machine::Choices;
use crate::status::{Fault, Outcome, wrong};

/// Reads a text; an empty one is the default of everything.
pub(crate) fn read(text: &str) -> Outcome<Given> {
    let file = File { text };
    let table = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        file.fault(start, &format!("{}: {}", error.message(), file.line(start)))
    })?;
    let mut given = Given { config: Config::default(), choices: Choices::default() };
    let entries = in_order(table.get_ref());
    // Where sessions live decides what else can be said of them.
    let (stores, rest): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, ..)| *key == "store");
    for (key, start, value) in stores.into_iter().chain(rest) {
        let set = match (key, value) {
            ("limits", DeValue::Table(limits)) => file.limits(&mut given.config, limits),
            ("endpoint", DeValue::Array(endpoints)) => file.endpoints(&mut given.config, endpoints),
            ("limits", _) => Err(file.fault(start, "limits: must be a table; write [limits] on a line of its own")),
            ("endpoint", _) => {
                Err(file.fault(start, "endpoint: must be tables; write [[endpoint]] on a line of its own"))
            }
            ("requests", value) => {
                switch(value).map(|on| given.choices.requests = on).map_err(|why| file.of(start, key, &why))
            }
            _ => file.setting(&mut given.config, key, start, value),
        };
        set?;
    }
    Ok(given)
}

struct File<'a> {
    text: &'a str,
}

impl File<'_> {
    fn fault(&self, start: usize, why: &str) -> Fault {
        let line = self.text.bytes().take(start).filter(|b| *b == b'\n').count() + 1;
        wrong(format!("line {line}: {why}"))
    }

    /// The line that this stands on, as far as it fits into a message.
    fn line(&self, at: usize) -> String {
        let begin = self.text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
        let line = self.text[begin..].lines().next().unwrap_or_default();
        let shown: String = line.chars().take(LINE_CHARS).map(|c| if c.is_control() { '?' } else { c }).collect();
        format!("{shown}{}", if line.chars().nth(LINE_CHARS).is_some() { "..." } else { "" })
    }

    fn of(&self, start: usize, key: &str, Refused(why): &Refused) -> Fault {
        self.fault(start, &format!("{}: {why}", key.escape_debug()))
    }

    fn setting(&self, config: &mut Config, key: &str, start: usize, value: &DeValue<'_>) -> Outcome<()> {
        let Some(setting) = named::SETTINGS.iter().find(|setting| setting.name == key) else {
            let names = named::SETTINGS.iter().map(|setting| setting.name).chain(["limits", "endpoint", "requests"]);
            return Err(self.unknown(start, "setting", key, nearest_of(key, names)));
        };
        let values = values(value, setting.many).map_err(|why| self.of(start, key, &Refused(why.to_owned())))?;
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        setting.apply(config, &values).map_err(|why| self.of(start, key, &why))
    }

    fn limits(&self, config: &mut Config, table: &DeTable<'_>) -> Outcome<()> {
        for (name, start, value) in in_order(table) {
            let text = scalar(value).ok_or_else(|| self.of(start, name, &Refused(ONE_VALUE.to_owned())))?;
            let set = named::set_limit(&mut config.limits, name, &text);
            set.map_err(|Refused(why)| self.fault(start, &format!("limits: {why}")))?;
        }
        Ok(())
    }

    /// The endpoints of a text replace the default ones, and what those guard.
    fn endpoints(&self, config: &mut Config, all: &DeArray<'_>) -> Outcome<()> {
        config.endpoints.clear();
        if config.guarded == Config::default().guarded {
            config.guarded.clear();
        }
        for endpoint in all.iter() {
            let start = endpoint.span().start;
            let DeValue::Table(table) = endpoint.get_ref() else {
                return Err(self.fault(start, "endpoint: must be a table"));
            };
            config.endpoints.push(self.endpoint(start, table)?);
        }
        Ok(())
    }

    fn endpoint(&self, start: usize, table: &DeTable<'_>) -> Outcome<Endpoint> {
        let entries = in_order(table);
        let one = |key: &str| {
            let found = entries.iter().find(|(name, ..)| *name == key);
            found.map(|(_, at, value)| {
                scalar(value).ok_or_else(|| self.fault(*at, &format!("endpoint.{key}: {ONE_VALUE}")))
            })
        };
        let Some(path) = one("path").transpose()? else {
            return Err(self.fault(start, "endpoint: its path is missing"));
        };
        let mut endpoint = match one("protocol").transpose()?.as_deref() {
            None | Some("stomp") => Endpoint::stomp(&path),
            Some("raw") => Endpoint::raw(&path),
            Some(other) => {
                let why = Refused::new(other, "is none of stomp, raw");
                return Err(self.of(start, "endpoint.protocol", &why));
            }
        };
        for (key, at, value) in &entries {
            let refused = |why: Refused| self.of(*at, &format!("endpoint.{key}"), &why);
            let size =
                || scalar(value).ok_or_else(|| Refused(ONE_VALUE.to_owned())).and_then(|text| value::size_bytes(&text));
            match *key {
                "path" | "protocol" => {}
                "login" => {
                    endpoint.login = if switch(value).map_err(refused)? { Login::Required } else { Login::None };
                }
                "any-origin" => endpoint.any_origin = switch(value).map_err(refused)?,
                "max-message" => endpoint.message_bytes = Some(size().map_err(refused)?),
                "max-unsent" => {
                    let most = size().map_err(refused)?;
                    endpoint.out_bytes = Some(usize::try_from(most).unwrap_or(usize::MAX));
                }
                "sockjs" => {
                    let on = switch(value).map_err(refused)?;
                    endpoint.sockjs = on.then(|| endpoint.sockjs.take().unwrap_or_default());
                }
                key if key.starts_with("sockjs-") && SOCKJS.contains(&key) => {
                    sockjs(endpoint.sockjs.get_or_insert_default(), key, value).map_err(refused)?;
                }
                other => {
                    let names = ["path", "protocol", "login", "any-origin", "max-message", "max-unsent", "sockjs"];
                    let names = names.into_iter().chain(SOCKJS);
                    return Err(self.unknown(*at, "setting of an endpoint", other, nearest_of(other, names)));
                }
            }
        }
        if endpoint.any_origin && endpoint.login == Login::Required {
            return Err(self.fault(start, "endpoint.any-origin: is only for endpoints without login"));
        }
        Ok(endpoint)
    }

    fn unknown(&self, start: usize, what: &str, key: &str, near: Option<&str>) -> Fault {
        let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        self.fault(start, &format!("there is no {what} \"{}\"{hint}", key.escape_debug()))
    }
}

/// One of the settings of a SockJS service.
fn sockjs(service: &mut SockJs, key: &str, value: &DeValue<'_>) -> Result<(), Refused> {
    let text = || scalar(value).ok_or_else(|| Refused(ONE_VALUE.to_owned()));
    match key {
        "sockjs-websocket" => service.websocket = switch(value)?,
        "sockjs-jsessionid" => service.jsessionid = switch(value)?,
        "sockjs-jsonp" => service.jsonp = switch(value)?,
        "sockjs-stream" => {
            service.stream_bytes = usize::try_from(value::at_least_1_byte(&text()?)?).unwrap_or(usize::MAX);
        }
        "sockjs-heartbeat" => service.heart_beat_ms = value::at_least_1_ms(&text()?)?,
        "sockjs-disconnect-delay" => service.disconnect_delay_ms = value::at_least_1_ms(&text()?)?,
        _ => service.client_url = value::script_url(&text()?)?,
    }
    Ok(())
}

const SOCKJS: [&str; 7] = [
    "sockjs-websocket",
    "sockjs-jsessionid",
    "sockjs-jsonp",
    "sockjs-stream",
    "sockjs-heartbeat",
    "sockjs-disconnect-delay",
    "sockjs-client-url",
];

fn nearest_of<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    nearest(key, names)
}

/// Keys and values in the order of the text, so that the first mistake is the one that is named.
fn in_order<'a>(table: &'a DeTable<'_>) -> Vec<(&'a str, usize, &'a DeValue<'a>)> {
    let entry = |(key, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
        let name: &std::borrow::Cow<'_, str> = key.get_ref();
        (&**name, key.span().start, value.get_ref())
    };
    let mut entries: Vec<_> = table.iter().map(entry).collect();
    entries.sort_by_key(|(_, start, _)| *start);
    entries
}

fn values(value: &DeValue<'_>, many: bool) -> Result<Vec<String>, &'static str> {
    match value {
        DeValue::Array(array) if many => {
            array.iter().map(|v| scalar(v.get_ref())).collect::<Option<_>>().ok_or(MANY_VALUES)
        }
        // A pair may be written as a list of two.
        DeValue::Array(array) => {
            let parts: Option<Vec<String>> = array.iter().map(|v| scalar(v.get_ref())).collect();
            parts.map(|parts| vec![parts.join(",")]).ok_or(ONE_VALUE)
        }
        value => scalar(value).map(|value| vec![value]).ok_or(if many { MANY_VALUES } else { ONE_VALUE }),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string()),
        _ => None,
    }
}

fn switch(value: &DeValue<'_>) -> Result<bool, Refused> {
    scalar(value).ok_or_else(|| Refused(ONE_VALUE.to_owned())).and_then(|text| value::switch(&text))
}

const LINE_CHARS: usize = 64;
const ONE_VALUE: &str = "must be one value: a string or a whole number";
const MANY_VALUES: &str = "must be a string or a list of strings";

#[cfg(test)]
mod tests {
    use tethered_core::config::{Protocol, Store};

    use super::*;

    fn refused(text: &str) -> String {
        match read(text) {
            Err(fault) => fault.what.unwrap_or_default().into_owned(),
            Ok(_) => panic!("{text} was taken"),
        }
    }

    #[test]
    fn everything_that_can_be_said() {
        let Given { config, choices } = read(
            r#"
session-timeout = "60s"
redis-namespace = "chat"
store = "redis"
origin = ["https://a.example", "https://b.example"]
stomp-heartbeat = [1000, 2000]
decide = true
requests = true

[limits]
TOTAL = 50000
MSG_BYTES = "1MiB"

[[endpoint]]
path = "/stomp"

[[endpoint]]
path = "/echo"
protocol = "raw"
any-origin = true
max-message = "16MiB"
max-unsent = "32MiB"

[[endpoint]]
path = "/messages"
sockjs = true
sockjs-heartbeat = "2s"
sockjs-stream = "1MiB"
"#,
        )
        .unwrap();
        assert!(choices.requests && config.decide);
        assert_eq!((config.session.timeout_ms, config.heart_beat_ms), (60_000, (1_000, 2_000)));
        assert!(matches!(&config.store, Store::Spring(spring) if spring.namespace == "chat"));
        assert_eq!((config.limits.total, config.limits.stomp.frame_bytes), (50_000, 1 << 20));
        let paths: Vec<_> = config.endpoints.iter().map(|at| (at.path.as_str(), at.protocol, at.login)).collect();
        assert_eq!(
            paths,
            [
                ("/stomp", Protocol::Stomp, Login::Required),
                ("/echo", Protocol::Raw, Login::None),
                ("/messages", Protocol::Stomp, Login::Required)
            ]
        );
        let echo = &config.endpoints[1];
        assert_eq!((echo.message_bytes, echo.out_bytes, echo.any_origin), (Some(16 << 20), Some(32 << 20), true));
        let service = config.endpoints[2].sockjs.as_ref().unwrap();
        assert_eq!((service.heart_beat_ms, service.stream_bytes), (2_000, 1 << 20));
        assert!(config.guarded.is_empty());
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn nothing_is_the_default_of_everything() {
        let Given { config, choices } = read("").unwrap();
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
        assert!(!choices.requests);
    }

    #[test]
    fn mistakes_are_named_by_line_field_and_what_was_meant() {
        for (text, why) in [
            ("cookie = 1.5", "line 1: cookie: must be one value: a string or a whole number"),
            ("\n\ncoookie = \"x\"", "line 3: there is no setting \"coookie\"; did you mean cookie?"),
            ("[limits]\nOUT_BYTE = 1", "line 2: limits: there is no limit \"OUT_BYTE\"; did you mean OUT_BYTES?"),
            ("limits = 1", "line 1: limits: must be a table; write [limits] on a line of its own"),
            ("[[endpoint]]\nlogin = true", "line 1: endpoint: its path is missing"),
            (
                "[[endpoint]]\npath = \"/a\"\npaht = 1",
                "line 3: there is no setting of an endpoint \"paht\"; did you mean path?",
            ),
            ("[[endpoint]]\npath = \"/a\"\nprotocol = \"x\"", "line 1: endpoint.protocol: \"x\" is none of stomp, raw"),
            (
                "[[endpoint]]\npath = \"/a\"\nany-origin = true",
                "line 1: endpoint.any-origin: is only for endpoints without login",
            ),
            ("redis-layout = \"plain\"", "line 1: redis-layout: needs store redis before it"),
        ] {
            assert_eq!(refused(text), why, "{text}");
        }
        assert!(refused("a = ").starts_with("line 1: "));
        assert_eq!(refused("a = 1\nrules = 'open'\nrules = 'sample'"), "line 3: duplicate key: rules = 'sample'");
        let long = refused(&format!("store = 'memory'\nx y = '{}'\n", "\u{1f600}".repeat(100)));
        assert!(
            long.starts_with("line 2: ") && long.contains(": x y = '\u{1f600}") && long.ends_with("\u{1f600}..."),
            "{long}"
        );
    }
}
