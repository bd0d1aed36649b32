//! Addresses and networks of proxies.

use core::net::IpAddr;

/// A network in CIDR form, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A text that names neither an address nor a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a proxy is an IP address such as 10.0.0.7, or a network such as 10.0.0.0/8 or fd00::/8 without host bits")]
pub struct BadNetwork;

impl Network {
    pub(super) fn parse(text: &str) -> Result<Self, BadNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| BadNetwork)?;
        let bits = width(address);
        let prefix = match prefix {
            None => bits,
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().map_err(|_| BadNetwork)?,
            Some(_) => return Err(BadNetwork),
        };
        let network = Self { address, prefix };
        // Host bits are most often a slip, and a list of who is believed is no place for guesses.
        if prefix <= bits && masked(address, prefix) == number(address) { Ok(network) } else { Err(BadNetwork) }
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let address = if self.address.is_ipv4() { address.to_canonical() } else { address };
        width(address) == width(self.address) && masked(address, self.prefix) == number(self.address)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The address as a number, all bits behind the prefix 0.
fn masked(address: IpAddr, prefix: u8) -> u128 {
    let behind = u32::from(width(address).saturating_sub(prefix));
    number(address).checked_shr(behind).and_then(|bits| bits.checked_shl(behind)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        Network::parse(network).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn contains_its_addresses() {
        assert!(contains("10.0.0.0/8", "10.255.255.255"));
        assert!(!contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("10.0.0.7", "10.0.0.7") && !contains("10.0.0.7", "10.0.0.6"));
        assert!(contains("10.0.0.6/31", "10.0.0.7") && !contains("10.0.0.6/31", "10.0.0.8"));
        assert!(contains("0.0.0.0/0", "1.2.3.4") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("::/0", "::1") && !contains("::/0", "1.2.3.4"));
        assert!(contains("fd00::/8", "fdff::1") && !contains("fd00::/8", "fe00::1"));
        assert!(contains("::1", "::1") && !contains("::1", "::2"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"), "a dual-stack socket tells IPv4 peers so");
    }

    #[test]
    fn refuses_slips() {
        for bad in
            ["", "10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "a", "10.0.0/8"]
        {
            assert_eq!(Network::parse(bad), Err(BadNetwork), "{bad}");
        }
    }
}
