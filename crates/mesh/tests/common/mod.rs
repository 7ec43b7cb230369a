//! Several meshes in one process: in-memory signalling, a virtual clock, and a model of
//! `RTCPeerConnection` that refuses what webrtc-pc refuses.
//!
//! Nothing here sleeps: [`World::run_until`] steps from event to event.
#![allow(dead_code, reason = "each test file uses a part of the harness")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a broken test stops")]

pub(crate) mod pc;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openstudio_mesh::{
    Command, Completion, ConnectionState, Event, IceCandidate, Input, Mesh, MeshConfig, OpId,
    Output, PcId, PeerConnectionState, PeerInfo, Signal, StatsSample,
};
use openstudio_units::{Generation, Incarnation, PeerId, Rng, Role, Seed, Timestamp};

use self::pc::TestPc;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn first_generation(world: &World) -> Generation {
    Generation::first(world.nodes[0].incarnation, world.nodes[1].incarnation)
}

/// Drops the first `n` signals that `which` picks.
pub(crate) fn drop_first(
    n: usize,
    which: fn(&Signal) -> bool,
) -> impl FnMut(usize, usize, &Signal) -> Fate {
    let mut left = n;
    move |_, _, signal| {
        if left > 0 && which(signal) {
            left -= 1;
            return Fate::Drop;
        }
        Fate::Deliver
    }
}

pub(crate) fn is_offer(signal: &Signal) -> bool {
    matches!(signal, Signal::Offer { .. })
}

pub(crate) fn is_answer(signal: &Signal) -> bool {
    matches!(signal, Signal::Answer { .. })
}

/// What happens to a signal under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Deliver,
    Drop,
    Duplicate,
}

type Rule = Box<dyn FnMut(usize, usize, &Signal) -> Fate>;

enum Happening {
    Input(usize, u32, Input),
    Connectivity,
}

/// One participant.
pub(crate) struct Node {
    pub(crate) id: PeerId,
    pub(crate) mesh: Mesh,
    pub(crate) pcs: BTreeMap<PcId, TestPc>,
    pub(crate) events: Vec<Event>,
    pub(crate) incarnation: Incarnation,
    pub(crate) microphone: bool,
    /// Rises when the node is replaced, so that what was meant for the old one is lost.
    life: u32,
    alive: bool,
    in_flight: BTreeMap<OpId, PcId>,
}

/// What was counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) peer_connections: usize,
    pub(crate) offers: usize,
    pub(crate) answers: usize,
    pub(crate) requests: usize,
    pub(crate) stale: usize,
    pub(crate) descriptions_set: usize,
}

/// Everything.
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) nodes: Vec<Node>,
    pub(crate) tally: Tally,
    pub(crate) config: MeshConfig,
    /// Directions in which no packet passes.
    pub(crate) blocked: BTreeSet<(usize, usize)>,
    rule: Rule,
    seed: u64,
    rng: Rng,
    queue: BTreeMap<(Timestamp, u64), Happening>,
    last: u64,
    /// Delivery is in order per direction, as a WebSocket keeps it.
    arrival: BTreeMap<(usize, usize), Timestamp>,
    /// How many peer connections were made: their names.
    made: u64,
    next_check: Timestamp,
    /// Connections are made, but no packet of audio passes.
    pub(crate) mute_wire: bool,
    /// How long the platform's operations take at most; zero for a machine that keeps up.
    pub(crate) slowness: Duration,
}

#[expect(clippy::print_stderr, reason = "a failed test says which seed it had")]
fn print_seed(seed: u64) {
    eprintln!("seed {seed}");
}

impl World {
    /// Makes `n` participants, all in the room, the first `hosts` of them hosts.
    pub(crate) fn new(seed: u64, n: usize) -> Self {
        print_seed(seed);
        let mut world = Self {
            now: Timestamp::from_millis(1),
            nodes: Vec::new(),
            tally: Tally::default(),
            config: MeshConfig::default(),
            blocked: BTreeSet::new(),
            rule: Box::new(|_, _, _| Fate::Deliver),
            seed,
            rng: Seed::from_number(seed).fork("world").rng(),
            queue: BTreeMap::new(),
            last: 0,
            arrival: BTreeMap::new(),
            made: 0,
            next_check: Timestamp::ZERO,
            mute_wire: false,
            slowness: Duration::ZERO,
        };
        for _ in 0..n {
            world.add_node();
        }
        world
    }

