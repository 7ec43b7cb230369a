//! One mesh, and a test in the place of its driver and of everybody else: each command is
//! seen, each completion is the test's.

use std::time::Duration;

use openstudio_mesh::{
    Command, Completion, ConnectionState, DescriptionKind, Event, IceCandidate, Input,
    LinkSnapshot, Mesh, MeshConfig, OfferKind, OpId, Output, PcId, PeerConnectionState, PeerInfo,
    Signal, StatsSample,
};
use openstudio_units::{Generation, Incarnation, OfferId, PeerId, Role, Seed, Timestamp};

/// Everybody's incarnation.
const INCARNATION: Incarnation = Incarnation(1);

/// The id of participant `n`; the mesh under test is 100.
pub(crate) fn peer(n: u8) -> PeerId {
    PeerId::from_random_bytes([n; 16])
}

/// Below the mesh's id: the mesh is the impolite side, which offers.
pub(crate) const LOW: u8 = 50;
/// Above the mesh's id: the mesh is the polite side, which waits.
pub(crate) const HIGH: u8 = 150;

pub(crate) fn first() -> Generation {
    Generation::first(INCARNATION, INCARNATION)
}

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A caller who is there and has a microphone.
pub(crate) fn info() -> PeerInfo {
    PeerInfo { role: Role::Caller, incarnation: INCARNATION, present: true, sends_audio: true }
}

pub(crate) fn candidate(name: &str) -> IceCandidate {
    IceCandidate {
        candidate: name.to_owned(),
        sdp_mid: None,
        sdp_m_line_index: Some(0),
        username_fragment: None,
    }
}

pub(crate) fn request(generation: Generation, kind: OfferKind) -> Signal {
    Signal::RequestOffer { generation, kind, relay_only: false }
}

pub(crate) fn offer(generation: Generation, offer: u32) -> Signal {
    let (generation, offer) = (Some(generation), Some(OfferId(offer)));
    Signal::Offer { generation, offer, sdp: "offer".into() }
}

pub(crate) fn answer(generation: Generation, offer: u32) -> Signal {
    let (generation, offer) = (Some(generation), Some(OfferId(offer)));
    Signal::Answer { generation, offer, sdp: "answer".into() }
}

pub(crate) fn is_restart(command: &Command) -> bool {
    matches!(command, Command::RestartIce { .. })
}

pub(crate) fn is_request(signal: &Signal) -> bool {
    matches!(signal, Signal::RequestOffer { .. })
}

/// The mesh under test. Operations of a description complete at once unless `holds`.
pub(crate) struct Solo {
    pub(crate) mesh: Mesh,
    pub(crate) now: Timestamp,
    pub(crate) commands: Vec<Command>,
    pub(crate) events: Vec<Event>,
    /// Every peer connection that was ever made.
    pcs: Vec<(PeerId, PcId)>,
    pub(crate) sent: Vec<(PeerId, Signal)>,
    /// Operations stay under way until the test completes them.
    pub(crate) holds: bool,
    /// What each look at the statistics gives.
    pub(crate) stats: StatsSample,
    /// Whether packets arrive between two looks.
    pub(crate) flows: bool,
}

impl Solo {
    pub(crate) fn new() -> Self {
        Self::with(MeshConfig::default())
    }

    pub(crate) fn with(config: MeshConfig) -> Self {
        let now = Timestamp::from_millis(1);
        let seed = Seed::from_number(1);
        Self {
            mesh: Mesh::new(config, peer(100), INCARNATION, seed, now),
            now,
            commands: Vec::new(),
            events: Vec::new(),
            pcs: Vec::new(),
            sent: Vec::new(),
            holds: false,
            stats: StatsSample::default(),
            flows: true,
        }
    }

    /// With a link to `n`, who is connected and heard.
    pub(crate) fn connected_to(n: u8) -> Self {
        let mut solo = Self::new();
        solo.sees(n, info());
        solo.negotiate(n);
        solo.tells(n, PeerConnectionState::Connected);
        solo.run(millis(8000));
        assert_eq!(solo.state(n), Some(ConnectionState::Connected));
        solo.forget_past();
        solo
    }

    pub(crate) fn forget_past(&mut self) {
        self.commands.clear();
        self.events.clear();
        self.sent.clear();
    }

    /// Exchanges the descriptions of the first round with `n`.
    pub(crate) fn negotiate(&mut self, n: u8) {
        if n == HIGH {
            return self.hears(n, offer(self.link(n).generation, 1));
        }
        let pc = self.pc(n);
        self.input(Input::NegotiationNeeded { pc });
        self.hears(n, answer(self.link(n).generation, 1));
    }

    // ----- what happens

    pub(crate) fn input(&mut self, input: Input) {
        self.mesh.handle_input(self.now, input);
        self.drain();
    }

