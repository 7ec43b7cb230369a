//! Can the relay listen where it is to? Asked while no studio runs, since one that does has the
//! ports.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;

use openstudio_server::{RelayConfig, ServerConfig};

use super::address::refused;
use super::finding::Finding;
use super::relay::RELAY;

/// How many of the ports of relayed addresses are tried, the first and the last among them.
const TRIED: u32 = 8;

pub(super) fn check(config: &ServerConfig, relay: &RelayConfig) -> Vec<Finding> {
    let RelayConfig { listen, tls_listen, ports, .. } = relay;
    let mut found: Vec<Finding> = plain(config, *listen).into_iter().collect();
    if found.is_empty() {
        // Without the former there is no relay, whatever else is free.
        found.extend(relayed(relayed_ip(relay), ports));
    }
    if let Some(at) = *tls_listen {
        found.extend(tcp(&others(config, Some(*listen)), at, "--turn-tls-listen"));
    }
    if found.is_empty() {
        let by_tls = tls_listen.map_or(String::new(), |at| format!(", {at} by TLS"));
        let (low, high) = (ports.start(), ports.end());
        let words = format!(
            "no studio runs here, so no packet was sent through it; its ports are free ({listen} \
             by UDP and TCP{by_tls}, UDP {low} to {high} as far as tried)"
        );
        found.push(Finding::ok(RELAY, words));
    }
    found
}

fn plain(config: &ServerConfig, at: SocketAddr) -> Option<Finding> {
    const FLAG: &str = "--turn-listen";
    match UdpSocket::bind(at) {
        Err(error) => Some(refused(RELAY, (at, " by UDP"), FLAG, &error)),
        Ok(_) => tcp(&others(config, None), at, FLAG),
    }
}

/// What else the settings have listen by TCP.
fn others(config: &ServerConfig, relay: Option<SocketAddr>) -> Vec<(SocketAddr, &'static str)> {
    let redirect = config.http_redirect.map(|at| (at, "--http-redirect"));
    let relay = relay.map(|at| (at, "--turn-listen"));
    [Some((config.listen, "--listen")), redirect, relay].into_iter().flatten().collect()
}

fn tcp(others: &[(SocketAddr, &str)], at: SocketAddr, flag: &str) -> Option<Finding> {
    if let Some((_, other)) = others.iter().find(|(other, _)| overlap(*other, at)) {
        let words = format!("{at} is for {flag} and for {other}, and only one of them gets it");
        return Some(Finding::fail(RELAY, words, format!("choose another port with {flag}")));
    }
    let error = TcpListener::bind(at).err()?;
    Some(refused(RELAY, (at, " by TCP"), flag, &error))
}

/// Whether both cannot be listened on at once.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (is_any || one.ip() == other.ip())
}

/// Where relayed addresses are, as the relay chooses it; anywhere if there is no way out.
fn relayed_ip(relay: &RelayConfig) -> IpAddr {
    let ip = relay.listen.ip();
    if !ip.is_unspecified() {
        return ip;
    }
    openstudio_tls::outward_v4().unwrap_or(Ipv4Addr::UNSPECIFIED).into()
}

/// Tries some of the ports. The relay passes over those that are taken.
fn relayed(ip: IpAddr, ports: &RangeInclusive<u16>) -> Option<Finding> {
    let (low, high) = (ports.start(), ports.end());
    let tried = some_of(ports);
    let tried_count = tried.len();
    let failed: Vec<(u16, io::Error)> = tried
        .into_iter()
        .filter_map(|port| Some((port, UdpSocket::bind((ip, port)).err()?)))
        .collect();
    let (_, error) = failed.first()?;
    let numbers: Vec<String> = failed.iter().map(|(port, _)| port.to_string()).collect();
    let numbers = numbers.join(", ");
    let why = if error.kind() == io::ErrorKind::AddrInUse {
        "another program has them".to_owned()
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "this user may not use them".to_owned()
    } else {
        error.to_string()
    };
    let advice = "choose others with --turn-ports, which no other program uses";
    Some(if failed.len() == tried_count {
        let words = format!(
            "no UDP port of {low} to {high} that was tried can be used (tried {numbers}: {why})"
        );
        Finding::fail(RELAY, words, advice)
    } else {
        let words = format!(
            "some UDP ports of {low} to {high} cannot be used (of those tried {numbers}: {why}), \
             which leaves fewer for participants"
        );
        Finding::warn(RELAY, words, advice)
    })
}

