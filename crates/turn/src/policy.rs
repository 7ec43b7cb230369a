//! Which peers packets may leave for.
//!
//! A relay sits inside somebody's network, and its users are strangers: without this they could
//! speak UDP with whatever else is there (RFC 8656 §21.1.4).

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// A block of addresses, as `192.0.2.0/24`; a single address without `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    bits: u8,
}

/// The text is no block of addresses. Tell the operator.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no block of addresses; write it as 192.168.0.0/16 or fd00::/8")]
pub struct PrefixError(String);

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let wrong = || PrefixError(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), str::parse).map_err(|_| wrong())?;
        if bits > width { Err(wrong()) } else { Ok(Self { address, bits }) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Prefix {
    /// Returns whether the address lies in the block, of the same family and spelling.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(block), IpAddr::V4(address)) => {
                within(block.to_bits().into(), address.to_bits().into(), self.bits, 32)
            }
            (IpAddr::V6(block), IpAddr::V6(address)) => {
                within(block.to_bits(), address.to_bits(), self.bits, 128)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Whether the first `bits` of two numbers of `width` bits are the same.
fn within(a: u128, b: u128, bits: u8, width: u8) -> bool {
    let below = u32::from(width.saturating_sub(bits));
    (a ^ b).checked_shr(below).unwrap_or(0) == 0
}

/// Blocks of IPv4 that are not the public internet (IANA's special-purpose registry).
const REFUSED_V4: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Blocks within the global unicast addresses of IPv6, 2000::/3, that are refused: protocol
/// assignments with Teredo and benchmarking, documentation, 6to4, documentation.
const REFUSED_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Which peers a relay may speak with: the public internet, and what an operator allows.
///
/// IPv6 has many ways to write an IPv4 address. Those that nobody needs (mapped, compatible,
/// 6to4, Teredo, local NAT64) are refused whatever they hold; the well-known prefix of NAT64 is
/// judged by the address in it.
#[derive(Debug, Clone, Default)]
pub struct PeerPolicy {
    allowed: Vec<Prefix>,
    own: BTreeSet<IpAddr>,
}

impl PeerPolicy {
    /// Makes a policy that refuses the server's `own` addresses and allows the blocks in
    /// `allowed`, the server's own addresses in them included. A block allows addresses as they
    /// are written: one of IPv4 allows no IPv6 spelling.
    pub fn new(allowed: Vec<Prefix>, own: impl IntoIterator<Item = IpAddr>) -> Self {
        let mut policy = Self { allowed, own: BTreeSet::new() };
        policy.set_own(own);
        policy
    }

    /// Refuses these addresses as the server's own from now on, and no longer the earlier ones.
    pub fn set_own(&mut self, own: impl IntoIterator<Item = IpAddr>) {
        self.own = own.into_iter().map(|ip| ip.to_canonical()).collect();
    }

    /// Returns whether the address is one of the server's own.
    pub fn is_own(&self, address: IpAddr) -> bool {
        self.own.contains(&address.to_canonical())
    }

    /// Returns whether packets may leave for this address.
    pub fn allows(&self, address: IpAddr) -> bool {
        if is_nobody(address) {
            return false;
        }
        if self.allowed.iter().any(|block| block.contains(address)) {
            return true;
        }
        if self.own.contains(&address) {
            return false;
        }
        match address {
            IpAddr::V4(ip) => is_public_v4(ip),
            IpAddr::V6(ip) => match nat64(ip) {
                Some(inner) => is_public_v4(inner) && !self.own.contains(&inner.into()),
                None => is_public_v6(ip),
            },
        }
    }
}

/// Addresses that are no single host's: an operator cannot allow them.
fn is_nobody(address: IpAddr) -> bool {
    address.is_multicast() || address.is_unspecified() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let block = |&(address, bits): &(Ipv4Addr, u8)| {
        within(address.to_bits().into(), ip.to_bits().into(), bits, 32)
    };
    !REFUSED_V4.iter().any(block)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, ..] = ip.octets();
    let block =
        |&(address, bits): &(Ipv6Addr, u8)| within(address.to_bits(), ip.to_bits(), bits, 128);
    first & 0xE0 == 0x20 && !REFUSED_V6.iter().any(block)
}

/// The IPv4 address in 64:ff9b::/96 (RFC 6052 §2.1).
fn nat64(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_public_internet_is_allowed() {
        let policy = PeerPolicy::default();
        for text in ["1.1.1.1", "198.20.0.1", "100.128.0.1", "2606:4700::1", "2a00::1"] {
            assert!(policy.allows(ip(text)), "{text}");
        }
        assert!(policy.allows(ip("64:ff9b::1.1.1.1")), "a network with IPv6 only");
    }

    #[test]
    fn what_is_no_public_ipv6_is_refused() {
        let policy = PeerPolicy::default();
        for text in [
            "::",
            "::1",
            "::ffff:1.1.1.1",
            "::1.1.1.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1.1.1.1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "2002:a00:1::",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!policy.allows(ip(text)), "{text}");
        }
    }

    #[test]
    fn own_addresses_are_refused_in_every_spelling() {
        let policy = PeerPolicy::new(Vec::new(), vec![ip("8.8.8.8"), ip("2606::8")]);
        for text in ["8.8.8.8", "2606::8", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::"] {
            assert!(!policy.allows(ip(text)), "{text}");
        }
        assert!(policy.is_own(ip("::ffff:8.8.8.8")));
    }

    #[test]
    fn an_allowed_block_is_allowed_as_it_is_written_but_never_what_is_no_host() {
        let blocks = ["192.168.0.0/16", "fd00::/8", "224.0.0.0/4", "0.0.0.0/0"];
        let policy = PeerPolicy::new(
            blocks[..3].iter().map(|text| text.parse().unwrap()).collect(),
            vec![ip("192.168.0.9")],
        );
        assert!(policy.allows(ip("192.168.0.1")) && policy.allows(ip("192.168.0.9")));
        assert!(policy.allows(ip("fd12::1")));
        for text in ["10.0.0.1", "::ffff:192.168.0.1", "64:ff9b::192.168.0.1", "224.0.0.1"] {
            assert!(!policy.allows(ip(text)), "{text}");
        }
        let everything = PeerPolicy::new(vec![blocks[3].parse().unwrap()], Vec::new());
        assert!(everything.allows(ip("10.0.0.1")));
        assert!(!everything.allows(ip("255.255.255.255")) && !everything.allows(ip("0.0.0.0")));
    }

    #[test]
    fn a_block_is_read_and_what_is_none_is_named() {
        let block: Prefix = "10.0.0.0/8".parse().unwrap();
        assert!(block.contains(ip("10.255.0.1")) && !block.contains(ip("11.0.0.1")));
        let one: Prefix = "fd00::1".parse().unwrap();
        assert!(one.contains(ip("fd00::1")) && !one.contains(ip("fd00::2")));
        assert_eq!(one.to_string(), "fd00::1/128");
        for wrong in ["", "10.0.0.0/33", "10/8", "fd00::/129", "fd00::/-1", "x/8"] {
            assert!(wrong.parse::<Prefix>().unwrap_err().to_string().contains(wrong));
        }
    }
}