    /// A world in which node 0 is polite towards node 1.
    pub(crate) fn pair(seed: u64) -> Self {
        Self::new(seed, 2)
    }

    pub(crate) fn add_node(&mut self) -> usize {
        let n = self.nodes.len();
        // Ascending ids: of two nodes the first is the polite one.
        let mut bytes = [0; 16];
        bytes[0] = u8::try_from(n).unwrap() + 1;
        let id = PeerId::from_random_bytes(bytes);
        let incarnation = Incarnation(u32::try_from(n).unwrap() + 1);
        let mesh = self.mesh(n, id, incarnation);
        self.nodes.push(Node {
            id,
            mesh,
            pcs: BTreeMap::new(),
            events: Vec::new(),
            incarnation,
            microphone: true,
            life: 0,
            alive: true,
            in_flight: BTreeMap::new(),
        });
        n
    }

    fn mesh(&self, n: usize, id: PeerId, incarnation: Incarnation) -> Mesh {
        let seed = Seed::from_number(self.seed).fork(&format!("{n}:{}", incarnation.0));
        Mesh::new(self.config.clone(), id, incarnation, seed, self.now)
    }

    /// Begins again with the same participants and so many set-ups at once.
    pub(crate) fn limit_setups(&mut self, setups_in_flight: usize) {
        self.config.setups_in_flight = setups_in_flight;
        for _ in 0..std::mem::take(&mut self.nodes).len() {
            self.add_node();
        }
    }

    pub(crate) fn set_rule(&mut self, rule: impl FnMut(usize, usize, &Signal) -> Fate + 'static) {
        self.rule = Box::new(rule);
    }

    pub(crate) fn info(&self, n: usize) -> PeerInfo {
        let node = &self.nodes[n];
        PeerInfo {
            role: if n < 3 { Role::Host } else { Role::Caller },
            incarnation: node.incarnation,
            present: true,
            sends_audio: node.microphone,
        }
    }

    /// Tells `at` of `of`.
    pub(crate) fn introduce(&mut self, at: usize, of: usize) {
        let (peer, info) = (self.nodes[of].id, self.info(of));
        self.input(at, Input::PeerSeen { peer, info });
    }

    /// Tells everybody of everybody.
    pub(crate) fn join_all(&mut self) {
        let n = self.nodes.len();
        for (a, b) in (0..n).flat_map(|a| (0..n).map(move |b| (a, b))).filter(|(a, b)| a != b) {
            self.introduce(a, b);
        }
    }

    /// Joins, and goes on until no earlier attempt counts any more.
    pub(crate) fn join_and_settle(&mut self) {
        self.join_all();
        self.run_until(3 * SECOND, Self::all_connected);
        self.run_for(10 * SECOND);
    }

    /// Runs until nodes 0 and 1 have given each other up.
    pub(crate) fn run_until_both_gave_up(&mut self) {
        let failed = Some(ConnectionState::FailedPermanent);
        self.run_until(120 * SECOND, |w| w.state(0, 1) == failed && w.state(1, 0) == failed);
    }

    /// The page of `n` is reloaded: its mesh and its peer connections are gone.
    pub(crate) fn reload(&mut self, n: usize) {
        let highest = self.nodes.iter().map(|node| node.incarnation.0).max().unwrap();
        let incarnation = Incarnation(highest + 1);
        let mesh = self.mesh(n, self.nodes[n].id, incarnation);
        let node = &mut self.nodes[n];
        node.life += 1;
        node.pcs.clear();
        node.in_flight.clear();
        node.mesh = mesh;
        node.incarnation = incarnation;
        for other in (0..self.nodes.len()).filter(|other| *other != n).collect::<Vec<_>>() {
            self.introduce(n, other);
            self.introduce(other, n);
        }
        self.at(Duration::ZERO, Happening::Connectivity);
    }

    /// `n` is gone without a word.
    pub(crate) fn crash(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        node.life += 1;
        node.alive = false;
        node.pcs.clear();
        node.in_flight.clear();
        self.at(Duration::ZERO, Happening::Connectivity);
    }

