//! The ways to others: sockets of this machine, the addresses that others see them at, and a
//! relay.

mod gathering;
mod relay;
mod sockets;
mod stream;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use openstudio_session::wire::IceConfig;
use openstudio_tls::ClientTls;
use openstudio_units::{Seed, Timestamp};
use str0m::Candidate;
use tokio::sync::mpsc;

use gathering::{Gathering, Resolved};
use relay::RelayId;
use sockets::Sockets;
use stream::Said;

/// What waits for the participant at most. Datagrams that come on top are lost, as in a network.
const QUEUE: usize = 1_024;

/// A datagram that came.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// Which of this participant's addresses it came to; a relayed one is one of them.
    pub(crate) destination: SocketAddr,
    /// Who sent it.
    pub(crate) source: SocketAddr,
    /// What it says.
    pub(crate) data: Vec<u8>,
}

impl Datagram {
    /// Returns whether it is STUN.
    pub(crate) fn is_stun(&self) -> bool {
        is_stun(&self.data)
    }
}

/// Returns whether bytes are STUN, by the first (RFC 7983 §7).
fn is_stun(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| *first < 4)
}

/// Something that came, for [`Network::take`].
#[derive(Debug)]
pub(crate) struct Arrival(Arrived);

#[derive(Debug)]
enum Arrived {
    Datagram(Datagram),
    /// Of the stream to a relay.
    Stream(RelayId, Said),
    /// A name was looked up.
    Resolved(Resolved),
    /// The machine has these addresses.
    Addresses(BTreeSet<IpAddr>),
}

/// What is different about the own candidates.
#[derive(Debug)]
pub(crate) enum Change {
    /// There is another one.
    Added(Candidate),
    /// It cannot be used any more.
    Removed(Candidate),
    /// No more are to be waited for (RFC 8838 §13).
    Complete,
    /// The machine's addresses are other ones.
    Moved,
}

/// The ways to others, which all connections of a participant share.
#[derive(Debug)]
pub(crate) struct Network {
    begun: Instant,
    sockets: Sockets,
    gathering: Gathering,
    /// Those about the machine's own addresses.
    changes: Vec<Change>,
}

impl Network {
    /// Opens a socket at each address of this machine. Those that cannot be used are left out.
    /// `tls` says who is believed to be a relay, by TLS.
    ///
    /// # Errors
    /// If there is none at all.
    pub(crate) fn open(
        tls: Option<ClientTls>,
        seed: Seed,
    ) -> io::Result<(Self, mpsc::Receiver<Arrival>)> {
        let (arrivals, queue) = mpsc::channel(QUEUE);
        let sockets = Sockets::open(arrivals, tls)?;
        let (begun, gathering) = (Instant::now(), Gathering::new(seed));
        Ok((Self { begun, sockets, gathering, changes: Vec::new() }, queue))
    }

    /// Returns the candidates that there are.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let hosts = self.sockets.addresses().filter_map(host);
        hosts.chain(self.gathering.candidates()).collect()
    }

    /// Returns the next change of the candidates.
    pub(crate) fn next_change(&mut self) -> Option<Change> {
        if self.changes.is_empty() {
            self.gathering.next_change()
        } else {
            Some(self.changes.remove(0))
        }
    }

    /// Returns whether further candidates are to be waited for.
    pub(crate) fn is_gathering(&self) -> bool {
        self.gathering.is_gathering()
    }

    /// The servers are these from now on.
    pub(crate) fn set_servers(&mut self, now: Instant, config: IceConfig) {
        self.gathering.set_servers(self.at(now), &self.sockets, config);
    }

    /// Loses so many of a hundred datagrams from now on, each way.
    pub(crate) fn lose(&mut self, percent: u8, seed: Seed) {
        self.sockets.lose(percent, seed);
    }

    /// Takes what came. Returns the datagram of a peer, if it is one or carries one.
    pub(crate) fn take(&mut self, now: Instant, Arrival(arrived): Arrival) -> Option<Datagram> {
        let (at, sockets) = (self.at(now), &self.sockets);
        match arrived {
            Arrived::Datagram(_) if sockets.loses() => None,
            Arrived::Datagram(datagram) => self.gathering.take(at, sockets, datagram),
            Arrived::Stream(id, said) => self.gathering.stream_said(at, sockets, (id, said)),
            Arrived::Resolved(resolved) => {
                self.gathering.resolved(at, sockets, resolved);
                None
            }
            Arrived::Addresses(present) => {
                self.follow(at, &present);
                None
            }
        }
    }

    /// Sends a datagram from a socket or a relayed address, or loses it, as a network may.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        (source, destination): (SocketAddr, SocketAddr),
        data: &[u8],
    ) {
        if !self.sockets.send(source, destination, data) {
            self.gathering.send(self.at(now), &self.sockets, (source, destination), data);
        }
    }

    /// Returns when something is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        let due = self.gathering.due()?;
        Some(self.begun + Duration::from_micros(due.as_micros()))
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self, now: Instant) {
        let at = self.at(now);
        if self.gathering.due().is_some_and(|due| due <= at) {
            self.gathering.wake(at, &self.sockets);
        }
    }

    /// Gives relays back: wait until [`Self::holds`] says no, but not for long.
    pub(crate) fn end(&mut self, now: Instant) {
        self.gathering.end(self.at(now), &self.sockets);
    }

    /// Returns whether a server still has an allocation for this participant.
    pub(crate) fn holds(&self) -> bool {
        self.gathering.holds()
    }

    fn follow(&mut self, now: Timestamp, present: &BTreeSet<IpAddr>) {
        let (new, gone) = self.sockets.follow(present);
        if new.is_empty() && gone.is_empty() {
            return;
        }
        tracing::debug!(?new, ?gone, "the machine has other addresses");
        self.changes.extend(gone.iter().copied().filter_map(host).map(Change::Removed));
        self.changes.extend(new.into_iter().filter_map(host).map(Change::Added));
        self.changes.push(Change::Moved);
        self.gathering.moved(now, &self.sockets, &gone);
    }

    fn at(&self, instant: Instant) -> Timestamp {
        let elapsed = instant.saturating_duration_since(self.begun);
        Timestamp::from_micros(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
    }
}

fn host(address: SocketAddr) -> Option<Candidate> {
    Candidate::host(address, "udp").ok()
}
