//! Who has not proved to know a credential.

use proptest::prelude::*;
use stun_types::attribute::AttributeStaticType as _;
use stun_types::message::BINDING;
use turn_types::attribute::RequestedTransport;

use super::*;

fn bare(method: Method, fingerprint: bool) -> Vec<u8> {
    Writer::new(MessageClass::Request, method, 1.into()).fingerprint(fingerprint).finish()
}

#[test]
fn a_stranger_is_asked_for_credentials() {
    let mut bench = Bench::new();
    let client = Client { transport: Transport::Tcp, ..udp("5.5.5.5:5") };
    bench.feed(client, &bare(ALLOCATE, false));
    let reply = bench.replies.pop().unwrap();
    assert_eq!((code(&reply), reply.len()), (401, 56));
    let message = stun::parse(&reply).unwrap();
    assert_eq!(attribute::<Realm>(&message).unwrap().realm(), "os");
    assert!(attribute::<Nonce>(&message).is_some());
    assert_eq!(bench.server.allocations(), 0);
}

#[test]
fn wrong_credentials_and_old_ones_are_refused() {
    let mut bench = Bench::new();
    let client = Client { transport: Transport::Tcp, ..udp("5.5.5.5:5") };
    let transport = RequestedTransport::new(17);
    for (username, password) in [
        ("100:ada", "wrong".to_owned()),
        ("ada", secret().password("ada")),
        ("1:ada", secret().password("1:ada")),
        ("100:eve", secret().password("100:ada")),
    ] {
        bench.credentials = Credentials { username: username.to_owned(), password };
        assert_eq!(bench.ask(client, ALLOCATE, &[&transport]), Some(401), "{username}");
    }
    bench.credentials = secret().credentials("ada", 100);
    let old = bench.signed(client, (ALLOCATE, 5.into()), &[&transport]);
    bench.now = NOW + Duration::from_secs(3_600);
    bench.replies.clear();
    bench.feed(client, &old);
    assert_eq!(code(&bench.replies[0]), 438);
    let elsewhere = bench.signed(udp("5.5.5.6:5"), (ALLOCATE, 6.into()), &[&transport]);
    bench.replies.clear();
    bench.feed(client, &elsewhere);
    assert_eq!(code(&bench.replies[0]), 438, "a nonce is one client's");
    let key = stun::key("100:ada", "os", &secret().password("100:ada"));
    let unnamed = Writer::new(MessageClass::Request, ALLOCATE, 7.into()).sign(Some(&key)).finish();
    bench.replies.clear();
    bench.feed(client, &unnamed);
    assert_eq!(code(&bench.replies[0]), 400);
}

#[test]
fn every_altered_byte_of_a_request_is_noticed() {
    let mut bench = Bench::new();
    let client = udp("5.5.5.5:5");
    let request = bench.signed(client, (ALLOCATE, 5.into()), &[&RequestedTransport::new(17)]);
    for at in 0..request.len() {
        let mut altered = request.clone();
        altered[at] ^= 1;
        bench.feed(client, &altered);
        assert_eq!(bench.opening, [], "byte {at}");
    }
    bench.feed(client, &request);
    assert_eq!(bench.opening.len(), 1);
}

#[test]
fn answers_by_udp_have_1_2_times_the_bytes_at_most() {
    let mut bench = Bench::with(|config| config.user_allocations = 1_000);
    let (mut asked, mut answered) = (0, 0);
    let own = Writer::new(MessageClass::Request, BINDING, 1.into())
        .add(&turn_types::attribute::DontFragment::new())
        .finish();
    for round in 0..200 {
        let client = udp(&format!("5.5.5.5:{}", round + 1));
        let signed = bench.signed(client, (ALLOCATE, 5.into()), &[&RequestedTransport::new(17)]);
        let strange = [bare(BINDING, true), bare(BINDING, false), bare(ALLOCATE, false)];
        for request in strange.into_iter().chain([own.clone(), signed.clone(), signed]) {
            bench.replies.clear();
            bench.feed(client, &request);
            bench.open();
            asked += request.len();
            answered += bench.replies.iter().map(Vec::len).sum::<usize>();
            assert!(answered * 10 <= asked * 12, "{answered} for {asked}");
        }
    }
    assert!(answered > 0 && bench.server.counts().limited > 0);
    assert!(bench.server.allocations() > 0);
}

