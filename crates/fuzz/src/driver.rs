//! A driver that performs nothing and keeps account of everything: which peer connections
//! are open, and which operation is in flight on each.
//!
//! It is *not* a model of `RTCPeerConnection`; what it reports may be impossible in a browser.
//! Invariants checked: ids rise and are never used again; a participant has one peer
//! connection at most; a command names an open one; one operation is in flight on each.

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use openstudio_mesh::{
    Command, Completion, DescriptionKind, IceCandidate, Input, OpError, OpId, PcId,
    PeerConnectionState, StatsSample,
};
use openstudio_units::PeerId;

/// The text of every candidate that [`Fact::Gathered`] reports.
pub(crate) const GATHERED: &str = "candidate:ours";

/// What a driver may report of peer connections.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(crate) enum Fact {
    /// The operation in flight came to its end.
    Completed {
        pc: u8,
        how: How,
    },
    /// Some operation came to its end, perhaps again, perhaps one that never was.
    Stray {
        op: u8,
        how: How,
    },
    Needed {
        pc: u8,
    },
    Gathered {
        pc: u8,
        end: bool,
    },
    State {
        pc: u8,
        state: State,
    },
    Track {
        pc: u8,
    },
}

/// How an operation ends.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(crate) enum How {
    Rightly { progress: u8, bad: bool },
    Refused,
    WithAnother(u8),
}

/// `RTCPeerConnectionState`, in one byte.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(crate) enum State {
    New,
    Connecting,
    Connected,
    Disconnected,
    Failed,
    Closed,
}

