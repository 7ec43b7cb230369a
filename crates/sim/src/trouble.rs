//! The vocabulary of troubles: what each is, how it begins and how it ends.

use std::time::Duration;

use openstudio_session::mesh;
use openstudio_session::{Input, Session};
use openstudio_units::{Gain, Seed};
use openstudio_wire::StripChange;

use crate::client::ToClient;
use crate::signals::{Fate, Relayed};
use crate::world::World;

/// Something that goes wrong, or that somebody does at a bad moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// Somebody who is not there joins.
    Join(usize),
    /// Somebody presses *Leave*, and joins again as a new participant when it ends.
    Leave(usize),
    /// A page dies at once; the machine closes its socket. Comes back with its seat.
    Crash(usize),
    /// A machine is switched off without a word; its person comes back as somebody new.
    PowerCut(usize),
    /// A page is loaded anew.
    Reload(usize),
    /// A laptop is closed, and opened again.
    Sleep(usize),
    /// The microphone is lost, and granted again when it ends.
    NoMicrophone(usize),
    /// The addresses change. `told`: the browser says so.
    NetworkChange {
        /// Whose.
        client: usize,
        /// Whether the browser notices.
        told: bool,
    },
    /// No media pass one way.
    OneWay(usize, usize),
    /// No media pass between two.
    Cut(usize, usize),
    /// Checks pass, audio does not, one way.
    Silence(usize, usize),
    /// No media pass between those whose bit is set and the others.
    Partition(u64),
    /// A client has no network at all. `told`: the browser says when it is back.
    Offline {
        /// Whose.
        client: usize,
        /// Whether the browser notices.
        told: bool,
    },
    /// The server is gone.
    ServerDown {
        /// Whether it said so.
        graceful: bool,
    },
    /// Relayed messages of a kind are lost or doubled, so many of them.
    Messages(Relayed, Fate, u32),
    /// Operations take long; milliseconds.
    Slow(usize, u64),
    /// A page's clock jumps ahead; milliseconds.
    ClockJump(usize, u64),
    /// A page is in the background: its timers ring once a second.
    Throttled(usize),
    /// The browser does not begin with the next peer connections of a client.
    Stuck(usize, u32),
    /// `restartIce()` on everything, by another hand than the mesh's.
    ForeignRestart(usize),
    /// Two do that at the same moment.
    Glare(usize, usize),
    /// Two hosts drag the fader of a participant against each other, and mute.
    Faders {
        /// One host. Whoever is not a host moves nothing.
        one: usize,
        /// The other.
        other: usize,
        /// Whose fader.
        whose: usize,
        /// Where to, in percent.
        percent: u16,
    },
}

impl World {
    pub(crate) fn begin(&mut self, trouble: Trouble) {
        self.injected += 1;
        self.trace.line(self.now, || format!("begins: {trouble:?}"));
        match trouble {
            Trouble::Join(c) => self.join(c),
            Trouble::Leave(c) => self.feed(c, Input::Leave),
            Trouble::Crash(c) => self.close_page(c, true),
            Trouble::PowerCut(c) => self.close_page(c, false),
            Trouble::Reload(c) => self.reload(c),
            Trouble::Sleep(c) => {
                self.clients[c].asleep = true;
                self.look_at_everybody();
            }
            Trouble::NoMicrophone(c) => self.tell(Duration::ZERO, c, ToClient::Microphone(false)),
            Trouble::NetworkChange { client, told } => self.change_network(client, told),
            Trouble::OneWay(a, b) => self.cut(&[(a, b)]),
            Trouble::Cut(a, b) => self.cut(&[(a, b), (b, a)]),
            Trouble::Silence(a, b) => *self.silenced.entry((a, b)).or_default() += 1,
            Trouble::Partition(group) => self.cut(&self.across(group)),
            Trouble::Offline { client, .. } => {
                self.network.isolate(client);
                self.look_at_everybody();
            }
            Trouble::ServerDown { graceful: true } => self.stop_server(),
            Trouble::ServerDown { graceful: false } => self.kill_server(),
            Trouble::Messages(kind, fate, count) => self.faults.add(kind, fate, count),
            Trouble::Slow(c, ms) => self.clients[c].slowness = Duration::from_millis(ms),
            Trouble::ClockJump(c, ms) => {
                self.clients[c].ahead += Duration::from_millis(ms);
                self.wake_alarm(c);
            }
            Trouble::Throttled(c) => self.clients[c].throttled = true,
            Trouble::Stuck(c, count) => self.clients[c].stuck_next = count,
            Trouble::ForeignRestart(c) => self.restart_ice(c),
            Trouble::Glare(a, b) => {
                self.restart_ice(a);
                self.restart_ice(b);
            }
            Trouble::Faders { one, other, whose, percent } => {
                self.drag_faders([(0, one), (1, other)], whose, percent);
            }
        }
    }

