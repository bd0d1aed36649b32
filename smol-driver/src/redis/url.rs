//! Where Redis is, as one writes it.

use std::fmt;
use std::path::{Path, PathBuf};

use redis::{ConnectionAddr, IntoConnectionInfo};

/// The address of a Redis, of the sentinels that know it, or of a cluster: with user and password, which are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    pub(crate) topology: Topology,
    /// At least one.
    pub(crate) nodes: Vec<Node>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    /// Name and password for the sentinels, which know nothing of those for Redis.
    pub(crate) sentinel_login: Option<(Option<String>, String)>,
    pub(crate) database: u32,
    /// As it was written, less the password.
    shown: String,
}

/// What the nodes of a [`RedisUrl`] are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Topology {
    /// The one Redis.
    Single,
    /// Sentinels, which know where this primary is.
    Sentinel { primary: String },
    /// Some nodes of a cluster.
    Cluster,
}

/// One place to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Tcp { host: String, port: u16, tls: bool },
    Unix(PathBuf),
}

/// Why a text is no [`RedisUrl`]. It does not repeat the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing that a Redis goes by.
    #[error(
        "is no address of a Redis; write redis://HOST:PORT/DATABASE, with TLS rediss://…, with a login \
         redis://USER:PASSWORD@…, or a socket's unix:///PATH"
    )]
    Form,
    /// The hosts of a list.
    #[error("holds something that is no host; write HOST:PORT,HOST:PORT")]
    Host,
    /// No primary is named.
    #[error("names no primary; write redis-sentinel://HOST:PORT,HOST:PORT/DATABASE?master=NAME")]
    Primary,
    /// A cluster has one database.
    #[error("names a database, but a cluster has none other than 0")]
    Database,
    /// What follows the address.
    #[error("ends with an option that does not exist; only redis-sentinel:// takes one: ?master=NAME")]
    Option,
    /// An exemption from the check of certificates.
    #[error(
        "asks to believe any certificate, which is not possible; name the authority's with --redis-ca FILE instead"
    )]
    Insecure,
}

impl RedisUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.bytes().any(|b| b.is_ascii_control() || b == b' ') {
            return Err(UrlError::Form);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Form)?;
        match scheme {
            "redis" | "rediss" | "unix" | "redis+unix" => Self::single(text),
            "redis-sentinel" => Self::several("redis", rest, true),
            "rediss-sentinel" => Self::several("rediss", rest, true),
            "redis-cluster" => Self::several("redis", rest, false),
            "rediss-cluster" => Self::several("rediss", rest, false),
            _ => Err(UrlError::Form),
        }
        .map(|url| Self { shown: without_password(text), ..url })
    }

    /// The database, which a cluster has one of only.
    pub fn database(&self) -> u32 {
        self.database
    }

    /// Whether it is a cluster.
    pub fn is_cluster(&self) -> bool {
        self.topology == Topology::Cluster
    }

    #[cfg(test)]
    pub(crate) fn login(&self) -> (Option<&str>, Option<&str>) {
        (self.username.as_deref(), self.password.as_deref())
    }

    /// The same with another password.
    #[must_use]
    pub fn with_password(self, password: String) -> Self {
        Self { password: Some(password), ..self }
    }

    /// The same with a login for the sentinels themselves: a password, and a name where they have an ACL.
    #[must_use]
    pub fn with_sentinel_login(self, username: Option<String>, password: String) -> Self {
        Self { sentinel_login: Some((username, password)), ..self }
    }

    /// Whether sentinels are asked.
    pub fn is_sentinel(&self) -> bool {
        matches!(self.topology, Topology::Sentinel { .. })
    }

    fn single(text: &str) -> Result<Self, UrlError> {
        if text.ends_with("#insecure") {
            return Err(UrlError::Insecure);
        }
        let info = text.into_connection_info().map_err(|_| UrlError::Form)?;
        let settings = info.redis_settings();
        let is_unix = matches!(info.addr(), ConnectionAddr::Unix(_));
        if text.contains('#') || (text.contains('?') && !is_unix) {
            return Err(UrlError::Option);
        }
        let node = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Node::Tcp { host: host.clone(), port: *port, tls: false },
            ConnectionAddr::TcpTls { host, port, .. } => Node::Tcp { host: host.clone(), port: *port, tls: true },
            ConnectionAddr::Unix(path) if path != Path::new("") => Node::Unix(path.clone()),
            _ => return Err(UrlError::Form),
        };
        Ok(Self {
            topology: Topology::Single,
            nodes: vec![node],
            username: settings.username().map(str::to_owned),
            password: settings.password().map(str::to_owned),
            sentinel_login: None,
            database: u32::try_from(settings.db()).map_err(|_| UrlError::Form)?,
            shown: String::new(),
        })
    }

    /// Several nodes: `[USER[:PASSWORD]@]HOST[:PORT],…[/DATABASE][?master=NAME]`.
    fn several(scheme: &str, rest: &str, sentinel: bool) -> Result<Self, UrlError> {
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = authority.rsplit_once('@').map_or(("", authority), |(login, hosts)| (login, hosts));
        let at = if login.is_empty() { "" } else { "@" };
        let mut url: Option<Self> = None;
        for host in hosts.split(',') {
            let one = Self::single(&format!("{scheme}://{login}{at}{host}/{database}")).map_err(|_| UrlError::Host)?;
            match &mut url {
                None => url = Some(one),
                Some(url) => url.nodes.extend(one.nodes),
            }
        }
        let mut url = url.ok_or(UrlError::Host)?;
        url.topology = if sentinel {
            let primary = query.and_then(|query| query.strip_prefix("master=")).ok_or(UrlError::Primary)?;
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            if primary.is_empty() || !primary.bytes().all(plain) {
                return Err(UrlError::Primary);
            }
            Topology::Sentinel { primary: primary.to_owned() }
        } else if query.is_some() {
            return Err(UrlError::Option);
        } else if url.database != 0 {
            return Err(UrlError::Database);
        } else {
            Topology::Cluster
        };
        Ok(url)
    }
}

