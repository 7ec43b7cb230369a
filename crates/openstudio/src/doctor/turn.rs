//! A way through a relay and back: two allocations on a TURN server, and a packet between them.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use openstudio_tls::{ClientTls, ConnectError};
use openstudio_turn::{
    ClientConfig, ClientError, ClientEvent, ClientOutput, Credentials, Family, ServerUrl, Service,
    Transport, TurnClient, length_in_stream,
};
use openstudio_units::{Seed, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;

use super::seat::Stream;

/// How long one step may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How long is waited for a packet before it is sent again, and how often it is sent.
const PATIENCE: Duration = Duration::from_millis(500);
const SENDS: u32 = 4;

/// What goes through.
const PAYLOAD: &[u8] = b"openstudio doctor";

/// The most that is read at once, bytes.
const MAX_READ: usize = 2_048;

/// A TURN server, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) transport: Transport,
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Place {
    /// Reads the URL of a TURN server.
    pub(super) fn read(url: &str) -> Option<Self> {
        let ServerUrl { service, host, port } = ServerUrl::read(url)?;
        match service {
            Service::Turn(transport) => Some(Self { transport, host, port }),
            Service::Stun => None,
        }
    }
}

/// Why nothing came through.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The name leads nowhere.
    Name,
    /// It cannot be connected to, or the connection is gone.
    Network(io::Error),
    /// The handshake failed.
    Tls(ConnectError),
    /// It does not answer.
    Silent,
    /// It refuses with this code.
    Refused(u16),
    /// It gives addresses, and packets between them are lost.
    Lost,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Network(error)
    }
}

/// Sends a packet through two relayed addresses and back; returns how long that took.
pub(super) async fn round_trip(
    place: &Place,
    credentials: &Credentials,
    tls: &ClientTls,
) -> Result<Duration, Trouble> {
    let first = End::allocate(place, (credentials, Family::V4), tls).await;
    let family = if matches!(first, Err(Trouble::Refused(440))) { Family::V6 } else { Family::V4 };
    let mut first = match first {
        Err(Trouble::Refused(440)) => End::allocate(place, (credentials, family), tls).await?,
        other => other?,
    };
    let mut second = End::allocate(place, (credentials, family), tls).await?;
    first.permit(second.relayed).await?;
    second.permit(first.relayed).await?;
    let mut taken = None;
    for _ in 0..SENDS {
        let sent = Instant::now();
        first.send(second.relayed).await?;
        if !second.hears(first.relayed).await? {
            continue;
        }
        second.send(first.relayed).await?;
        if first.hears(second.relayed).await? {
            taken = Some(sent.elapsed());
            break;
        }
    }
    for end in [&mut first, &mut second] {
        end.give_back().await;
    }
    taken.ok_or(Trouble::Lost)
}

enum Way {
    Udp(UdpSocket),
    Stream(Box<dyn Stream>),
}

/// A client of the relay.
struct End {
    client: TurnClient,
    way: Way,
    begun: Instant,
    /// What came in a stream and is no whole message yet.
    bytes: Vec<u8>,
    relayed: SocketAddr,
}

impl End {
    async fn allocate(
        place: &Place,
        (credentials, family): (&Credentials, Family),
        tls: &ClientTls,
    ) -> Result<Self, Trouble> {
        let limited = timeout(LIMIT, open(place, tls)).await;
        let (way, server) = limited.map_err(|_| Trouble::Silent)??;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(io::Error::other)?;
        let config =
            ClientConfig { transport: place.transport, credentials: credentials.clone(), family };
        let client = TurnClient::new(config, Seed(seed), Timestamp::ZERO);
        let (begun, bytes) = (Instant::now(), Vec::new());
        let mut end = Self { client, way, begun, bytes, relayed: server };
        match end.next(LIMIT).await? {
            Some(ClientEvent::Allocated { relayed, .. }) => end.relayed = relayed,
            Some(ClientEvent::Failed(ClientError::Refused(code))) => {
                return Err(Trouble::Refused(code));
            }
            _ => return Err(Trouble::Silent),
        }
        Ok(end)
    }

