//! [`Nat`]: what stands between a home and the public network, packet by packet.
//!
//! What it remembers of the other ends belongs to a mapping, as in NATs that exist; RFC 4787 §5
//! speaks of the endpoint inside, which is the same where mappings are endpoint-independent.
//! Left out: paired pools (there is one public address), fragments, the states of TCP.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use openstudio_units::{Rng, Seed, Timestamp};

use crate::behaviour::{Behaviour, Dependence, NatKind};
use crate::ports::{self, PortAssignment};
use crate::table::{Inside, Mapping, Protocol, Table};

/// Whether addresses are translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Translation {
    /// Addresses inside are public, and nobody is kept out.
    Open,
    /// Addresses inside are public, and a filter stands before them.
    Firewall,
    /// Addresses inside are private.
    #[default]
    Nat,
}

/// How a NAT behaves. By default as RFC 4787 wants it where it lets strangers in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NatConfig {
    /// Whether it is a NAT at all.
    pub translation: Translation,
    /// Mapping and filtering. A firewall has no mapping, and nothing of it counts when open.
    pub behaviour: Behaviour,
    /// Which ports it gives out.
    pub ports: PortAssignment,
    /// Whether hosts inside reach each other by their addresses outside (RFC 4787 §6).
    pub hairpinning: bool,
    /// Whether it refuses all UDP.
    pub blocks_udp: bool,
    /// Whether packets that come in keep a mapping alive (RFC 4787 §4.3, REQ-6).
    pub inbound_refresh: bool,
    /// How long a mapping of UDP lives without packets: 5 min recommended, 2 min at least
    /// (RFC 4787 §4.3, REQ-5). Many live 30 s.
    pub udp_life: Duration,
    /// The same of TCP: 2 h 4 min at least (RFC 5382 §5, REQ-5).
    pub tcp_life: Duration,
    /// The same of ICMP queries: 60 s at least (RFC 5508 §3.2, REQ-2).
    pub icmp_life: Duration,
    /// How many mappings there are at most; further ones are refused.
    pub max_mappings: usize,
}

impl Default for NatConfig {
    fn default() -> Self {
        Self {
            translation: Translation::Nat,
            behaviour: Behaviour::default(),
            ports: PortAssignment::Preserve,
            hairpinning: true,
            blocks_udp: false,
            inbound_refresh: false,
            udp_life: Duration::from_secs(300),
            tcp_life: Duration::from_secs(7440),
            icmp_life: Duration::from_secs(60),
            max_mappings: 4096,
        }
    }
}

impl From<NatKind> for NatConfig {
    fn from(kind: NatKind) -> Self {
        let open = kind == NatKind::Open;
        Self {
            translation: if open { Translation::Open } else { Translation::Nat },
            behaviour: kind.behaviour().unwrap_or_default(),
            blocks_udp: !kind.has_udp(),
            ..Self::default()
        }
    }
}

/// From where to where a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Of what protocol.
    pub protocol: Protocol,
    /// From where. Of ICMP, the port is the identifier.
    pub source: SocketAddrV4,
    /// To where. Of ICMP, the port counts for nothing in what comes in and is zero in what
    /// goes out.
    pub destination: SocketAddrV4,
}

/// Where a packet from inside goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// To the public network.
    Outside(Flow),
    /// Back inside (RFC 4787 §6).
    Inside(Flow),
}

/// Why a packet does not pass. It is dropped; its sender is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refusal {
    /// No UDP passes at all.
    #[error("UDP is blocked")]
    UdpBlocked,
    /// There is no room for one more mapping, or no port left.
    #[error("there is no room for another mapping")]
    Full,
    /// Nobody inside has this address outside.
    #[error("there is no mapping")]
    NoMapping,
    /// Nothing was sent to this end, and it is kept out.
    #[error("filtered")]
    Filtered,
    /// It would have to come back inside.
    #[error("there is no hairpinning")]
    NoHairpinning,
}

/// What happened to packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NatCounters {
    /// Went out.
    pub outbound: u64,
    /// Came in.
    pub inbound: u64,
    /// Went back inside.
    pub hairpinned: u64,
    /// Were refused since UDP is blocked.
    pub udp_blocked: u64,
    /// Were refused for want of room.
    pub full: u64,
    /// Were for nobody.
    pub no_mapping: u64,
    /// Were kept out.
    pub filtered: u64,
    /// Would have had to go back inside.
    pub no_hairpinning: u64,
}

