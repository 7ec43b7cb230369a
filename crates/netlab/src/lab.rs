//! [`Lab`]: the namespaces with their devices, the router between them, and what can be ordered.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};

use anyhow::{Context as _, bail, ensure};
use openstudio_net::{LinkCounters, Nat, NatCounters, Translation};
use openstudio_units::{Seed, Timestamp};
use serde_json::{Value, json};
use tun_rs::SyncDevice;

use crate::command::{
    Command, DirectOrder, HomeOrder, LinkOrder, RenumberOrder, Renumbered, StunOrder,
};
use crate::namespace::Namespace;
use crate::packet::Packet;
use crate::plan::{MAX_HOMES, PUBLIC_HOSTS, Plan};
use crate::router::{Home, Place, Router};
use crate::stun;

/// How many packets of a device are forwarded before the others have their turn.
const TURN: usize = 64;

/// A namespace with its device. The device is closed first.
#[derive(Debug)]
struct Machine {
    device: Device,
    space: Namespace,
}

/// A TUN device; its own type says nothing about itself.
struct Device(SyncDevice);

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Device")
    }
}

impl Machine {
    fn make(name: &str) -> anyhow::Result<Self> {
        let space = Namespace::make(name)?;
        let device = Device(space.make_device()?);
        Ok(Self { device, space })
    }
}

/// What a home is beside its place in the router.
#[derive(Debug)]
struct Address {
    name: String,
    /// How often the public address changed, and the machine's own.
    changes: (u32, u32),
}

/// All that there is.
#[derive(Debug)]
pub(crate) struct Lab {
    plan: Plan,
    seed: Seed,
    router: Router,
    public: Machine,
    machines: Vec<Machine>,
    homes: Vec<Address>,
    /// Packets that a device did not take.
    refused: u64,
}

impl Lab {
    /// Makes the public namespace.
    pub(crate) fn make(plan: Plan, seed: Seed) -> anyhow::Result<Self> {
        let public = Machine::make("public")?;
        let addresses: Vec<_> = (0..PUBLIC_HOSTS).map(|index| plan.public_host(index)).collect();
        public.space.set_addresses(&addresses, plan.length())?;
        let (router, machines, homes) = (Router::new(plan), Vec::new(), Vec::new());
        Ok(Self { plan, seed, router, public, machines, homes, refused: 0 })
    }

    /// Describes the public namespace.
    pub(crate) fn public(&self) -> Value {
        let addresses: Vec<_> =
            (0..PUBLIC_HOSTS).map(|index| self.plan.public_host(index).to_string()).collect();
        json!({ "namespace": self.public.space.name(), "addresses": addresses })
    }

    // ----- packets

    /// The devices, in the order that [`Lab::read`] counts them in.
    pub(crate) fn devices(&self) -> impl Iterator<Item = &SyncDevice> {
        std::iter::once(&self.public).chain(&self.machines).map(|machine| &machine.device.0)
    }

    /// Takes what a device has to give, up to a number: others want their turn.
    pub(crate) fn read(&mut self, now: Timestamp, device: usize, buffer: &mut [u8]) {
        let place = device.checked_sub(1).map_or(Place::Public, Place::Home);
        let Some(machine) = machine(&self.public, &self.machines, place) else { return };
        for _ in 0..TURN {
            let Ok(length) = machine.device.0.recv(buffer) else { break };
            let Some(bytes) = buffer.get(..length) else { break };
            self.router.send(now, place, bytes.to_vec());
        }
    }

    /// Gives devices what has arrived.
    pub(crate) fn deliver(&mut self, now: Timestamp) {
        while let Some((place, packet)) = self.router.poll(now) {
            self.write(place, &packet);
        }
    }