/// A few of the ports, evenly apart.
fn some_of(ports: &RangeInclusive<u16>) -> BTreeSet<u16> {
    let (low, high) = (u32::from(*ports.start()), u32::from(*ports.end()));
    let last = TRIED - 1;
    let at = |step: u32| low + high.saturating_sub(low) * step / last;
    (0..TRIED).filter_map(|step| u16::try_from(at(step)).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Level, Report};
    use super::*;

    /// Of an address for each test, since they run at once.
    fn config(own: [u8; 4]) -> (ServerConfig, RelayConfig) {
        let mut config = ServerConfig::new("nowhere".into());
        config.listen = "127.0.0.1:0".parse().unwrap();
        let mut relay = RelayConfig::new(SocketAddr::from((own, 0)));
        relay.tls_listen = None;
        // Where the system gives no program a port by itself.
        relay.ports = 20_000..=20_007;
        (config, relay)
    }

    fn said(found: Vec<Finding>) -> (Vec<Level>, String) {
        let levels = found.iter().map(Finding::level).collect();
        (levels, Report(found).as_text())
    }

    #[test]
    fn a_port_of_the_relay_that_is_taken_is_named() {
        let (config, mut relay) = config([127, 0, 0, 11]);
        let (levels, words) = said(check(&config, &relay));
        assert_eq!(levels, [Level::Ok], "{words}");

        let udp = UdpSocket::bind("127.0.0.11:0").unwrap();
        relay.listen = udp.local_addr().unwrap();
        let (levels, words) = said(check(&config, &relay));
        assert_eq!(levels, [Level::Fail], "{words}");
        let at = relay.listen.to_string();
        assert!([&at, "UDP", "--turn-listen"].iter().all(|word| words.contains(*word)), "{words}");

        let tcp = TcpListener::bind("127.0.0.11:0").unwrap();
        relay.listen = tcp.local_addr().unwrap();
        let (levels, words) = said(check(&config, &relay));
        assert_eq!(levels, [Level::Fail], "{words}");
        assert!(words.contains("TCP") && words.contains("--turn-listen"), "{words}");

        relay.tls_listen = Some(relay.listen);
        relay.listen = "127.0.0.11:0".parse().unwrap();
        let (levels, words) = said(check(&config, &relay));
        assert_eq!(levels, [Level::Fail], "{words}");
        assert!(words.contains("--turn-tls-listen"), "{words}");
    }

    #[test]
    fn one_port_for_two_flags_is_told() {
        let (mut config, mut relay) = config([127, 0, 0, 12]);
        config.listen = "0.0.0.0:443".parse().unwrap();
        relay.tls_listen = Some("127.0.0.12:443".parse().unwrap());
        let (levels, words) = said(check(&config, &relay));
        assert_eq!(levels, [Level::Fail], "{words}");
        assert!(words.contains("for --turn-tls-listen and for --listen"), "{words}");
    }

    #[test]
    fn ports_of_relayed_addresses_are_tried_from_the_first_to_the_last() {
        assert_eq!(some_of(&(5..=5)), [5].into());
        assert_eq!(some_of(&(5..=7)), [5, 6, 7].into());
        let some = some_of(&(1..=u16::MAX));
        assert_eq!((some.len(), some.first(), some.last()), (8, Some(&1), Some(&u16::MAX)));

        let (config, mut relay) = config([127, 0, 0, 13]);
        let port = 20_009;
        let _taken = UdpSocket::bind(("127.0.0.13", port)).unwrap();
        relay.ports = port..=port;
        let (levels, words) = said(check(&config, &relay));
        assert_eq!(levels, [Level::Fail], "{words}");
        assert!(words.contains(&port.to_string()) && words.contains("--turn-ports"), "{words}");
        relay.ports = port - 1..=port;
        let (levels, words) = said(check(&config, &relay));
        assert_eq!(levels, [Level::Warn], "the relay has another: {words}");
    }
}
