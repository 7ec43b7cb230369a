//! Addresses that a relay must not send to, in all the ways in which they can be written: for
//! tests of any TURN server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host in every block that is no public IPv4.
const V4: [Ipv4Addr; 20] = [
    Ipv4Addr::new(0, 1, 2, 3),
    Ipv4Addr::new(10, 1, 2, 3),
    Ipv4Addr::new(100, 64, 0, 1),
    Ipv4Addr::new(100, 127, 255, 254),
    Ipv4Addr::new(127, 0, 0, 1),
    Ipv4Addr::new(127, 255, 255, 254),
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(172, 16, 0, 1),
    Ipv4Addr::new(172, 31, 255, 254),
    Ipv4Addr::new(192, 0, 0, 8),
    Ipv4Addr::new(192, 0, 2, 1),
    Ipv4Addr::new(192, 88, 99, 1),
    Ipv4Addr::new(192, 168, 1, 1),
    Ipv4Addr::new(198, 18, 0, 1),
    Ipv4Addr::new(198, 19, 255, 254),
    Ipv4Addr::new(198, 51, 100, 1),
    Ipv4Addr::new(203, 0, 113, 1),
    Ipv4Addr::new(224, 0, 0, 1),
    Ipv4Addr::new(240, 0, 0, 1),
    Ipv4Addr::BROADCAST,
];

/// Special addresses of IPv6 that hold none of IPv4.
const V6: [Ipv6Addr; 9] = [
    Ipv6Addr::UNSPECIFIED,
    Ipv6Addr::LOCALHOST,
    Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
];

/// Returns the addresses, by the way in which they are written. `own` is an address of the
/// server.
pub fn special_addresses(own: Ipv4Addr) -> Vec<(&'static str, Vec<IpAddr>)> {
    let plain: Vec<Ipv4Addr> = V4.into_iter().chain([own]).collect();
    let mut groups = vec![("IPv4", plain.iter().map(|ip| IpAddr::V4(*ip)).collect())];
    for (name, spelling) in SPELLINGS {
        groups.push((name, plain.iter().map(|ip| spelling(*ip).into()).collect()));
    }
    groups.push(("IPv6 special", V6.map(IpAddr::V6).to_vec()));
    groups
}

/// A way to write an IPv4 address as one of IPv6.
type Spelling = fn(Ipv4Addr) -> Ipv6Addr;

const SPELLINGS: [(&str, Spelling); 8] = [
    ("mapped, ::ffff:0:0/96", |ip| ip.to_ipv6_mapped()),
    ("compatible, ::/96", |ip| {
        let (high, low) = halves(ip);
        Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low)
    }),
    ("NAT64, 64:ff9b::/96", |ip| {
        let (high, low) = halves(ip);
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low)
    }),
    ("local NAT64, 64:ff9b:1::/96", |ip| {
        let (high, low) = halves(ip);
        Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low)
    }),
    // RFC 6052 §2.2.
    ("local NAT64, 64:ff9b:1::/48", |ip| {
        let [a, b, c, d] = ip.octets();
        let high = u16::from_be_bytes([a, b]);
        Ipv6Addr::new(0x64, 0xff9b, 1, high, c.into(), u16::from_be_bytes([d, 0]), 0, 0)
    }),
    ("6to4, 2002::/16", |ip| {
        let (high, low) = halves(ip);
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1)
    }),
    ("Teredo server, 2001::/32", |ip| {
        let (high, low) = halves(ip);
        Ipv6Addr::new(0x2001, 0, high, low, 0, 0, 0, 0)
    }),
    ("Teredo client, 2001::/32", |ip| {
        let (high, low) = halves(ip);
        Ipv6Addr::new(0x2001, 0, 0x0808, 0x0808, 0, 0, !high, !low)
    }),
];

fn halves(ip: Ipv4Addr) -> (u16, u16) {
    let [a, b, c, d] = ip.octets();
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}
