//! [`Name`]: what a certificate is for; and which names this machine has.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::str::FromStr;

use thiserror::Error;

/// The longest host name, characters (RFC 1035 §2.3.4, without the root's dot).
const MAX_HOST: usize = 253;

/// The longest label of a host name, characters (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// A host name, in lower case, or an address: a subject alternative name (RFC 5280 §4.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// A host name; may begin with `*.` in what a certificate says.
    Host(String),
    /// An address.
    Ip(IpAddr),
}

/// A name that no certificate can be for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no host name and no address; write it as radio.example or 192.168.1.5")]
pub struct NameError(String);

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(ip) = bare.unwrap_or(text).parse::<IpAddr>() {
            return Ok(Self::Ip(ip.to_canonical()));
        }
        let host = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_host = !host.is_empty() && host.len() <= MAX_HOST && host.split('.').all(is_label);
        if is_host { Ok(Self::Host(host)) } else { Err(NameError(text.to_owned())) }
    }
}

/// Returns whether something can stand between the dots of a host name (RFC 1123 §2.1).
fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(host) => f.write_str(host),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

impl Name {
    /// Returns whether a certificate for this name is one for `wanted`, too (RFC 9525 §6.3).
    pub fn covers(&self, wanted: &Self) -> bool {
        let (Self::Host(pattern), Self::Host(host)) = (self, wanted) else {
            return self == wanted;
        };
        match pattern.strip_prefix("*.") {
            Some(domain) => host.split_once('.').is_some_and(|(_, rest)| rest == domain),
            None => pattern == host,
        }
    }

    /// Returns whether a public authority may give a certificate for it: a host name with a
    /// dot, of no domain that is for local use (RFC 6761, RFC 6762, RFC 8375).
    pub fn is_public(&self) -> bool {
        const LOCAL: [&str; 6] = ["local", "localhost", "home.arpa", "internal", "lan", "invalid"];
        let Self::Host(host) = self else { return false };
        let of = |domain: &&str| host == domain || host.ends_with(&format!(".{domain}"));
        host.contains('.') && !LOCAL.iter().any(of)
    }
}

/// Returns those of `wanted` that none of `given` is for.
pub(crate) fn missing<'a>(given: &[Name], wanted: &'a BTreeSet<Name>) -> Vec<&'a Name> {
    wanted.iter().filter(|wanted| !given.iter().any(|name| name.covers(wanted))).collect()
}

/// The names of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    /// What a certificate for it must be for.
    pub(crate) lasting: BTreeSet<Name>,
    /// What it may be for as well: addresses that come and go with containers and tunnels, or
    /// that the system changes by itself every day (RFC 8981), and that are no reason for a new
    /// certificate.
    pub(crate) passing: BTreeSet<Name>,
}

impl Machine {
    /// Looks up this machine's host name and addresses.
    pub(crate) fn this() -> Self {
        let host = gethostname::gethostname();
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        let addresses = interfaces.iter().map(if_addrs::Interface::ip);
        Self::named(&host.to_string_lossy(), addresses, outward_v4())
    }

    /// `outward` is by which address of IPv4 packets leave the machine. Where that is not known,
    /// any may be the one that people type, and all are lasting.
    fn named(
        host: &str,
        addresses: impl Iterator<Item = IpAddr>,
        outward: Option<Ipv4Addr>,
    ) -> Self {
        let mut machine = Self::default();
        let localhost = [
            Name::Host("localhost".to_owned()),
            Name::Ip(Ipv4Addr::LOCALHOST.into()),
            Name::Ip(Ipv6Addr::LOCALHOST.into()),
        ];
        machine.lasting.extend(localhost);
        if let Ok(Name::Host(host)) = host.parse() {
            // What other machines of the network find it by (mDNS, RFC 6762).
            let label = host.split('.').next().unwrap_or_default();
            machine.lasting.insert(Name::Host(format!("{label}.local")));
            machine.lasting.insert(Name::Host(host));
        }
        for ip in addresses {
            match ip {
                IpAddr::V4(v4) if v4.is_unspecified() || v4 == Ipv4Addr::LOCALHOST => {}
                IpAddr::V4(v4) if outward.is_none_or(|outward| outward == v4) => {
                    machine.lasting.insert(Name::Ip(ip));
                }
                IpAddr::V4(_) => drop(machine.passing.insert(Name::Ip(ip))),
                IpAddr::V6(v6) if v6.is_unicast_link_local() || v6.is_loopback() => {}
                IpAddr::V6(_) => drop(machine.passing.insert(Name::Ip(ip))),
            }
        }
        machine
    }
}

