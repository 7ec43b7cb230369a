//! Any inputs in any order into a `Mesh`, whose driver keeps account.
//!
//! Invariants checked, besides those of [`Driver`]: outputs per input are bounded; nobody who
//! left is named any more; told states follow each other and agree with the asked ones; what
//! is due gets done, and not again and again; no candidate goes out before the description
//! of its round (RFC 8838 §4).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arbitrary::Arbitrary;
use openstudio_mesh::{
    Command, ConnectionState, Event, Input, LinkSnapshot, Mesh, MeshConfig, Output,
    PeerConnectionState, PeerInfo, Signal,
};
use openstudio_units::{Generation, Incarnation, PeerId, Role, Seed, Timestamp};

use crate::driver::{Driver, Fact};
use crate::people::{OTHERS, Who, local};
use crate::said::Said;

const MAX_STEPS: usize = 400;

/// What one input may lead to for each participant: a batch of signals, commands and events.
const OUTPUTS_EACH: usize = 12;

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Step {
    Fact(Fact),
    Signal {
        from: Who,
        said: Said,
    },
    Seen {
        who: Who,
        caller: bool,
        incarnation: u8,
        present: bool,
        sends_audio: bool,
    },
    Left(Who),
    Signalling(bool),
    Incarnation(u8),
    Retry(Who),
    Network {
        changed: bool,
    },
    IceServers {
        has_relay: bool,
    },
    CloseOne(Who),
    CloseAll,
    /// Time passes, milliseconds, whether something is due meanwhile or not.
    Pass(u16),
    /// Time passes up to the next deadline.
    ToDeadline,
    /// The machine sleeps, minutes.
    Sleep(u8),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
struct Move {
    step: Step,
    /// Whether the driver is slow to drain: the next input comes first.
    undrained: bool,
}

/// Feeds a mesh.
///
/// # Panics
/// A rule of the module's list is broken.
pub fn mesh_input(data: &[u8]) {
    let mut world = World::new();
    for Move { step, undrained } in crate::steps::<Move>(data, MAX_STEPS) {
        world.apply(step);
        if !undrained {
            world.drain();
        }
    }
    world.drain();
    world.feed(Input::CloseAll);
    world.drain();
    assert_eq!(world.driver.len(), 0, "peer connections are left open");
    assert_eq!(world.mesh.poll_timeout(), None, "something is due for nobody");
}

struct World {
    mesh: Mesh,
    driver: Driver,
    now: Timestamp,
    /// Who is in the room, with the state that was told last.
    states: BTreeMap<PeerId, ConnectionState>,
    /// Inputs since the queue was last empty.
    fed: usize,
    described: BTreeSet<String>,
    /// Rounds of which candidates went out, but no description.
    ahead: BTreeSet<String>,
}

impl World {
    fn new() -> Self {
        let (seed, now) = (Seed::from_number(1), Timestamp::from_millis(1000));
        Self {
            mesh: Mesh::new(MeshConfig::default(), local(), Incarnation(1), seed, now),
            driver: Driver::default(),
            now,
            states: BTreeMap::new(),
            fed: 0,
            described: BTreeSet::new(),
            ahead: BTreeSet::new(),
        }
    }

    fn apply(&mut self, step: Step) {
        let input = match step {
            Step::Fact(fact) => {
                // A driver knows only what it has drained.
                self.drain();
                let Some(input) = self.driver.report(fact) else { return };
                input
            }
            Step::Signal { from, said } => {
                let signal = said.signal(self.present(from.id()));
                Input::SignalReceived { from: from.id(), signal }
            }
            Step::Seen { who, caller, incarnation, present, sends_audio } => {
                let role = if caller { Role::Caller } else { Role::Host };
                let incarnation = Incarnation(u32::from(incarnation % 8));
                self.states.entry(who.id()).or_insert(ConnectionState::Disconnected);
                let info = PeerInfo { role, incarnation, present, sends_audio };
                Input::PeerSeen { peer: who.id(), info }
            }
            Step::Left(who) => {
                self.states.remove(&who.id());
                Input::PeerLeft { peer: who.id() }
            }
            Step::Signalling(up) => Input::SignallingChanged { up },
            Step::Incarnation(n) => {
                Input::IncarnationChanged { incarnation: Incarnation(u32::from(n % 8)) }
            }
            Step::Retry(who) => Input::RetryRequested { peer: who.id() },
            Step::Network { changed: true } => Input::NetworkChanged,
            Step::Network { changed: false } => Input::NetworkOnline,
            Step::IceServers { has_relay } => Input::IceServersChanged { has_relay },
            Step::CloseOne(who) => Input::CloseConnection { peer: who.id() },
            Step::CloseAll => {
                self.states.clear();
                Input::CloseAll
            }
            Step::Pass(millis) => return self.pass(Duration::from_millis(millis.into())),
            Step::ToDeadline => {
                let due = self.mesh.poll_timeout().map(|due| due.at.since(self.now));
                return self.pass(due.unwrap_or_default());
            }
            Step::Sleep(minutes) => return self.pass(Duration::from_secs(60) * minutes.into()),
        };
        self.feed(input);
    }

    fn feed(&mut self, input: Input) {
        self.fed += 1;
        self.mesh.handle_input(self.now, input);
    }

    fn present(&self, peer: PeerId) -> Generation {
        let links = self.mesh.snapshot();
        let link = links.into_iter().find(|link| link.peer == peer);
        link.map_or(Generation(1), |link| link.generation)
    }

    /// Lets time pass and does what is due: at one moment, that must come to an end.
    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        for _ in 0..16 {
            self.fed += 1;
            self.mesh.handle_timeout(self.now);
            self.drain();
            if self.mesh.poll_timeout().is_none_or(|due| due.at > self.now) {
                return;
            }
        }
        let due = self.mesh.poll_timeout();
        assert!(due.is_none(), "at {:?} for ever: {due:?}", self.now);
    }

    fn drain(&mut self) {
        let limit = (self.fed + 1) * OUTPUTS_EACH * (usize::from(OTHERS) + 1);
        let mut count = 0;
        while let Some(output) = self.mesh.poll_output() {
            count += 1;
            assert!(count <= limit, "{count} outputs of {} inputs", self.fed);
            match output {
                Output::Command(command) => {
                    self.driver.perform(&command);
                    self.check_signal(command);
                }
                Output::Event(event) => self.check_event(event),
            }
        }
        self.fed = 0;
        for peer in self.driver.peers() {
            assert!(self.states.contains_key(&peer), "a peer connection to {peer}, who left");
        }
        for link in self.mesh.snapshot() {
            self.check_link(&link);
        }
    }

    fn check_signal(&mut self, command: Command) {
        let Command::SendSignal { to, signal } = command else { return };
        assert!(self.states.contains_key(&to), "{signal:?} to {to}, who left");
        match signal {
            Signal::Offer { sdp, .. } | Signal::Answer { sdp, .. } => {
                assert!(!self.ahead.contains(&sdp), "candidates went out before `{sdp}`");
                self.described.insert(sdp);
            }
            Signal::Candidates { candidates, .. } => {
                assert!((1..=64).contains(&candidates.len()), "{} candidates", candidates.len());
                let rounds = candidates.into_iter().filter_map(|c| c.username_fragment);
                self.ahead.extend(rounds.filter(|round| !self.described.contains(round)));
            }
            Signal::RequestOffer { .. } | Signal::Stale { .. } => {}
        }
    }

    fn check_event(&mut self, event: Event) {
        let peer = match &event {
            Event::ConnectionStateChanged { peer, .. }
            | Event::ConnectionFailed { peer, .. }
            | Event::RemoteTrackAdded { peer, .. }
            | Event::QualityChanged { peer, .. } => *peer,
        };
        assert!(self.states.contains_key(&peer), "{event:?} of somebody who left");
        match event {
            Event::ConnectionStateChanged { from, to, .. } => {
                assert_ne!(from, to, "no change of state");
                assert_eq!(self.states.insert(peer, to), Some(from), "a change went untold");
            }
            Event::RemoteTrackAdded { pc, .. } => self.driver.on_track(pc, peer),
            Event::ConnectionFailed { .. } | Event::QualityChanged { .. } => {}
        }
    }

    fn check_link(&self, link: &LinkSnapshot) {
        assert_eq!(self.states.get(&link.peer), Some(&link.state), "the told state is another");
        assert_eq!(self.mesh.state(link.peer), Some(link.state));
        let is_open = self.driver.peers().any(|peer| peer == link.peer);
        assert_eq!(link.peer_connection_state.is_some(), is_open);
        assert!(link.attempts <= MeshConfig::default().backoff.attempts);
        match link.state {
            ConnectionState::Connected => {
                assert_eq!(link.peer_connection_state, Some(PeerConnectionState::Connected));
                assert!(link.ever_connected);
            }
            ConnectionState::Waiting => assert!(!is_open),
            ConnectionState::Failed | ConnectionState::FailedPermanent => {
                assert!(link.trouble.is_some(), "failed without a reason");
            }
            ConnectionState::Disconnected | ConnectionState::Connecting => {}
        }
    }
}