/// How often what is over is looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// A NAT or a firewall.
#[derive(Debug)]
pub struct Nat {
    config: NatConfig,
    public: Ipv4Addr,
    table: Table,
    counters: NatCounters,
    rng: Rng,
    swept: Timestamp,
}

impl Nat {
    /// Makes a NAT with this public address, which only counts where addresses are translated.
    pub fn new(config: NatConfig, public: Ipv4Addr, seed: Seed) -> Self {
        Self {
            config,
            public,
            table: Table::default(),
            counters: NatCounters::default(),
            rng: seed.fork("ports").rng(),
            swept: Timestamp::ZERO,
        }
    }

    /// Returns how it behaves.
    pub fn config(&self) -> NatConfig {
        self.config
    }

    /// Returns the public address.
    pub fn public(&self) -> Ipv4Addr {
        self.public
    }

    /// Gives it another public address, or the same anew: all mappings are gone, as after a
    /// restart.
    pub fn renumber(&mut self, public: Ipv4Addr) {
        self.public = public;
        self.table.clear();
    }

    /// Returns what happened to packets up to now.
    pub fn counters(&self) -> NatCounters {
        self.counters
    }

    /// Returns how many mappings it has, those included that are over and not yet swept out.
    pub fn mappings(&self) -> usize {
        self.table.len()
    }

    /// A packet from inside.
    ///
    /// # Errors
    /// A [`Refusal`]: the packet is dropped.
    pub fn outbound(&mut self, now: Timestamp, flow: Flow) -> Result<Forwarded, Refusal> {
        let result = self.send(now, flow);
        let counter = match result {
            Ok(Forwarded::Outside(_)) => &mut self.counters.outbound,
            Ok(Forwarded::Inside(_)) => &mut self.counters.hairpinned,
            Err(refusal) => self.counters.of(refusal),
        };
        *counter = counter.saturating_add(1);
        result
    }

    /// A packet from the public network. Returns the flow as it is inside.
    ///
    /// # Errors
    /// A [`Refusal`]: the packet is dropped.
    pub fn inbound(&mut self, now: Timestamp, flow: Flow) -> Result<Flow, Refusal> {
        let result = self.receive(now, flow);
        let counter = match result {
            Ok(_) => &mut self.counters.inbound,
            Err(refusal) => self.counters.of(refusal),
        };
        *counter = counter.saturating_add(1);
        result
    }

    /// Returns the flow that a packet from inside has outside, if there is a mapping for it: for
    /// the header inside an ICMP error (RFC 5508 §4.2). Keeps nothing alive.
    pub fn outside_of(&mut self, now: Timestamp, flow: Flow) -> Option<Flow> {
        if self.config.translation == Translation::Open {
            return Some(flow);
        }
        let (inside, life) = (self.inside(flow), self.life(flow.protocol));
        let source = self.table.get(&inside, now, life)?.external;
        Some(Flow { source, ..flow })
    }

    /// Returns the flow that a packet to outside had inside, if there is a mapping that sent to
    /// its destination. The other direction of [`Nat::outside_of`].
    pub fn inside_of(&mut self, now: Timestamp, flow: Flow) -> Option<Flow> {
        if self.config.translation == Translation::Open {
            return Some(flow);
        }
        let life = self.life(flow.protocol);
        let (source, mapping) = self.table.get_external((flow.protocol, flow.source), now, life)?;
        let sent = mapping.admits(flow.destination, Dependence::AddressAndPort, |_| true);
        sent.then_some(Flow { source, ..flow })
    }

    fn send(&mut self, now: Timestamp, flow: Flow) -> Result<Forwarded, Refusal> {
        self.check_udp(flow.protocol)?;
        if self.config.translation == Translation::Open {
            return Ok(Forwarded::Outside(flow));
        }
        let comes_back =
            self.config.translation == Translation::Nat && *flow.destination.ip() == self.public;
        if comes_back && !self.config.hairpinning {
            return Err(Refusal::NoHairpinning);
        }
        let source = self.map(now, flow)?;
        let outside = Flow { source, ..flow };
        if comes_back {
            return self.receive(now, outside).map(Forwarded::Inside);
        }
        Ok(Forwarded::Outside(outside))
    }

