//! Clients against a server, in memory, over a network that loses, repeats and delays.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and says its seed"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use openstudio_turn::{
    Client, ClientConfig, ClientError, ClientEvent, ClientOutput, Family, Output, RelayId,
    SharedSecret, Transport, TurnClient, TurnConfig, TurnServer,
};
use openstudio_units::{Rng, Seed, Timestamp};

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[derive(Clone, Debug)]
enum Packet {
    ToServer(usize, Vec<u8>),
    ToClient(usize, Vec<u8>),
    Opened(RelayId),
}

/// Two clients and a server.
struct World {
    server: TurnServer,
    clients: Vec<(Client, TurnClient)>,
    events: Vec<Vec<ClientEvent>>,
    now: Timestamp,
    /// By arrival, and a number that keeps the order.
    flying: BTreeMap<(Timestamp, u64), Packet>,
    rng: Rng,
    /// Of a hundred packets by datagrams, how many are lost, and how many come twice.
    trouble: u64,
    count: u64,
}

impl World {
    fn new(seed: u64, transport: Transport, trouble: u64, expiry: u64) -> Self {
        println!("seed {seed}, {transport:?}, trouble {trouble}");
        let secret = SharedSecret::new("secret");
        let mut config = TurnConfig::new(secret.clone());
        config.user_allocations = 1;
        let seed = Seed::from_number(seed);
        let now = Timestamp::from_millis(1);
        let client = |n: u16| {
            let config = ClientConfig {
                transport,
                credentials: secret.credentials(&format!("user {n}"), expiry),
                family: Family::V4,
            };
            let address = SocketAddr::new([5, 5, 5, 5].into(), n + 1);
            let local = addr("9.9.9.9:3478");
            let client = TurnClient::new(config, seed.fork(&format!("client {n}")), now);
            (Client { transport, address, local }, client)
        };
        Self {
            server: TurnServer::new(config, seed.fork("server")),
            clients: vec![client(0), client(1)],
            events: vec![Vec::new(); 2],
            now,
            flying: BTreeMap::new(),
            rng: seed.fork("network").rng(),
            trouble,
            count: 0,
        }
    }

    fn fly(&mut self, packet: &Packet) {
        let is_stream = self.clients[0].0.transport.is_stream();
        let reliable = is_stream || matches!(packet, Packet::Opened(_));
        let copies = match self.rng.between(0, 99) {
            dice if reliable || dice >= 2 * self.trouble => 1,
            dice if dice >= self.trouble => 2,
            _ => 0,
        };
        for _ in 0..copies {
            self.count += 1;
            let most = if reliable { 20 } else { 60 };
            let delay = if is_stream { 20 } else { self.rng.between(5, most) };
            let at = self.now + Duration::from_millis(delay);
            self.flying.insert((at, self.count), packet.clone());
        }
    }

    fn drain(&mut self) {
        for n in 0..self.clients.len() {
            while let Some(output) = self.clients[n].1.poll_output() {
                match output {
                    ClientOutput::Transmit(bytes) => self.fly(&Packet::ToServer(n, bytes)),
                    ClientOutput::Event(event) => self.events[n].push(event),
                }
            }
        }
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Reply { client, bytes } => {
                    let n = self.clients.iter().position(|(of, _)| *of == client).unwrap();
                    self.fly(&Packet::ToClient(n, bytes));
                }
                Output::OpenRelay { id, .. } => self.fly(&Packet::Opened(id)),
                Output::SendFromRelay { .. } => panic!("nothing leaves"),
                Output::CloseRelay { .. } => {}
            }
        }
    }

    /// Goes on to the next happening, but not beyond `end`. Returns false if there is none.
    fn step(&mut self, end: Timestamp) -> bool {
        self.drain();
        let arrival = self.flying.keys().next().map(|(at, _)| *at);
        let deadlines = self.clients.iter().filter_map(|(_, client)| client.poll_timeout());
        let next = arrival.into_iter().chain(deadlines).chain(self.server.poll_timeout()).min();
        let Some(next) = next.filter(|at| *at <= end) else {
            self.now = end;
            return false;
        };
        self.now = self.now.max(next);
        let now = self.now;
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                Packet::ToServer(n, bytes) => self.server.handle(now, self.clients[n].0, &bytes),
                Packet::ToClient(n, bytes) => self.clients[n].1.handle(now, &bytes),
                Packet::Opened(id) => {
                    let port = 50_000 + u16::try_from(id.0).unwrap();
                    let address = SocketAddr::new([9, 9, 9, 9].into(), port);
                    self.server.relay_opened(now, id, Ok(address));
                }
            }
            self.drain();
        }
        for (_, client) in &mut self.clients {
            client.on_timeout(now);
        }
        self.server.on_timeout(now);
        true
    }

    fn run_for(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while self.step(end) {}
    }

    fn relayed(&self, n: usize) -> SocketAddr {
        let relayed = self.events[n].iter().find_map(|event| match event {
            ClientEvent::Allocated { relayed, mapped } => {
                assert_eq!(*mapped, Some(self.clients[n].0.address));
                Some(*relayed)
            }
            _ => None,
        });
        relayed.unwrap_or_else(|| panic!("client {n}: {:?}", self.events[n]))
    }

    /// Sends until it is there, as loss wants it.
    fn says(&mut self, from: usize, to: usize, text: &str) {
        let (peer, sender) = (self.relayed(to), self.relayed(from));
        let wanted = ClientEvent::Received { peer: sender, bytes: text.into() };
        for _ in 0..50 {
            let bytes = self.clients[from].1.send(peer, text.as_bytes()).unwrap();
            self.fly(&Packet::ToServer(from, bytes));
            self.run_for(1);
            if self.events[to].contains(&wanted) {
                return;
            }
        }
        panic!("{:?}", self.events[to]);
    }
}