    pub(crate) fn end(&mut self, trouble: Trouble) {
        self.trace.line(self.now, || format!("ends: {trouble:?}"));
        match trouble {
            Trouble::Leave(c) | Trouble::PowerCut(c) => self.join(c),
            Trouble::Crash(c) => self.return_to_seat(c),
            Trouble::Sleep(c) => self.wake(c),
            Trouble::NoMicrophone(c) => self.tell(Duration::ZERO, c, ToClient::Microphone(true)),
            Trouble::OneWay(a, b) => self.mend(&[(a, b)]),
            Trouble::Cut(a, b) => self.mend(&[(a, b), (b, a)]),
            Trouble::Silence(a, b) => {
                if let Some(count) = self.silenced.get_mut(&(a, b)) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.silenced.remove(&(a, b));
                    }
                }
            }
            Trouble::Partition(group) => self.mend(&self.across(group)),
            Trouble::Offline { client, told } => {
                self.network.reconnect(client);
                self.release_later(client);
                self.look_at_everybody();
                if told {
                    self.tell(Duration::ZERO, client, ToClient::Online);
                }
            }
            Trouble::ServerDown { .. } => self.start_server(),
            Trouble::Messages(kind, fate, _) => self.faults.clear(kind, fate),
            Trouble::Slow(c, _) => self.clients[c].slowness = Duration::ZERO,
            Trouble::Throttled(c) => self.clients[c].throttled = false,
            Trouble::Stuck(c, _) => self.clients[c].stuck_next = 0,
            Trouble::Join(_)
            | Trouble::Reload(_)
            | Trouble::NetworkChange { .. }
            | Trouble::ClockJump(..)
            | Trouble::ForeignRestart(_)
            | Trouble::Faders { .. }
            | Trouble::Glare(..) => {}
        }
    }

    // ----- pages

    fn open_page(&mut self, c: usize, first: Input) {
        let client = &mut self.clients[c];
        let seed = Seed::from_number(self.config.seed);
        let seed = seed.fork(&format!("page {c} {}", client.life));
        let local = client.local(self.now);
        client.session = Some(Session::new(self.config.session.clone(), seed, local));
        let on = client.microphone;
        self.feed(c, first);
        self.feed(c, Input::SetMicrophone(on));
    }

    /// *Start session* for the first of all, *Join session* for everybody else.
    pub(crate) fn join(&mut self, c: usize) {
        if self.clients[c].is_open() {
            return;
        }
        let room = self.clients.iter().find_map(|client| client.room);
        let is_host = self.clients[c].role == openstudio_units::Role::Host;
        let invite = self.invite.clone().filter(|_| is_host);
        let first = match room {
            Some(room) => Input::Join { room, invite, name: None },
            None => Input::Start { name: None },
        };
        self.open_page(c, first);
    }

    /// Takes the kept seat again.
    fn return_to_seat(&mut self, c: usize) {
        if self.clients[c].is_open() {
            return;
        }
        match self.clients[c].token.clone() {
            Some(token) => self.open_page(c, Input::Resume { token }),
            None => self.join(c),
        }
    }

    /// A page is gone. `told`: the machine closes its socket.
    fn close_page(&mut self, c: usize, told: bool) {
        let socket = self.clients[c].socket.take();
        if let Some(socket) = socket.filter(|_| told) {
            self.hang_up(c, socket);
        }
        self.clients[c].forget_page();
        self.look_at_everybody();
    }

    fn reload(&mut self, c: usize) {
        if self.clients[c].is_open() {
            self.close_page(c, true);
            self.return_to_seat(c);
        }
    }

    fn wake(&mut self, c: usize) {
        self.clients[c].asleep = false;
        self.look_at_everybody();
        for what in std::mem::take(&mut self.clients[c].waiting) {
            self.tell(Duration::ZERO, c, what);
        }
        self.wake_alarm(c);
    }

    /// The page's clock may have passed its deadline: its timer rings at once.
    fn wake_alarm(&mut self, c: usize) {
        if self.clients[c].is_open() {
            self.clients[c].armed = Some(self.now);
            self.tell(Duration::ZERO, c, ToClient::Alarm);
        }
    }

    // ----- the network

    fn cut(&mut self, directions: &[(usize, usize)]) {
        directions.iter().for_each(|(a, b)| self.network.cut(*a, *b));
        self.look_at_everybody();
    }

    fn mend(&mut self, directions: &[(usize, usize)]) {
        directions.iter().for_each(|(a, b)| self.network.mend(*a, *b));
        self.look_at_everybody();
    }

    /// All directions between the two sides of a partition.
    fn across(&self, group: u64) -> Vec<(usize, usize)> {
        let n = self.clients.len();
        let side = |c: usize| group >> c & 1;
        let all = (0..n).flat_map(|a| (0..n).map(move |b| (a, b)));
        all.filter(|(a, b)| side(*a) != side(*b)).collect()
    }

    fn change_network(&mut self, c: usize, told: bool) {
        self.clients[c].site.epoch += 1;
        self.look_at_everybody();
        if told {
            self.tell(Duration::from_millis(300), c, ToClient::NetworkChanged);
        }
    }

    fn restart_ice(&mut self, c: usize) {
        if self.clients[c].asleep {
            return;
        }
        for pc in self.clients[c].pcs.keys().copied().collect::<Vec<_>>() {
            if let Some(sim) = self.clients[c].pcs.get_mut(&pc) {
                sim.model.restart_ice();
                self.tell(Duration::ZERO, c, ToClient::Pump(pc));
            }
        }
    }

    // ----- the person

    /// Each of them moves the fader a few times, and not to the same place.
    fn drag_faders(&mut self, hosts: [(u16, usize); 2], whose: usize, percent: u16) {
        let Some(peer) = self.clients[whose].me else { return };
        for step in 0..4 {
            for (number, c) in hosts {
                let gain = Gain::from_percent((percent + 7 * step + 50 * number) % 201);
                let muted = (step == 3).then_some(percent % 2 == number);
                let change = StripChange { gain: gain.ok(), muted, on_air: None };
                if !self.clients[c].asleep {
                    self.feed(c, Input::SetStrip { peer, change });
                }
            }
        }
    }

    /// *Retry*, for everybody who was given up but could be reached.
    pub(crate) fn press_retry(&mut self, c: usize) {
        let links = self.clients[c].session.as_ref().map(Session::links).unwrap_or_default();
        for link in links {
            let given_up = link.state == mesh::ConnectionState::FailedPermanent;
            let other = self.holder(link.peer).map(|other| self.clients[other].site);
            let site = self.clients[c].site;
            if given_up && other.is_some_and(|other| self.network.can_connect(site, other)) {
                self.retries += 1;
                self.feed_mesh(c, mesh::Input::RetryRequested { peer: link.peer });
            }
        }
    }
}