    /// Notes that something is sent, and returns from where outside.
    fn map(&mut self, now: Timestamp, flow: Flow) -> Result<SocketAddrV4, Refusal> {
        let (inside, life) = (self.inside(flow), self.life(flow.protocol));
        if let Some(mapping) = self.table.get(&inside, now, life) {
            mapping.note_sent(now, flow.destination);
            return Ok(mapping.external);
        }
        // One that is over must not keep its own port from its successor.
        self.table.remove(&inside);
        self.sweep(now);
        if self.table.len() >= self.config.max_mappings {
            return Err(Refusal::Full);
        }
        let external = self.external(flow).ok_or(Refusal::Full)?;
        let mut mapping = Mapping::new(external, now);
        mapping.note_sent(now, flow.destination);
        self.table.insert(inside, mapping);
        Ok(external)
    }

    fn receive(&mut self, now: Timestamp, flow: Flow) -> Result<Flow, Refusal> {
        self.check_udp(flow.protocol)?;
        if self.config.translation == Translation::Open {
            return Ok(flow);
        }
        let (life, filtering) = (self.life(flow.protocol), self.config.behaviour.filtering);
        let key = (flow.protocol, flow.destination);
        let found = self.table.get_external(key, now, life);
        let (destination, mapping) = found.ok_or(Refusal::NoMapping)?;
        if !mapping.admits(flow.source, filtering, |sent| now.since(sent) < life) {
            return Err(Refusal::Filtered);
        }
        if self.config.inbound_refresh {
            mapping.note_received(now, flow.source);
        }
        Ok(Flow { destination, ..flow })
    }

    fn external(&mut self, flow: Flow) -> Option<SocketAddrV4> {
        if self.config.translation != Translation::Nat {
            return Some(flow.source);
        }
        let (public, table) = (self.public, &self.table);
        let is_free = |port| !table.is_taken(flow.protocol, SocketAddrV4::new(public, port));
        let port = ports::choose(self.config.ports, flow.source.port(), &mut self.rng, is_free)?;
        Some(SocketAddrV4::new(public, port))
    }

    fn inside(&self, flow: Flow) -> Inside {
        let mapping = match self.config.translation {
            Translation::Open | Translation::Firewall => Dependence::Independent,
            Translation::Nat => self.config.behaviour.mapping,
        };
        Inside::new(flow.protocol, flow.source, flow.destination, mapping)
    }

    /// What is over is swept out now and then, and always before a mapping is refused. A port of
    /// one that is over is taken until then.
    fn sweep(&mut self, now: Timestamp) {
        let is_full = self.table.len() >= self.config.max_mappings;
        if is_full || now.since(self.swept) >= SWEEP {
            let config = self.config;
            self.table.expire(now, |protocol| config.life(protocol));
            self.swept = now;
        }
    }

    fn life(&self, protocol: Protocol) -> Duration {
        self.config.life(protocol)
    }

    fn check_udp(&self, protocol: Protocol) -> Result<(), Refusal> {
        let blocked = self.config.blocks_udp && protocol == Protocol::Udp;
        if blocked { Err(Refusal::UdpBlocked) } else { Ok(()) }
    }
}

impl NatConfig {
    /// Returns how long a mapping lives without packets.
    pub fn life(&self, protocol: Protocol) -> Duration {
        match protocol {
            Protocol::Udp => self.udp_life,
            Protocol::Tcp => self.tcp_life,
            Protocol::Icmp => self.icmp_life,
        }
    }
}

impl NatCounters {
    fn of(&mut self, refusal: Refusal) -> &mut u64 {
        match refusal {
            Refusal::UdpBlocked => &mut self.udp_blocked,
            Refusal::Full => &mut self.full,
            Refusal::NoMapping => &mut self.no_mapping,
            Refusal::Filtered => &mut self.filtered,
            Refusal::NoHairpinning => &mut self.no_hairpinning,
        }
    }
}
