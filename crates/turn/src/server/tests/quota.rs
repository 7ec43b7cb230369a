//! How many allocations there may be.

use stun_types::message::{BINDING, MessageClass};
use turn_types::attribute::{Data, RequestedTransport};
use turn_types::message::SEND;

use super::*;

#[test]
fn a_users_quota_is_exact_while_sockets_are_opened_in_any_order() {
    let number = 23;
    println!("seed {number}");
    let mut rng = Seed::from_number(number).rng();
    let mut bench = Bench::with(|config| {
        config.user_allocations = 5;
        config.allocations = 12;
    });
    let users = ["ada", "bob", "eve"];
    let mut live = vec![Vec::<Client>::new(); users.len()];
    let mut port = 1;
    for step in 0..3_000 {
        let user = usize::try_from(rng.between(0, 2)).unwrap();
        // Another expiry is the same user.
        bench.credentials = secret().credentials(users[user], 50 + rng.between(0, 9));
        match rng.between(0, 3) {
            0 | 1 => {
                port += 1;
                let client = udp(&format!("5.5.5.5:{port}"));
                let answer = bench.ask(client, ALLOCATE, &[&RequestedTransport::new(17)]);
                let all: usize = live.iter().map(Vec::len).sum();
                let wanted = match (live[user].len(), all) {
                    (5.., _) => Some(486),
                    (_, 12..) => Some(508),
                    _ => None,
                };
                assert_eq!(answer, wanted, "step {step}");
                if wanted.is_none() {
                    live[user].push(client);
                }
            }
            2 => {
                if !bench.opening.is_empty() {
                    let most = u64::try_from(bench.opening.len() - 1).unwrap();
                    let at = usize::try_from(rng.between(0, most)).unwrap();
                    let (id, _) = bench.opening.swap_remove(at);
                    let outcome = if rng.between(0, 3) == 0 {
                        let client = bench.server.allocations[&id].client;
                        live.iter_mut().for_each(|of| of.retain(|other| *other != client));
                        Err(RelayError)
                    } else {
                        bench.port += 1;
                        Ok(SocketAddr::new([9, 9, 9, 9].into(), bench.port))
                    };
                    bench.server.relay_opened(NOW, id, outcome);
                    bench.drain();
                }
            }
            _ => {
                let open = |client: &Client| {
                    let id = bench.server.clients[client];
                    bench.server.allocations[&id].address().is_some()
                };
                if let Some(at) = live[user].iter().position(open) {
                    let client = live[user].remove(at);
                    let id = bench.server.clients[&client];
                    bench.server.remove(id);
                    bench.drain();
                }
            }
        }
        assert_eq!(bench.server.allocations(), live.iter().map(Vec::len).sum::<usize>());
        let counted: usize = bench.server.users.values().map(BTreeSet::len).sum();
        assert_eq!(counted, bench.server.allocations());
    }
}

/// The clients of a user who has as many allocations as there may be.
fn full(bench: &mut Bench, transport: Transport) -> Vec<Client> {
    let clients = (1..=12).map(|n| Client { transport, ..udp(&format!("5.5.5.5:{n}")) });
    let clients: Vec<_> = clients.collect();
    for client in &clients {
        assert_eq!(bench.allocate(*client, None), 0);
    }
    clients
}

