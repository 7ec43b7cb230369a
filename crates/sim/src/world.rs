//! [`World`]: the clock, the queue, and everything that lives in them.
//!
//! This file steps from happening to happening. What clients do is in `driver`, the media
//! paths in `media`, the server's sockets in `sockets`, troubles in `trouble`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use openstudio_net::NatKind;
use openstudio_session::{SessionConfig, SocketId};
use openstudio_units::{Generation, PeerId, Rng, Role, Seed, Timestamp};
use openstudio_wire::Token;

use crate::client::{Client, ToClient};
use crate::network::{Network, Site};
use crate::server::{Conn, Server};
use crate::signals::Faults;
use crate::trace::{Trace, Violation};
use crate::trouble::Trouble;

/// Something that is to happen.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// Something reaches the event loop of a page.
    ToClient { client: usize, life: u32, what: ToClient },
    /// A socket reaches the server.
    Accept { client: usize, life: u32, socket: SocketId },
    /// A text reaches the server.
    Text { client: usize, conn: Conn, text: String },
    /// The end of a socket reaches the server.
    Hangup { client: usize, conn: Conn },
    /// The server looks whether a socket is still alive.
    Look(Conn),
    /// The rooms have something due, in this life of the server.
    ServerAlarm(u32),
    /// What waited for the network of a client arrives.
    Release(usize),
    /// A trouble begins.
    Begin(Trouble),
    /// A trouble ends.
    End(Trouble),
}

/// How a world is made.
#[derive(Debug, Clone)]
pub(crate) struct WorldConfig {
    pub(crate) seed: u64,
    pub(crate) peers: usize,
    pub(crate) has_stun: bool,
    pub(crate) has_relay: bool,
    /// Whether there are NATs of every type, or only such as a direct path gets through.
    pub(crate) hard_nats: bool,
    pub(crate) traced: bool,
    pub(crate) session: SessionConfig,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) config: WorldConfig,
    pub(crate) queue: crate::queue::Queue<Happening>,
    pub(crate) clients: Vec<Client>,
    pub(crate) server: Server,
    pub(crate) network: Network,
    pub(crate) faults: Faults,
    /// Directions in which audio is lost, though checks pass.
    pub(crate) silenced: BTreeMap<(usize, usize), u32>,
    /// Who has which id, and had.
    pub(crate) owners: BTreeMap<PeerId, usize>,
    /// Of which generation each peer connection is, and whose.
    pub(crate) names: Vec<(usize, Generation)>,
    pub(crate) invite: Option<Token>,
    pub(crate) trace: Trace,
    pub(crate) delays: Rng,
    pub(crate) injected: u64,
    pub(crate) retries: u64,
    /// Whether a link may be another than at the last look.
    pub(crate) stirred: bool,
    /// Steps without the clock moving: a livelock shows here.
    same_time: u32,
}

/// How many steps at one moment are a livelock.
const MAX_SAME_TIME: u32 = 20_000;

impl World {
    pub(crate) fn new(config: WorldConfig) -> Self {
        let seed = Seed::from_number(config.seed);
        let mut world = Self {
            now: Timestamp::from_millis(1),
            queue: crate::queue::Queue::new(),
            clients: Vec::new(),
            server: Server::new(seed.fork("server"), config.has_stun, config.has_relay),
            network: Network::new(config.has_stun, config.has_relay),
            trace: Trace::new(config.traced),
            faults: Faults::default(),
            silenced: BTreeMap::new(),
            owners: BTreeMap::new(),
            names: Vec::new(),
            invite: None,
            delays: seed.fork("delays").rng(),
            injected: 0,
            retries: 0,
            stirred: true,
            same_time: 0,
            config,
        };
        let mut sites = seed.fork("sites").rng();
        for index in 0..world.config.peers {
            let role = if index < 3 { Role::Host } else { Role::Caller };
            let site = world.site(&mut sites, index);
            world.network.add_client(
                sites.duration_between(Duration::from_millis(2), Duration::from_millis(60)),
            );
            world.clients.push(Client::new(role, site));
        }
        world.server.start(world.now);
        world
    }

