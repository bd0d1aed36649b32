//! Values as people write them: those of a hub, which the core reads, and addresses and levels.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use crate::log::Level;

pub(super) use tethered_core::config::named::Refused;
pub(super) use tethered_core::config::named::value::*;

/// An address to listen at: `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    Name(String),
}

impl Listen {
    pub(super) fn parse(text: &str) -> Result<Self, Refused> {
        let wrong =
            || Refused::new(text, "is no address; write HOST:PORT such as localhost:8080, 0.0.0.0:80 or [::1]:8080");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let port = port
            .parse()
            .map_err(|_| Refused::new(text, "has no such port; ports go from 0 (any free one) to 65535"))?;
        let host = match host.strip_prefix('[').map(|inner| inner.strip_suffix(']')) {
            Some(inner) => Host::Address(IpAddr::V6(inner.and_then(|a| a.parse().ok()).ok_or_else(wrong)?)),
            None => match host.parse::<Ipv4Addr>() {
                Ok(address) => Host::Address(IpAddr::V4(address)),
                Err(_) if is_host_name(host) => Host::Name(host.to_ascii_lowercase()),
                Err(_) => return Err(wrong()),
            },
        };
        Ok(Self { host, port })
    }

    /// Whether only programs on this machine can connect.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Address(address) => address.is_loopback(),
            Host::Name(name) => name == "localhost",
        }
    }

    /// The socket addresses to bind. `localhost` is both loopback addresses, whatever a resolver says; other names are
    /// looked up, which may block.
    ///
    /// # Errors
    /// What the resolver says of a name it does not know.
    pub fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        match &self.host {
            Host::Address(address) => Ok(vec![SocketAddr::new(*address, self.port)]),
            Host::Name(name) if name == "localhost" => Ok(vec![
                SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.port),
                SocketAddr::new(Ipv6Addr::LOCALHOST.into(), self.port),
            ]),
            Host::Name(name) => Ok((name.as_str(), self.port).to_socket_addrs()?.collect()),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            Host::Address(address) => write!(f, "{address}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// How much is logged, by the level's word.
pub(super) fn log_level(text: &str) -> Result<Level, Refused> {
    let word = word(text, &LEVELS.map(Level::as_str))?;
    Ok(LEVELS.into_iter().find(|level| level.as_str() == word).unwrap_or(Level::Info))
}

fn is_host_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

const LEVELS: [Level; 5] = [Level::Off, Level::Error, Level::Warn, Level::Info, Level::Debug];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_listen_at() {
        for (text, shown, loopback) in [
            ("localhost:8080", "localhost:8080", true),
            ("LocalHost:80", "localhost:80", true),
            ("127.0.0.1:0", "127.0.0.1:0", true),
            ("0.0.0.0:80", "0.0.0.0:80", false),
            ("[::1]:8080", "[::1]:8080", true),
            ("[::]:8080", "[::]:8080", false),
            ("chat.example.org:443", "chat.example.org:443", false),
        ] {
            let listen = Listen::parse(text).expect(text);
            assert_eq!((listen.to_string().as_str(), listen.is_loopback()), (shown, loopback));
            assert_eq!(Listen::parse(shown), Ok(listen));
        }
        for bad in [
            "8080",
            ":8080",
            "localhost",
            "localhost:",
            "::1:8080",
            "[::1",
            "a b:1",
            "localhost:80a",
            "[zz]:1",
            "-a:1",
            "a..b:1",
        ] {
            assert!(Listen::parse(bad).expect_err(bad).0.contains("is no address; write HOST:PORT"), "{bad}");
        }
        assert!(Listen::parse("localhost:65536").unwrap_err().0.contains("ports go from 0"));
    }

    #[test]
    fn localhost_is_both_loopback_addresses() {
        let addresses = Listen::parse("localhost:81").unwrap().addresses().unwrap();
        assert_eq!(addresses, ["127.0.0.1:81".parse().unwrap(), "[::1]:81".parse().unwrap()]);
        assert_eq!(Listen::parse("0.0.0.0:81").unwrap().addresses().unwrap(), ["0.0.0.0:81".parse().unwrap()]);
    }
}
