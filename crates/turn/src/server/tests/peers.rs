//! Which peers a packet may go to and come from.

use stun_types::attribute::AttributeStaticType as _;
use stun_types::message::MessageClass;
use turn_types::attribute::{ChannelNumber, Data, XorPeerAddress};
use turn_types::message::{CHANNEL_BIND, CREATE_PERMISSION, SEND};

use super::*;

fn send(bench: &mut Bench, client: Client, peer: SocketAddr) {
    let id = bench.next_transaction();
    let bytes = Writer::new(MessageClass::Indication, SEND, id)
        .add(&XorPeerAddress::new(peer, id))
        .add(&Data::new(b"hello"))
        .finish();
    bench.feed(client, &bytes);
}

fn permit(bench: &mut Bench, client: Client, peers: &[SocketAddr]) -> Option<u16> {
    let id = bench.next_transaction();
    let peers: Vec<_> = peers.iter().map(|peer| XorPeerAddress::new(*peer, id)).collect();
    let peers: Vec<&dyn AttributeWrite> =
        peers.iter().map(|peer| -> &dyn AttributeWrite { peer }).collect();
    bench.ask_as(client, (CREATE_PERMISSION, id), &peers)
}

fn bind(bench: &mut Bench, client: Client, channel: u16, peer: SocketAddr) -> Option<u16> {
    let id = bench.next_transaction();
    let attributes = (ChannelNumber::new(channel), XorPeerAddress::new(peer, id));
    bench.ask_as(client, (CHANNEL_BIND, id), &[&attributes.0, &attributes.1])
}

#[test]
fn no_method_and_no_spelling_reaches_what_is_not_public() {
    let mut bench = Bench::new();
    let (v4, v6) = (udp("5.5.5.5:5"), udp("5.5.5.5:6"));
    assert_eq!(bench.allocate(v4, None), 0);
    assert_eq!(bench.allocate(v6, Some(AddressFamily::IPV6)), 0);
    let own = "9.9.9.9".parse().unwrap();
    let mut tried = 0;
    for (_, addresses) in crate::special_addresses(own) {
        for ip in addresses {
            let client = if ip.is_ipv4() { v4 } else { v6 };
            let peer = SocketAddr::new(ip, 4_000);
            assert_eq!(permit(&mut bench, client, &[peer]), Some(403), "{peer}");
            let public = if ip.is_ipv4() { addr("8.8.8.8:1") } else { addr("[2600::1]:1") };
            assert_eq!(permit(&mut bench, client, &[public, peer]), Some(403), "{peer} hidden");
            assert_eq!(bind(&mut bench, client, 0x4000, peer), Some(403), "{peer}");
            send(&mut bench, client, peer);
            bench.feed(client, &stun::channel_data(0x4000, b"hello", false).unwrap());
            tried += 1;
        }
    }
    assert_eq!(tried, 21 * 9 + 9);
    assert_eq!(bench.sent, []);
}

#[test]
fn a_permitted_peer_is_reached_and_heard_and_no_other() {
    let mut bench = Bench::new();
    let (client, peer) = (udp("5.5.5.5:5"), addr("8.8.8.8:8"));
    assert_eq!(bench.allocate(client, None), 0);
    send(&mut bench, client, peer);
    assert_eq!(bench.sent, []);
    assert_eq!(permit(&mut bench, client, &[peer, addr("8.8.4.4:1")]), Some(0));
    for to in [peer, addr("8.8.8.8:99"), addr("8.8.4.4:2"), addr("8.8.9.9:8")] {
        send(&mut bench, client, to);
    }
    let sent: Vec<_> = bench.sent.drain(..).map(|(peer, _)| peer).collect();
    assert_eq!(sent, [peer, addr("8.8.8.8:99"), addr("8.8.4.4:2")], "by address, not by port");
    bench.replies.clear();
    bench.server.relayed(NOW, RelayId(0), addr("8.8.9.9:8"), b"no");
    bench.server.relayed(NOW, RelayId(0), peer, b"yes");
    bench.drain();
    let [reply] = &bench.replies[..] else { panic!("{:?}", bench.replies) };
    let message = stun::parse(reply).unwrap();
    assert_eq!(&*message.raw_attribute(Data::TYPE).unwrap().value, b"yes");
    assert_eq!(stun::peers(&message), Some(vec![peer]));
    let late = NOW + Duration::from_secs(300);
    bench.server.relayed(late, RelayId(0), peer, b"late");
    bench.now = late;
    send(&mut bench, client, peer);
    assert_eq!((bench.replies.len(), bench.sent.len()), (1, 0), "a permission is good for 300 s");
}

