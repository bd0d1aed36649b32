//! Where connections come in.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

/// Listening sockets.
#[derive(Debug)]
pub struct Listeners {
    pub(crate) sockets: Vec<TcpListener>,
}

/// An address could not be listened on.
#[derive(Debug)]
pub struct ListenError {
    address: String,
    error: io::Error,
}

impl Listeners {
    /// Listens on an address such as `localhost:8080` or `[::]:8080`; a name stands for all of its addresses. Where a
    /// machine lacks one of them, as `localhost` without IPv6, the others do.
    ///
    /// # Errors
    /// Says which address, and for a port that is taken or forbidden what can be done.
    pub fn bind(address: &str) -> Result<Self, ListenError> {
        let failed = |error| ListenError { address: address.to_owned(), error };
        let mut addresses = address.to_socket_addrs().map_err(failed)?.collect::<Vec<_>>();
        if let Some(port) = address.strip_prefix("localhost:").and_then(|port| port.parse::<u16>().ok()) {
            // Not every resolver knows both.
            addresses = vec![([127, 0, 0, 1], port).into(), ([0, 0, 0, 0, 0, 0, 0, 1], port).into()];
        }
        Self::bind_all(addresses)
    }

    /// Listens on all of these.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_all(addresses: impl IntoIterator<Item = SocketAddr>) -> Result<Self, ListenError> {
        let mut sockets: Vec<TcpListener> = Vec::new();
        let mut absent = None;
        for mut address in addresses {
            if address.port() == 0
                && let Some(Ok(first)) = sockets.first().map(TcpListener::local_addr)
            {
                address.set_port(first.port());
            }
            let failed = |error| ListenError { address: address.to_string(), error };
            match listen(address) {
                Ok(socket) => sockets.push(socket),
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => absent = Some(failed(error)),
                Err(error) => return Err(failed(error)),
            }
        }
        match (sockets.is_empty(), absent) {
            (true, Some(error)) => Err(error),
            (true, None) => {
                let error = io::Error::new(io::ErrorKind::NotFound, "the name has no addresses");
                Err(ListenError { address: String::new(), error })
            }
            (false, _) => Ok(Self { sockets }),
        }
    }

    /// Takes the listening sockets of another set in.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.sockets.extend(other.sockets);
        self
    }

    /// The addresses, with the ports that the system chose where 0 was asked for.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }
}

impl From<TcpListener> for Listeners {
    fn from(socket: TcpListener) -> Self {
        Self { sockets: vec![socket] }
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, error } = self;
        match error.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "{address} is taken by another program (is a server running already?): stop that one, or listen on another port"
            ),
            io::ErrorKind::PermissionDenied => {
                write!(
                    f,
                    "this user may not listen on {address}: ports below 1024 often need rights, take a higher one"
                )
            }
            io::ErrorKind::AddrNotAvailable => write!(f, "this machine has no address {address}"),
            _ => write!(f, "cannot listen on {address}: {error}"),
        }
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpListener::bind(address)?;
    // The standard library's 128 is soon full when everybody reconnects at once.
    rustix::net::listen(&socket, BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Connections that may wait to be accepted; the system may allow fewer.
const BACKLOG: i32 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_both_families_on_one_port() {
        let listeners = Listeners::bind("localhost:0").expect("a port is free");
        let addresses = listeners.addresses();
        assert!(addresses[0].ip().is_loopback() && addresses[0].is_ipv4(), "{addresses:?}");
        assert!(addresses.iter().all(|address| address.port() == addresses[0].port()), "{addresses:?}");
    }

    #[test]
    fn a_taken_port_says_so_and_what_to_do() {
        let first = Listeners::bind("127.0.0.1:0").expect("a port is free");
        let address = first.addresses()[0].to_string();
        let error = Listeners::bind(&address).expect_err("taken").to_string();
        assert!(error.starts_with(&address) && error.contains("is taken") && error.contains("another port"), "{error}");
    }

    #[test]
    fn what_is_no_address_is_named() {
        let error = Listeners::bind("nonsense").expect_err("no port").to_string();
        assert!(error.contains("nonsense"), "{error}");
        let error = Listeners::bind("192.0.2.1:0").expect_err("not here").to_string();
        assert!(error.contains("192.0.2.1") && error.contains("no address"), "{error}");
    }
}
