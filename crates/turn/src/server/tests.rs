//! The server alone: authentication, errors, policy, quotas, limits.

#![allow(clippy::arithmetic_side_effects, reason = "a test fails by panicking")]

mod peers;
mod quota;
mod strangers;

use std::net::SocketAddr;

use openstudio_units::{Seed, Timestamp};
use stun_types::AddressFamily;
use stun_types::attribute::{ErrorCode, Nonce, Realm, Username};
use stun_types::message::{Message, MessageClass, Method, TransactionId};
use stun_types::prelude::AttributeWrite;
use turn_types::attribute::{
    ChannelNumber, Lifetime, RequestedAddressFamily, RequestedTransport, XorPeerAddress,
};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH};

use super::*;
use crate::stun::{self, Writer, attribute};
use crate::{Credentials, Prefix};

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn udp(address: &str) -> Client {
    Client { transport: Transport::Udp, address: addr(address), local: addr("9.9.9.9:3478") }
}

fn secret() -> SharedSecret {
    SharedSecret::new("secret")
}

/// A server with a driver that opens relays as 9.9.9.9 or 2600::9.
struct Bench {
    server: TurnServer,
    now: Timestamp,
    port: u16,
    transaction: u128,
    credentials: Credentials,
    /// Relays that were asked for and not opened yet.
    opening: Vec<(RelayId, Family)>,
    sent: Vec<(SocketAddr, Vec<u8>)>,
    /// Whom the replies went to, all of them.
    to: Vec<Client>,
    replies: Vec<Vec<u8>>,
    closed: Vec<RelayId>,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut TurnConfig)) -> Self {
        let mut config = TurnConfig::new(secret());
        config.policy = PeerPolicy::new(Vec::new(), vec![addr("9.9.9.9:1").ip()]);
        change(&mut config);
        Self {
            server: TurnServer::new(config, Seed::from_number(1)),
            now: NOW,
            port: 50_000,
            transaction: 0,
            credentials: secret().credentials("ada", 100),
            opening: Vec::new(),
            sent: Vec::new(),
            to: Vec::new(),
            replies: Vec::new(),
            closed: Vec::new(),
        }
    }

    fn allowing(blocks: &[&str]) -> Self {
        let blocks: Vec<Prefix> = blocks.iter().map(|block| block.parse().unwrap()).collect();
        Self::with(|config| config.policy = PeerPolicy::new(blocks, Vec::new()))
    }

    fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Reply { client, bytes } => {
                    self.to.push(client);
                    self.replies.push(bytes);
                }
                Output::OpenRelay { id, family } => self.opening.push((id, family)),
                Output::SendFromRelay { peer, bytes, .. } => self.sent.push((peer, bytes)),
                Output::CloseRelay { id } => self.closed.push(id),
            }
        }
    }

    fn open(&mut self) {
        for (id, family) in std::mem::take(&mut self.opening) {
            self.port += 1;
            let ip = match family {
                Family::V4 => addr("9.9.9.9:1").ip(),
                Family::V6 => addr("[2600::9]:1").ip(),
            };
            self.server.relay_opened(self.now, id, Ok(SocketAddr::new(ip, self.port)));
        }
        self.drain();
    }

    fn feed(&mut self, client: Client, bytes: &[u8]) {
        self.server.handle(self.now, client, bytes);
        self.drain();
    }

    fn next_transaction(&mut self) -> TransactionId {
        self.transaction += 1;
        self.transaction.into()
    }

    /// Writes a signed request with a nonce of the server's.
    fn signed(
        &self,
        client: Client,
        (method, id): (Method, TransactionId),
        attributes: &[&dyn AttributeWrite],
    ) -> Vec<u8> {
        let nonce = self.server.nonces.issue(self.now, client.address);
        let Credentials { username, password } = &self.credentials;
        let mut writer = Writer::new(MessageClass::Request, method, id);
        for attribute in attributes {
            writer = writer.add(*attribute);
        }
        writer
            .add(&Username::new(username).unwrap())
            .add(&Realm::new("os").unwrap())
            .add(&Nonce::new(&nonce).unwrap())
            .sign(Some(&stun::key(username, "os", password)))
            .finish()
    }

    /// Sends a signed request and returns the code of its answer, 0 for success.
    fn ask(
        &mut self,
        client: Client,
        method: Method,
        attributes: &[&dyn AttributeWrite],
    ) -> Option<u16> {
        let id = self.next_transaction();
        self.ask_as(client, (method, id), attributes)
    }

    fn ask_as(
        &mut self,
        client: Client,
        (method, id): (Method, TransactionId),
        attributes: &[&dyn AttributeWrite],
    ) -> Option<u16> {
        let request = self.signed(client, (method, id), attributes);
        self.replies.clear();
        self.feed(client, &request);
        self.replies.first().map(|reply| code(reply))
    }

    /// Allocates, with the relay opened at once.
    fn allocate(&mut self, client: Client, family: Option<AddressFamily>) -> u16 {
        let udp = RequestedTransport::new(17);
        let family = family.map(RequestedAddressFamily::new);
        let mut attributes: Vec<&dyn AttributeWrite> = vec![&udp];
        attributes.extend(family.as_ref().map(|family| -> &dyn AttributeWrite { family }));
        if let Some(code) = self.ask(client, ALLOCATE, &attributes) {
            return code;
        }
        self.open();
        code(self.replies.first().unwrap())
    }
}