/// Returns the address of IPv4 by which packets leave this machine; none if none do. Sends
/// nothing.
pub fn outward_v4() -> Option<Ipv4Addr> {
    match toward(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(8, 8, 8, 8).into())? {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

/// The same of IPv6.
pub fn outward_v6() -> Option<Ipv6Addr> {
    let somewhere = Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888);
    match toward(Ipv6Addr::UNSPECIFIED.into(), somewhere.into())? {
        IpAddr::V6(ip) => Some(ip),
        IpAddr::V4(_) => None,
    }
}

fn toward(any: IpAddr, somewhere: IpAddr) -> Option<IpAddr> {
    // A socket for datagrams that is connected has chosen its way, and sends nothing by that.
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((somewhere, 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_read_as_people_write_them() {
        assert_eq!(name(" Radio.Example. "), Name::Host("radio.example".to_owned()));
        assert_eq!(name("[::1]"), Name::Ip(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(name("::ffff:192.168.1.5"), Name::Ip(Ipv4Addr::new(192, 168, 1, 5).into()));
        let long = "a".repeat(64);
        for wrong in ["", ".", "a..b", "-a", "a-", "a b", "http://a", "a:443", "*.a", "ü", &long] {
            let words = wrong.parse::<Name>().unwrap_err().to_string();
            assert!(words.contains("radio.example"), "{words}");
        }
    }

    #[test]
    fn a_star_is_for_one_label() {
        let star = Name::Host("*.radio.example".to_owned());
        assert!(star.covers(&name("studio.radio.example")));
        assert!(!star.covers(&name("radio.example")));
        assert!(!star.covers(&name("a.studio.radio.example")));
        assert!(!name("radio.example").covers(&name("127.0.0.1")));
    }

    #[test]
    fn only_public_names_are_asked_for() {
        assert!(name("studio.radio.example").is_public());
        for local in ["studio", "studio.local", "localhost", "nas.lan", "192.0.2.1", "home.arpa"] {
            assert!(!name(local).is_public(), "{local}");
        }
    }

    #[test]
    fn a_machine_has_its_host_name_its_addresses_and_localhost() {
        let addresses = ["172.17.0.1", "192.168.1.5", "127.0.0.1", "fe80::1", "::1", "2001:db8::5"]
            .map(|ip| ip.parse().unwrap());
        let outward = Some(Ipv4Addr::new(192, 168, 1, 5));
        let machine = Machine::named("Studio.example", addresses.into_iter(), outward);
        let lasting =
            ["localhost", "127.0.0.1", "::1", "studio.example", "studio.local", "192.168.1.5"];
        assert_eq!(machine.lasting, lasting.map(name).into());
        assert_eq!(machine.passing, ["172.17.0.1", "2001:db8::5"].map(name).into());
        let nas = Machine::named("my_nas", [].into_iter(), outward);
        assert_eq!(nas.lasting.len(), 3, "no such name");
    }

    #[test]
    fn without_a_way_out_any_address_may_be_the_one_that_is_typed() {
        let addresses = ["172.17.0.1", "192.168.1.5"].map(|ip| ip.parse().unwrap());
        let machine = Machine::named("studio", addresses.into_iter(), None);
        assert!(["172.17.0.1", "192.168.1.5"].iter().all(|ip| machine.lasting.contains(&name(ip))));
        assert!(machine.passing.is_empty());
    }

    #[test]
    fn the_way_out_is_by_an_address_of_the_machine() {
        let interfaces = if_addrs::get_if_addrs().unwrap();
        let own: Vec<IpAddr> = interfaces.iter().map(if_addrs::Interface::ip).collect();
        assert!(outward_v4().is_none_or(|ip| own.contains(&ip.into())), "{own:?}");
    }

    #[test]
    fn what_no_certificate_is_for_is_found() {
        let wanted: BTreeSet<Name> = ["a.example", "b.example", "192.0.2.1"].map(name).into();
        let given = [Name::Host("*.example".to_owned())];
        assert_eq!(missing(&given, &wanted), [&name("192.0.2.1")]);
    }
}