    /// When something is due.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.router.poll_timeout()
    }

    /// A device that is down or full takes nothing, as a network would.
    fn write(&mut self, place: Place, packet: &Packet) {
        let machine = machine(&self.public, &self.machines, place);
        if machine.is_some_and(|machine| machine.device.0.send(packet.bytes()).is_err()) {
            self.refused = self.refused.saturating_add(1);
        }
    }

    // ----- orders

    /// Does what is ordered, and returns the answer's fields.
    pub(crate) fn perform(&mut self, command: Command) -> anyhow::Result<Value> {
        match command {
            Command::Home(order) => self.add_home(&order),
            Command::Nat(order) => self.set_nat(&order),
            Command::Direct(order) => self.direct(&order),
            Command::Link(order) => self.set_link(&order),
            Command::Outage(order) => {
                let home = self.home(&order.home)?;
                home.up.set_outage(order.on);
                home.down.set_outage(order.on);
                Ok(json!({}))
            }
            Command::Renumber(order) => self.renumber(&order),
            Command::Stun(order) => self.stun(&order),
            Command::Counters(_) => Ok(self.counters()),
        }
    }

    fn add_home(&mut self, order: &HomeOrder) -> anyhow::Result<Value> {
        let name = order.name.as_str();
        check_name(name)?;
        ensure!(self.homes.iter().all(|home| home.name != name), "there is a home {name}");
        let index = u8::try_from(self.homes.len()).unwrap_or(MAX_HOMES);
        ensure!(index < MAX_HOMES, "there are {MAX_HOMES} homes, which is all there is room for");
        let config = order.config();
        let machine = Machine::make(name)?;
        let public = self.plan.home(index, 0);
        let own = own_address(config.translation, (&self.plan, index), (0, 0));
        machine.space.set_addresses(&[own], own_length(config.translation))?;
        self.router.add_home(config, public, self.seed.fork(name));
        let answer = json!({
            "namespace": machine.space.name(),
            "address": own.to_string(),
            "public": public.to_string(),
        });
        self.machines.push(machine);
        self.homes.push(Address { name: name.to_owned(), changes: (0, 0) });
        Ok(answer)
    }

    fn set_nat(&mut self, order: &HomeOrder) -> anyhow::Result<Value> {
        let (config, seed) = (order.config(), self.seed.fork(&order.name));
        let home = self.home(&order.name)?;
        let translation = home.nat.config().translation;
        ensure!(config.translation == translation, "a home stays of its kind, for its addresses");
        home.nat = Nat::new(config, home.nat.public(), seed.fork("nat"));
        Ok(json!({}))
    }

    fn direct(&mut self, order: &DirectOrder) -> anyhow::Result<Value> {
        let (one, other) = (&order.homes.0, &order.homes.1);
        let (one, other) = (self.home(one)?.nat.config(), self.home(other)?.nat.config());
        for config in [one, other] {
            let by_the_book = config.translation == Translation::Nat && !config.blocks_udp;
            ensure!(by_the_book, "the rule is one of NATs that let UDP pass");
        }
        Ok(json!({ "direct": one.behaviour.finds_direct(other.behaviour) }))
    }

    fn set_link(&mut self, order: &LinkOrder) -> anyhow::Result<Value> {
        // Both are read before either is changed.
        let up = order.up.map(|line| line.config()).transpose()?;
        let down = order.down.map(|line| line.config()).transpose()?;
        let home = self.home(&order.home)?;
        up.into_iter().for_each(|config| home.up.set_config(config));
        down.into_iter().for_each(|config| home.down.set_config(config));
        Ok(json!({}))
    }

    fn renumber(&mut self, order: &RenumberOrder) -> anyhow::Result<Value> {
        let number = self.number(&order.home)?;
        let index = u8::try_from(number)?;
        let (Some(address), Some(home)) =
            (self.homes.get_mut(number), self.router.home_mut(number))
        else {
            bail!("there is no home {}", order.home);
        };
        let translation = home.nat.config().translation;
        // A machine with a public address has no other one.
        let both = translation != Translation::Nat;
        let (public, own) = &mut address.changes;
        if both || order.what == Renumbered::Public {
            *public = public.saturating_add(1);
            home.nat.renumber(self.plan.home(index, *public));
        }
        let own_now = if both || order.what == Renumbered::Own {
            *own = own.saturating_add(1);
            let own_now = own_address(translation, (&self.plan, index), address.changes);
            let machine = self.machines.get(number).context("a home without a machine")?;
            machine.space.set_addresses(&[own_now], own_length(translation))?;
            own_now
        } else {
            own_address(translation, (&self.plan, index), address.changes)
        };
        Ok(json!({ "address": own_now.to_string(), "public": home.nat.public().to_string() }))
    }

    fn stun(&self, order: &StunOrder) -> anyhow::Result<Value> {
        ensure!(order.host < PUBLIC_HOSTS, "there are {PUBLIC_HOSTS} public addresses");
        let address = SocketAddr::new(self.plan.public_host(order.host).into(), order.port);
        let socket = self.public.space.within(|| Ok(UdpSocket::bind(address)?));
        stun::serve(socket.with_context(|| format!("cannot listen on {address}"))?)?;
        Ok(json!({ "url": format!("stun:{address}") }))
    }

    fn counters(&self) -> Value {
        let homes: BTreeMap<_, _> = self
            .homes
            .iter()
            .enumerate()
            .filter_map(|(index, home)| {
                Some((home.name.as_str(), home_counters(self.router.home(index)?)))
            })
            .collect();
        let dropped = self.router.dropped();
        json!({
            "homes": homes,
            "dropped": {
                "unknown": dropped.unknown,
                "fragments": dropped.fragments,
                "cutOff": dropped.cut_off,
                "tooFar": dropped.too_far,
                "unroutable": dropped.unroutable,
                "strangeErrors": dropped.strange_errors,
                "refused": self.refused,
            },
        })
    }

    fn number(&self, name: &str) -> anyhow::Result<usize> {
        let number = self.homes.iter().position(|home| home.name == name);
        number.with_context(|| format!("there is no home {name}"))
    }

    fn home(&mut self, name: &str) -> anyhow::Result<&mut Home> {
        let number = self.number(name)?;
        self.router.home_mut(number).with_context(|| format!("there is no home {name}"))
    }
}