impl State {
    fn state(self) -> PeerConnectionState {
        match self {
            Self::New => PeerConnectionState::New,
            Self::Connecting => PeerConnectionState::Connecting,
            Self::Connected => PeerConnectionState::Connected,
            Self::Disconnected => PeerConnectionState::Disconnected,
            Self::Failed => PeerConnectionState::Failed,
            Self::Closed => PeerConnectionState::Closed,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Create,
    SetLocal,
    SetRemote(DescriptionKind),
    AddCandidates,
    Sample,
}

/// An open peer connection.
#[derive(Debug)]
struct Pc {
    peer: PeerId,
    in_flight: Option<(OpId, Kind)>,
    /// A remote offer was applied and is not answered yet.
    owes_answer: bool,
    /// The last local description that was asked for: candidates belong to it.
    local: Option<OpId>,
    gathered: u16,
    has_track: bool,
}

/// The account.
#[derive(Debug, Default)]
pub(crate) struct Driver {
    pcs: BTreeMap<PcId, Pc>,
    last_op: u64,
    last_pc: u64,
}

impl Driver {
    /// To whom there is a peer connection, in no order that matters.
    pub(crate) fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.pcs.values().map(|pc| pc.peer)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.pcs.values().all(|pc| pc.in_flight.is_none())
    }

    pub(crate) fn len(&self) -> usize {
        self.pcs.len()
    }

    /// Notes a remote track, which is announced once for each peer connection.
    pub(crate) fn on_track(&mut self, id: PcId, peer: PeerId) {
        let pc = self.pcs.get_mut(&id);
        assert!(pc.as_ref().is_some_and(|pc| pc.peer == peer), "a track of {id:?}, not open");
        let announced = pc.is_some_and(|pc| std::mem::replace(&mut pc.has_track, true));
        assert!(!announced, "a track of {id:?} is announced twice");
    }

    /// Takes a command.
    pub(crate) fn perform(&mut self, command: &Command) {
        match command {
            Command::CreatePeerConnection { op, pc, peer, .. } => self.create(*op, *pc, *peer),
            Command::ClosePeerConnection { pc } => {
                assert!(self.pcs.remove(pc).is_some(), "{pc:?} is closed, but was not open");
            }
            Command::SetLocalDescription { op, pc } => {
                self.begin(*op, *pc, Kind::SetLocal).local = Some(*op);
            }
            Command::SetRemoteDescription { op, pc, kind, .. } => {
                self.begin(*op, *pc, Kind::SetRemote(*kind));
            }
            Command::AddIceCandidates { op, pc, candidates } => {
                // An honest counterpart's batch may join what a hostile one filled.
                assert!((1..=256).contains(&candidates.len()), "{} candidates", candidates.len());
                self.begin(*op, *pc, Kind::AddCandidates);
            }
            Command::SampleStats { op, pc, .. } => {
                self.begin(*op, *pc, Kind::Sample);
            }
            Command::RestartIce { pc } | Command::SetRedundancy { pc, .. } => {
                assert!(self.pcs.contains_key(pc), "{pc:?} is not open")
            }
            Command::SendSignal { .. } => {}
        }
    }

    fn create(&mut self, op: OpId, id: PcId, peer: PeerId) {
        assert!(id.0 > self.last_pc, "{id:?} was used before");
        assert!(self.pcs.values().all(|pc| pc.peer != peer), "two peer connections to {peer}");
        self.last_pc = id.0;
        let pc = Pc {
            peer,
            in_flight: None,
            owes_answer: false,
            local: None,
            gathered: 0,
            has_track: false,
        };
        self.pcs.insert(id, pc);
        self.begin(op, id, Kind::Create);
    }

    fn begin(&mut self, op: OpId, id: PcId, kind: Kind) -> &mut Pc {
        assert!(op.0 > self.last_op, "{op:?} was used before");
        self.last_op = op.0;
        assert!(self.pcs.contains_key(&id), "{kind:?} on {id:?}, which is not open");
        let pc = self.pcs.entry(id).or_insert_with(|| unreachable!("it is open"));
        assert_eq!(pc.in_flight, None, "a second operation on {id:?}");
        pc.in_flight = Some((op, kind));
        pc
    }

    /// What is reported for `fact`; none if there is nothing that it could be about.
    pub(crate) fn report(&mut self, fact: Fact) -> Option<Input> {
        match fact {
            Fact::Completed { pc, how } => self.complete(self.pick(pc), how),
            Fact::Stray { op, how } => {
                let op = OpId(u64::from(op));
                let owner = |pc: &&mut Pc| pc.in_flight.is_some_and(|(given, _)| given == op);
                let kind = self.pcs.values_mut().find(owner).and_then(|pc| pc.in_flight.take());
                let kind = kind.map_or(Kind::Create, |(_, kind)| kind);
                Some(Input::Completed { op, result: result(op, kind, false, how) })
            }
            Fact::Needed { pc } => Some(Input::NegotiationNeeded { pc: self.pick(pc) }),
            Fact::Gathered { pc, end } => {
                let pc = self.pick(pc);
                let candidate = if end { None } else { self.pcs.get_mut(&pc).map(gather) };
                Some(Input::LocalCandidateGathered { pc, candidate })
            }
            Fact::State { pc, state } => {
                Some(Input::ConnectionStateChanged { pc: self.pick(pc), state: state.state() })
            }
            Fact::Track { pc } => Some(Input::RemoteTrackAdded { pc: self.pick(pc) }),
        }
    }

    /// Ends every operation that is in flight, as a browser that keeps up does.
    pub(crate) fn complete_all(&mut self) -> Vec<Input> {
        let how = How::Rightly { progress: 0, bad: false };
        let pcs: Vec<PcId> = self.pcs.keys().copied().collect();
        pcs.into_iter().filter_map(|pc| self.complete(pc, how)).collect()
    }

    /// One of the open peer connections, or, for the highest numbers, one that is not.
    fn pick(&self, n: u8) -> PcId {
        let open = self.pcs.len();
        let index = usize::from(n).checked_rem(open).filter(|_| n < 240);
        let found = index.and_then(|index| self.pcs.keys().nth(index).copied());
        found.unwrap_or(PcId(u64::from(n % 16)))
    }

    fn complete(&mut self, id: PcId, how: How) -> Option<Input> {
        let pc = self.pcs.get_mut(&id)?;
        let (op, kind) = pc.in_flight.take()?;
        let answer = pc.owes_answer;
        if matches!(how, How::Rightly { .. }) {
            match kind {
                Kind::SetLocal => pc.owes_answer = false,
                Kind::SetRemote(kind) => pc.owes_answer = kind == DescriptionKind::Offer,
                Kind::Create | Kind::AddCandidates | Kind::Sample => {}
            }
        }
        Some(Input::Completed { op, result: result(op, kind, answer, how) })
    }
}

fn gather(pc: &mut Pc) -> IceCandidate {
    pc.gathered = pc.gathered.saturating_add(1);
    IceCandidate {
        candidate: GATHERED.to_owned(),
        sdp_mid: Some("0".to_owned()),
        sdp_m_line_index: Some(pc.gathered),
        username_fragment: pc.local.map(round),
    }
}

/// The name of the round that `op` began: the text of its description and the user name
/// fragment of its candidates, as if each offer restarted ICE.
fn round(op: OpId) -> String {
    format!("round {}", op.0)
}

fn result(op: OpId, kind: Kind, answer: bool, how: How) -> Result<Completion, OpError> {
    let (progress, bad) = match how {
        How::Refused => return Err(OpError("refused".to_owned())),
        How::WithAnother(n) => return Ok(another(n)),
        How::Rightly { progress, bad } => (progress, bad),
    };
    Ok(match kind {
        Kind::Create | Kind::SetRemote(_) => Completion::Done,
        Kind::AddCandidates => Completion::CandidatesAdded { refused: u32::from(bad) },
        Kind::Sample => Completion::Stats(StatsSample {
            inbound_progress: u64::from(progress),
            round_trip: None,
            inbound_loss: Some(if bad { 0.5 } else { 0.0 }),
            outbound_loss: bad.then_some(0.5),
        }),
        Kind::SetLocal => {
            let kind = if answer { DescriptionKind::Answer } else { DescriptionKind::Offer };
            Completion::LocalDescriptionSet { kind, sdp: round(op) }
        }
    })
}

fn another(n: u8) -> Completion {
    match n % 5 {
        0 => Completion::Done,
        1 => Completion::CandidatesAdded { refused: u32::MAX },
        2 => Completion::Stats(StatsSample {
            inbound_progress: u64::MAX,
            round_trip: Some(std::time::Duration::MAX),
            inbound_loss: Some(f64::NAN),
            outbound_loss: Some(f64::NAN),
        }),
        3 => {
            let (kind, sdp) = (DescriptionKind::Offer, String::new());
            Completion::LocalDescriptionSet { kind, sdp }
        }
        _ => {
            let (kind, sdp) = (DescriptionKind::Answer, String::new());
            Completion::LocalDescriptionSet { kind, sdp }
        }
    }
}
