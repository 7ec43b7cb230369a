//! The program with real namespaces, devices and sockets. Where there can be none, each test
//! says so and is left out.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod support;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use openstudio_turn::BindingRequest;
use openstudio_units::Seed;
use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};
use support::{BINARY, Netlab, PATIENCE, receive, socket, within};

/// An echo request; the kernel leaves its checksum to us.
fn echo_request(identifier: u16) -> [u8; 8] {
    let [high, low] = identifier.to_be_bytes();
    let mut request = [8, 0, 0, 0, high, low, 0, 1];
    let sum: u32 = 0x0800 + u32::from(identifier) + 1;
    let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    [request[2], request[3]] = (!folded).to_be_bytes();
    request
}

#[test]
fn a_ping_goes_through() {
    let Some(mut lab) = Netlab::start() else { return };
    let home = lab.home("a");
    lab.order(&json!({ "do": "link", "home": "a", "up": { "delayMs": 20 } }));
    let mut raw =
        within(&home, || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))).unwrap();
    raw.set_read_timeout(Some(PATIENCE)).unwrap();
    let to = SocketAddrV4::new(Ipv4Addr::new(11, 0, 0, 1), 0);
    raw.send_to(&echo_request(4711), &to.into()).unwrap();
    let mut answer = [0; 64];
    let length = raw.read(&mut answer).unwrap();
    // An IPv4 header, then an echo reply with our identifier.
    assert_eq!((length, answer[20]), (28, 0));
    assert_eq!(answer[24..26], 4711_u16.to_be_bytes());
    assert_eq!(answer[12..16], [11, 0, 0, 1]);
}

/// As RFC 4787 §4.1 and §5 define it, with three ends outside: `first`, another port of its
/// address, and another address.
#[test]
fn every_type_of_nat_maps_and_filters_real_datagrams() {
    let Some(mut lab) = Netlab::start() else { return };
    let rules = ["endpoint-independent", "address-dependent", "address-and-port-dependent"];
    let outside = ["11.0.0.1:7001", "11.0.0.1:7002", "11.0.0.2:7001"];
    let remotes = outside.map(|address| socket(&lab.public, address));
    let [first, port, other] = &remotes;
    for (m, mapping) in rules.into_iter().enumerate() {
        for (f, filtering) in rules.into_iter().enumerate() {
            let name = format!("m{m}f{f}");
            let made = lab.order(&json!({
                "do": "home", "name": name, "mapping": mapping, "filtering": filtering,
            }));
            let inside = socket(made["namespace"].as_str().unwrap(), "0.0.0.0:5000");
            let from = |remote: &str| {
                inside.send_to(b"hello", remote).unwrap();
            };
            from(outside[0]);
            let (text, seen) = receive(first);
            assert_eq!((text.as_str(), seen.ip().to_string()), ("hello", public(&made)));
            // The last one always comes in, and none overtakes another: what is not there by
            // then was kept out.
            other.send_to(b"other", seen).unwrap();
            port.send_to(b"port", seen).unwrap();
            first.send_to(b"first", seen).unwrap();
            let mut let_in = Vec::new();
            while let_in.last().is_none_or(|last| last != "first") {
                let_in.push(receive(&inside).0);
            }
            let expected: &[&str] =
                [&["other", "port", "first"][..], &["port", "first"], &["first"]][f];
            assert_eq!(let_in, expected, "{mapping}, {filtering}");
            from(outside[1]);
            from(outside[2]);
            let same = [receive(port).1 == seen, receive(other).1 == seen];
            assert_eq!(same, [[true, true], [true, false], [false, false]][m], "{mapping}");
        }
    }
}

#[test]
fn another_nat_keeps_the_addresses_and_has_no_mappings() {
    let Some(mut lab) = Netlab::start() else { return };
    let home = lab.home("a");
    lab.order(&json!({ "do": "home", "name": "b", "mapping": "address-dependent" }));
    let inside = socket(&home, "0.0.0.0:5000");
    let outside = ["11.0.0.1:7001", "11.0.0.2:7001"];
    let [first, other] = outside.map(|address| socket(&lab.public, address));
    let seen = |lab: &mut Netlab| {
        let before = lab.counters("a")["nat"]["mappings"].clone();
        assert_eq!(before, 0);
        inside.send_to(b"hello", outside[0]).unwrap();
        inside.send_to(b"hello", outside[1]).unwrap();
        [receive(&first).1, receive(&other).1]
    };
    let direct = json!({ "do": "direct", "homes": ["a", "b"] });
    let [one, same] = seen(&mut lab);
    assert_eq!(one, same);
    assert_eq!(lab.order(&direct)["direct"], true);
    let symmetric = "address-and-port-dependent";
    lab.order(&json!({ "do": "nat", "name": "a", "mapping": symmetric, "filtering": symmetric }));
    let [again, another] = seen(&mut lab);
    assert_eq!((again.ip(), another.ip()), (one.ip(), one.ip()));
    assert_ne!(again, another);
    assert_eq!(lab.order(&direct)["direct"], false);
    for refused in [
        json!({ "do": "nat", "name": "a", "kind": "open" }),
        json!({ "do": "nat", "name": "nobody" }),
        json!({ "do": "direct", "homes": ["a", "nobody"] }),
    ] {
        assert_eq!(lab.ask(&refused)["ok"], false, "{refused}");
    }
}

