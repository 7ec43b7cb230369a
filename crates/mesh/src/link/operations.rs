//! The operations of one peer connection: first in, first out, one at a time.
//!
//! webrtc-pc has an operations queue of its own (§4.4.1.2), but what stands in it was
//! decided before what came ahead of it had ended. Here each operation is given out only
//! when the one before has completed.
//!
//! Invariants: at most one operation is in flight; its completion is recognised by its id.

use std::collections::VecDeque;

use openstudio_units::Timestamp;

use crate::input::DescriptionKind;
use crate::output::{Command, OpId, PcId};
use crate::signal::IceCandidate;

/// How many candidates may wait before more are dropped: twice what an honest peer gathers.
const MAX_QUEUED: usize = 128;

/// Something to be done on a peer connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    SetLocal,
    SetRemote { kind: DescriptionKind, sdp: String },
    AddCandidates(Vec<IceCandidate>),
    Sample { detailed: bool },
}

/// What an operation was, for its completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum OperationKind {
    Create,
    SetLocal,
    SetRemote,
    AddCandidates,
    Sample,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct InFlight {
    op: OpId,
    kind: OperationKind,
    due: Timestamp,
}

/// The queue of one peer connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Operations {
    pc: PcId,
    queue: VecDeque<Operation>,
    in_flight: Option<InFlight>,
}

