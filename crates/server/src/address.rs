//! Whom a limit counts: an IPv4 address, or the /64 of an IPv6 address.

use std::net::{IpAddr, Ipv6Addr};

/// One counted address. An IPv6 host owns its whole /64, so counting single addresses
/// would count nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AddressKey(IpAddr);

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(v4.into()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
        }
    }
}

/// Returns the client's address: the socket's own, or what a trusted proxy says.
///
/// `X-Forwarded-For` is read from its end, past further trusted proxies: what stands
/// before the first address that is not trusted was written by the client.
pub(crate) fn client_address(socket: IpAddr, forwarded: &str, trusted: &[IpAddr]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.contains(&address.to_canonical());
    let mut client = socket;
    for part in forwarded.rsplit(',') {
        if !is_trusted(client) {
            break;
        }
        match part.trim().parse() {
            Ok(address) => client = address,
            Err(_) => break,
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_ipv6_address_counts_by_its_64() {
        let key = |text| AddressKey::from(ip(text));
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_its_own_word() {
        let trusted = [ip("10.0.0.1"), ip("10.0.0.2")];
        let client = |socket, header| client_address(ip(socket), header, &trusted);
        assert_eq!(client("192.0.2.1", "198.51.100.7"), ip("192.0.2.1"));
        assert_eq!(client("10.0.0.1", "6.6.6.6, 198.51.100.7"), ip("198.51.100.7"));
        assert_eq!(client("10.0.0.1", "198.51.100.7, 10.0.0.2"), ip("198.51.100.7"));
        assert_eq!(client("10.0.0.1", "nonsense"), ip("10.0.0.1"));
        assert_eq!(client("10.0.0.1", ""), ip("10.0.0.1"));
    }
}
