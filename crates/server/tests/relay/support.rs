//! A studio with a relay, and participants who use it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use openstudio_server::tls::{ClientTls, Reload, Tls, Trust};
use openstudio_server::{RelayConfig, Server, ServerConfig};
use openstudio_turn::{
    ClientConfig, ClientEvent, ClientOutput, Credentials, Family, Transport, TurnClient,
    length_in_stream,
};
use openstudio_units::{PeerId, Seed, Timestamp};
use openstudio_wire::{IceConfig, ServerMessage};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long anything may take before the test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server with a relay on loopback, and a folder that goes with it.
pub(crate) struct Studio {
    pub(crate) address: SocketAddr,
    pub(crate) relay: Option<SocketAddr>,
    pub(crate) relay_tls: Option<SocketAddr>,
    /// Has the certificate looked at.
    pub(crate) reload: Option<Reload>,
    /// Believes the certificate that the studio signed itself.
    trust: Option<ClientTls>,
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
    pub(crate) async fn start(name: &str, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let dir = folder(name);
        let mut config = ServerConfig::new(dir.clone());
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.relay = Some(RelayConfig {
            tls_listen: Some(config.listen),
            ..RelayConfig::new(config.listen)
        });
        change(&mut config);
        let server = Server::bind(config).await.unwrap();
        let (address, relay, relay_tls) =
            (server.local_addr(), server.relay_addr(), server.relay_tls_addr());
        let reload = server.tls().map(Tls::reload);
        let shown = server.tls().and_then(Tls::self_signed_path);
        let trust = shown.map(|path| Trust::File(path).load().unwrap());
        let running = tokio::spawn(server.run(std::future::pending()));
        Self { address, relay, relay_tls, reload, trust, running, dir }
    }
}

/// A folder of a test.
pub(crate) fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("openstudio-{name}-{}", std::process::id()))
}

/// A connection of either kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A WebSocket, as far as a participant needs it here (RFC 6455).
pub(crate) struct Socket(Box<dyn Stream>);

impl Socket {
    async fn open(studio: &Studio, peer: u8) -> Self {
        let mut stream: Box<dyn Stream> = match &studio.trust {
            Some(tls) => Box::new(tls.connect(&studio.address.to_string()).await.unwrap()),
            None => Box::new(TcpStream::connect(studio.address).await.unwrap()),
        };
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

    pub(crate) async fn next(&mut self) -> ServerMessage {
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
pub(crate) async fn two_seats(studio: &Studio) -> (Socket, [IceConfig; 2]) {
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
    Stream(Box<dyn Stream>),
}

/// Drives a client.
pub(crate) struct Caller {
    pub(crate) client: TurnClient,
    way: Way,
    started: Instant,
    bytes: Vec<u8>,
}

impl Caller {
    pub(crate) async fn new(studio: &Studio, ice: &IceConfig, transport: Transport) -> Self {
        let relay = studio.relay.unwrap();
        let server = &ice.turn[0];
        let credentials =
            Credentials { username: server.username.clone(), password: server.credential.clone() };
        let config = ClientConfig { transport, credentials, family: Family::of(relay.ip()) };
        let way = match transport {
            Transport::Udp => {
                let socket = UdpSocket::bind((relay.ip(), 0)).await.unwrap();
                socket.connect(relay).await.unwrap();
                Way::Udp(socket)
            }
            Transport::Tcp => Way::Stream(Box::new(TcpStream::connect(relay).await.unwrap())),
            Transport::Tls => {
                let (tls, place) = (studio.trust.as_ref().unwrap(), studio.relay_tls.unwrap());
                Way::Stream(Box::new(tls.connect(&place.to_string()).await.unwrap()))
            }
        };
        let seed = Seed::from_number(relay.port().into()).fork(&server.username);
        let client = TurnClient::new(config, seed, Timestamp::ZERO);
        Self { client, way, started: Instant::now(), bytes: Vec::new() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.started.elapsed()
    }

    async fn transmit(&mut self, bytes: &[u8]) {
        match &mut self.way {
            Way::Udp(socket) => drop(socket.send(bytes).await.unwrap()),
            Way::Stream(stream) => {
                stream.write_all(bytes).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
    }

    pub(crate) async fn next(&mut self) -> ClientEvent {
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
                    Way::Stream(stream) => stream.read(&mut buffer).await.unwrap(),
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

    pub(crate) async fn allocated(&mut self) -> SocketAddr {
        match self.next().await {
            ClientEvent::Allocated { relayed, .. } => relayed,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn permit(&mut self, peer: SocketAddr, with_channel: bool) -> ClientEvent {
        self.client.permit(self.now(), peer, with_channel);
        self.next().await
    }

    pub(crate) async fn say(&mut self, peer: SocketAddr, text: &str) {
        let bytes = self.client.send(peer, text.as_bytes()).unwrap();
        self.transmit(&bytes).await;
    }
}