impl Operations {
    /// Begins with the creation of the peer connection, which is in flight already.
    pub(crate) fn new(pc: PcId, create: OpId, due: Timestamp) -> Self {
        let in_flight = Some(InFlight { op: create, kind: OperationKind::Create, due });
        Self { pc, queue: VecDeque::new(), in_flight }
    }

    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.in_flight.map(|op| op.due)
    }

    /// Whether the operation in flight is overdue.
    pub(crate) fn is_overdue(&self, now: Timestamp) -> bool {
        self.in_flight.is_some_and(|op| now >= op.due)
    }

    /// Gives the operation in flight its full time again.
    pub(crate) fn extend(&mut self, due: Timestamp) {
        if let Some(op) = &mut self.in_flight {
            op.due = due;
        }
    }

    /// Queues an operation. A look at the statistics that waits already serves for both.
    pub(crate) fn push(&mut self, operation: Operation) {
        if let Operation::AddCandidates(candidates) = operation {
            return self.push_candidates(candidates);
        }
        let is_sample = |queued: &Operation| matches!(queued, Operation::Sample { .. });
        if is_sample(&operation) && self.queue.iter().any(is_sample) {
            return;
        }
        self.queue.push_back(operation);
    }

    /// Candidates join those at the queue's end; those beyond [`MAX_QUEUED`] are dropped.
    fn push_candidates(&mut self, mut candidates: Vec<IceCandidate>) {
        let count = |operation: &Operation| match operation {
            Operation::AddCandidates(queued) => queued.len(),
            Operation::SetLocal | Operation::SetRemote { .. } | Operation::Sample { .. } => 0,
        };
        let queued: usize = self.queue.iter().map(count).sum();
        candidates.truncate(MAX_QUEUED.saturating_sub(queued));
        match self.queue.back_mut() {
            Some(Operation::AddCandidates(last)) => last.append(&mut candidates),
            _ if candidates.is_empty() => {}
            _ => self.queue.push_back(Operation::AddCandidates(candidates)),
        }
    }

    /// Takes note of a completion. Returns what was completed, unless it is not the
    /// operation in flight.
    pub(crate) fn complete(&mut self, op: OpId) -> Option<OperationKind> {
        let kind = self.in_flight.filter(|in_flight| in_flight.op == op)?.kind;
        self.in_flight = None;
        Some(kind)
    }

    /// Whether the next operation may be given out.
    pub(crate) fn is_ready(&self) -> bool {
        self.in_flight.is_none() && !self.queue.is_empty()
    }

    /// Gives out the next operation under the id `op`, to be done by `due`.
    pub(crate) fn next(&mut self, op: OpId, due: Timestamp) -> Option<Command> {
        let operation = self.queue.pop_front()?;
        let pc = self.pc;
        let (kind, command) = match operation {
            Operation::SetLocal => {
                (OperationKind::SetLocal, Command::SetLocalDescription { op, pc })
            }
            Operation::SetRemote { kind, sdp } => {
                (OperationKind::SetRemote, Command::SetRemoteDescription { op, pc, kind, sdp })
            }
            Operation::AddCandidates(candidates) => {
                (OperationKind::AddCandidates, Command::AddIceCandidates { op, pc, candidates })
            }
            Operation::Sample { detailed } => {
                (OperationKind::Sample, Command::SampleStats { op, pc, detailed })
            }
        };
        self.in_flight = Some(InFlight { op, kind, due });
        Some(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const DUE: Timestamp = Timestamp::from_millis(10_000);

    fn candidate(n: usize) -> IceCandidate {
        let candidate = format!("candidate:{n}");
        IceCandidate { candidate, sdp_mid: None, sdp_m_line_index: None, username_fragment: None }
    }

    #[test]
    fn nothing_is_given_out_before_the_one_ahead_has_completed() {
        let mut operations = Operations::new(PcId(1), OpId(1), DUE);
        operations.push(Operation::SetLocal);
        assert!(!operations.is_ready());
        assert_eq!(operations.complete(OpId(9)), None);
        assert_eq!(operations.complete(OpId(1)), Some(OperationKind::Create));
        assert!(operations.is_ready());
        assert!(operations.next(OpId(2), DUE).is_some());
        assert_eq!(operations.complete(OpId(1)), None);
        assert_eq!(operations.complete(OpId(2)), Some(OperationKind::SetLocal));
    }

    #[test]
    fn candidates_do_not_pile_up_without_a_bound() {
        let mut operations = Operations::new(PcId(1), OpId(1), DUE);
        for n in 0..10_000 {
            operations.push(Operation::AddCandidates(vec![candidate(n), candidate(n)]));
            if n == 20 {
                operations.push(Operation::SetLocal);
            }
        }
        let mut added = Vec::new();
        operations.complete(OpId(1));
        while let Some(command) = operations.next(OpId(2), DUE) {
            if let Command::AddIceCandidates { candidates, .. } = command {
                added.push(candidates.len());
            }
        }
        assert_eq!(added, [42, MAX_QUEUED - 42]);
    }

    #[test]
    fn candidates_that_wait_together_are_added_together_but_not_across_a_description() {
        let mut operations = Operations::new(PcId(1), OpId(1), DUE);
        operations.push(Operation::AddCandidates(vec![candidate(1)]));
        operations.push(Operation::AddCandidates(vec![candidate(2), candidate(3)]));
        operations.push(Operation::SetLocal);
        operations.push(Operation::AddCandidates(vec![candidate(4)]));
        operations.complete(OpId(1));
        let commands: Vec<Command> = std::iter::from_fn(|| operations.next(OpId(2), DUE)).collect();
        let add = |candidates| Command::AddIceCandidates { op: OpId(2), pc: PcId(1), candidates };
        let local = Command::SetLocalDescription { op: OpId(2), pc: PcId(1) };
        let first = add(vec![candidate(1), candidate(2), candidate(3)]);
        assert_eq!(commands, [first, local, add(vec![candidate(4)])]);
    }

    #[test]
    fn looks_at_the_statistics_do_not_pile_up() {
        let mut operations = Operations::new(PcId(1), OpId(1), DUE);
        operations.push(Operation::Sample { detailed: false });
        operations.push(Operation::Sample { detailed: true });
        operations.complete(OpId(1));
        assert!(operations.next(OpId(2), DUE).is_some());
        operations.complete(OpId(2));
        assert!(!operations.is_ready());
    }
}
