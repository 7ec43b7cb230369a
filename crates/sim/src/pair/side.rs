//! One end of the pair: a mesh, its peer connection, and what is on its way to it.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher as _};
use std::time::Duration;

use openstudio_model::{self as model, Credentials, Direction, Kind, SignalingState};
use openstudio_session::mesh::{
    Backoff, Command, Completion, ConnectionState, DescriptionKind, IceCandidate, Input, Mesh,
    MeshConfig, OpError, OpId, Output, PcId, PeerConnectionState, PeerInfo, Signal, StatsSample,
};
use openstudio_units::{Generation, Incarnation, PeerId, Role, Seed, Timestamp};

use super::hasher::{EPOCH, RelativeHasher};
use crate::peer::{OpKind, credentials, local_description_set, to_model};

/// What a browser tells, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Fact {
    Needed,
    Gathered(Credentials),
    GatheringEnds,
    Track,
    State(PeerConnectionState),
}

/// What the server brings, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Message {
    Signal(Signal),
    /// The other page is a new one.
    Seen(Incarnation),
}

/// A peer connection.
#[derive(Debug, Clone, Hash)]
pub(super) struct SidePc {
    id: PcId,
    generation: Generation,
    pub(super) model: model::PeerConnection,
    pub(super) state: PeerConnectionState,
    pub(super) under_way: Option<(OpId, OpKind)>,
    checked: Option<(Credentials, Credentials)>,
}

impl SidePc {
    /// The credentials in force: ours, theirs.
    pub(super) fn credentials(&self) -> Option<(Credentials, Credentials)> {
        credentials(&self.model)
    }

    fn knows_candidates(&self) -> bool {
        !self.model.remote_candidates().is_empty()
    }

    /// Whether the checks of both ends fit and can begin.
    pub(super) fn fits(&self, mate: &Self) -> bool {
        let (Some((local, remote)), Some(theirs)) = (self.credentials(), mate.credentials()) else {
            return false;
        };
        theirs == (remote, local) && (self.knows_candidates() || mate.knows_candidates())
    }
}

/// One end.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub(super) id: PeerId,
    pub(super) mesh: Mesh,
    pub(super) now: Timestamp,
    pub(super) incarnation: Incarnation,
    pub(super) pc: Option<SidePc>,
    pub(super) facts: VecDeque<Fact>,
    pub(super) inbox: VecDeque<Message>,
    /// Which offer each answer of this end answered; the latest few.
    pub(super) answered: VecDeque<(Credentials, Credentials)>,
    /// What the mesh wants to be sent.
    pub(super) outbox: Vec<Signal>,
}

fn config() -> MeshConfig {
    // Statistics are not looked at: nothing is heard or silent here.
    let sample_interval = Duration::from_secs(3600);
    // Attempts begin when their timer is let fire, so that no delay needs to be drawn.
    let backoff = Backoff { base: Duration::ZERO, cap: Duration::ZERO, ..Backoff::default() };
    MeshConfig { sample_interval, backoff, ..MeshConfig::default() }
}

impl Side {
    pub(super) fn new(index: u8, incarnation: Incarnation) -> Self {
        let id = PeerId::from_random_bytes([index + 1; 16]);
        let seed = Seed::from_number(index.into());
        Self {
            id,
            mesh: Mesh::new(config(), id, incarnation, seed, EPOCH),
            now: EPOCH,
            incarnation,
            pc: None,
            facts: VecDeque::new(),
            inbox: VecDeque::new(),
            answered: VecDeque::new(),
            outbox: Vec::new(),
        }
    }

    pub(super) fn hash_into(&self, hasher: &mut RelativeHasher) {
        hasher.rebase(self.now);
        self.mesh.hash(hasher);
        self.pc.hash(hasher);
        self.facts.hash(hasher);
        self.inbox.hash(hasher);
        hasher.write_u8(0xfe);
    }

    /// The state of the one link.
    pub(super) fn state(&self) -> Option<ConnectionState> {
        self.mesh.snapshot().first().map(|link| link.state)
    }

    /// Whether nothing of this end is under way, and its peer connection is stable.
    pub(super) fn is_settled(&self) -> bool {
        let stable = |pc: &SidePc| {
            pc.under_way.is_none() && pc.model.signaling_state() == SignalingState::Stable
        };
        self.facts.is_empty() && self.inbox.is_empty() && self.pc.as_ref().is_some_and(stable)
    }

    pub(super) fn see(&mut self, peer: PeerId, incarnation: Incarnation) -> Result<(), String> {
        let info = PeerInfo { role: Role::Host, incarnation, present: true, sends_audio: false };
        self.feed(Input::PeerSeen { peer, info })
    }

