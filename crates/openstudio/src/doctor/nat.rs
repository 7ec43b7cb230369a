//! What STUN servers tell, taken together, of the way out of this network.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::finding::Finding;

const NAT: &str = "nat";

/// As what a STUN server sees this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) server: SocketAddr,
    /// The address that it sees.
    pub(super) mapped: SocketAddr,
    /// The address that packets to it leave from, if that is known.
    pub(super) own: Option<IpAddr>,
}

/// One finding for each family of addresses of which something is known.
pub(super) fn judge(seen: &[Seen]) -> Vec<Finding> {
    let (v4, v6): (Vec<Seen>, Vec<Seen>) = seen.iter().partition(|seen| seen.server.is_ipv4());
    [("", v4), (" by IPv6", v6)].iter().filter_map(|(by, seen)| of_family(seen, by)).collect()
}

/// Whether the way out depends on where it leads (RFC 4787 §4.1), which two servers can tell; one
/// can tell whether addresses are translated at all.
fn of_family(seen: &[Seen], by: &str) -> Option<Finding> {
    let servers: BTreeSet<SocketAddr> = seen.iter().map(|seen| seen.server).collect();
    let addresses: BTreeSet<SocketAddr> = seen.iter().map(|seen| seen.mapped).collect();
    let shown = addresses.first()?.ip();
    let is_translated = seen.iter().any(|seen| seen.own != Some(seen.mapped.ip()));
    Some(match (servers.len(), addresses.len()) {
        _ if !is_translated => Finding::ok(NAT, format!("no translation of addresses{by}")),
        (1, _) => Finding::ok(
            NAT,
            format!(
                "this machine is behind a router that translates addresses (NAT), and is seen \
                 from outside as {shown}{by}; a second server with --stun would tell which kind"
            ),
        ),
        (_, 1) => Finding::ok(NAT, format!("one address for all destinations{by}")),
        _ => Finding::warn(
            NAT,
            format!(
                "the router gives another address for each destination{by}, so people behind \
                 another such router are not reached directly"
            ),
            "configure a TURN server, or let the studio be reached without address translation",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Level, Report};
    use super::*;

    fn seen(server: &str, mapped: &str) -> Seen {
        let server: SocketAddr = server.parse().unwrap();
        let own = if server.is_ipv4() { "192.168.1.5" } else { "2001:db8::5" };
        Seen { server, mapped: mapped.parse().unwrap(), own: own.parse().ok() }
    }

    const A: &str = "192.0.2.1:3478";
    const B: &str = "192.0.2.2:3478";

    fn levels(seen: &[Seen]) -> Vec<Level> {
        judge(seen).iter().map(Finding::level).collect()
    }

    #[test]
    fn two_servers_tell_what_the_router_does() {
        let (x, y) = ("198.51.100.7:4000", "198.51.100.7:4001");
        assert_eq!(levels(&[]), []);
        assert_eq!(levels(&[seen(A, x), seen(B, x)]), [Level::Ok]);
        assert_eq!(levels(&[seen(A, x), seen(B, y)]), [Level::Warn]);
        assert_eq!(levels(&[seen(A, x), seen(A, y)]), [Level::Ok], "it is one server");
    }

    #[test]
    fn one_server_tells_whether_addresses_are_translated() {
        let said = |mapped| Report(judge(&[seen(A, mapped)])).as_text();
        let words = said("198.51.100.7:4000");
        assert!(words.contains("198.51.100.7") && words.contains("--stun"), "{words}");
        assert!(said("192.168.1.5:4000").contains("no translation"));
    }

    #[test]
    fn families_are_not_compared() {
        let v6 = seen("[2001:db8::1]:3478", "[2001:db8::5]:4001");
        assert_eq!(levels(&[seen(A, "198.51.100.7:4000"), v6]), [Level::Ok, Level::Ok]);
        assert!(Report(judge(&[v6])).as_text().contains("no translation"));
    }
}
