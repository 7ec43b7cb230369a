//! Packets against checksums that are made anew; also makes packets for other tests.

use super::*;
use proptest::prelude::*;

fn header(protocol: u8, source: Ipv4Addr, destination: Ipv4Addr, body: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + body.len()).unwrap();
    let mut bytes = vec![0x45, 0, 0, 0, 0, 7, 0x40, 0, 64, protocol, 0, 0];
    put(&mut bytes, 2, total);
    bytes.extend(source.octets());
    bytes.extend(destination.octets());
    let sum = checksum::of(&[], &bytes);
    put(&mut bytes, SUM_AT, sum);
    bytes.extend(body);
    bytes
}

fn pseudo(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, length: usize) -> [u16; 6] {
    let [a, b, c, d] = source.octets();
    let [e, f, g, h] = destination.octets();
    let pair = |a, b| u16::from_be_bytes([a, b]);
    [pair(a, b), pair(c, d), pair(e, f), pair(g, h), protocol.into(), length.try_into().unwrap()]
}

/// A packet of UDP (17) or TCP (6), all checksums right.
fn transport(
    protocol: u8,
    source: SocketAddrV4,
    destination: SocketAddrV4,
    data: &[u8],
) -> Vec<u8> {
    let (length, sum_at) = if protocol == 17 { (8, 6) } else { (20, 16) };
    let mut body = vec![0; length];
    put(&mut body, 0, source.port());
    put(&mut body, 2, destination.port());
    if protocol == 17 {
        put(&mut body, 4, u16::try_from(length + data.len()).unwrap());
    } else {
        body[12] = 5 << 4;
    }
    body.extend(data);
    let pseudo = pseudo(*source.ip(), *destination.ip(), protocol, body.len());
    let sum = checksum::of(&pseudo, &body);
    put(&mut body, sum_at, if sum == 0 && protocol == 17 { u16::MAX } else { sum });
    header(protocol, *source.ip(), *destination.ip(), &body)
}

/// A datagram.
pub(crate) fn udp(source: SocketAddrV4, destination: SocketAddrV4, data: &[u8]) -> Vec<u8> {
    transport(17, source, destination, data)
}

/// An echo request (8) or reply (0).
pub(crate) fn echo(kind: u8, source: Ipv4Addr, destination: Ipv4Addr, identifier: u16) -> Vec<u8> {
    let mut body = vec![kind, 0, 0, 0, 0, 0, 0, 1, b'h', b'i'];
    put(&mut body, IDENTIFIER_AT, identifier);
    let sum = checksum::of(&[], &body);
    put(&mut body, 2, sum);
    header(1, source, destination, &body)
}

/// A port unreachable about a packet, as much of it quoted as routers do at least, or more.
pub(crate) fn unreachable(source: Ipv4Addr, to: Ipv4Addr, about: &[u8], quoted: usize) -> Vec<u8> {
    let mut body = vec![3, 3, 0, 0, 0, 0, 0, 0];
    body.extend(&about[..quoted.min(about.len())]);
    let sum = checksum::of(&[], &body);
    put(&mut body, 2, sum);
    header(1, source, to, &body)
}

/// Asserts that all checksums are right, also those that are quoted as a whole.
pub(crate) fn assert_sound(bytes: &[u8]) {
    assert_eq!(checksum::of(&[], &bytes[..20]), 0, "of the header");
    let body = &bytes[20..];
    let pseudo =
        pseudo(address(bytes, SOURCE_AT), address(bytes, DESTINATION_AT), bytes[9], body.len());
    let sum = match bytes[9] {
        17 if word(body, 6) == Some(0) => 0,
        1 => checksum::of(&[], body),
        _ => checksum::of(&pseudo, body),
    };
    assert_eq!(sum, 0, "of protocol {}", bytes[9]);
    if bytes[9] == 1 && body[0] == 3 {
        let quoted = &body[QUOTED_AT..];
        assert_eq!(checksum::of(&[], &quoted[..20]), 0, "of the quoted header");
        if quoted.len() == usize::from(word(quoted, 2).unwrap()) {
            assert_sound(quoted);
        }
    }
}

fn any_end() -> impl Strategy<Value = SocketAddrV4> {
    (any::<u32>(), any::<u16>()).prop_map(|(ip, port)| SocketAddrV4::new(ip.into(), port))
}

fn any_data() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..64)
}