    pub(super) fn feed(&mut self, input: Input) -> Result<(), String> {
        self.mesh.handle_input(self.now, input);
        self.drain()
    }

    /// When the next timer is due, from now.
    pub(super) fn timer_in(&self) -> Option<Duration> {
        let due = self.mesh.poll_timeout()?;
        Some(due.at.since(self.now))
    }

    /// Goes on to the next timer and lets it fire.
    pub(super) fn fire_timer(&mut self) -> Result<(), String> {
        if let Some(due) = self.mesh.poll_timeout() {
            self.now = self.now.max(due.at);
            self.mesh.handle_timeout(self.now);
        }
        self.drain()
    }

    pub(super) fn deliver(&mut self, from: PeerId, message: Message) -> Result<(), String> {
        match message {
            Message::Signal(signal) => self.feed(Input::SignalReceived { from, signal }),
            Message::Seen(incarnation) => self.see(from, incarnation),
        }
    }

    pub(super) fn tell_fact(&mut self, fact: Fact) -> Result<(), String> {
        let Some(pc) = self.pc.as_ref().map(|pc| pc.id) else { return Ok(()) };
        self.feed(match fact {
            Fact::Needed => Input::NegotiationNeeded { pc },
            Fact::Gathered(of) => {
                let candidate = Some(IceCandidate {
                    candidate: "candidate:1".to_owned(),
                    sdp_mid: None,
                    sdp_m_line_index: Some(0),
                    username_fragment: Some(of.to_string()),
                });
                Input::LocalCandidateGathered { pc, candidate }
            }
            Fact::GatheringEnds => Input::LocalCandidateGathered { pc, candidate: None },
            Fact::Track => Input::RemoteTrackAdded { pc },
            Fact::State(state) => Input::ConnectionStateChanged { pc, state },
        })
    }

    pub(super) fn enter(&mut self, state: PeerConnectionState) {
        if let Some(pc) = &mut self.pc {
            pc.state = state;
            self.facts.push_back(Fact::State(state));
        }
    }

    /// Begins checks for new credentials, if there is somebody to check.
    pub(super) fn begin_checks(&mut self, mate_fits: bool) {
        let Some(pc) = &mut self.pc else { return };
        let both = pc.credentials();
        if both.is_none() || pc.checked == both || !(pc.knows_candidates() || mate_fits) {
            return;
        }
        pc.checked = both;
        if pc.state != PeerConnectionState::Connected && pc.state != PeerConnectionState::Connecting
        {
            self.enter(PeerConnectionState::Connecting);
        }
    }

    // ----- the driver

    fn drain(&mut self) -> Result<(), String> {
        while let Some(output) = self.mesh.poll_output() {
            if let Output::Command(command) = output {
                self.perform(command)?;
            }
        }
        Ok(())
    }

    fn perform(&mut self, command: Command) -> Result<(), String> {
        match command {
            Command::CreatePeerConnection { op, pc, generation, offers, .. } => {
                if self.pc.is_some() {
                    return Err("a second peer connection".to_owned());
                }
                self.make((op, pc), generation, offers);
            }
            Command::ClosePeerConnection { .. } => {
                self.pc = None;
                self.facts.clear();
            }
            Command::SetLocalDescription { op, .. } => {
                self.call(op, OpKind::SetLocal, vec![model::Call::SetLocal])?;
            }
            Command::SetRemoteDescription { op, kind, sdp, .. } => {
                self.call(op, kind.into(), vec![model::Call::SetRemote(sdp)])?;
            }
            Command::AddIceCandidates { op, candidates, .. } => {
                let calls = candidates.iter().map(to_model);
                let calls = calls.map(model::Call::AddCandidate).collect();
                self.call(op, OpKind::AddCandidates, calls)?;
            }
            Command::RestartIce { .. } => self.restart_ice(),
            // No report of a loss comes here.
            Command::SetRedundancy { .. } => {}
            Command::SampleStats { op, .. } => self.call(op, OpKind::Sample, Vec::new())?,
            Command::SendSignal { signal, .. } => self.outbox.push(signal),
        }
        Ok(())
    }

    fn make(&mut self, (op, id): (OpId, PcId), generation: Generation, offers: bool) {
        // A name that both ends and all generations tell apart.
        let name = generation.0 * 2 + u64::from(self.id.as_bytes()[0] & 1);
        let mut model = model::PeerConnection::new(name);
        if offers {
            let made = model.add_transceiver(Kind::Audio, Direction::Sendrecv);
            debug_assert!(made.is_ok(), "it is new");
            send_stream(&mut model, self.id);
        }
        let under_way = Some((op, OpKind::Create));
        let state = PeerConnectionState::New;
        self.pc = Some(SidePc { id, generation, model, state, under_way, checked: None });
    }