/// Shows the address, without its password.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// An address that can be shown: the password is left out, wherever in it it stands.
fn without_password(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = match authority.rsplit_once('@') {
        None => authority.to_owned(),
        Some((login, hosts)) => match login.split(':').next().unwrap_or_default() {
            "" => hosts.to_owned(),
            user => format!("{user}@{hosts}"),
        },
    };
    let kept: Vec<&str> = query.into_iter().flat_map(|q| q.split('&')).filter(|o| !o.starts_with("pass=")).collect();
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    format!("{scheme}://{authority}{path}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16, tls: bool) -> Node {
        Node::Tcp { host: host.to_owned(), port, tls }
    }

    #[test]
    fn one_redis() {
        let url = RedisUrl::parse("redis://127.0.0.1").expect("the shortest");
        assert_eq!((url.nodes, url.database), (vec![tcp("127.0.0.1", 6_379, false)], 0));
        assert_eq!((url.username, url.password, url.topology), (None, None, Topology::Single));
        let url = RedisUrl::parse("rediss://rob:p%40ss@[::1]:7000/3").expect("the longest");
        assert_eq!((url.nodes, url.database), (vec![tcp("::1", 7_000, true)], 3));
        assert_eq!((url.username.as_deref(), url.password.as_deref()), (Some("rob"), Some("p@ss")));
        let url = RedisUrl::parse("unix:///run/redis.sock?db=2&pass=secret").expect("a socket");
        assert_eq!(url.nodes, [Node::Unix("/run/redis.sock".into())]);
        assert_eq!((url.database, url.password.as_deref()), (2, Some("secret")));
    }

    #[test]
    fn several() {
        let url = RedisUrl::parse("redis-sentinel://:pw@a:26379,b,[::1]:7/1?master=my-master").expect("sentinels");
        assert_eq!(url.nodes, [tcp("a", 26_379, false), tcp("b", 6_379, false), tcp("::1", 7, false)]);
        assert_eq!(url.topology, Topology::Sentinel { primary: "my-master".to_owned() });
        assert_eq!((url.database, url.password.as_deref()), (1, Some("pw")));
        let url = RedisUrl::parse("rediss-cluster://a:1,b:2").expect("a cluster");
        assert_eq!((url.nodes, url.topology), (vec![tcp("a", 1, true), tcp("b", 2, true)], Topology::Cluster));
    }

    #[test]
    fn mistakes_are_named_and_nothing_of_them_is_repeated() {
        for (text, error) in [
            ("", UrlError::Form),
            ("localhost:6379", UrlError::Form),
            ("http://localhost", UrlError::Form),
            ("redis://", UrlError::Form),
            ("redis://u:secret@host:port", UrlError::Form),
            ("redis://host/secret", UrlError::Form),
            ("redis://host/-1", UrlError::Form),
            ("redis://ho st", UrlError::Form),
            ("redis://host?protocol=3", UrlError::Option),
            ("rediss://host/#insecure", UrlError::Insecure),
            ("redis-sentinel://a:1", UrlError::Primary),
            ("redis-sentinel://a:1?master=", UrlError::Primary),
            ("redis-sentinel://a:1?name=x", UrlError::Primary),
            ("redis-sentinel://a:1,,b:2?master=x", UrlError::Host),
            ("redis-cluster://a:b", UrlError::Host),
            ("redis-cluster://a:1/2", UrlError::Database),
            ("redis-cluster://a:1?master=x", UrlError::Option),
        ] {
            let found = RedisUrl::parse(text).expect_err(text);
            assert_eq!(found, error, "{text}");
            assert!(!found.to_string().contains("secret"));
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        for (text, shown) in [
            ("redis://localhost:6379/2", "redis://localhost:6379/2"),
            ("redis://rob:secret@localhost:6379/2", "redis://rob@localhost:6379/2"),
            ("redis://:secret@localhost", "redis://localhost"),
            ("redis://:sec@ret@localhost", "redis://localhost"),
            ("unix:///run/redis.sock?db=2&pass=secret", "unix:///run/redis.sock?db=2"),
            ("unix:///run/redis.sock?pass=secret", "unix:///run/redis.sock"),
            ("redis-sentinel://rob:secret@a:1,b:2/0?master=x", "redis-sentinel://rob@a:1,b:2/0?master=x"),
        ] {
            assert_eq!(without_password(text), shown);
            assert!(!without_password(text).contains("sec"));
            if let Ok(url) = RedisUrl::parse(text) {
                assert_eq!((url.to_string(), format!("{url:?}")), (shown.to_owned(), shown.to_owned()));
                // What is shown is an address again.
                assert_eq!(RedisUrl::parse(shown).expect(shown).nodes, url.nodes);
            }
        }
    }
}
