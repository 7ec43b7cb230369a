//! NATs against the definitions of RFC 4787, and the rule of who reaches whom against NATs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken test stops")]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use openstudio_net::{
    Behaviour, Dependence, Flow, Forwarded, MAX_REMOTES, Nat, NatConfig, NatKind, PortAssignment,
    Protocol, Refusal, Translation,
};
use openstudio_units::{Seed, Timestamp};
use proptest::prelude::*;

const PUBLIC: Ipv4Addr = Ipv4Addr::new(11, 0, 1, 1);
const AT: fn(u64) -> Timestamp = Timestamp::from_millis;

fn end(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}

fn udp(source: SocketAddrV4, destination: SocketAddrV4) -> Flow {
    Flow { protocol: Protocol::Udp, source, destination }
}

fn config(mapping: Dependence, filtering: Dependence) -> NatConfig {
    NatConfig { behaviour: Behaviour { mapping, filtering }, ..NatConfig::default() }
}

fn nat(config: NatConfig) -> Nat {
    Nat::new(config, PUBLIC, Seed::from_number(1))
}

/// Sends from inside, and returns from where it comes outside.
fn out(nat: &mut Nat, now: u64, source: SocketAddrV4, to: SocketAddrV4) -> SocketAddrV4 {
    match nat.outbound(AT(now), udp(source, to)).unwrap() {
        Forwarded::Outside(flow) => {
            assert_eq!(flow.destination, to);
            flow.source
        }
        Forwarded::Inside(flow) => panic!("{flow:?} came back"),
    }
}

/// RFC 4787 §4.1: X:x sends to Y1:y1, then to another port of Y1, then to Y2:y2. Whether the
/// mapping is the same.
const MAPPING: [(Dependence, [bool; 2]); 3] = [
    (Dependence::Independent, [true, true]),
    (Dependence::Address, [true, false]),
    (Dependence::AddressAndPort, [false, false]),
];

/// RFC 4787 §5: X:x sent to Y1:y1. Whether Y1:y1, another port of Y1, and Y2:y2 come in.
const FILTERING: [(Dependence, [bool; 3]); 3] = [
    (Dependence::Independent, [true, true, true]),
    (Dependence::Address, [true, true, false]),
    (Dependence::AddressAndPort, [true, false, false]),
];

#[test]
fn nine_types_do_what_rfc_4787_defines() {
    let inside = end("192.168.1.2:5000");
    let (first, port, other) = (end("11.0.0.1:80"), end("11.0.0.1:81"), end("11.0.0.2:80"));
    for (mapping, same) in MAPPING {
        for (filtering, comes_in) in FILTERING {
            let name = format!("{}, {}", mapping.as_str(), filtering.as_str());
            let mut nat = nat(config(mapping, filtering));
            let external = out(&mut nat, 0, inside, first);
            for (from, expected) in [first, port, other].into_iter().zip(comes_in) {
                let result = nat.inbound(AT(1), udp(from, external));
                let wanted = if expected { Ok(udp(from, inside)) } else { Err(Refusal::Filtered) };
                assert_eq!(result, wanted, "{name}: from {from}");
            }
            for (to, expected) in [port, other].into_iter().zip(same) {
                assert_eq!(out(&mut nat, 2, inside, to) == external, expected, "{name}: to {to}");
            }
            // To the same end, it always stays.
            assert_eq!(out(&mut nat, 3, inside, first), external, "{name}");
        }
    }
}

#[test]
fn no_two_endpoints_have_one_port() {
    for ports in [PortAssignment::Preserve, PortAssignment::Random] {
        let mut nat = nat(NatConfig { ports, ..NatConfig::default() });
        let server = end("11.0.0.1:80");
        let first = out(&mut nat, 0, end("192.168.1.2:5000"), server);
        let second = out(&mut nat, 0, end("192.168.1.3:5000"), server);
        assert_eq!(first.port() == 5000, ports == PortAssignment::Preserve);
        assert_ne!(first, second);
        assert_eq!((*first.ip(), *second.ip()), (PUBLIC, PUBLIC));
    }
}