    async fn permit(&mut self, peer: SocketAddr) -> Result<(), Trouble> {
        self.client.permit(self.now(), peer, true);
        match self.next(LIMIT).await? {
            Some(ClientEvent::Permitted { .. }) => Ok(()),
            Some(ClientEvent::PeerRefused { error: ClientError::Refused(code), .. }) => {
                Err(Trouble::Refused(code))
            }
            _ => Err(Trouble::Silent),
        }
    }

    async fn send(&mut self, peer: SocketAddr) -> Result<(), Trouble> {
        let Some(bytes) = self.client.send(peer, PAYLOAD) else { return Err(Trouble::Lost) };
        self.transmit(&bytes).await
    }

    /// Whether the packet comes from this peer.
    async fn hears(&mut self, peer: SocketAddr) -> Result<bool, Trouble> {
        let heard = ClientEvent::Received { peer, bytes: PAYLOAD.to_vec() };
        Ok(self.next(PATIENCE).await?.is_some_and(|event| event == heard))
    }

    /// The server forgets an allocation by itself if this does not reach it.
    async fn give_back(&mut self) {
        self.client.end(self.now());
        let _ = self.next(PATIENCE).await;
    }

    /// Waits for what happens next, for so long.
    async fn next(&mut self, limit: Duration) -> Result<Option<ClientEvent>, Trouble> {
        let deadline = Instant::now() + limit;
        loop {
            while let Some(output) = self.client.poll_output() {
                match output {
                    ClientOutput::Transmit(bytes) => self.transmit(&bytes).await?,
                    ClientOutput::Event(event) => return Ok(Some(event)),
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let due = self.client.poll_timeout().map_or(left, |at| at.since(self.now()));
            match timeout(due.min(left), self.receive()).await {
                Ok(received) => received?,
                Err(_) => self.client.on_timeout(self.now()),
            }
        }
    }

    async fn transmit(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        match &mut self.way {
            Way::Udp(socket) => drop(socket.send(bytes).await?),
            Way::Stream(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await?;
            }
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<(), Trouble> {
        let mut buffer = [0; MAX_READ];
        let now = self.now();
        match &mut self.way {
            Way::Udp(socket) => {
                // An error is what an ICMP message said of an earlier packet: a closed port.
                let length = socket.recv(&mut buffer).await?;
                self.client.handle(now, buffer.get(..length).unwrap_or_default());
            }
            Way::Stream(stream) => {
                let length = stream.read(&mut buffer).await?;
                if length == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                self.bytes.extend_from_slice(buffer.get(..length).unwrap_or_default());
                while let Some(length) = length_in_stream(&self.bytes)
                    .map_err(io::Error::other)?
                    .filter(|length| *length <= self.bytes.len())
                {
                    let message: Vec<u8> = self.bytes.drain(..length).collect();
                    self.client.handle(now, &message);
                }
            }
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.begun.elapsed()
    }
}

/// Opens the way to a server.
async fn open(place: &Place, tls: &ClientTls) -> Result<(Way, SocketAddr), Trouble> {
    let Place { transport, host, port } = place;
    let mut found = lookup_host((&**host, *port)).await.map_err(|_| Trouble::Name)?;
    let server = found.next().ok_or(Trouble::Name)?;
    let way = match transport {
        Transport::Udp => {
            let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(server).await?;
            Way::Udp(socket)
        }
        Transport::Tcp => Way::Stream(Box::new(TcpStream::connect(server).await?)),
        Transport::Tls => match tls.connect(&authority(host, *port)).await {
            Ok(stream) => Way::Stream(Box::new(stream)),
            Err(error) => return Err(Trouble::Tls(error)),
        },
    };
    Ok((way, server))
}

/// `HOST:PORT`, with an IPv6 address in brackets.
fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