#[test]
fn at_the_quota_the_allocation_of_a_silent_client_is_given_up_and_no_other() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut bench = Bench::new();
        let clients = full(&mut bench, transport);
        bench.credentials = secret().credentials("bob", 100);
        let bob = udp("6.6.6.6:6");
        assert_eq!(bench.allocate(bob, None), 0);
        bench.credentials = secret().credentials("ada", 100);
        bench.now = NOW + Duration::from_secs(10);
        for client in clients.iter().filter(|client| ![clients[3], clients[7]].contains(client)) {
            assert_eq!(bench.ask(*client, REFRESH, &[]), Some(0));
        }
        bench.now = NOW + Duration::from_secs(20);
        assert_eq!(bench.ask(clients[7], REFRESH, &[]), Some(0));
        bench.now = NOW + Duration::from_micros(29_999_999);
        assert_eq!(bench.allocate(udp("7.7.7.7:1"), None), 486, "all were heard of late");
        bench.now = NOW + Duration::from_secs(30);
        assert_eq!(bench.allocate(udp("7.7.7.7:1"), None), 0);
        assert_eq!(bench.closed, [RelayId(3)]);
        assert_eq!(bench.server.allocations(), 13, "twelve of ada's and bob's");
        assert_eq!(bench.allocate(udp("7.7.7.7:2"), None), 486, "one was enough");
        assert_eq!(bench.ask(clients[3], REFRESH, &[]), Some(437));
        for client in clients.iter().filter(|client| **client != clients[3]) {
            assert_eq!(bench.ask(*client, REFRESH, &[]), Some(0), "{client:?}");
        }
    }
}

#[test]
fn whatever_a_client_sends_keeps_its_allocation() {
    let binding = |class| Writer::new(class, BINDING, 1.into()).finish();
    let peer = XorPeerAddress::new(addr("8.8.8.8:8"), 2.into());
    let send = Writer::new(MessageClass::Indication, SEND, 2.into())
        .add(&peer)
        .add(&Data::new(b"hello"))
        .finish();
    for message in [
        binding(MessageClass::Request),
        binding(MessageClass::Indication),
        send,
        stun::channel_data(0x4000, b"hello", false).unwrap(),
    ] {
        let mut bench = Bench::new();
        let clients = full(&mut bench, Transport::Udp);
        bench.now = NOW + Duration::from_secs(29);
        for client in &clients {
            bench.feed(*client, &message);
        }
        bench.now = NOW + Duration::from_secs(58);
        assert_eq!(bench.allocate(udp("7.7.7.7:1"), None), 486);
        // What others send says nothing of the client.
        bench.server.relayed(bench.now, RelayId(0), addr("8.8.8.8:8"), b"hello");
        bench.now = NOW + Duration::from_secs(59);
        assert_eq!(bench.allocate(udp("7.7.7.7:1"), None), 0);
        assert_eq!(bench.server.allocations(), 12);
    }
}

#[test]
fn a_users_quota_is_exact_while_silent_clients_make_room() {
    let number = 24;
    println!("seed {number}");
    let mut rng = Seed::from_number(number).rng();
    let mut bench = Bench::with(|config| config.user_allocations = 5);
    // Since when each client is silent, and its port.
    let mut live = [BTreeSet::new(), BTreeSet::new()];
    let mut replaced = 0;
    for port in 1..3_000 {
        bench.now = bench.now + Duration::from_millis(rng.between(0, 5_000));
        let user = usize::try_from(rng.between(0, 1)).unwrap();
        bench.credentials = secret().credentials(["ada", "bob"][user], 100_000);
        let live = &mut live[user];
        let at = usize::try_from(rng.between(0, 9)).unwrap();
        if let Some((heard, port)) = live.iter().nth(at).copied() {
            let client = udp(&format!("5.5.5.5:{port}"));
            assert_eq!(bench.ask(client, REFRESH, &[]), Some(0), "{port} is live");
            live.remove(&(heard, port));
            live.insert((bench.now, port));
        } else {
            let quietest = live.first().copied().filter(|_| live.len() == 5);
            let room = quietest.filter(|(heard, _)| bench.now.since(*heard).as_secs() >= 30);
            let refused = quietest.is_some() && room.is_none();
            let client = udp(&format!("5.5.5.5:{port}"));
            assert_eq!(bench.allocate(client, None), if refused { 486 } else { 0 }, "{port}");
            if let Some(quietest) = room {
                live.remove(&quietest);
                replaced += 1;
            }
            if !refused {
                live.insert((bench.now, port));
            }
        }
        let own = bench.server.users.values().map(BTreeSet::len);
        assert!(own.max() <= Some(5));
    }
    assert!(replaced > 20, "{replaced}");
}