#[test]
fn protocols_have_ports_of_their_own() {
    let mut nat = nat(NatConfig::default());
    let (inside, server) = (end("192.168.1.2:5000"), end("11.0.0.1:80"));
    for protocol in [Protocol::Udp, Protocol::Tcp, Protocol::Icmp] {
        let flow = Flow { protocol, source: inside, destination: server };
        let expected = Flow { source: SocketAddrV4::new(PUBLIC, 5000), ..flow };
        assert_eq!(nat.outbound(AT(0), flow), Ok(Forwarded::Outside(expected)));
    }
    assert_eq!(nat.mappings(), 3);
}

#[test]
fn a_mapping_lives_as_long_as_something_is_sent() {
    let life = Duration::from_secs(30);
    let (inside, server) = (end("192.168.1.2:5000"), end("11.0.0.1:80"));
    for inbound_refresh in [false, true] {
        let mut nat = nat(NatConfig { udp_life: life, inbound_refresh, ..NatConfig::default() });
        let external = out(&mut nat, 0, inside, server);
        out(&mut nat, 20_000, inside, server);
        assert!(nat.inbound(AT(49_999), udp(server, external)).is_ok());
        let later = nat.inbound(AT(50_000), udp(server, external));
        assert_eq!(later.is_ok(), inbound_refresh, "{later:?}");
        assert_eq!(nat.inbound(AT(90_000), udp(server, external)), Err(Refusal::NoMapping));
        // A new mapping has the same port, since it is free.
        assert_eq!(out(&mut nat, 100_000, inside, server), external);
        assert_eq!(nat.mappings(), 1);
    }
}

#[test]
fn what_was_sent_to_long_ago_is_kept_out_again() {
    let mut nat = nat(NatConfig {
        udp_life: Duration::from_secs(30),
        ..config(Dependence::Independent, Dependence::AddressAndPort)
    });
    let (inside, one, two) = (end("192.168.1.2:5000"), end("11.0.0.1:80"), end("11.0.0.2:80"));
    let external = out(&mut nat, 0, inside, one);
    out(&mut nat, 20_000, inside, two);
    assert_eq!(nat.inbound(AT(40_000), udp(one, external)), Err(Refusal::Filtered));
    assert!(nat.inbound(AT(40_000), udp(two, external)).is_ok());
}

#[test]
fn hairpinning_shows_the_address_outside() {
    let (a, b) = (end("192.168.1.2:5000"), end("192.168.1.3:6000"));
    let server = end("11.0.0.1:80");
    for hairpinning in [true, false] {
        let mut nat = nat(NatConfig { hairpinning, ..NatConfig::default() });
        let (seen_a, seen_b) = (out(&mut nat, 0, a, server), out(&mut nat, 0, b, server));
        let wanted = if hairpinning {
            Ok(Forwarded::Inside(udp(seen_a, b)))
        } else {
            Err(Refusal::NoHairpinning)
        };
        assert_eq!(nat.outbound(AT(1), udp(a, seen_b)), wanted);
    }
}

#[test]
fn hairpinned_packets_are_filtered_too() {
    let mut nat = nat(config(Dependence::Independent, Dependence::AddressAndPort));
    let (a, b, server) = (end("192.168.1.2:5000"), end("192.168.1.3:6000"), end("11.0.0.1:80"));
    let (seen_a, seen_b) = (out(&mut nat, 0, a, server), out(&mut nat, 0, b, server));
    assert_eq!(nat.outbound(AT(1), udp(a, seen_b)), Err(Refusal::Filtered));
    assert_eq!(nat.outbound(AT(2), udp(b, seen_a)), Ok(Forwarded::Inside(udp(seen_b, a))));
}

