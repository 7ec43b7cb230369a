//! The relay with real sockets: credentials from a seat, allocations by UDP and TCP, packets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use openstudio_server::{RelayConfig, Server, ServerConfig, SharedTurn};
use openstudio_turn::{
    ClientConfig, ClientError, ClientEvent, ClientOutput, Credentials, Family, Transport,
    TurnClient, length_in_stream,
};
use openstudio_units::{PeerId, Seed, Timestamp};
use openstudio_wire::{IceConfig, ServerMessage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with a relay on loopback, and a folder that goes with it.
struct Studio {
    address: SocketAddr,
    relay: Option<SocketAddr>,
    running: tokio::task::JoinHandle<()>,
    dir: PathBuf,
}

impl Drop for Studio {
    fn drop(&mut self) {
        self.running.abort();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Studio {
    async fn start(name: &str, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let dir = std::env::temp_dir().join(format!("openstudio-{name}-{}", std::process::id()));
        let mut config = ServerConfig::new(dir.clone());
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.relay = Some(RelayConfig::new(config.listen));
        change(&mut config);
        let server = Server::bind(config).await.unwrap();
        let (address, relay) = (server.local_addr(), server.relay_addr());
        let running = tokio::spawn(server.run(std::future::pending()));
        Self { address, relay, running, dir }
    }
}

/// A WebSocket, as far as a participant needs it here (RFC 6455).
struct Socket(TcpStream);

impl Socket {
    async fn open(studio: &Studio, peer: u8) -> Self {
        let mut stream = TcpStream::connect(studio.address).await.unwrap();
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            studio.address
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let mut socket = Self(stream);
        let id = PeerId::from_random_bytes([peer; 16]);
        socket.send(&format!(r#"{{"type":"register","peerId":"{id}"}}"#)).await;
        socket
    }

    async fn send(&mut self, text: &str) {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 126);
        let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
        frame.extend(text.as_bytes());
        self.0.write_all(&frame).await.unwrap();
    }

    async fn next(&mut self) -> ServerMessage {
        loop {
            let kind = self.0.read_u8().await.unwrap() & 0x0F;
            let length = match self.0.read_u8().await.unwrap() {
                126 => usize::from(self.0.read_u16().await.unwrap()),
                length => usize::from(length),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.unwrap();
            if kind == 1 {
                return ServerMessage::parse(std::str::from_utf8(&payload).unwrap()).unwrap();
            }
        }
    }
}

/// Two participants of a room, and what they are told about relays.
async fn two_seats(studio: &Studio) -> (Socket, [IceConfig; 2]) {
    let mut host = Socket::open(studio, 1).await;
    host.send(r#"{"type":"create-room"}"#).await;
    let (room, first) = loop {
        if let ServerMessage::RoomCreated { room_id, seat, .. } = host.next().await {
            break (room_id, seat.ice);
        }
    };
    let mut caller = Socket::open(studio, 2).await;
    caller.send(&format!(r#"{{"type":"join-room","roomId":"{room}"}}"#)).await;
    let second = loop {
        if let ServerMessage::RoomJoined { seat, .. } = caller.next().await {
            break seat.ice;
        }
    };
    (host, [first, second])
}

enum Way {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

/// Drives a client.
struct Caller {
    client: TurnClient,
    way: Way,
    started: Instant,
    bytes: Vec<u8>,
}

impl Caller {
    async fn new(relay: SocketAddr, ice: &IceConfig, transport: Transport) -> Self {
        let server = &ice.turn[0];
        let credentials =
            Credentials { username: server.username.clone(), password: server.credential.clone() };
        let config = ClientConfig { transport, credentials, family: Family::V4 };
        let way = if transport.is_stream() {
            Way::Tcp(TcpStream::connect(relay).await.unwrap())
        } else {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.connect(relay).await.unwrap();
            Way::Udp(socket)
        };
        let seed = Seed::from_number(relay.port().into()).fork(&server.username);
        let client = TurnClient::new(config, seed, Timestamp::ZERO);
        Self { client, way, started: Instant::now(), bytes: Vec::new() }
    }

    fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.started.elapsed()
    }

    async fn transmit(&mut self, bytes: &[u8]) {
        match &mut self.way {
            Way::Udp(socket) => drop(socket.send(bytes).await.unwrap()),
            Way::Tcp(stream) => stream.write_all(bytes).await.unwrap(),
        }
    }

    async fn next(&mut self) -> ClientEvent {
        loop {
            while let Some(output) = self.client.poll_output() {
                match output {
                    ClientOutput::Transmit(bytes) => self.transmit(&bytes).await,
                    ClientOutput::Event(event) => return event,
                }
            }
            let due = self.client.poll_timeout().map(|at| at.since(self.now()));
            let mut buffer = [0; 2048];
            let read = async {
                match &mut self.way {
                    Way::Udp(socket) => socket.recv(&mut buffer).await.unwrap(),
                    Way::Tcp(stream) => stream.read(&mut buffer).await.unwrap(),
                }
            };
            match timeout(due.unwrap_or(PATIENCE), read).await {
                Ok(length) => self.received(&buffer[..length]),
                Err(_) => self.client.on_timeout(self.now()),
            }
        }
    }

    fn received(&mut self, bytes: &[u8]) {
        let now = self.now();
        if matches!(self.way, Way::Udp(_)) {
            return self.client.handle(now, bytes);
        }
        assert!(!bytes.is_empty(), "the relay closed the stream");
        self.bytes.extend(bytes);
        while let Some(length) =
            length_in_stream(&self.bytes).unwrap().filter(|length| *length <= self.bytes.len())
        {
            let message: Vec<u8> = self.bytes.drain(..length).collect();
            self.client.handle(now, &message);
        }
    }

    async fn allocated(&mut self) -> SocketAddr {
        match self.next().await {
            ClientEvent::Allocated { relayed, .. } => relayed,
            other => panic!("{other:?}"),
        }
    }

    async fn permit(&mut self, peer: SocketAddr, with_channel: bool) -> ClientEvent {
        self.client.permit(self.now(), peer, with_channel);
        self.next().await
    }

    async fn say(&mut self, peer: SocketAddr, text: &str) {
        let bytes = self.client.send(peer, text.as_bytes()).unwrap();
        self.transmit(&bytes).await;
    }
}

#[tokio::test]
async fn participants_speak_through_the_relay_by_udp_and_tcp() {
    let all = async {
        let studio = Studio::start("relays", |config| {
            config.relay.as_mut().unwrap().allowed = vec!["127.0.0.0/8".parse().unwrap()];
        })
        .await;
        let relay = studio.relay.unwrap();
        let (_host, [first, second]) = two_seats(&studio).await;
        assert_eq!(first.turn[0].urls[0], format!("turn:{relay}?transport=udp"));
        assert_eq!(first.stun, [format!("stun:{relay}")]);
        assert_ne!(first.turn[0].username, second.turn[0].username);
        let sink = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let outside = sink.local_addr().unwrap();
        for with_channel in [false, true] {
            let mut ada = Caller::new(relay, &first, Transport::Udp).await;
            let mut bob = Caller::new(relay, &second, Transport::Tcp).await;
            let (of_ada, of_bob) = (ada.allocated().await, bob.allocated().await);
            let permitted = |peer| ClientEvent::Permitted { peer };
            assert_eq!(ada.permit(of_bob, with_channel).await, permitted(of_bob));
            assert_eq!(bob.permit(of_ada, with_channel).await, permitted(of_ada));
            ada.say(of_bob, "hello").await;
            let heard = ClientEvent::Received { peer: of_ada, bytes: "hello".into() };
            assert_eq!(bob.next().await, heard);
            bob.say(of_ada, "and back").await;
            let heard = ClientEvent::Received { peer: of_bob, bytes: "and back".into() };
            assert_eq!(ada.next().await, heard);
            for (caller, relayed) in [(&mut ada, of_ada), (&mut bob, of_bob)] {
                assert_eq!(caller.permit(outside, with_channel).await, permitted(outside));
                caller.say(outside, "out").await;
                let mut buffer = [0; 64];
                let (length, from) = sink.recv_from(&mut buffer).await.unwrap();
                assert_eq!((&buffer[..length], from), (b"out".as_slice(), relayed));
                sink.send_to(b"in", relayed).await.unwrap();
                let heard = ClientEvent::Received { peer: outside, bytes: b"in".to_vec() };
                assert_eq!(caller.next().await, heard);
                caller.client.end(caller.now());
                assert_eq!(caller.next().await, ClientEvent::Ended);
            }
        }
    };
    timeout(PATIENCE, all).await.unwrap();
}

#[tokio::test]
async fn without_leave_nothing_reaches_the_machines_own_network() {
    let all = async {
        let studio = Studio::start("refuses", |_| {}).await;
        let (_host, [first, _]) = two_seats(&studio).await;
        let sink = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let outside = sink.local_addr().unwrap();
        for transport in [Transport::Udp, Transport::Tcp] {
            for with_channel in [false, true] {
                let mut ada = Caller::new(studio.relay.unwrap(), &first, transport).await;
                ada.allocated().await;
                let error = ClientError::Refused(403);
                let refused = ClientEvent::PeerRefused { peer: outside, error };
                assert_eq!(ada.permit(outside, with_channel).await, refused);
                ada.client.end(ada.now());
                assert_eq!(ada.next().await, ClientEvent::Ended);
            }
        }
        // The first that arrives is what was sent past the relay.
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        other.send_to(b"marker", outside).await.unwrap();
        let mut buffer = [0; 64];
        let (length, _) = sink.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"marker");
    };
    timeout(PATIENCE, all).await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_leaves_the_studio_open_without_a_relay() {
    let taken = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let studio = Studio::start("taken", |config| {
        config.relay = Some(RelayConfig::new(address));
        let urls = vec!["turn:elsewhere.example:3478".to_owned()];
        config.turn_shared = vec![SharedTurn { urls, secret: "north".to_owned() }];
    })
    .await;
    assert_eq!(studio.relay, None);
    let (_host, [first, second]) = timeout(PATIENCE, two_seats(&studio)).await.unwrap();
    assert!(first.stun.is_empty());
    assert_eq!(first.turn.len(), 1, "the one that shares a secret");
    assert_ne!(first.turn[0].credential, second.turn[0].credential);
}

#[tokio::test]
async fn a_stream_of_something_else_is_closed() {
    let studio = Studio::start("nonsense", |_| {}).await;
    let mut stream = TcpStream::connect(studio.relay.unwrap()).await.unwrap();
    stream.write_all(b"\xFF\xFF\xFF\xFF").await.unwrap();
    let mut rest = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty() && read.is_ok());
}
