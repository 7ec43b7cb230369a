//! Peer connections that are only said to be there: connected as soon as descriptions are
//! exchanged, with packets for ever.

use std::collections::{BTreeSet, VecDeque};

use openstudio_session::mesh::{
    Command, Completion, DescriptionKind, Input, OpId, PcId, PeerConnectionState, StatsSample,
};

/// A description that nobody reads.
const SDP: &str = "v=0\r\n";

/// Those of one participant.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// Where an offer of the other side waits for its answer.
    offered: BTreeSet<PcId>,
    packets: u64,
    reports: VecDeque<Input>,
}

impl Links {
    /// Does what the session wants.
    pub(crate) fn perform(&mut self, command: Command) {
        match command {
            Command::CreatePeerConnection { op, pc, offers, .. } => {
                self.complete(op, Completion::Done);
                if offers {
                    self.reports.push_back(Input::NegotiationNeeded { pc });
                }
            }
            Command::ClosePeerConnection { pc } => {
                self.offered.remove(&pc);
            }
            Command::SetLocalDescription { op, pc } => self.set_local(op, pc),
            Command::SetRemoteDescription { op, pc, kind, .. } => {
                self.complete(op, Completion::Done);
                match kind {
                    DescriptionKind::Offer => drop(self.offered.insert(pc)),
                    DescriptionKind::Answer => self.connect(pc),
                }
            }
            Command::AddIceCandidates { op, .. } => {
                self.complete(op, Completion::CandidatesAdded { refused: 0 });
            }
            Command::RestartIce { pc } => self.reports.push_back(Input::NegotiationNeeded { pc }),
            Command::SampleStats { op, .. } => {
                self.packets += 1;
                let sample = StatsSample { inbound_progress: self.packets, ..Default::default() };
                self.complete(op, Completion::Stats(sample));
            }
            // The session sends signals itself; nothing is lost here that would be sent twice.
            Command::SendSignal { .. } | Command::SetRedundancy { .. } => {}
        }
    }

    /// Returns what has happened.
    pub(crate) fn next_report(&mut self) -> Option<Input> {
        self.reports.pop_front()
    }

    fn complete(&mut self, op: OpId, completion: Completion) {
        self.reports.push_back(Input::Completed { op, result: Ok(completion) });
    }

    fn set_local(&mut self, op: OpId, pc: PcId) {
        let answers = self.offered.remove(&pc);
        let kind = if answers { DescriptionKind::Answer } else { DescriptionKind::Offer };
        self.complete(op, Completion::LocalDescriptionSet { kind, sdp: SDP.to_owned() });
        self.reports.push_back(Input::LocalCandidateGathered { pc, candidate: None });
        if answers {
            self.connect(pc);
        }
    }

    fn connect(&mut self, pc: PcId) {
        for state in [PeerConnectionState::Connecting, PeerConnectionState::Connected] {
            self.reports.push_back(Input::ConnectionStateChanged { pc, state });
        }
        self.reports.push_back(Input::RemoteTrackAdded { pc });
    }
}