fn troubles() -> impl Iterator<Item = (u64, Transport, u64)> {
    let udp = (1..=40).map(|seed| (seed, Transport::Udp, seed % 4 * 8));
    udp.chain([(41, Transport::Tcp, 0), (42, Transport::Tls, 0)])
}

#[test]
fn two_clients_speak_for_an_hour_over_a_network_that_loses_and_repeats() {
    for (seed, transport, trouble) in troubles() {
        for with_channel in [false, true] {
            // The credentials are good for 60 s, and the allocations live on.
            let mut world = World::new(seed, transport, trouble, 60);
            world.run_for(45);
            let addresses = [world.relayed(0), world.relayed(1)];
            for n in 0..2 {
                let now = world.now;
                world.clients[n].1.permit(now, addresses[1 - n], with_channel);
            }
            world.run_for(45);
            world.says(0, 1, "hello");
            world.says(1, 0, "and back");
            world.run_for(3_600);
            world.says(0, 1, "still there, of odd length");
            let refused = |event: &ClientEvent| {
                matches!(event, ClientEvent::Failed(_) | ClientEvent::PeerRefused { .. })
            };
            assert!(!world.events.iter().flatten().any(refused), "{:?}", world.events);
            for n in 0..2 {
                let now = world.now;
                world.clients[n].1.end(now);
            }
            world.run_for(45);
            assert_eq!(world.server.allocations(), 0);
            assert!(world.events.iter().all(|of| of.last() == Some(&ClientEvent::Ended)));
            assert!(world.clients.iter().all(|(_, client)| client.poll_timeout().is_none()));
        }
    }
}

#[test]
fn a_server_that_is_silent_or_refuses_is_told() {
    let mut world = World::new(1, Transport::Udp, 50, 60);
    world.trouble = 100;
    world.flying.clear();
    world.run_for(60);
    assert_eq!(world.events[0], [ClientEvent::Failed(ClientError::Silent)]);
    let mut world = World::new(2, Transport::Udp, 0, 0);
    world.run_for(60);
    assert_eq!(world.events[0], [ClientEvent::Failed(ClientError::Refused(401))]);
}

#[test]
fn a_peer_that_is_refused_is_told_and_the_allocation_goes_on() {
    let mut world = World::new(3, Transport::Udp, 0, 60);
    let (now, private) = (world.now, addr("10.0.0.1:1"));
    world.clients[0].1.permit(now, private, true);
    world.run_for(5);
    let refused = ClientEvent::PeerRefused { peer: private, error: ClientError::Refused(403) };
    assert!(world.events[0].contains(&refused), "{:?}", world.events[0]);
    assert_eq!(world.clients[0].1.send(private, b"x"), None);
    world.relayed(0);
}

#[test]
fn the_first_request_is_answered_at_once() {
    let mut world = World::new(4, Transport::Udp, 0, 60);
    let end = world.now + Duration::from_millis(400);
    while world.step(end) {}
    world.relayed(0);
    world.relayed(1);
}

#[test]
fn a_permitted_peer_gets_a_channel_later_and_nothing_is_lost_meanwhile() {
    let mut world = World::new(5, Transport::Udp, 0, 60);
    world.run_for(1);
    let addresses = [world.relayed(0), world.relayed(1)];
    for n in 0..2 {
        let now = world.now;
        world.clients[n].1.permit(now, addresses[1 - n], false);
    }
    world.run_for(1);
    let size = |world: &mut World| world.clients[0].1.send(addresses[1], b"x").unwrap().len();
    let indication = size(&mut world);
    let now = world.now;
    world.clients[0].1.permit(now, addresses[1], true);
    assert_eq!(size(&mut world), indication, "the server does not know the channel yet");
    world.run_for(1);
    assert_eq!(size(&mut world), 5);
    world.says(0, 1, "by channel");
}

#[test]
fn a_peer_that_is_forgotten_is_renewed_no_more_and_gets_the_same_channel_again() {
    let mut world = World::new(6, Transport::Udp, 0, 60);
    world.run_for(1);
    let peer = world.relayed(1);
    let mut channels = Vec::new();
    for _ in 0..2 {
        let now = world.now;
        world.clients[0].1.permit(now, peer, true);
        world.run_for(1);
        channels.push(world.clients[0].1.send(peer, b"x").unwrap()[..2].to_vec());
        world.clients[0].1.forget(peer);
        assert_eq!(world.clients[0].1.send(peer, b"x"), None);
        world.run_for(900);
    }
    assert_eq!(channels[0], channels[1]);
}

#[test]
fn a_server_that_has_lost_the_allocation_is_found_out_when_asked() {
    let mut world = World::new(7, Transport::Udp, 0, 60);
    world.run_for(1);
    world.relayed(0);
    let mut other = World::new(8, Transport::Udp, 0, 60);
    std::mem::swap(&mut world.server, &mut other.server);
    let now = world.now;
    world.clients[0].1.check(now);
    world.run_for(1);
    let lost = ClientEvent::Failed(ClientError::Refused(437));
    assert_eq!(world.events[0].last(), Some(&lost));
}