    pub(crate) fn block(&mut self, a: usize, b: usize) {
        self.blocked.insert((a, b));
        self.blocked.insert((b, a));
        self.at(Duration::ZERO, Happening::Connectivity);
    }

    pub(crate) fn unblock(&mut self) {
        self.blocked.clear();
        self.at(Duration::ZERO, Happening::Connectivity);
    }

    /// `restartIce()` on every peer connection of `n`, by another hand than the mesh's.
    pub(crate) fn restart_ice(&mut self, n: usize) {
        for pc in self.nodes[n].pcs.keys().copied().collect::<Vec<_>>() {
            if let Some(record) = self.nodes[n].pcs.get_mut(&pc) {
                record.restart();
            }
            self.fire_needed(n, pc);
        }
    }

    pub(crate) fn state(&self, at: usize, of: usize) -> Option<ConnectionState> {
        self.nodes[at].mesh.state(self.nodes[of].id)
    }

    pub(crate) fn all_connected(&self) -> bool {
        let n = self.nodes.len();
        (0..n)
            .all(|a| (0..n).all(|b| a == b || self.state(a, b) == Some(ConnectionState::Connected)))
    }

    pub(crate) fn events_of(&self, at: usize, of: usize) -> Vec<ConnectionState> {
        let peer_id = self.nodes[of].id;
        let to = |event: &Event| match event {
            Event::ConnectionStateChanged { peer, to, .. } if *peer == peer_id => Some(*to),
            Event::ConnectionStateChanged { .. }
            | Event::ConnectionFailed { .. }
            | Event::RemoteTrackAdded { .. }
            | Event::QualityChanged { .. } => None,
        };
        self.nodes[at].events.iter().filter_map(to).collect()
    }

    // ----- time

    fn at(&mut self, delay: Duration, what: Happening) {
        self.last += 1;
        self.queue.insert((self.now + delay, self.last), what);
    }