#[test]
fn a_firewall_filters_and_translates_nothing() {
    let mut nat = nat(NatConfig {
        translation: Translation::Firewall,
        ..config(Dependence::AddressAndPort, Dependence::AddressAndPort)
    });
    let (inside, one, two) = (end("11.0.1.2:5000"), end("11.0.0.1:80"), end("11.0.0.2:80"));
    assert_eq!(nat.inbound(AT(0), udp(one, inside)), Err(Refusal::NoMapping));
    assert_eq!(out(&mut nat, 1, inside, one), inside);
    assert_eq!(out(&mut nat, 1, inside, two), inside);
    assert_eq!(nat.inbound(AT(2), udp(one, inside)), Ok(udp(one, inside)));
    assert_eq!(nat.inbound(AT(2), udp(end("11.0.0.1:81"), inside)), Err(Refusal::Filtered));
}

#[test]
fn where_udp_is_blocked_tcp_passes() {
    let mut nat = nat(NatKind::UdpBlocked.into());
    let flow = udp(end("192.168.1.2:5000"), end("11.0.0.1:80"));
    assert_eq!(nat.outbound(AT(0), flow), Err(Refusal::UdpBlocked));
    assert_eq!(nat.inbound(AT(0), flow), Err(Refusal::UdpBlocked));
    assert!(nat.outbound(AT(0), Flow { protocol: Protocol::Tcp, ..flow }).is_ok());
    assert_eq!(nat.counters().udp_blocked, 2);
}

#[test]
fn an_open_address_lets_everybody_in() {
    let mut nat = nat(NatKind::Open.into());
    let flow = udp(end("11.0.0.1:80"), end("11.0.1.2:5000"));
    assert_eq!(nat.inbound(AT(0), flow), Ok(flow));
    assert_eq!(nat.mappings(), 0);
}

#[test]
fn a_new_address_has_new_mappings() {
    let mut nat = nat(NatConfig::default());
    let (inside, server) = (end("192.168.1.2:5000"), end("11.0.0.1:80"));
    let before = out(&mut nat, 0, inside, server);
    nat.renumber(Ipv4Addr::new(11, 0, 1, 2));
    assert_eq!(nat.inbound(AT(1), udp(server, before)), Err(Refusal::NoMapping));
    let after = out(&mut nat, 2, inside, server);
    assert_eq!(*after.ip(), Ipv4Addr::new(11, 0, 1, 2));
}

#[test]
fn headers_inside_errors_are_translated_both_ways_where_something_was_sent() {
    let mut nat = nat(config(Dependence::AddressAndPort, Dependence::AddressAndPort));
    let (inside, server) = (end("192.168.1.2:5000"), end("11.0.0.1:80"));
    let sent = udp(inside, server);
    assert_eq!(nat.outside_of(AT(0), sent), None);
    let external = out(&mut nat, 0, inside, server);
    assert_eq!(nat.outside_of(AT(1), sent), Some(udp(external, server)));
    assert_eq!(nat.inside_of(AT(1), udp(external, server)), Some(sent));
    assert_eq!(nat.inside_of(AT(1), udp(external, end("11.0.0.9:9"))), None);
}

#[test]
fn a_full_table_refuses_and_has_room_again_when_mappings_are_over() {
    let mut nat = nat(NatConfig { max_mappings: 100, ..NatConfig::default() });
    let server = end("11.0.0.1:80");
    let from = |port| udp(SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 2), port), server);
    for port in 0..200 {
        let result = nat.outbound(AT(0), from(1000 + port));
        assert_eq!(result.err(), (port >= 100).then_some(Refusal::Full), "{port}");
    }
    assert!(nat.outbound(AT(300_000), from(5000)).is_ok());
    assert_eq!(nat.mappings(), 1);
}

#[test]
fn a_mapping_forgets_whom_it_sent_to_longest_ago() {
    let mut nat = nat(config(Dependence::Independent, Dependence::AddressAndPort));
    let inside = end("192.168.1.2:5000");
    let remote =
        |n: usize| SocketAddrV4::new(Ipv4Addr::new(11, 0, 0, 1), u16::try_from(n + 1).unwrap());
    let external = out(&mut nat, 0, inside, remote(0));
    for n in 1..=MAX_REMOTES {
        out(&mut nat, u64::try_from(n).unwrap(), inside, remote(n));
    }
    let now = AT(5_000);
    assert_eq!(nat.inbound(now, udp(remote(0), external)), Err(Refusal::Filtered));
    assert!(nat.inbound(now, udp(remote(1), external)).is_ok());
}