#[test]
fn a_channel_is_one_peers_and_carries_both_ways() {
    let mut bench = Bench::new();
    let (client, peer) = (udp("5.5.5.5:5"), addr("8.8.8.8:8"));
    assert_eq!(bench.allocate(client, None), 0);
    for channel in [0x3FFF, 0x5000, 0x7FFF] {
        assert_eq!(bind(&mut bench, client, channel, peer), Some(400), "{channel:#x}");
    }
    assert_eq!(bind(&mut bench, client, 0x4001, addr("8.8.8.8:0")), Some(400));
    assert_eq!(bind(&mut bench, client, 0x4001, peer), Some(0));
    assert_eq!(bind(&mut bench, client, 0x4001, peer), Some(0));
    assert_eq!(bind(&mut bench, client, 0x4002, peer), Some(400));
    assert_eq!(bind(&mut bench, client, 0x4001, addr("8.8.8.8:9")), Some(400));
    assert_eq!(bind(&mut bench, client, 0x4001, addr("[2600::1]:9")), Some(443));
    bench.feed(client, &stun::channel_data(0x4001, b"out", false).unwrap());
    assert_eq!(bench.sent, [(peer, b"out".to_vec())]);
    bench.replies.clear();
    bench.server.relayed(NOW, RelayId(0), peer, b"back");
    bench.drain();
    assert_eq!(bench.replies, [stun::channel_data(0x4001, b"back", false).unwrap()]);
    bench.now = NOW + Duration::from_secs(600);
    bench.server.prolong(NOW, RelayId(0), Duration::from_secs(3_600));
    bench.feed(client, &stun::channel_data(0x4001, b"late", false).unwrap());
    assert_eq!(bench.sent.len(), 1, "a channel is good for 600 s");
    assert_eq!(bind(&mut bench, client, 0x4001, addr("8.8.8.8:9")), Some(0), "free again");
}

#[test]
fn two_relays_speak_without_a_packet_that_leaves() {
    let mut bench = Bench::new();
    let (ada, bob) = (udp("5.5.5.5:5"), udp("6.6.6.6:6"));
    assert_eq!(bench.allocate(ada, None), 0);
    assert_eq!(bench.allocate(bob, None), 0);
    let (of_ada, of_bob) = (addr("9.9.9.9:50001"), addr("9.9.9.9:50002"));
    assert_eq!(permit(&mut bench, ada, &[of_bob]), Some(0));
    bench.replies.clear();
    send(&mut bench, ada, of_bob);
    assert_eq!(bench.replies, Vec::<Vec<u8>>::new(), "bob did not permit it");
    assert_eq!(permit(&mut bench, bob, &[of_ada]), Some(0));
    bench.replies.clear();
    send(&mut bench, ada, of_bob);
    assert_eq!(stun::peers(&stun::parse(&bench.replies[0]).unwrap()), Some(vec![of_ada]));
    // The permission is for the server's own address, but not for what else is there.
    send(&mut bench, ada, addr("9.9.9.9:22"));
    bench.server.remove(RelayId(1));
    send(&mut bench, ada, of_bob);
    assert_eq!(bench.sent, []);
}

#[test]
fn an_operator_can_allow_a_network() {
    let mut bench = Bench::allowing(&["192.168.0.0/16"]);
    let client = udp("5.5.5.5:5");
    assert_eq!(bench.allocate(client, None), 0);
    assert_eq!(permit(&mut bench, client, &[addr("192.168.1.1:1")]), Some(0));
    assert_eq!(permit(&mut bench, client, &[addr("10.0.0.1:1")]), Some(403));
    send(&mut bench, client, addr("192.168.1.1:1"));
    assert_eq!(bench.sent.len(), 1);
}

#[test]
fn peers_are_counted() {
    let mut bench = Bench::with(|config| config.peers = 3);
    let client = udp("5.5.5.5:5");
    assert_eq!(bench.allocate(client, None), 0);
    let peer = |n: u8| SocketAddr::new([8, 8, 8, n].into(), 1);
    assert_eq!(permit(&mut bench, client, &[peer(1), peer(2), peer(3), peer(4)]), Some(508));
    assert_eq!(permit(&mut bench, client, &[peer(1), peer(2), peer(3)]), Some(0));
    assert_eq!(permit(&mut bench, client, &[peer(3)]), Some(0));
    assert_eq!(bind(&mut bench, client, 0x4000, peer(4)), Some(508));
    assert_eq!(bind(&mut bench, client, 0x4000, peer(3)), Some(0));
    assert_eq!(permit(&mut bench, client, &[]), Some(400));
}

#[test]
fn a_packet_takes_one_buffer_of_the_right_size() {
    for length in 0..1500 {
        let id = length.try_into().unwrap_or_default();
        let peer = if length % 2 == 0 { addr("8.8.8.8:8") } else { addr("[2600::1]:8") };
        let bytes =
            stun::indication(turn_types::message::DATA, u128::into(id), peer, &vec![1; length]);
        assert!(bytes.capacity() <= length + 51 && bytes.len() >= length + 36);
    }
}

#[test]
fn addresses_that_become_the_servers_own_are_refused_at_once() {
    let mut bench = Bench::with(|config| config.families = (true, false));
    let (client, peer) = (udp("5.5.5.5:5"), addr("8.8.8.8:8"));
    assert_eq!(bench.allocate(client, None), 0);
    assert_eq!(permit(&mut bench, client, &[peer]), Some(0));
    assert_eq!(bench.allocate(udp("5.5.5.5:6"), Some(AddressFamily::IPV6)), 440);
    bench.server.set_addresses([addr("8.8.8.8:1").ip()], (false, true));
    send(&mut bench, client, peer);
    assert_eq!(bench.sent, []);
    assert_eq!(permit(&mut bench, client, &[peer]), Some(403));
    assert_eq!(permit(&mut bench, client, &[addr("9.9.9.9:9")]), Some(0), "no longer its own");
    assert_eq!(bench.allocate(udp("5.5.5.5:6"), Some(AddressFamily::IPV6)), 0);
    assert_eq!(bench.allocate(udp("5.5.5.5:7"), None), 440);
}