    /// Runs until `done`, for `limit` at most. Panics with the state of all links if that
    /// is not enough.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Duration {
        let start = self.now;
        let mut steps = 0;
        while !done(self) {
            steps += 1;
            if steps > 200_000 || !self.step(start + limit) {
                let links: Vec<_> = self.nodes.iter().map(|node| node.mesh.snapshot()).collect();
                let (seed, time) = (self.seed, self.now.since(start));
                panic!("not reached after {steps} steps, {time:?}, seed {seed}: {links:#?}");
            }
        }
        self.now.since(start)
    }

    /// Runs for a while.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        let mut steps = 0;
        while self.step(end) {
            steps += 1;
            assert!(steps < 200_000, "livelock at {}: {:?}", self.now, self.deadlines());
        }
        self.now = end;
    }

    fn deadlines(&self) -> Vec<Option<openstudio_mesh::Deadline>> {
        self.nodes.iter().map(|node| node.mesh.poll_timeout()).collect()
    }

    /// Goes to the next event; `false` if there is none before `end`.
    fn step(&mut self, end: Timestamp) -> bool {
        let timer = (0..self.nodes.len())
            .filter(|n| self.nodes[*n].alive)
            .filter_map(|n| self.nodes[n].mesh.poll_timeout().map(|due| (due.at, n)))
            .min();
        let event = self.queue.first_key_value().map(|(key, _)| key.0);
        let next = [timer.map(|(at, _)| at), event].into_iter().flatten().min();
        let Some(next) = next.filter(|at| *at <= end) else {
            return false;
        };
        self.now = self.now.max(next);
        match (event, timer) {
            (Some(at), _) if at == next => {
                let (_, happening) = self.queue.pop_first().unwrap();
                match happening {
                    Happening::Input(n, life, input) if self.nodes[n].life == life => {
                        if let Input::Completed { op, .. } = &input {
                            self.nodes[n].in_flight.remove(op);
                        }
                        self.input(n, input);
                    }
                    Happening::Input(..) => {}
                    Happening::Connectivity => self.check_connectivity(),
                }
            }
            (_, Some((_, n))) => {
                self.nodes[n].mesh.handle_timeout(self.now);
                self.drain(n);
            }
            _ => return false,
        }
        true
    }

    // ----- the driver

    /// Feeds an input and performs what follows.
    pub(crate) fn input(&mut self, n: usize, input: Input) {
        if self.nodes[n].alive {
            self.nodes[n].mesh.handle_input(self.now, input);
            self.drain(n);
        }
    }

    fn later(&mut self, n: usize, input: Input) {
        let quick = (Duration::from_micros(10), Duration::from_millis(15));
        let is_operation = matches!(input, Input::Completed { .. });
        let (least, most) = if is_operation && self.slowness > quick.1 {
            (self.slowness / 2, self.slowness)
        } else {
            quick
        };
        let delay = self.rng.duration_between(least, most);
        let life = self.nodes[n].life;
        self.at(delay, Happening::Input(n, life, input));
    }

    fn drain(&mut self, n: usize) {
        while let Some(output) = self.nodes[n].mesh.poll_output() {
            match output {
                Output::Event(event) => self.nodes[n].events.push(event),
                Output::Command(command) => self.perform(n, command),
            }
        }
    }

    fn perform(&mut self, n: usize, command: Command) {
        match command {
            Command::CreatePeerConnection { op, pc, peer, offers, .. } => {
                self.tally.peer_connections += 1;
                let other = self.nodes.iter().position(|node| node.id == peer).unwrap();
                self.made += 1;
                self.nodes[n].pcs.insert(pc, TestPc::new(other, offers, self.made));
                self.nodes[n].in_flight.insert(op, pc);
                self.later(n, Input::Completed { op, result: Ok(Completion::Done) });
                self.fire_needed(n, pc);
            }
            Command::ClosePeerConnection { pc } => {
                self.nodes[n].pcs.remove(&pc).expect("closed twice");
                self.nodes[n].in_flight.retain(|_, of| *of != pc);
                self.at(Duration::ZERO, Happening::Connectivity);
            }
            Command::RestartIce { pc } => {
                self.nodes[n].pcs.get_mut(&pc).expect("restart on a closed one").restart();
                self.fire_needed(n, pc);
            }
            Command::SetRedundancy { .. } => panic!("nobody reported a loss"),
            Command::SendSignal { to, signal } => self.carry(n, to, signal),
            Command::SetLocalDescription { op, pc } => {
                self.begin(n, op, pc);
                self.tally.descriptions_set += 1;
                let result = self.nodes[n].pcs.get_mut(&pc).unwrap().set_local();
                self.later(n, Input::Completed { op, result });
                self.gather(n, pc);
                self.after_description(n, pc);
            }
            Command::SetRemoteDescription { op, pc, kind, sdp } => {
                self.begin(n, op, pc);
                self.tally.descriptions_set += 1;
                let outcome = self.nodes[n].pcs.get_mut(&pc).unwrap().set_remote(kind, &sdp);
                let result = outcome.map(|()| Completion::Done);
                self.later(n, Input::Completed { op, result });
                self.after_description(n, pc);
                self.announce_track(n, pc);
            }
            Command::AddIceCandidates { op, pc, candidates } => {
                self.begin(n, op, pc);
                let record = self.nodes[n].pcs.get_mut(&pc).unwrap();
                let results = candidates.iter().map(|candidate| record.add_candidate(candidate));
                let refused = results.filter(Result::is_err).count().try_into().unwrap();
                let result = Ok(Completion::CandidatesAdded { refused });
                self.later(n, Input::Completed { op, result });
                self.at(Duration::ZERO, Happening::Connectivity);
            }
            Command::SampleStats { op, pc, .. } => {
                self.begin(n, op, pc);
                let sample = self.sample(n, pc);
                self.later(n, Input::Completed { op, result: Ok(Completion::Stats(sample)) });
            }
        }
    }

    fn begin(&mut self, n: usize, op: OpId, pc: PcId) {
        let node = &mut self.nodes[n];
        assert!(node.pcs.contains_key(&pc), "an operation on a closed peer connection");
        assert!(!node.in_flight.values().any(|of| *of == pc), "two operations in flight on {pc:?}");
        node.in_flight.insert(op, pc);
    }

    fn fire_needed(&mut self, n: usize, pc: PcId) {
        if self.nodes[n].pcs.get_mut(&pc).is_some_and(TestPc::take_needed) {
            self.later(n, Input::NegotiationNeeded { pc });
        }
    }

    fn after_description(&mut self, n: usize, pc: PcId) {
        self.fire_needed(n, pc);
        self.at(Duration::from_millis(5), Happening::Connectivity);
    }

    fn announce_track(&mut self, n: usize, pc: PcId) {
        self.later(n, Input::RemoteTrackAdded { pc });
    }

    fn gather(&mut self, n: usize, pc: PcId) {
        let Some(ufrag) = self.nodes[n].pcs.get_mut(&pc).and_then(TestPc::take_gathering) else {
            return;
        };
        for index in 0..3 {
            let candidate = Some(IceCandidate {
                candidate: format!("candidate:{index} of {ufrag}"),
                sdp_mid: Some("0".to_owned()),
                sdp_m_line_index: Some(0),
                username_fragment: Some(ufrag.to_string()),
            });
            self.later(n, Input::LocalCandidateGathered { pc, candidate });
        }
    }

    fn sample(&mut self, n: usize, pc: PcId) -> StatsSample {
        let other = self.nodes[n].pcs[&pc].other;
        let flows = self.mate(n, pc).is_some()
            && self.nodes[n].pcs[&pc].state == PeerConnectionState::Connected
            && !self.blocked.contains(&(other, n))
            && self.nodes[other].microphone
            && !self.mute_wire;
        let now = self.now.as_millis();
        let record = self.nodes[n].pcs.get_mut(&pc).unwrap();
        if flows {
            record.progress = now;
        }
        let inbound_progress = record.progress;
        StatsSample { inbound_progress, inbound_loss: Some(0.0), ..StatsSample::default() }
    }

    fn carry(&mut self, n: usize, to: PeerId, signal: Signal) {
        let other = self.nodes.iter().position(|node| node.id == to).unwrap();
        match &signal {
            Signal::Offer { .. } => self.tally.offers += 1,
            Signal::Answer { .. } => self.tally.answers += 1,
            Signal::RequestOffer { .. } => self.tally.requests += 1,
            Signal::Stale { .. } => self.tally.stale += 1,
            Signal::Candidates { candidates, .. } => assert!(!candidates.is_empty()),
        }
        let copies = match (self.rule)(n, other, &signal) {
            Fate::Deliver => 1,
            Fate::Drop => 0,
            Fate::Duplicate => 2,
        };
        for _ in 0..copies {
            let delay =
                self.rng.duration_between(Duration::from_millis(1), Duration::from_millis(40));
            let slot = self.arrival.entry((n, other)).or_default();
            let at = (self.now + delay).max(*slot);
            *slot = at;
            let (from, life) = (self.nodes[n].id, self.nodes[other].life);
            let input = Input::SignalReceived { from, signal: signal.clone() };
            self.at(at.since(self.now), Happening::Input(other, life, input));
        }
    }

    // ----- the network

    /// The peer connection at the other end: descriptions name each other.
    fn mate(&self, n: usize, pc: PcId) -> Option<PcId> {
        let ours = &self.nodes[n].pcs[&pc];
        let theirs = &self.nodes[ours.other].pcs;
        theirs.iter().find(|(_, mate)| mate.other == n && ours.is_mate_of(mate)).map(|(id, _)| *id)
    }

    fn check_connectivity(&mut self) {
        let mut waits = false;
        for n in 0..self.nodes.len() {
            for pc in self.nodes[n].pcs.keys().copied().collect::<Vec<_>>() {
                let other = self.nodes[n].pcs[&pc].other;
                let path =
                    !self.blocked.contains(&(n, other)) && !self.blocked.contains(&(other, n));
                let mate = self.mate(n, pc).is_some();
                let record = self.nodes[n].pcs.get_mut(&pc).unwrap();
                if let Some((state, after)) = record.evaluate(self.now, mate && path) {
                    let life = self.nodes[n].life;
                    let input = Input::ConnectionStateChanged { pc, state };
                    self.at(after, Happening::Input(n, life, input));
                }
                waits |= self.nodes[n].pcs[&pc].waits_for_network();
            }
        }
        let next = self.now + Duration::from_secs(1);
        if waits && self.next_check < next && self.next_check <= self.now {
            self.next_check = next;
            self.at(Duration::from_secs(1), Happening::Connectivity);
        }
    }
}
