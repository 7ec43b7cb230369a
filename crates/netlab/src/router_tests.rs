//! The router without devices: packets in, packets out.

use std::net::SocketAddrV4;
use std::time::Duration;

use openstudio_net::{Behaviour, Delay, Dependence, NatKind, Protocol};

use super::*;
use crate::packet::tests::{assert_sound, echo, udp, unreachable};

const AT: fn(u64) -> Timestamp = Timestamp::from_millis;

fn end(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}

/// A router with homes behind these: 192.168.1.2 at 11.0.1.1, and so on.
fn router(nats: &[NatConfig]) -> Router {
    let plan: Plan = "11.0.0.0/16".parse().unwrap();
    let mut router = Router::new(plan);
    for (index, nat) in nats.iter().enumerate() {
        let home = u8::try_from(index).unwrap();
        router.add_home(*nat, plan.home(home, 0), Seed::from_number(home.into()));
    }
    router
}

/// Everything that comes out by then, all of it sound.
fn arrived(router: &mut Router, now: u64) -> Vec<(Place, Content)> {
    let mut all = Vec::new();
    while let Some((place, packet)) = router.poll(AT(now)) {
        assert_sound(packet.bytes());
        all.push((place, packet.content()));
    }
    all
}

fn flow(source: &str, destination: &str) -> Content {
    let (source, destination) = (end(source), end(destination));
    Content::Flow(Flow { protocol: Protocol::Udp, source, destination })
}

fn send(router: &mut Router, from: Place, source: &str, to: &str) {
    router.send(AT(0), from, udp(end(source), end(to), b"text"));
}

#[test]
fn a_datagram_goes_out_translated_and_the_answer_comes_back() {
    let mut router = router(&[NatConfig::default()]);
    send(&mut router, Place::Home(0), "192.168.1.2:5000", "11.0.0.1:80");
    let out = flow("11.0.1.1:5000", "11.0.0.1:80");
    assert_eq!(arrived(&mut router, 0), [(Place::Public, out)]);
    send(&mut router, Place::Public, "11.0.0.1:80", "11.0.1.1:5000");
    let back = flow("11.0.0.1:80", "192.168.1.2:5000");
    assert_eq!(arrived(&mut router, 0), [(Place::Home(0), back)]);
}

#[test]
fn two_homes_reach_each_other_through_both_nats() {
    let mut router = router(&[NatConfig::default(), NatConfig::default()]);
    for (home, source) in [(0, "192.168.1.2:5000"), (1, "192.168.2.2:6000")] {
        send(&mut router, Place::Home(home), source, "11.0.0.1:3478");
    }
    assert_eq!(arrived(&mut router, 0).len(), 2);
    send(&mut router, Place::Home(0), "192.168.1.2:5000", "11.0.2.1:6000");
    let got = flow("11.0.1.1:5000", "192.168.2.2:6000");
    assert_eq!(arrived(&mut router, 0), [(Place::Home(1), got)]);
}

#[test]
fn hairpinned_datagrams_return_without_touching_the_line() {
    let mut router = router(&[NatConfig::default()]);
    for port in [5000, 6000] {
        let source = format!("192.168.1.2:{port}");
        send(&mut router, Place::Home(0), &source, "11.0.0.1:3478");
    }
    assert_eq!(arrived(&mut router, 0).len(), 2);
    router.home_mut(0).unwrap().up.set_outage(true);
    send(&mut router, Place::Home(0), "192.168.1.2:5000", "11.0.1.1:6000");
    let got = flow("11.0.1.1:5000", "192.168.1.2:6000");
    assert_eq!(arrived(&mut router, 0), [(Place::Home(0), got)]);
}

#[test]
fn a_ping_goes_through_and_comes_back_with_its_identifier() {
    let nat = NatConfig { ports: openstudio_net::PortAssignment::Random, ..NatConfig::default() };
    let mut router = router(&[nat]);
    let (inside, server) = (Ipv4Addr::new(192, 168, 1, 2), Ipv4Addr::new(11, 0, 0, 1));
    router.send(AT(0), Place::Home(0), echo(8, inside, server, 77));
    let Some((Place::Public, Content::Flow(out))) = arrived(&mut router, 0).pop() else {
        panic!("no ping");
    };
    assert_ne!(out.source.port(), 77);
    router.send(AT(1), Place::Public, echo(0, server, *out.source.ip(), out.source.port()));
    let (source, destination) = (SocketAddrV4::new(server, 0), SocketAddrV4::new(inside, 77));
    let back = Flow { protocol: Protocol::Icmp, source, destination };
    assert_eq!(arrived(&mut router, 1), [(Place::Home(0), Content::Flow(back))]);
}

#[test]
fn errors_from_outside_quote_what_the_machine_sent() {
    let mut router = router(&[NatConfig::default()]);
    let (inside, server) = (end("192.168.1.2:5000"), end("11.0.0.1:80"));
    router.send(AT(0), Place::Home(0), udp(inside, server, b"text"));
    let (_, sent) = router.poll(AT(0)).unwrap();
    let error = unreachable(*server.ip(), Ipv4Addr::new(11, 0, 1, 1), sent.bytes(), 28);
    router.send(AT(1), Place::Public, error);
    let about = Flow { protocol: Protocol::Udp, source: inside, destination: server };
    let (place, packet) = router.poll(AT(1)).unwrap();
    assert_sound(packet.bytes());
    assert_eq!((place, packet.content()), (Place::Home(0), Content::Error(about)));
    assert_eq!((packet.source(), packet.destination()), (*server.ip(), *inside.ip()));
}

