//! When to call again, and why.

use openstudio_units::Timestamp;

/// What a deadline is for. Read in logs and traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeadlineReason {
    /// Gathered candidates are due to be sent.
    FlushCandidates,
    /// The answer to an offer is overdue.
    AnswerDue,
    /// The peer's offer is overdue.
    OfferDue,
    /// A request of the peer that came too soon after another is followed.
    RequestDue,
    /// An operation is overdue.
    OperationDue,
    /// ICE should have begun.
    IceStartDue,
    /// Candidates are due to be sent again.
    RepeatCandidates,
    /// The connection should stand.
    ConnectDue,
    /// The next attempt to recover begins.
    AttemptStart,
    /// The attempt to recover should have succeeded.
    AttemptDue,
    /// The connection has been sound for long enough to forget old attempts.
    SettleDue,
    /// The next look at the statistics.
    SampleStats,
}

/// A moment at which something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline {
    /// When to call [`Mesh::handle_timeout`](crate::Mesh::handle_timeout).
    pub at: Timestamp,
    /// Why.
    pub reason: DeadlineReason,
}

impl Deadline {
    pub(crate) fn new(at: Timestamp, reason: DeadlineReason) -> Self {
        Self { at, reason }
    }
}