#[test]
fn what_is_no_packet_is_refused() {
    let (a, b) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
    let whole = udp(a, b, b"text");
    let parse = |bytes: &[u8]| Packet::parse(bytes.to_vec()).map(|_| ()).unwrap_err();
    assert_eq!(parse(&[]), Unusable::CutOff);
    assert_eq!(parse(&whole[..whole.len() - 1]), Unusable::CutOff);
    let changed = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[at] = value;
        parse(&bytes)
    };
    assert_eq!(changed(0, 0x65), Unusable::Unknown);
    assert_eq!(changed(0, 0x44), Unusable::Unknown);
    assert_eq!(changed(0, 0x4f), Unusable::CutOff);
    assert_eq!(changed(6, 0x20), Unusable::Fragment);
    assert_eq!(changed(7, 1), Unusable::Fragment);
    assert_eq!(changed(9, 47), Unusable::Unknown);
}

#[test]
fn udp_without_a_checksum_stays_without() {
    let (a, b) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
    let mut bytes = udp(a, b, b"text");
    put(&mut bytes, 26, 0);
    let mut packet = Packet::parse(bytes).unwrap();
    let flow = Flow { protocol: Protocol::Udp, source: b, destination: a };
    packet.set_flow(flow);
    assert_eq!(packet.content(), Content::Flow(flow));
    assert_eq!(word(packet.bytes(), 26), Some(0));
    assert_sound(packet.bytes());
}

#[test]
fn the_last_router_forwards_nothing() {
    let (a, b) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
    let mut packet = Packet::parse(udp(a, b, b"")).unwrap();
    let passed = (0..100).take_while(|_| packet.pass_router()).count();
    assert_eq!(passed, 63);
    assert_sound(packet.bytes());
}

proptest! {
    #[test]
    fn changed_packets_are_sound(
        is_udp in any::<bool>(),
        (from, to) in (any_end(), any_end()),
        (source, destination) in (any_end(), any_end()),
        data in any_data(),
    ) {
        let (number, protocol) =
            if is_udp { (17, Protocol::Udp) } else { (6, Protocol::Tcp) };
        let mut packet = Packet::parse(transport(number, from, to, &data)).unwrap();
        let old = Flow { protocol, source: from, destination: to };
        prop_assert_eq!(packet.content(), Content::Flow(old));
        let new = Flow { protocol, source, destination };
        packet.set_flow(new);
        prop_assert_eq!(packet.content(), Content::Flow(new));
        assert_sound(packet.bytes());
        if is_udp {
            prop_assert_ne!(word(packet.bytes(), 26), Some(0));
        }
    }

    #[test]
    fn changed_echoes_are_sound(
        is_reply in any::<bool>(),
        (from, to) in (any_end(), any_end()),
        (source, destination) in (any_end(), any_end()),
    ) {
        let identifier = if is_reply { to.port() } else { from.port() };
        let kind = if is_reply { ECHO_REPLY } else { ECHO_REQUEST };
        let mut packet = Packet::parse(echo(kind, *from.ip(), *to.ip(), identifier)).unwrap();
        let flow = Flow { protocol: Protocol::Icmp, source, destination };
        packet.set_flow(flow);
        // Who did not ask has no port.
        let none = |end: SocketAddrV4| SocketAddrV4::new(*end.ip(), 0);
        let expected = if is_reply {
            Flow { source: none(source), ..flow }
        } else {
            Flow { destination: none(destination), ..flow }
        };
        prop_assert_eq!(packet.content(), Content::Flow(expected));
        assert_sound(packet.bytes());
    }

    #[test]
    fn changed_errors_are_sound(
        is_udp in any::<bool>(),
        (from, to) in (any_end(), any_end()),
        (source, destination) in (any_end(), any_end()),
        data in any_data(),
        quoted in 28_usize..120,
    ) {
        let (number, protocol) =
            if is_udp { (17, Protocol::Udp) } else { (6, Protocol::Tcp) };
        let about = transport(number, from, to, &data);
        let mut packet =
            Packet::parse(unreachable(*to.ip(), *from.ip(), &about, quoted)).unwrap();
        let old = Flow { protocol, source: from, destination: to };
        prop_assert_eq!(packet.content(), Content::Error(old));
        let new = Flow { protocol, source, destination };
        packet.set_error(new, *destination.ip(), *source.ip());
        prop_assert_eq!(packet.content(), Content::Error(new));
        prop_assert_eq!((packet.source(), packet.destination()), (*destination.ip(), *source.ip()));
        assert_sound(packet.bytes());
    }

    #[test]
    fn no_text_is_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), to in any_end()) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = 0x45;
        }
        let length = u16::try_from(bytes.len()).unwrap();
        put(&mut bytes, 2, length);
        put(&mut bytes, 6, 0);
        if let Ok(mut packet) = Packet::parse(bytes) {
            packet.pass_router();
            let flow = Flow { protocol: Protocol::Udp, source: to, destination: to };
            packet.set_flow(flow);
            packet.set_error(flow, *to.ip(), *to.ip());
            prop_assert_eq!(packet.destination(), *to.ip());
        }
    }
}