/// All types there are, and none at all.
fn behaviours() -> impl Iterator<Item = Behaviour> {
    Dependence::ALL.into_iter().flat_map(|mapping| {
        Dependence::ALL.into_iter().map(move |filtering| Behaviour { mapping, filtering })
    })
}

/// Two ends ask a STUN server, tell each other what it saw, and both send there, `b` first.
/// Whether a packet of `a` comes in at `b` with `b` knowing nothing but that.
fn comes_in(a: Behaviour, b: Behaviour) -> bool {
    let stun = end("11.0.0.1:3478");
    let make = |behaviour, public: &str, seed| {
        let config = NatConfig { behaviour, ports: PortAssignment::Random, ..NatConfig::default() };
        Nat::new(config, public.parse().unwrap(), Seed::from_number(seed))
    };
    let (mut at_a, mut at_b) = (make(a, "11.0.1.1", 1), make(b, "11.0.2.1", 2));
    let (inside_a, inside_b) = (end("192.168.1.2:5000"), end("192.168.2.2:5000"));
    let seen_a = out(&mut at_a, 0, inside_a, stun);
    let seen_b = out(&mut at_b, 0, inside_b, stun);
    out(&mut at_b, 1, inside_b, seen_a);
    let from = out(&mut at_a, 2, inside_a, seen_b);
    at_b.inbound(AT(3), udp(from, seen_b)).is_ok()
}

#[test]
fn the_rule_of_who_is_admitted_is_what_nats_do() {
    for a in behaviours() {
        for b in behaviours() {
            assert_eq!(b.admits(Some(a)), comes_in(a, b), "{a:?} to {b:?}");
        }
    }
}

/// One end of a pair that checks: its NAT, and the addresses that it knows of the other.
struct Checking {
    nat: Nat,
    inside: SocketAddrV4,
    known: Vec<SocketAddrV4>,
}

impl Checking {
    fn new(behaviour: Behaviour, home: u8) -> Self {
        let config = NatConfig { behaviour, ports: PortAssignment::Random, ..NatConfig::default() };
        let public = Ipv4Addr::new(11, 0, home, 1);
        let nat = Nat::new(config, public, Seed::from_number(home.into()));
        let inside = SocketAddrV4::new(Ipv4Addr::new(192, 168, home, 2), 5000);
        Self { nat, inside, known: Vec::new() }
    }

    /// Checks every known address of the other. Whether an answer came from where a check went.
    fn check(&mut self, other: &mut Self, now: u64) -> bool {
        let mut answered = false;
        for to in self.known.clone() {
            let from = out(&mut self.nat, now, self.inside, to);
            if other.nat.inbound(AT(now), udp(from, to)).is_err() {
                continue;
            }
            if !other.known.contains(&from) {
                other.known.push(from);
            }
            let back = out(&mut other.nat, now, other.inside, from);
            answered |= self.nat.inbound(AT(now), udp(back, from)).is_ok() && back == to;
        }
        answered
    }
}

/// Whether one of two ends has a check answered, within more rounds than there are kinds.
fn checks_succeed(a: Behaviour, b: Behaviour) -> bool {
    let stun = end("11.0.0.1:3478");
    let (mut a, mut b) = (Checking::new(a, 1), Checking::new(b, 2));
    let seen_a = out(&mut a.nat, 0, a.inside, stun);
    b.known.push(seen_a);
    let seen_b = out(&mut b.nat, 0, b.inside, stun);
    a.known.push(seen_b);
    (1..12).any(|round| a.check(&mut b, round) | b.check(&mut a, round))
}

