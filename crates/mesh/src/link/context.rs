//! What a link needs to know and where its outputs go, for the length of one call.

use std::collections::{BTreeMap, VecDeque};

use openstudio_units::{PeerId, Timestamp};

use crate::config::MeshConfig;
use crate::count::Count;
use crate::output::{Command, Event, OpId, Output, PcId};

/// The surroundings of one call into a link.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) config: &'a MeshConfig,
    pub(crate) peer: PeerId,
    pub(crate) signalling_up: bool,
    pub(crate) has_relay: bool,
    pub(crate) out: &'a mut Outbox,
}

/// An operation that is under way.
#[derive(Debug, Clone, Copy, Hash)]
struct GivenOut {
    peer: PeerId,
    pc: PcId,
    at: Timestamp,
}

/// Outputs in order, and whose operation or peer connection an id names.
#[derive(Debug, Clone, Default, Hash)]
pub(crate) struct Outbox {
    queue: VecDeque<Output>,
    last_op: Count,
    last_pc: Count,
    ops: BTreeMap<OpId, GivenOut>,
    pcs: BTreeMap<PcId, PeerId>,
}

impl Outbox {
    pub(crate) fn pop(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    pub(crate) fn command(&mut self, command: Command) {
        if let Command::ClosePeerConnection { pc } = command {
            self.pcs.remove(&pc);
            self.ops.retain(|_, given| given.pc != pc);
        }
        self.queue.push_back(Output::Command(command));
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.queue.push_back(Output::Event(event));
    }

    pub(crate) fn next_op(&mut self, at: Timestamp, peer: PeerId, pc: PcId) -> OpId {
        let op = OpId(self.last_op.rise());
        self.ops.insert(op, GivenOut { peer, pc, at });
        op
    }

    pub(crate) fn next_pc(&mut self, peer: PeerId) -> PcId {
        let pc = PcId(self.last_pc.rise());
        self.pcs.insert(pc, peer);
        pc
    }

    /// Whose operation completed, and when it was given out. Each is asked for once.
    pub(crate) fn take_op(&mut self, op: OpId) -> Option<(PeerId, Timestamp)> {
        self.ops.remove(&op).map(|given| (given.peer, given.at))
    }

    pub(crate) fn owner(&self, pc: PcId) -> Option<PeerId> {
        self.pcs.get(&pc).copied()
    }

    /// Drops what is queued for a peer that left, but for the closing of its connection.
    pub(crate) fn forget(&mut self, peer: PeerId) {
        let pcs = &self.pcs;
        self.queue.retain(|output| match output {
            Output::Command(Command::SendSignal { to, .. }) => *to != peer,
            Output::Command(
                Command::CreatePeerConnection { .. } | Command::ClosePeerConnection { .. },
            ) => true,
            Output::Command(
                Command::SetLocalDescription { pc, .. }
                | Command::SetRemoteDescription { pc, .. }
                | Command::AddIceCandidates { pc, .. }
                | Command::RestartIce { pc }
                | Command::SetRedundancy { pc, .. }
                | Command::SampleStats { pc, .. },
            ) => pcs.contains_key(pc),
            Output::Event(
                Event::ConnectionStateChanged { peer: of, .. }
                | Event::ConnectionFailed { peer: of, .. }
                | Event::RemoteTrackAdded { peer: of, .. }
                | Event::QualityChanged { peer: of, .. },
            ) => *of != peer,
        });
    }
}