    pub(crate) fn sees(&mut self, n: u8, info: PeerInfo) {
        self.input(Input::PeerSeen { peer: peer(n), info });
    }

    pub(crate) fn hears(&mut self, n: u8, signal: Signal) {
        self.input(Input::SignalReceived { from: peer(n), signal });
    }

    pub(crate) fn tells(&mut self, n: u8, state: PeerConnectionState) {
        let pc = self.pc(n);
        self.input(Input::ConnectionStateChanged { pc, state });
    }

    pub(crate) fn signalling(&mut self, up: bool) {
        self.input(Input::SignallingChanged { up });
    }

    pub(crate) fn completes(&mut self, op: OpId, completion: Completion) {
        self.input(Input::Completed { op, result: Ok(completion) });
    }

    /// Lets time pass, stopping at each deadline.
    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        let mut steps = 0;
        while let Some(due) = self.mesh.poll_timeout().filter(|due| due.at <= until) {
            steps += 1;
            assert!(steps < 10_000, "livelock: {due:?}");
            self.now = self.now.max(due.at);
            self.mesh.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn drain(&mut self) {
        loop {
            let before = self.commands.len();
            while let Some(output) = self.mesh.poll_output() {
                match output {
                    Output::Event(event) => self.events.push(event),
                    Output::Command(Command::SendSignal { to, signal }) => {
                        self.sent.push((to, signal));
                    }
                    Output::Command(command) => self.commands.push(command),
                }
            }
            let new: Vec<Command> = self.commands[before..].to_vec();
            let done: Vec<_> = new.into_iter().filter_map(|new| self.perform(new)).collect();
            if self.holds || done.is_empty() {
                return;
            }
            for (op, completion) in done {
                let result = Ok(completion);
                self.mesh.handle_input(self.now, Input::Completed { op, result });
            }
        }
    }

    /// What a platform that keeps up makes of a command.
    fn perform(&mut self, command: Command) -> Option<(OpId, Completion)> {
        match command {
            Command::CreatePeerConnection { op, pc, peer, .. } => {
                self.pcs.push((peer, pc));
                Some((op, Completion::Done))
            }
            Command::SetRemoteDescription { op, .. } => Some((op, Completion::Done)),
            Command::SetLocalDescription { op, pc } => {
                let kind = self.local_kind(pc);
                Some((op, Completion::LocalDescriptionSet { kind, sdp: "local".into() }))
            }
            Command::AddIceCandidates { op, .. } => {
                Some((op, Completion::CandidatesAdded { refused: 0 }))
            }
            Command::SampleStats { op, .. } => {
                self.stats.inbound_progress += u64::from(self.flows);
                Some((op, Completion::Stats(self.stats)))
            }
            Command::ClosePeerConnection { .. }
            | Command::RestartIce { .. }
            | Command::SetRedundancy { .. }
            | Command::SendSignal { .. } => None,
        }
    }

    /// Which description the signalling state of `pc` calls for.
    fn local_kind(&self, pc: PcId) -> DescriptionKind {
        let owner = self.pcs.iter().find(|(_, of)| *of == pc).map(|(owner, _)| *owner);
        let links = self.mesh.snapshot();
        match links.iter().find(|link| Some(link.peer) == owner).map(|link| link.signaling_state) {
            Some("have-remote-offer") => DescriptionKind::Answer,
            _ => DescriptionKind::Offer,
        }
    }

    // ----- what is seen

    pub(crate) fn link(&self, n: u8) -> LinkSnapshot {
        self.mesh.snapshot().into_iter().find(|link| link.peer == peer(n)).unwrap()
    }

    pub(crate) fn state(&self, n: u8) -> Option<ConnectionState> {
        self.mesh.state(peer(n))
    }

    /// The newest peer connection to `n`.
    pub(crate) fn pc(&self, n: u8) -> PcId {
        self.pcs.iter().rev().find(|(owner, _)| *owner == peer(n)).unwrap().1
    }

    /// Every peer connection that was made to `n` since the past was forgotten.
    pub(crate) fn made(&self, n: u8) -> Vec<(PcId, OpId)> {
        let made = self.commands.iter().filter_map(|command| match command {
            Command::CreatePeerConnection { pc, op, peer: of, .. } if *of == peer(n) => {
                Some((*pc, *op))
            }
            _ => None,
        });
        made.collect()
    }

    pub(crate) fn count(&self, which: fn(&Command) -> bool) -> usize {
        self.commands.iter().filter(|command| which(command)).count()
    }

    /// How many signals of this kind were sent.
    pub(crate) fn count_sent(&self, which: fn(&Signal) -> bool) -> usize {
        self.sent.iter().filter(|(_, signal)| which(signal)).count()
    }
}