fn code(reply: &[u8]) -> u16 {
    let message: Message<'_> = stun::parse(reply).unwrap();
    match message.class() {
        MessageClass::Success => 0,
        MessageClass::Request | MessageClass::Indication | MessageClass::Error => {
            attribute::<ErrorCode>(&message).unwrap().code()
        }
    }
}

#[test]
fn an_allocation_lives_as_long_as_it_is_refreshed() {
    let mut bench = Bench::new();
    let client = udp("5.5.5.5:5");
    assert_eq!(bench.allocate(client, None), 0);
    bench.now = NOW + Duration::from_secs(599);
    bench.server.on_timeout(bench.now);
    // The credential expired at 100 s, which a running allocation does not mind.
    assert_eq!(bench.ask(client, REFRESH, &[&Lifetime::new(9_999)]), Some(0));
    assert_eq!(bench.server.poll_timeout(), Some(bench.now + Duration::from_secs(3_600)));
    assert_eq!(bench.ask(client, REFRESH, &[&Lifetime::new(1)]), Some(0));
    assert_eq!(bench.server.poll_timeout(), Some(bench.now + Duration::from_secs(600)));
    bench.now = bench.now + Duration::from_secs(600);
    assert_eq!(bench.ask(client, REFRESH, &[]), Some(437), "over, timer or not");
    bench.server.on_timeout(bench.now);
    bench.drain();
    assert_eq!(bench.closed, [RelayId(0)]);
    assert_eq!((bench.server.allocations(), bench.server.poll_timeout()), (0, None));
}

#[test]
fn expired_credentials_serve_the_allocation_they_made_and_no_new_one() {
    let mut bench = Bench::new();
    let client = udp("5.5.5.5:5");
    assert_eq!(bench.allocate(client, None), 0);
    bench.now = NOW + Duration::from_secs(200);
    let peer = XorPeerAddress::new(addr("8.8.8.8:8"), 0.into());
    let channel = ChannelNumber::new(0x4000);
    let asked: [(Method, Vec<&dyn AttributeWrite>); 3] = [
        (REFRESH, Vec::new()),
        (CREATE_PERMISSION, vec![&peer]),
        (CHANNEL_BIND, vec![&channel, &peer]),
    ];
    for (method, attributes) in asked {
        assert_eq!(bench.ask(client, method, &attributes), Some(0), "{method}");
    }
    assert_eq!(bench.allocate(udp("5.5.5.5:6"), None), 401, "expired 100 s ago");
    // Renewed credentials are for new allocations: a running one is its maker's.
    let (expired, renewed) = (bench.credentials.clone(), secret().credentials("ada", 500));
    bench.credentials = renewed;
    assert_eq!(bench.allocate(udp("5.5.5.5:6"), None), 0);
    assert_eq!(bench.ask(client, REFRESH, &[]), Some(441));
    bench.credentials = expired;
    assert_eq!(bench.ask(client, REFRESH, &[]), Some(0));
}