fn machine<'a>(public: &'a Machine, homes: &'a [Machine], place: Place) -> Option<&'a Machine> {
    match place {
        Place::Public => Some(public),
        Place::Home(home) => homes.get(home),
    }
}

/// The address of a home's machine after so many changes of the public and the own one.
fn own_address(
    translation: Translation,
    (plan, home): (&Plan, u8),
    (public, own): (u32, u32),
) -> std::net::Ipv4Addr {
    match translation {
        Translation::Nat => Plan::private(home, own),
        Translation::Open | Translation::Firewall => plan.home(home, public),
    }
}

/// Nobody but the machine itself is in a public network of one address.
fn own_length(translation: Translation) -> u8 {
    match translation {
        Translation::Nat => 24,
        Translation::Open | Translation::Firewall => 32,
    }
}

/// Names are parts of names of namespaces.
fn check_name(name: &str) -> anyhow::Result<()> {
    let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !letters || name.is_empty() || name.len() > 32 || name == "public" {
        bail!("`{name}` is no name of a home: 1 to 32 of a-z, 0-9 and -, and not `public`");
    }
    Ok(())
}

fn home_counters(home: &Home) -> Value {
    let NatCounters { outbound, inbound, hairpinned, .. } = home.nat.counters();
    let NatCounters { udp_blocked, full, no_mapping, filtered, no_hairpinning, .. } =
        home.nat.counters();
    json!({
        "nat": {
            "mappings": home.nat.mappings(),
            "outbound": outbound,
            "inbound": inbound,
            "hairpinned": hairpinned,
            "udpBlocked": udp_blocked,
            "full": full,
            "noMapping": no_mapping,
            "filtered": filtered,
            "noHairpinning": no_hairpinning,
        },
        "up": link_counters(home.up.counters()),
        "down": link_counters(home.down.counters()),
    })
}

fn link_counters(counters: LinkCounters) -> Value {
    let LinkCounters { sent, delivered, lost, overflowed, cut, doubled, reordered } = counters;
    json!({
        "sent": sent,
        "delivered": delivered,
        "lost": lost,
        "overflowed": overflowed,
        "cut": cut,
        "doubled": doubled,
        "reordered": reordered,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_has_a_name_that_a_namespace_can_have() {
        for name in ["a", "home-2"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "public", "A", "a/b", "a b", "..", &"a".repeat(33)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
