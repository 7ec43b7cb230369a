//! The sockets for media: one for each address of this machine, shared by all connections of
//! a participant.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use openstudio_units::{Rng, Seed};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The largest datagram that is taken.
const DATAGRAM_BYTES: usize = 2_000;

/// Datagrams that wait for the participant at most; what comes on top is lost, as in a network.
const QUEUE: usize = 1_024;

/// How long a socket that has an error is left alone.
const PAUSE: Duration = Duration::from_millis(100);

/// A datagram that came.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// Which of this machine's addresses it came to.
    pub(crate) destination: SocketAddr,
    /// Who sent it.
    pub(crate) source: SocketAddr,
    /// What it says.
    pub(crate) data: Vec<u8>,
}

impl Datagram {
    /// Returns whether it is STUN, by its first byte (RFC 7983 §7).
    pub(crate) fn is_stun(&self) -> bool {
        self.data.first().is_some_and(|first| *first < 4)
    }
}

/// The sockets. Dropping them closes them.
#[derive(Debug)]
pub(crate) struct Network {
    sockets: Vec<(SocketAddr, Arc<UdpSocket>)>,
    readers: Vec<JoinHandle<()>>,
    /// What is lost on purpose.
    loss: Option<Loss>,
}

/// A bad network, for tests: loses so many of a hundred datagrams, each way.
#[derive(Debug)]
struct Loss {
    percent: u64,
    dice: RefCell<Rng>,
}

impl Network {
    /// Opens a socket at each address of this machine. Those that cannot be used are left out.
    ///
    /// # Errors
    /// If there is none at all.
    pub(crate) async fn open() -> io::Result<(Self, mpsc::Receiver<Datagram>)> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let mut network = Self { sockets: Vec::new(), readers: Vec::new(), loss: None };
        let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for interface in if_addrs::get_if_addrs()? {
            // A link-local address needs a zone, which a candidate cannot name.
            if interface.is_link_local() {
                continue;
            }
            match UdpSocket::bind((interface.ip(), 0)).await {
                Ok(socket) => network.add(socket, &sender)?,
                Err(error) => refused = error,
            }
        }
        if network.sockets.is_empty() { Err(refused) } else { Ok((network, receiver)) }
    }

    /// Returns where datagrams may come to.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().map(|(address, _)| *address)
    }

    /// Loses so many of a hundred datagrams from now on, each way.
    pub(crate) fn lose(&mut self, percent: u8, seed: Seed) {
        let dice = RefCell::new(seed.fork("lost datagrams").rng());
        self.loss = Some(Loss { percent: percent.into(), dice }).filter(|_| percent > 0);
    }

    /// Draws whether the next datagram is lost on purpose.
    pub(crate) fn loses(&self) -> bool {
        self.loss.as_ref().is_some_and(|loss| loss.dice.borrow_mut().between(0, 99) < loss.percent)
    }

    /// Sends a datagram, or loses it, as a network may.
    pub(crate) fn send(&self, source: SocketAddr, destination: SocketAddr, data: &[u8]) {
        if self.loses() {
            return;
        }
        let socket = self.sockets.iter().find(|(address, _)| *address == source);
        if let Some((_, socket)) = socket {
            drop(socket.try_send_to(data, destination));
        }
    }

    fn add(&mut self, socket: UdpSocket, sender: &mpsc::Sender<Datagram>) -> io::Result<()> {
        let destination = socket.local_addr()?;
        let socket = Arc::new(socket);
        self.sockets.push((destination, socket.clone()));
        let sender = sender.clone();
        self.readers.push(tokio::spawn(async move {
            let mut buffer = vec![0; DATAGRAM_BYTES];
            loop {
                let Ok((length, source)) = socket.recv_from(&mut buffer).await else {
                    // The interface may come back.
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let data = buffer.get(..length).unwrap_or_default().to_vec();
                if sender.try_send(Datagram { destination, source, data }).is_err()
                    && sender.is_closed()
                {
                    return;
                }
            }
        }));
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.readers.iter().for_each(JoinHandle::abort);
    }
}
