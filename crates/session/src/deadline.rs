//! When to call the session again, and why.

use openstudio_mesh as mesh;
use openstudio_units::Timestamp;

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadlineReason {
    /// A socket is to be opened, pinged or given up.
    Socket,
    /// A room that was not there is asked for again.
    RoomLookup,
    /// A restarted server has waited long enough for the others.
    Rebuild,
    /// A change of the desk has no answer yet.
    Mixer,
    /// The connection manager's.
    Mesh(mesh::DeadlineReason),
}

/// A moment at which something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// When to call [`Session::handle_timeout`](crate::Session::handle_timeout).
    pub at: Timestamp,
    /// Why.
    pub reason: DeadlineReason,
}