/// What a browser does behind a NAT, with a socket for each connection: the Binding that tells it
/// its own address is too short to be answered, and so is the first Allocate.
#[test]
fn a_browser_learns_its_addresses_before_it_has_relays_and_need_not_ask_again() {
    for connections in 1..=12 {
        let mut bench = Bench::new();
        let clients: Vec<_> = (1..=connections).map(|n| udp(&format!("5.5.5.5:{n}"))).collect();
        let transport = RequestedTransport::new(17);
        let allocate = Writer::new(MessageClass::Request, ALLOCATE, 2.into());
        let allocate = allocate.add(&transport).finish();
        clients.iter().for_each(|client| bench.feed(*client, &bare(BINDING, false)));
        clients.iter().for_each(|client| bench.feed(*client, &allocate));
        let (mut knowing, mut relayed) = (BTreeSet::new(), BTreeSet::new());
        while !bench.replies.is_empty() {
            let replies = std::mem::take(&mut bench.replies);
            for (client, reply) in std::mem::take(&mut bench.to).into_iter().zip(replies) {
                if code(&reply) == 401 {
                    let asked = bench.signed(client, (ALLOCATE, 5.into()), &[&transport]);
                    bench.feed(client, &asked);
                    bench.open();
                } else if stun::parse(&reply).unwrap().method() == BINDING {
                    knowing.insert(client);
                } else {
                    relayed.insert(client);
                }
            }
        }
        println!("{connections}: {} know, {} have a relay", knowing.len(), relayed.len());
        assert!(knowing.len() == connections && relayed.len() == connections);
    }
}

#[test]
fn a_binding_says_where_it_came_from() {
    let mut bench = Bench::new();
    let client = Client { transport: Transport::Tcp, ..udp("5.5.5.5:5") };
    for fingerprint in [false, true] {
        bench.replies.clear();
        bench.feed(client, &bare(BINDING, fingerprint));
        let message = stun::parse(&bench.replies[0]).unwrap();
        let mapped = attribute::<stun_types::attribute::XorMappedAddress>(&message).unwrap();
        assert_eq!(mapped.addr(1.into()), addr("5.5.5.5:5"));
        let answered = message.has_attribute(stun_types::attribute::Fingerprint::TYPE);
        assert_eq!(answered, fingerprint);
    }
}

#[test]
fn strangers_take_no_memory_beyond_the_table() {
    let mut bench = Bench::with(|config| config.limiter.sources = 64);
    for n in 0..5_000_u32 {
        let address = SocketAddr::new(std::net::Ipv4Addr::from(0x0500_0000 + n).into(), 7);
        let client = Client { address, ..udp("5.5.5.5:5") };
        bench.feed(client, &bare(ALLOCATE, false));
        bench.feed(client, &bare(BINDING, true));
        bench.feed(client, &stun::channel_data(0x4000, b"hello", false).unwrap());
    }
    assert!(bench.server.limiter.len() <= 64);
    assert_eq!(bench.server.allocations() + bench.server.clients.len(), 0);
    assert!(bench.server.outputs.is_empty() && bench.server.users.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_bytes_make_it_panic_or_remember(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in 0_usize..120,
        change in any::<u8>(),
    ) {
        let mut bench = Bench::new();
        let client = udp("5.5.5.5:5");
        bench.feed(client, &bytes);
        let mut stun = bare(BINDING, false);
        stun.extend(&bytes);
        let length = u16::try_from(bytes.len()).unwrap_or_default().to_be_bytes();
        stun[2..4].copy_from_slice(&length);
        bench.feed(client, &stun);
        let mut request = bench.signed(client, (ALLOCATE, 5.into()), &[&RequestedTransport::new(17)]);
        if change != 0 && at < request.len() {
            request[at] ^= change;
            bench.feed(client, &request);
            prop_assert_eq!(bench.server.allocations(), 0);
        }
        prop_assert!(bench.server.limiter.len() <= 1);
    }

    #[test]
    fn no_bytes_in_an_allocation_make_it_panic_or_grow(
        packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..20),
    ) {
        let mut bench = Bench::new();
        let client = udp("5.5.5.5:5");
        prop_assert_eq!(bench.allocate(client, None), 0);
        for mut packet in packets {
            bench.feed(client, &packet);
            if packet.len() >= 4 {
                packet[0] = 0x40;
                bench.feed(client, &packet);
            }
        }
        prop_assert_eq!(bench.sent.len(), 0);
        prop_assert_eq!(bench.server.allocations(), 1);
    }
}