fn public(made: &serde_json::Value) -> String {
    made["public"].as_str().unwrap().to_owned()
}

#[test]
fn tcp_brings_a_megabyte_over_a_line_that_loses_packets() {
    let Some(mut lab) = Netlab::start() else { return };
    let home = lab.home("a");
    let line = json!({ "delayMs": 2, "loss": 0.02 });
    lab.order(&json!({ "do": "link", "home": "a", "up": line, "down": line }));
    let sent: Vec<u8> =
        (0_u32..1 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let listener = within(&lab.public, || TcpListener::bind("11.0.0.1:7000").unwrap());
    let receiver = thread::spawn(move || {
        let (mut stream, from) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        (got, from)
    });
    let mut stream = within(&home, || TcpStream::connect("11.0.0.1:7000").unwrap());
    stream.write_all(&sent).unwrap();
    drop(stream);
    let (got, from) = receiver.join().unwrap();
    assert!(got == sent, "{} bytes came, or others than were sent", got.len());
    assert_eq!(from.ip().to_string(), "11.0.1.1");
    let counters = lab.counters("a");
    assert!(counters["up"]["lost"].as_u64().unwrap() > 0, "{counters}");
}

#[test]
fn an_outage_is_silent_and_ends() {
    let Some(mut lab) = Netlab::start() else { return };
    let home = lab.home("a");
    let (inside, outside) = (socket(&home, "0.0.0.0:5000"), socket(&lab.public, "11.0.0.1:7000"));
    lab.order(&json!({ "do": "outage", "home": "a", "on": true }));
    inside.send_to(b"lost", "11.0.0.1:7000").unwrap();
    // Devices are read before orders: it counts the datagram that was sent before.
    assert_eq!(lab.counters("a")["up"]["cut"], 1);
    lab.order(&json!({ "do": "outage", "home": "a", "on": false }));
    inside.send_to(b"there", "11.0.0.1:7000").unwrap();
    assert_eq!(receive(&outside).0, "there");
}

#[test]
fn addresses_change_outside_and_inside() {
    let Some(mut lab) = Netlab::start() else { return };
    let home = lab.home("a");
    let outside = socket(&lab.public, "11.0.0.1:7000");
    let inside = socket(&home, "0.0.0.0:5000");
    let seen_of = |socket: &std::net::UdpSocket| {
        socket.send_to(b"hello", "11.0.0.1:7000").unwrap();
        receive(&outside).1.ip().to_string()
    };
    assert_eq!(seen_of(&inside), "11.0.1.1");
    let answer = lab.order(&json!({ "do": "renumber", "home": "a" }));
    assert_eq!(
        (&answer["public"], &answer["address"]),
        (&json!("11.0.1.2"), &json!("192.168.1.2"))
    );
    assert_eq!(seen_of(&inside), "11.0.1.2");
    // The old one leads nowhere.
    outside.send_to(b"old", "11.0.1.1:5000").unwrap();
    let dropped = lab.order(&json!({ "do": "counters" }))["dropped"].take();
    assert_eq!(dropped["unroutable"], 1);
    let answer = lab.order(&json!({ "do": "renumber", "home": "a", "what": "own" }));
    assert_eq!(answer["address"], "192.168.1.3");
    let local = within(&home, || {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect("11.0.0.1:7000").unwrap();
        socket.local_addr().unwrap().ip().to_string()
    });
    assert_eq!(local, "192.168.1.3");
    assert_eq!(seen_of(&inside), "11.0.1.2");
}

#[test]
fn a_closed_port_is_told_to_who_sent() {
    let Some(mut lab) = Netlab::start() else { return };
    let home = lab.home("a");
    let inside = socket(&home, "0.0.0.0:5000");
    inside.connect("11.0.0.1:7999").unwrap();
    inside.send(b"anybody?").unwrap();
    let error = inside.recv(&mut [0; 16]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn where_udp_is_blocked_tcp_is_not() {
    let Some(mut lab) = Netlab::start() else { return };
    let made = lab.order(&json!({ "do": "home", "name": "a", "blocksUdp": true }));
    let home = made["namespace"].as_str().unwrap();
    socket(home, "0.0.0.0:5000").send_to(b"lost", "11.0.0.1:7000").unwrap();
    assert_eq!(lab.counters("a")["nat"]["udpBlocked"], 1);
    let listener = within(&lab.public, || TcpListener::bind("11.0.0.1:7000").unwrap());
    let stream = within(home, || TcpStream::connect("11.0.0.1:7000").unwrap());
    assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
}

#[test]
fn a_stun_server_says_what_the_nat_made_of_an_address() {
    let Some(mut lab) = Netlab::start() else { return };
    let made = lab.order(&json!({ "do": "home", "name": "a", "preservePorts": false }));
    assert_eq!(lab.order(&json!({ "do": "stun" }))["url"], "stun:11.0.0.1:3478");
    let inside = socket(made["namespace"].as_str().unwrap(), "0.0.0.0:5000");
    let ask = |server: &str| {
        let request = BindingRequest::new(Seed::from_number(1));
        inside.send_to(request.bytes(), server).unwrap();
        let mut buffer = [0; 1500];
        let length = inside.recv(&mut buffer).unwrap();
        request.answer(&buffer[..length]).unwrap().unwrap()
    };
    lab.order(&json!({ "do": "stun", "host": 1, "port": 3479 }));
    let seen = ask("11.0.0.1:3478");
    assert_eq!(seen.ip().to_string(), "11.0.1.1");
    assert_ne!(seen.port(), 5000);
    assert_eq!(ask("11.0.0.2:3479"), seen);
}

#[test]
fn an_open_home_is_reached_without_having_sent() {
    let Some(mut lab) = Netlab::start() else { return };
    let made = lab.order(&json!({ "do": "home", "name": "a", "kind": "open" }));
    assert_eq!(made["address"], made["public"]);
    let inside = socket(made["namespace"].as_str().unwrap(), "0.0.0.0:5000");
    let outside = socket(&lab.public, "11.0.0.1:7000");
    outside.send_to(b"hello", "11.0.1.1:5000").unwrap();
    assert_eq!(receive(&inside).0, "hello");
}

#[test]
fn programs_run_in_a_namespace() {
    let Some(mut lab) = Netlab::start() else { return };
    let home = lab.home("a");
    let shown =
        Command::new(BINARY).args(["exec", &home, "--", "ip", "-o", "addr"]).output().unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success() && text.contains("192.168.1.2/24"), "{text}");
    let nowhere = Command::new(BINARY).args(["exec", "osnet-0-x", "--", "true"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
}

#[test]
fn orders_that_cannot_be_obeyed_change_nothing() {
    let Some(mut lab) = Netlab::start() else { return };
    lab.home("a");
    for order in [
        json!({ "do": "home", "name": "a" }),
        json!({ "do": "home", "name": "../x" }),
        json!({ "do": "outage", "home": "b", "on": true }),
        json!({ "do": "link", "home": "a", "up": { "delayMs": 5 }, "down": { "loss": 7 } }),
        json!({ "do": "dance" }),
        json!(5),
    ] {
        let answer = lab.ask(&order);
        assert_eq!(answer["ok"], false, "{order}: {answer}");
        assert!(answer["error"].is_string(), "{answer}");
    }
    (1..12).for_each(|n| drop(lab.home(&format!("home-{n}"))));
    assert_eq!(lab.ask(&json!({ "do": "home", "name": "one-more" }))["ok"], false);
    assert_eq!(Netlab::namespaces(lab.pid()).len(), 13);
}

#[test]
fn no_namespace_is_left_behind() {
    let (Some(mut one), Some(mut two)) = (Netlab::start(), Netlab::start()) else { return };
    // The same names at the same time.
    one.home("a");
    two.home("a");
    let (first, second) = (one.pid(), two.pid());
    assert_eq!(Netlab::namespaces(first).len(), 2);
    assert!(one.close().success());
    assert_eq!(Netlab::namespaces(first), Vec::<String>::new());
    assert_eq!(Netlab::namespaces(second).len(), 2);
    assert!(two.terminate().success());
    assert_eq!(Netlab::namespaces(second), Vec::<String>::new());
}

#[test]
fn what_a_killed_one_left_is_removed_by_the_next() {
    let Some(mut killed) = Netlab::start() else { return };
    killed.home("a");
    let pid = killed.pid();
    killed.kill();
    let next = Netlab::start();
    assert_eq!(Netlab::namespaces(pid), Vec::<String>::new());
    assert!(next.is_some_and(|next| next.close().success()));
}
