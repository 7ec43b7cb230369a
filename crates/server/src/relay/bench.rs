//! A driver and clients by streams, in memory, for tests of the relay's parts.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use openstudio_turn::{
    Client, ClientConfig, ClientEvent, ClientOutput, Family, PeerPolicy, SharedSecret, Transport,
    TurnClient, TurnConfig, length_in_stream,
};
use openstudio_units::{Seed, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::clock::RelayClock;
use super::driver::Driver;
use super::udp::{Port, Sockets};
use super::{RelayConfig, streams};

/// A relay that opens its sockets at 127.0.0.1 and refuses no peer that is public.
pub(super) struct Bench {
    pub(super) driver: Arc<Driver>,
    secret: SharedSecret,
    clock: RelayClock,
}

/// A client's end of a stream.
pub(super) struct Far {
    stream: DuplexStream,
    turn: Option<TurnClient>,
}

/// A Binding request.
pub(super) fn binding() -> Vec<u8> {
    b"\x00\x01\x00\x00\x21\x12\xA4\x42twelve bytes".to_vec()
}

impl Bench {
    pub(super) fn new() -> Self {
        let listen = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let (config, seed) = (RelayConfig::new(listen), Seed::from_number(1));
        let (secret, clock) = (SharedSecret::new("secret"), RelayClock::start());
        let mut turn = TurnConfig::new(secret.clone());
        turn.policy = PeerPolicy::default();
        let sockets = Sockets::new((Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), None), &config, seed);
        let ways = (Port::listen(listen).unwrap(), Handle::current());
        let driver = Arc::new(Driver::new((turn, seed), clock, sockets, ways));
        Self { driver, secret, clock }
    }

    /// Opens a stream, from a port of its own.
    pub(super) fn connect(&self, port: u16) -> Far {
        let (stream, near) = tokio::io::duplex(4096);
        let place = |port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        let client = Client { transport: Transport::Tcp, address: place(port), local: place(9) };
        let driver = Arc::clone(&self.driver);
        let deadline = Instant::now() + Duration::from_secs(30);
        tokio::spawn(async move { streams::serve(&driver, near, client, deadline).await });
        Far { stream, turn: None }
    }

    /// Makes an allocation and returns its address.
    pub(super) async fn allocate(&self, far: &mut Far) -> SocketAddr {
        let expiry = self.clock.unix_time().as_secs() + 100;
        let config = ClientConfig {
            transport: Transport::Tcp,
            credentials: self.secret.credentials("ada", expiry),
            family: Family::V4,
        };
        far.turn = Some(TurnClient::new(config, Seed::from_number(2), Timestamp::ZERO));
        let event = far.next().await;
        let ClientEvent::Allocated { relayed, .. } = event else { panic!("{event:?}") };
        relayed
    }
}

impl Far {
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Whether the relay says something, and does not close the stream.
    pub(super) async fn answers(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 4096]).await, Ok(1..))
    }

    /// Whether the relay refuses to have to do with a peer.
    pub(super) async fn is_refused(&mut self, peer: SocketAddr) -> bool {
        self.turn.as_mut().unwrap().permit(Timestamp::ZERO, peer, false);
        matches!(self.next().await, ClientEvent::PeerRefused { .. })
    }

    async fn next(&mut self) -> ClientEvent {
        let turn = self.turn.as_mut().unwrap();
        let mut bytes = Vec::new();
        loop {
            while let Some(output) = turn.poll_output() {
                match output {
                    ClientOutput::Transmit(bytes) => self.stream.write_all(&bytes).await.unwrap(),
                    ClientOutput::Event(event) => return event,
                }
            }
            assert!(self.stream.read_buf(&mut bytes).await.unwrap() > 0, "the stream is closed");
            while let Some(length) =
                length_in_stream(&bytes).unwrap().filter(|length| *length <= bytes.len())
            {
                let message: Vec<u8> = bytes.drain(..length).collect();
                turn.handle(Timestamp::ZERO, &message);
            }
        }
    }
}
