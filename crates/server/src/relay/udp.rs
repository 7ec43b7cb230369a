//! Datagrams: where clients come, and where peers come.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use openstudio_turn::{Family, RelayId};
use openstudio_units::{Rng, Seed};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::RelayConfig;
use super::driver::Driver;

/// What the system is asked to keep for a reader that is late: 100 ms of 200 voices, several
/// times over. It gives less if it has less.
const RECEIVE_BUFFER: usize = 4 << 20;

/// The largest datagram there is, and the largest that a relay takes from a peer: more than any
/// network carries in one piece.
const LARGEST: usize = 1 << 16;
const LARGEST_RELAYED: usize = 4 << 10;

/// How many datagrams are taken from a socket before others have their turn.
const BATCH: usize = 32;

/// How long to wait after a read that failed, so that one that always fails costs nothing.
const PAUSE: Duration = Duration::from_millis(10);

/// A socket for datagrams.
#[derive(Debug)]
pub(super) struct Port {
    socket: UdpSocket,
    local: SocketAddr,
}

impl Port {
    /// Opens the socket that clients send to.
    pub(super) fn listen(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Self::new(socket.into())
    }

    fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        Ok(Self { local: socket.local_addr()?, socket: UdpSocket::from_std(socket)? })
    }

    /// Returns its address.
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends, or loses what cannot be sent at once.
    pub(super) fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let to = match to {
            SocketAddr::V4(v4) if self.local.is_ipv6() => {
                SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
            }
            SocketAddr::V4(_) | SocketAddr::V6(_) => to,
        };
        let _ = self.socket.try_send_to(bytes, to);
    }

    /// Takes a datagram that is there, and whom it is from.
    pub(super) fn take<'a>(&self, buffer: &'a mut [u8]) -> io::Result<(&'a [u8], SocketAddr)> {
        let (length, from) = self.socket.try_recv_from(buffer)?;
        Ok((buffer.get(..length).unwrap_or_default(), plain(from)))
    }
}

/// Receives from clients, for ever.
pub(super) async fn receive(driver: Arc<Driver>) {
    let mut buffer = vec![0; LARGEST];
    loop {
        let taken = match driver.listener.socket.readable().await {
            Ok(()) => driver.take_from_clients(&mut buffer, BATCH),
            Err(error) => Err(error),
        };
        rest(taken).await;
    }
}

/// Receives from a relay's peers, until the relay is closed.
pub(super) async fn receive_at(driver: Arc<Driver>, id: RelayId, port: Arc<Port>) {
    // A datagram that fills the buffer was cut.
    let mut buffer = vec![0; LARGEST_RELAYED];
    loop {
        let taken = match port.socket.readable().await {
            Ok(()) => driver.take_from_peers((id, &port), &mut buffer, BATCH),
            Err(error) => Err(error),
        };
        rest(taken).await;
    }
}

/// Lets others have their turn after what was taken.
async fn rest(taken: io::Result<()>) {
    match taken {
        Ok(()) => tokio::task::yield_now().await,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(_) => tokio::time::sleep(PAUSE).await,
    }
}

/// An IPv4 address as one, also from a socket of IPv6.
pub(super) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Opens relays' sockets.
#[derive(Debug)]
pub(super) struct Sockets {
    /// What they are bound to, by family: IPv4 and IPv6.
    bound: (Option<IpAddr>, Option<IpAddr>),
    public: Option<IpAddr>,
    ports: RangeInclusive<u16>,
    rng: Rng,
}

impl Sockets {
    pub(super) fn new(
        bound: (Option<IpAddr>, Option<IpAddr>),
        config: &RelayConfig,
        seed: Seed,
    ) -> Self {
        let (public, ports) = (config.public_ip, config.ports.clone());
        Self { bound, public, ports, rng: seed.fork("ports").rng() }
    }

    /// Opens sockets at these addresses from now on. Those that are open stay.
    pub(super) fn follow(&mut self, bound: (Option<IpAddr>, Option<IpAddr>)) {
        self.bound = bound;
    }

    /// Opens a socket on a free port of the range, and returns the address that peers see.
    /// Begins at a random one, so that a port is not reused at once.
    pub(super) fn open(&mut self, family: Family) -> Option<(Port, SocketAddr)> {
        let ip = match family {
            Family::V4 => self.bound.0?,
            Family::V6 => self.bound.1?,
        };
        let (low, high) = (*self.ports.start(), *self.ports.end());
        let first = self.rng.between(low.into(), high.into());
        let first = u16::try_from(first).unwrap_or(low);
        let mut ports = (first..=high).chain(low..first);
        let socket = ports.find_map(|port| std::net::UdpSocket::bind((ip, port)).ok())?;
        socket.set_nonblocking(true).ok()?;
        let port = Port::new(socket).ok()?;
        let shown = self.public.filter(|public| Family::of(*public) == family).unwrap_or(ip);
        let address = SocketAddr::new(shown, port.local.port());
        Some((port, address))
    }
}