    /// Draws where a client is: a third of them in the studio's own network.
    fn site(&self, rng: &mut Rng, index: usize) -> Site {
        let easy =
            [NatKind::Open, NatKind::FullCone, NatKind::AddressRestricted, NatKind::PortRestricted];
        let kinds: &[NatKind] = if self.config.hard_nats { &NatKind::ALL } else { &easy };
        let last = u64::try_from(kinds.len()).unwrap_or(1).saturating_sub(1);
        let drawn = usize::try_from(rng.between(0, last)).unwrap_or(0);
        let in_studio = rng.between(1, 3) == 1;
        let own = u32::try_from(index).unwrap_or(0) + 1;
        let nat = kinds.get(drawn).copied().unwrap_or(NatKind::Open);
        Site { nat, lan: if in_studio { 0 } else { own }, epoch: 0 }
    }

    // ----- time

    pub(crate) fn after(&mut self, delay: Duration, what: Happening) {
        self.queue.push(self.now + delay, what);
    }

    /// Queues something for the page that `client` has open.
    pub(crate) fn tell(&mut self, delay: Duration, client: usize, what: ToClient) {
        let life = self.clients[client].life;
        self.after(delay, Happening::ToClient { client, life, what });
    }

    /// Goes to the next happening; `false` if there is none up to `end`, or a rule is broken.
    pub(crate) fn step(&mut self, end: Timestamp) -> bool {
        let Some(at) = self.queue.next_at().filter(|at| *at <= end) else {
            return false;
        };
        if at > self.now {
            self.now = at;
            self.same_time = 0;
        }
        self.same_time += 1;
        if self.same_time > MAX_SAME_TIME {
            self.violation("the clock stands still: something happens again and again");
        }
        if let Some(happening) = self.queue.pop() {
            self.handle(happening);
        }
        !self.trace.is_broken()
    }

    /// Runs up to `end`; `false` if a rule was broken.
    pub(crate) fn run_to(&mut self, end: Timestamp) -> bool {
        while self.step(end) {}
        self.now = self.now.max(end);
        !self.trace.is_broken()
    }

    pub(crate) fn handle(&mut self, happening: Happening) {
        if let Some(client) = self.held_up(&happening) {
            self.clients[client].held.push(happening);
            return;
        }
        self.trace.mix(self.now.as_micros());
        match happening {
            Happening::ToClient { client, life, what } => {
                if self.clients[client].life == life {
                    self.reach(client, what);
                }
            }
            Happening::Accept { client, life, socket } => self.accept(client, life, socket),
            Happening::Text { conn, text, .. } => self.text_arrived(conn, &text),
            Happening::Hangup { conn, .. } => self.hung_up(conn),
            Happening::Look(conn) => self.look_at_socket(conn),
            Happening::ServerAlarm(life) => self.server_alarm(life),
            Happening::Release(client) => self.release(client),
            Happening::Begin(trouble) => self.begin(trouble),
            Happening::End(trouble) => self.end(trouble),
        }
    }

    /// Whose network is down, so that this cannot arrive.
    fn held_up(&self, happening: &Happening) -> Option<usize> {
        let client = match happening {
            Happening::ToClient {
                client,
                what:
                    ToClient::SocketOpened(_) | ToClient::Message { .. } | ToClient::SocketClosed { .. },
                ..
            }
            | Happening::Accept { client, .. }
            | Happening::Text { client, .. }
            | Happening::Hangup { client, .. } => *client,
            Happening::ToClient { .. }
            | Happening::Look(_)
            | Happening::ServerAlarm(_)
            | Happening::Release(_)
            | Happening::Begin(_)
            | Happening::End(_) => return None,
        };
        let holds = self.clients[client].holds_until.is_some();
        (holds || self.network.is_isolated(client)).then_some(client)
    }

    // ----- who is who

    /// The client that holds this id at present.
    pub(crate) fn holder(&self, peer: PeerId) -> Option<usize> {
        let client = *self.owners.get(&peer)?;
        (self.clients[client].me == Some(peer)).then_some(client)
    }

    // ----- what is written down

    pub(crate) fn violation(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.trace.line(self.now, || format!("VIOLATION: {what}"));
        self.trace.break_off(Violation { at: self.now, what });
    }

    /// Describes all links, for a report of a violation.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for (index, client) in self.clients.iter().enumerate() {
            let links = client.session.as_ref().map(|session| session.links()).unwrap_or_default();
            let _ = writeln!(text, "client {index} {:?} {:?}", client.me, client.site);
            for link in links {
                let _ = writeln!(
                    text,
                    "  to {:?}: {} {} generation {} attempts {} {:?} {:?}",
                    self.owners.get(&link.peer),
                    link.state,
                    link.signaling_state,
                    link.generation,
                    link.attempts,
                    link.peer_connection_state,
                    link.trouble,
                );
            }
        }
        text
    }
}
