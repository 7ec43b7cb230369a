//! [`Router`]: brings packets from place to place, through NATs and links.
//!
//! It is sans-IO: packets are given to it, and taken from it. Devices are `lab`'s.
//!
//! ```text
//!  home's machine ─► NAT ─► up ─┬─► public namespace
//!                               └─► down ─► NAT ─► another home's machine
//! ```

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use openstudio_net::{Flow, Forwarded, Link, LinkConfig, Nat, NatConfig, Translation};
use openstudio_units::{Seed, Timestamp};

use crate::packet::{Content, Packet, Unusable};
use crate::plan::{PUBLIC_HOSTS, Plan};

/// Where a packet comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the public namespace.
    Public,
    /// At the machine of a home.
    Home(usize),
}

/// What stands between one machine and the public network.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) nat: Nat,
    pub(crate) up: Link<Packet>,
    pub(crate) down: Link<Packet>,
}

/// Packets that went nowhere, but for what NATs and links count themselves.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dropped {
    /// Something else than UDP, TCP and ICMP over IPv4.
    pub(crate) unknown: u64,
    /// Parts of packets.
    pub(crate) fragments: u64,
    /// Packets whose lengths are wrong.
    pub(crate) cut_off: u64,
    /// Packets that passed too many routers.
    pub(crate) too_far: u64,
    /// Packets to or from nobody.
    pub(crate) unroutable: u64,
    /// ICMP errors about what nobody sent.
    pub(crate) strange_errors: u64,
}

/// Joins the homes and the public namespace.
#[derive(Debug)]
pub(crate) struct Router {
    plan: Plan,
    homes: Vec<Home>,
    arrived: VecDeque<(Place, Packet)>,
    dropped: Dropped,
}

impl Router {
    pub(crate) fn new(plan: Plan) -> Self {
        Self { plan, homes: Vec::new(), arrived: VecDeque::new(), dropped: Dropped::default() }
    }

    /// Adds a home with perfect links, and returns its number.
    pub(crate) fn add_home(&mut self, nat: NatConfig, public: Ipv4Addr, seed: Seed) -> usize {
        let link = |name| Link::new(LinkConfig::default(), seed.fork(name));
        let nat = Nat::new(nat, public, seed.fork("nat"));
        self.homes.push(Home { nat, up: link("up"), down: link("down") });
        self.homes.len().saturating_sub(1)
    }

    pub(crate) fn home(&self, home: usize) -> Option<&Home> {
        self.homes.get(home)
    }

    pub(crate) fn home_mut(&mut self, home: usize) -> Option<&mut Home> {
        self.homes.get_mut(home)
    }

    pub(crate) fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// A machine sent something.
    pub(crate) fn send(&mut self, now: Timestamp, from: Place, bytes: Vec<u8>) {
        let mut packet = match Packet::parse(bytes) {
            Ok(packet) => packet,
            Err(Unusable::Unknown) => return count(&mut self.dropped.unknown),
            Err(Unusable::Fragment) => return count(&mut self.dropped.fragments),
            Err(Unusable::CutOff) => return count(&mut self.dropped.cut_off),
        };
        if !packet.pass_router() {
            return count(&mut self.dropped.too_far);
        }
        match from {
            Place::Public => self.route(now, packet),
            Place::Home(home) => self.leave(now, home, packet),
        }
    }

    /// Moves on what is due, and returns something that has arrived. `None` means that nothing
    /// more has by `now`.
    pub(crate) fn poll(&mut self, now: Timestamp) -> Option<(Place, Packet)> {
        if self.arrived.is_empty() {
            for home in 0..self.homes.len() {
                while let Some(packet) = self.homes.get_mut(home).and_then(|h| h.up.poll(now)) {
                    self.route(now, packet);
                }
            }
            for home in 0..self.homes.len() {
                while let Some(packet) = self.homes.get_mut(home).and_then(|h| h.down.poll(now)) {
                    self.enter(now, home, packet);
                }
            }
        }
        self.arrived.pop_front()
    }

    /// Returns when something is due.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let links = self.homes.iter().flat_map(|home| [&home.up, &home.down]);
        links.filter_map(Link::poll_timeout).min()
    }

    /// From a home's machine, through its NAT, onto its line.
    fn leave(&mut self, now: Timestamp, index: usize, mut packet: Packet) {
        let Some(home) = self.homes.get_mut(index) else { return };
        let public = home.nat.config().translation != Translation::Nat;
        if public && packet.source() != home.nat.public() {
            return count(&mut self.dropped.unroutable);
        }
        match packet.content() {
            Content::Flow(flow) => match home.nat.outbound(now, flow) {
                Ok(Forwarded::Outside(flow)) => packet.set_flow(flow),
                Ok(Forwarded::Inside(flow)) => {
                    packet.set_flow(flow);
                    return self.arrived.push_back((Place::Home(index), packet));
                }
                // Counted by the NAT.
                Err(_) => return,
            },
            Content::Error(about) => {
                // What the machine got is what it would send in the other direction.
                let Some(outside) = home.nat.outside_of(now, turned(about)) else {
                    return count(&mut self.dropped.strange_errors);
                };
                let to = packet.destination();
                packet.set_error(turned(outside), *outside.source.ip(), to);
            }
        }
        let length = packet.len();
        home.up.send(now, length, packet);
    }

    /// Through the public network.
    fn route(&mut self, now: Timestamp, packet: Packet) {
        let to = packet.destination();
        if (0..PUBLIC_HOSTS).any(|index| self.plan.public_host(index) == to) {
            return self.arrived.push_back((Place::Public, packet));
        }
        let length = packet.len();
        match self.homes.iter_mut().find(|home| home.nat.public() == to) {
            Some(home) => home.down.send(now, length, packet),
            None => count(&mut self.dropped.unroutable),
        }
    }

    /// From a home's line, through its NAT, to its machine.
    fn enter(&mut self, now: Timestamp, index: usize, mut packet: Packet) {
        let Some(home) = self.homes.get_mut(index) else { return };
        match packet.content() {
            Content::Flow(flow) => match home.nat.inbound(now, flow) {
                Ok(flow) => packet.set_flow(flow),
                Err(_) => return,
            },
            Content::Error(about) => {
                let Some(inside) = home.nat.inside_of(now, about) else {
                    return count(&mut self.dropped.strange_errors);
                };
                let from = packet.source();
                packet.set_error(inside, from, *inside.source.ip());
            }
        }
        self.arrived.push_back((Place::Home(index), packet));
    }
}

fn turned(flow: Flow) -> Flow {
    Flow { source: flow.destination, destination: flow.source, ..flow }
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
