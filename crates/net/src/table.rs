//! The mappings of a NAT: which endpoint inside is which outside, and to whom it sent.
//!
//! Not here: which port is chosen and who is let in, which is `nat`'s.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use openstudio_units::Timestamp;

use crate::behaviour::Dependence;

/// How many endpoints outside a mapping remembers. The one that was sent to longest ago is
/// forgotten for a new one.
pub const MAX_REMOTES: usize = 1024;

/// What a NAT tells apart. A query of ICMP has its identifier for a port (RFC 5508 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// RFC 768.
    Udp,
    /// RFC 9293.
    Tcp,
    /// Echo requests and their replies.
    Icmp,
}

/// By what a mapping is found from inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Inside {
    pub(crate) protocol: Protocol,
    pub(crate) internal: SocketAddrV4,
    /// As much of the other end as the mapping depends on.
    scope: (Option<Ipv4Addr>, Option<u16>),
}

impl Inside {
    pub(crate) fn new(
        protocol: Protocol,
        internal: SocketAddrV4,
        remote: SocketAddrV4,
        mapping: Dependence,
    ) -> Self {
        let scope = match mapping {
            Dependence::Independent => (None, None),
            Dependence::Address => (Some(*remote.ip()), None),
            Dependence::AddressAndPort => (Some(*remote.ip()), Some(remote.port())),
        };
        Self { protocol, internal, scope }
    }
}

#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) external: SocketAddrV4,
    used: Timestamp,
    /// To whom it sent, and when last.
    remotes: BTreeMap<SocketAddrV4, Timestamp>,
}

impl Mapping {
    pub(crate) fn new(external: SocketAddrV4, now: Timestamp) -> Self {
        Self { external, used: now, remotes: BTreeMap::new() }
    }

    /// Something is sent out.
    pub(crate) fn note_sent(&mut self, now: Timestamp, remote: SocketAddrV4) {
        self.used = now;
        if self.remotes.len() >= MAX_REMOTES && !self.remotes.contains_key(&remote) {
            let oldest = self.remotes.iter().min_by_key(|(_, sent)| **sent).map(|(end, _)| *end);
            oldest.and_then(|oldest| self.remotes.remove(&oldest));
        }
        self.remotes.insert(remote, now);
    }

    /// Something came in, where that keeps a mapping alive.
    pub(crate) fn note_received(&mut self, now: Timestamp, remote: SocketAddrV4) {
        self.used = now;
        if let Some(sent) = self.remotes.get_mut(&remote) {
            *sent = now;
        }
    }

    /// Whether a filter lets this end in.
    pub(crate) fn admits(
        &self,
        remote: SocketAddrV4,
        filtering: Dependence,
        is_fresh: impl Fn(Timestamp) -> bool,
    ) -> bool {
        match filtering {
            Dependence::Independent => true,
            Dependence::Address => {
                let (first, last) =
                    (SocketAddrV4::new(*remote.ip(), 0), SocketAddrV4::new(*remote.ip(), u16::MAX));
                self.remotes.range(first..=last).any(|(_, sent)| is_fresh(*sent))
            }
            Dependence::AddressAndPort => {
                self.remotes.get(&remote).is_some_and(|sent| is_fresh(*sent))
            }
        }
    }
}

/// All mappings, found from both sides.
#[derive(Debug, Default)]
pub(crate) struct Table {
    mappings: BTreeMap<Inside, Mapping>,
    by_external: BTreeMap<(Protocol, SocketAddrV4), Inside>,
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.mappings.len()
    }

    pub(crate) fn clear(&mut self) {
        self.mappings.clear();
        self.by_external.clear();
    }

    pub(crate) fn insert(&mut self, inside: Inside, mapping: Mapping) {
        self.by_external.insert((inside.protocol, mapping.external), inside);
        self.mappings.insert(inside, mapping);
    }

    /// Forgets a mapping, whether it lives or not.
    pub(crate) fn remove(&mut self, inside: &Inside) {
        if let Some(mapping) = self.mappings.remove(inside) {
            self.by_external.remove(&(inside.protocol, mapping.external));
        }
    }

    pub(crate) fn is_taken(&self, protocol: Protocol, external: SocketAddrV4) -> bool {
        self.by_external.contains_key(&(protocol, external))
    }

    /// The live mapping of an endpoint inside.
    pub(crate) fn get(
        &mut self,
        inside: &Inside,
        now: Timestamp,
        life: Duration,
    ) -> Option<&mut Mapping> {
        self.mappings.get_mut(inside).filter(|mapping| now.since(mapping.used) < life)
    }

    /// The live mapping of an endpoint outside, and whose it is.
    pub(crate) fn get_external(
        &mut self,
        (protocol, external): (Protocol, SocketAddrV4),
        now: Timestamp,
        life: Duration,
    ) -> Option<(SocketAddrV4, &mut Mapping)> {
        let inside = *self.by_external.get(&(protocol, external))?;
        self.get(&inside, now, life).map(|mapping| (inside.internal, mapping))
    }

    /// Forgets what is over.
    pub(crate) fn expire(&mut self, now: Timestamp, life: impl Fn(Protocol) -> Duration) {
        let by_external = &mut self.by_external;
        self.mappings.retain(|inside, mapping| {
            let lives = now.since(mapping.used) < life(inside.protocol);
            if !lives {
                by_external.remove(&(inside.protocol, mapping.external));
            }
            lives
        });
    }
}