    /// `restartIce()`, by whosever hand.
    pub(super) fn restart_ice(&mut self) {
        if let Some(pc) = &mut self.pc {
            pc.model.restart_ice();
        }
        self.pump();
    }

    fn call(&mut self, op: OpId, kind: OpKind, calls: Vec<model::Call>) -> Result<(), String> {
        let Some(pc) = &mut self.pc else {
            return Err(format!("{kind:?} without a peer connection"));
        };
        if pc.under_way.is_some() {
            return Err(format!("{kind:?} beside another operation"));
        }
        pc.under_way = Some((op, kind));
        for call in calls {
            pc.model.call(call);
        }
        Ok(())
    }

    /// Ends the operation under way.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        let Some(pc) = &mut self.pc else { return Ok(()) };
        let Some((op, kind)) = pc.under_way.take() else { return Ok(()) };
        while pc.model.under_way().is_some() {
            pc.model.finish();
        }
        let mut refused = 0;
        let mut fired = Vec::new();
        while let Some(event) = pc.model.poll_event() {
            match event {
                model::Event::Settled(_, Ok(_)) => {}
                model::Event::Settled(_, Err(model::DomError::Operation))
                    if kind == OpKind::AddCandidates =>
                {
                    refused += 1;
                }
                model::Event::Settled(_, Err(error)) => {
                    return Err(format!("{kind:?} is refused: {}", error.as_str()));
                }
                other @ (model::Event::NegotiationNeeded
                | model::Event::SignalingStateChange(_)
                | model::Event::Track(_)
                | model::Event::Gather(_)) => fired.push(other),
            }
        }
        if kind == OpKind::ApplyOffer {
            let set = pc.model.set_direction(0, Direction::Sendrecv);
            debug_assert!(set.is_ok(), "a closed one is forgotten at once");
            send_stream(&mut pc.model, self.id);
        }
        let result = self.outcome(kind, refused);
        self.feed(Input::Completed { op, result })?;
        fired.into_iter().for_each(|event| self.take(event));
        self.pump();
        Ok(())
    }

    fn outcome(&mut self, kind: OpKind, refused: u32) -> Result<Completion, OpError> {
        let none = || OpError("there is no peer connection".to_owned());
        let pc = self.pc.as_ref().ok_or_else(none)?;
        match kind {
            OpKind::SetLocal => {
                let (kind, completion) = local_description_set(&pc.model)?;
                if let (DescriptionKind::Answer, Some(both)) = (kind, pc.credentials()) {
                    self.answered.push_back(both);
                    while self.answered.len() > 6 {
                        self.answered.pop_front();
                    }
                }
                Ok(completion)
            }
            OpKind::AddCandidates => Ok(Completion::CandidatesAdded { refused }),
            OpKind::Sample => Ok(Completion::Stats(StatsSample::default())),
            OpKind::Create | OpKind::ApplyOffer | OpKind::ApplyAnswer => Ok(Completion::Done),
        }
    }

    fn pump(&mut self) {
        while let Some(event) = self.pc.as_mut().and_then(|pc| pc.model.poll_event()) {
            self.take(event);
        }
    }

    fn take(&mut self, event: model::Event) {
        match event {
            model::Event::NegotiationNeeded => self.facts.push_back(Fact::Needed),
            model::Event::Track(_) => self.facts.push_back(Fact::Track),
            model::Event::Gather(of) => {
                self.facts.push_back(Fact::Gathered(of));
                self.facts.push_back(Fact::GatheringEnds);
            }
            model::Event::SignalingStateChange(_) | model::Event::Settled(..) => {}
        }
    }

    /// An answer that is about to be applied: which offer it must answer.
    pub(super) fn answer_under_way(&self) -> Option<(Credentials, Credentials)> {
        let pc = self.pc.as_ref()?;
        let Some(model::Call::SetRemote(text)) = pc.model.under_way() else { return None };
        let description: model::Description = text.parse().ok()?;
        let offered = pc.model.local_description()?.credentials;
        (description.kind == model::SdpType::Answer).then_some((description.credentials, offered))
    }
}

/// Names the stream of an end, the same one at every offer.
fn send_stream(pc: &mut model::PeerConnection, end: PeerId) {
    let stream = model::StreamId(end.as_bytes()[0].into());
    let set = pc.set_streams(0, Some(stream));
    debug_assert!(set.is_ok(), "a closed one is forgotten at once");
}