#[test]
fn the_rule_of_who_finds_a_direct_way_is_what_checks_through_nats_do() {
    let mut direct = 0;
    for (n, a) in behaviours().enumerate() {
        for b in behaviours().skip(n) {
            assert_eq!(a.finds_direct(b), checks_succeed(a, b), "{a:?} and {b:?}");
            assert_eq!(a.finds_direct(b), b.finds_direct(a), "{a:?} and {b:?}");
            direct += u32::from(a.finds_direct(b));
        }
    }
    assert_eq!(direct, 23, "of 45 pairs");
}

#[derive(Debug, Clone)]
enum TestOp {
    /// A packet from this host and port inside to that outside, so much later.
    Out { host: u8, port: u8, to: u8, to_port: u8, after_ms: u64 },
    /// A packet from that outside to the n-th address that was ever seen.
    In { nth: usize, from: u8, from_port: u8 },
    /// Another address.
    Renumber(u8),
}

fn any_op() -> impl Strategy<Value = TestOp> {
    prop_oneof![
        8 => (0_u8..4, 0_u8..8, 0_u8..4, 0_u8..4, 0_u64..40_000).prop_map(
            |(host, port, to, to_port, after_ms)| TestOp::Out { host, port, to, to_port, after_ms }
        ),
        8 => (any::<usize>(), 0_u8..4, 0_u8..4)
            .prop_map(|(nth, from, from_port)| TestOp::In { nth, from, from_port }),
        1 => (1_u8..9).prop_map(TestOp::Renumber),
    ]
}

fn any_config() -> impl Strategy<Value = NatConfig> {
    let dependence = || proptest::sample::select(Dependence::ALL.to_vec());
    let ports = prop_oneof![Just(PortAssignment::Preserve), Just(PortAssignment::Random)];
    (dependence(), dependence(), ports, any::<bool>()).prop_map(
        |(mapping, filtering, ports, inbound_refresh)| NatConfig {
            ports,
            inbound_refresh,
            max_mappings: 16,
            ..config(mapping, filtering)
        },
    )
}

proptest! {
    /// Whatever happens: what is let in reaches who has that address, two endpoints never share
    /// one, and the table keeps its bound.
    #[test]
    fn mappings_are_never_shared(
        config in any_config(),
        ops in proptest::collection::vec(any_op(), 0..300),
    ) {
        let (mut nat, mut now) = (nat(config), 0);
        // Who had an address outside last, and since when nothing was sent from it.
        let mut owners: Vec<(SocketAddrV4, SocketAddrV4, u64)> = Vec::new();
        let life = u64::try_from(config.udp_life.as_millis()).unwrap();
        let remote = |host, port: u8| {
            SocketAddrV4::new(Ipv4Addr::new(11, 0, 0, host), 80 + u16::from(port))
        };
        for op in ops {
            match op {
                TestOp::Out { host, port, to, to_port, after_ms } => {
                    now += after_ms;
                    let inside = SocketAddrV4::new(
                        Ipv4Addr::new(192, 168, 1, host), 5000 + u16::from(port));
                    let sent = nat.outbound(AT(now), udp(inside, remote(to, to_port)));
                    let Ok(Forwarded::Outside(flow)) = sent else {
                        prop_assert_eq!(sent, Err(Refusal::Full));
                        continue;
                    };
                    prop_assert_eq!(*flow.source.ip(), nat.public());
                    let other = owners.iter().find(|(external, owner, used)| {
                        *external == flow.source && *owner != inside && now - used < life
                    });
                    prop_assert_eq!(other, None);
                    owners.retain(|(external, _, _)| *external != flow.source);
                    owners.push((flow.source, inside, now));
                }
                TestOp::In { nth, from, from_port } => {
                    let Some((external, owner, _)) = owners.get(nth % owners.len().max(1)) else {
                        continue;
                    };
                    if let Ok(flow) = nat.inbound(AT(now), udp(remote(from, from_port), *external)) {
                        prop_assert_eq!(flow.destination, *owner);
                    }
                }
                TestOp::Renumber(last) => {
                    nat.renumber(Ipv4Addr::new(11, 0, 1, last));
                    owners.clear();
                }
            }
            prop_assert!(nat.mappings() <= 16);
        }
    }
}