#[test]
fn errors_from_inside_quote_what_was_sent_to_the_home() {
    let mut router = router(&[NatConfig::default()]);
    let (inside, server) = (end("192.168.1.2:5000"), end("11.0.0.1:80"));
    router.send(AT(0), Place::Home(0), udp(inside, server, b"text"));
    assert_eq!(arrived(&mut router, 0).len(), 1);
    router.send(AT(1), Place::Public, udp(server, end("11.0.1.1:5000"), b"answer"));
    let (_, got) = router.poll(AT(1)).unwrap();
    router.send(AT(2), Place::Home(0), unreachable(*inside.ip(), *server.ip(), got.bytes(), 64));
    let (place, packet) = router.poll(AT(2)).unwrap();
    assert_sound(packet.bytes());
    let (source, destination) = (server, end("11.0.1.1:5000"));
    let about = Flow { protocol: Protocol::Udp, source, destination };
    assert_eq!((place, packet.content()), (Place::Public, Content::Error(about)));
    assert_eq!(packet.source(), Ipv4Addr::new(11, 0, 1, 1));
}

#[test]
fn errors_about_what_nobody_sent_are_dropped() {
    let mut router = router(&[NatConfig::default()]);
    let made_up = udp(end("11.0.1.1:5000"), end("11.0.0.1:80"), b"");
    let home = Ipv4Addr::new(11, 0, 1, 1);
    let error = unreachable(Ipv4Addr::new(11, 0, 0, 1), home, &made_up, 28);
    router.send(AT(0), Place::Public, error);
    assert_eq!(arrived(&mut router, 0), []);
    assert_eq!(router.dropped().strange_errors, 1);
}

#[test]
fn links_delay_each_way_and_an_outage_cuts_both() {
    let mut router = router(&[NatConfig::default()]);
    let delay = |ms| LinkConfig {
        delay: Delay { base: Duration::from_millis(ms), jitter: Duration::ZERO },
        ..LinkConfig::default()
    };
    let home = router.home_mut(0).unwrap();
    home.up.set_config(delay(30));
    home.down.set_config(delay(70));
    send(&mut router, Place::Home(0), "192.168.1.2:5000", "11.0.0.1:80");
    send(&mut router, Place::Public, "11.0.0.1:80", "11.0.1.1:5000");
    assert_eq!(router.poll_timeout(), Some(AT(30)));
    assert_eq!(arrived(&mut router, 29), []);
    assert_eq!(arrived(&mut router, 30).len(), 1);
    assert_eq!(router.poll_timeout(), Some(AT(70)));
    assert_eq!(arrived(&mut router, 70).len(), 1);
    let home = router.home_mut(0).unwrap();
    home.up.set_outage(true);
    send(&mut router, Place::Home(0), "192.168.1.2:5000", "11.0.0.1:80");
    assert_eq!(router.poll_timeout(), None);
}

#[test]
fn what_has_no_way_is_counted() {
    let mut router = router(&[NatKind::Open.into()]);
    send(&mut router, Place::Public, "11.0.0.1:80", "11.0.9.1:5000");
    // An open home has one address, and no other.
    send(&mut router, Place::Home(0), "11.0.1.7:5000", "11.0.0.1:80");
    assert_eq!(router.dropped().unroutable, 2);
    router.send(AT(0), Place::Public, vec![0x60; 40]);
    assert_eq!(router.dropped().unknown + router.dropped().cut_off, 1);
    send(&mut router, Place::Public, "11.0.0.1:80", "11.0.1.1:5000");
    let got = flow("11.0.0.1:80", "11.0.1.1:5000");
    assert_eq!(arrived(&mut router, 0), [(Place::Home(0), got)]);
}

#[test]
fn an_address_that_was_given_up_leads_nowhere() {
    let filtering = Dependence::Independent;
    let behaviour = Behaviour { mapping: Dependence::Independent, filtering };
    let mut router = router(&[NatConfig { behaviour, ..NatConfig::default() }]);
    send(&mut router, Place::Home(0), "192.168.1.2:5000", "11.0.0.1:80");
    assert_eq!(arrived(&mut router, 0).len(), 1);
    router.home_mut(0).unwrap().nat.renumber(Ipv4Addr::new(11, 0, 1, 2));
    send(&mut router, Place::Public, "11.0.0.1:80", "11.0.1.1:5000");
    assert_eq!((arrived(&mut router, 0), router.dropped().unroutable), (vec![], 1));
    send(&mut router, Place::Home(0), "192.168.1.2:5000", "11.0.0.1:80");
    let out = flow("11.0.1.2:5000", "11.0.0.1:80");
    assert_eq!(arrived(&mut router, 0), [(Place::Public, out)]);
}