#[test]
fn a_lifetime_of_zero_ends_it() {
    let mut bench = Bench::new();
    assert_eq!(bench.allocate(udp("5.5.5.5:5"), None), 0);
    assert_eq!(bench.ask(udp("5.5.5.5:5"), REFRESH, &[&Lifetime::new(0)]), Some(0));
    assert_eq!(bench.closed, [RelayId(0)]);
    assert_eq!(bench.ask(udp("5.5.5.5:5"), REFRESH, &[]), Some(437));
    assert!(bench.server.users.is_empty() && bench.server.relayed.is_empty());
}

#[test]
fn a_repeated_allocate_gets_the_same_answer_and_another_one_437() {
    let mut bench = Bench::new();
    let (client, udp) = (udp("5.5.5.5:5"), RequestedTransport::new(17));
    assert_eq!(bench.ask_as(client, (ALLOCATE, 7.into()), &[&udp]), None);
    assert_eq!(bench.ask_as(client, (ALLOCATE, 7.into()), &[&udp]), None, "it waits");
    assert_eq!(bench.ask_as(client, (ALLOCATE, 8.into()), &[&udp]), Some(437));
    assert_eq!(bench.opening.len(), 1);
    bench.open();
    let first = bench.replies.pop().unwrap();
    assert_eq!(bench.ask_as(client, (ALLOCATE, 7.into()), &[&udp]), Some(0));
    assert_eq!(bench.replies, [first]);
    assert_eq!(bench.ask(client, ALLOCATE, &[&udp]), Some(437));
}

#[test]
fn a_stream_takes_its_allocation_along_even_while_it_is_opened() {
    let mut bench = Bench::new();
    let client = Client { transport: Transport::Tcp, ..udp("5.5.5.5:5") };
    assert_eq!(bench.allocate(client, None), 0);
    bench.server.stream_closed(client);
    bench.drain();
    assert_eq!(bench.closed, [RelayId(0)]);
    assert_eq!(bench.ask(client, ALLOCATE, &[&RequestedTransport::new(17)]), None);
    bench.server.stream_closed(client);
    bench.open();
    assert_eq!(bench.closed, [RelayId(0), RelayId(1)]);
    assert!(bench.server.users.is_empty());
}

#[test]
fn requests_that_are_wrong_get_the_code_of_the_rfc() {
    let mut bench = Bench::with(|config| config.families = (true, false));
    let client = udp("5.5.5.5:5");
    assert_eq!(bench.ask(client, ALLOCATE, &[]), Some(400));
    assert_eq!(bench.ask(client, ALLOCATE, &[&RequestedTransport::new(6)]), Some(442));
    assert_eq!(bench.allocate(client, Some(AddressFamily::IPV6)), 440);
    let dont_fragment = turn_types::attribute::DontFragment::new();
    let udp_transport = RequestedTransport::new(17);
    assert_eq!(bench.ask(client, ALLOCATE, &[&udp_transport, &dont_fragment]), Some(420));
    assert_eq!(bench.ask(client, REFRESH, &[]), Some(437));
    assert_eq!(bench.allocate(client, Some(AddressFamily::IPV4)), 0);
    let v6 = RequestedAddressFamily::new(AddressFamily::IPV6);
    assert_eq!(bench.ask(client, REFRESH, &[&v6]), Some(443));
    bench.credentials = secret().credentials("bob", 100);
    assert_eq!(bench.ask(client, REFRESH, &[]), Some(441));
}

#[test]
fn no_socket_means_508() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask(udp("5.5.5.5:5"), ALLOCATE, &[&RequestedTransport::new(17)]), None);
    bench.server.relay_opened(NOW, RelayId(0), Err(RelayError));
    bench.drain();
    assert_eq!(code(&bench.replies[0]), 508);
    assert!(bench.server.users.is_empty());
    assert_eq!(bench.allocate(udp("5.5.5.5:5"), None), 0);
}
