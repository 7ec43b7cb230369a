//! The sockets for media: one for each address of this machine, shared by all connections of
//! a participant.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use openstudio_tls::ClientTls;
use openstudio_units::{Rng, Seed};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Arrival, Arrived, Datagram};

/// The largest datagram that is taken.
const DATAGRAM_BYTES: usize = 2_000;

/// How long a socket that has an error is left alone.
const PAUSE: Duration = Duration::from_millis(100);

/// How often the machine's addresses are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The sockets. Dropping them closes them.
#[derive(Debug)]
pub(super) struct Sockets {
    sockets: Vec<Socket>,
    /// Looks for other addresses.
    watcher: Option<JoinHandle<()>>,
    /// Where everything that comes goes.
    pub(super) arrivals: mpsc::Sender<Arrival>,
    /// Whom to believe; none does without TLS.
    pub(super) tls: Option<ClientTls>,
    /// What is lost on purpose.
    loss: Option<Loss>,
}

#[derive(Debug)]
struct Socket {
    address: SocketAddr,
    socket: Arc<UdpSocket>,
    reader: JoinHandle<()>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// A bad network, for tests: loses so many of a hundred datagrams, each way.
#[derive(Debug)]
struct Loss {
    percent: u64,
    dice: RefCell<Rng>,
}

impl Sockets {
    /// Opens a socket at each address of this machine. Those that cannot be used are left out.
    ///
    /// # Errors
    /// If there is none at all.
    pub(super) fn open(
        arrivals: mpsc::Sender<Arrival>,
        tls: Option<ClientTls>,
    ) -> io::Result<Self> {
        let mut sockets = Self { sockets: Vec::new(), watcher: None, arrivals, tls, loss: None };
        let present = addresses()?;
        let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for ip in present {
            if let Err(error) = sockets.add(ip) {
                refused = error;
            }
        }
        if sockets.sockets.is_empty() {
            return Err(refused);
        }
        sockets.watcher = Some(tokio::spawn(watch(sockets.arrivals.clone())));
        Ok(sockets)
    }

    /// Returns where datagrams may come to.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().map(|socket| socket.address)
    }

    /// Opens sockets at addresses that are new and closes those at addresses that are gone.
    /// Returns both.
    pub(super) fn follow(
        &mut self,
        present: &BTreeSet<IpAddr>,
    ) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let gone = self.addresses().filter(|address| !present.contains(&address.ip())).collect();
        self.sockets.retain(|socket| present.contains(&socket.address.ip()));
        let open: BTreeSet<IpAddr> = self.addresses().map(|address| address.ip()).collect();
        let new = present.difference(&open).filter_map(|ip| self.add(*ip).ok()).collect();
        (new, gone)
    }

    /// Returns the socket whose address packets to `destination` leave from; none where there
    /// is no way.
    pub(super) fn way_to(&self, destination: SocketAddr) -> Option<SocketAddr> {
        let any: IpAddr = match destination {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // Connecting by UDP sends nothing: the system only chooses a route.
        let probe = std::net::UdpSocket::bind((any, 0)).ok()?;
        probe.connect(destination).ok()?;
        let own = probe.local_addr().ok()?.ip();
        self.addresses().find(|address| address.ip() == own)
    }

    /// Loses so many of a hundred datagrams from now on, each way.
    pub(super) fn lose(&mut self, percent: u8, seed: Seed) {
        let dice = RefCell::new(seed.fork("lost datagrams").rng());
        self.loss = Some(Loss { percent: percent.into(), dice }).filter(|_| percent > 0);
    }

    /// Draws whether the next datagram is lost on purpose.
    pub(super) fn loses(&self) -> bool {
        self.loss.as_ref().is_some_and(|loss| loss.dice.borrow_mut().between(0, 99) < loss.percent)
    }

    /// Sends a datagram, or loses it, as a network may. Returns whether there is such a socket.
    pub(super) fn send(&self, source: SocketAddr, destination: SocketAddr, data: &[u8]) -> bool {
        let Some(socket) = self.sockets.iter().find(|socket| socket.address == source) else {
            return false;
        };
        if !self.loses() {
            drop(socket.socket.try_send_to(data, destination));
        }
        true
    }

    fn add(&mut self, ip: IpAddr) -> io::Result<SocketAddr> {
        let socket = std::net::UdpSocket::bind((ip, 0))?;
        socket.set_nonblocking(true)?;
        let socket = Arc::new(UdpSocket::from_std(socket)?);
        let address = socket.local_addr()?;
        let reader = tokio::spawn(read(address, socket.clone(), self.arrivals.clone()));
        self.sockets.push(Socket { address, socket, reader });
        Ok(address)
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        if let Some(watcher) = &self.watcher {
            watcher.abort();
        }
    }
}

async fn read(destination: SocketAddr, socket: Arc<UdpSocket>, arrivals: mpsc::Sender<Arrival>) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        let Ok((length, source)) = socket.recv_from(&mut buffer).await else {
            // The interface may come back.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let data = buffer.get(..length).unwrap_or_default().to_vec();
        let datagram = Datagram { destination, source, data };
        if arrivals.try_send(Arrival(Arrived::Datagram(datagram))).is_err() && arrivals.is_closed()
        {
            return;
        }
    }
}

/// Tells which addresses there are, again and again, for as long as anybody listens: one that is
/// still being checked (RFC 4862 §5.4) cannot be used at first.
async fn watch(arrivals: mpsc::Sender<Arrival>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Ok(present) = addresses() else { continue };
        if arrivals.send(Arrival(Arrived::Addresses(present))).await.is_err() {
            return;
        }
    }
}

/// Returns the machine's addresses that a candidate can name. A link-local one needs a zone.
fn addresses() -> io::Result<BTreeSet<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs()?.into_iter();
    let usable =
        interfaces.filter(|interface| interface.is_oper_up() && !interface.is_link_local());
    Ok(usable.map(|interface| interface.ip()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn sockets_follow_the_addresses() {
        let (arrivals, _queue) = mpsc::channel(1);
        let mut sockets = Sockets::open(arrivals, None).unwrap();
        // All of 127.0.0.0/8 is this machine's.
        let (new, gone) = sockets.follow(&[ip("127.0.0.1"), ip("127.0.0.2")].into());
        assert_eq!(new.iter().map(SocketAddr::ip).collect::<Vec<_>>(), [ip("127.0.0.2")]);
        assert!(!gone.iter().any(|address| address.ip() == ip("127.0.0.1")));
        let stays = sockets.addresses().find(|address| address.ip() == ip("127.0.0.1")).unwrap();
        let (new, gone) = sockets.follow(&[ip("127.0.0.1"), ip("192.0.2.1")].into());
        assert_eq!((new.len(), gone.len()), (0, 1), "192.0.2.1 is nobody's");
        assert_eq!(sockets.addresses().collect::<Vec<_>>(), [stays]);
        assert_eq!(sockets.way_to("127.0.0.9:9".parse().unwrap()), Some(stays));
        assert!(sockets.send(stays, stays, b"x"));
        assert!(!sockets.send("127.0.0.2:9".parse().unwrap(), stays, b"x"));
    }
}
