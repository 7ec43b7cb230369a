//! An exhaustive model of one pair: two real meshes with one link each, under every
//! interleaving of what may happen to them, within [`Bounds`].
//!
//! Breadth first, with a fingerprint of every state; no state is looked at twice. Each step
//! is one delivery, one loss, one doubled message, one end of an operation, one fact of the
//! browser, one timer, one change of ICE, or one trouble. Safety is checked at each step,
//! liveness from each state: if troubles end there, both ends must come to `connected` and
//! stable.
//!
//! Why not a model checker from the shelf: the state *is* the production code, with its
//! clocks. It must be hashed relative to the present, and each end has a clock of its own
//! that only its own timers move; a general checker would have to be told both, and would
//! keep every state it has seen.
//!
//! # Time
//! A timer may fire while messages are under way, [`Bounds::hurries`] times; when nothing is
//! under way timers fire freely. Statistics are not looked at: nothing is heard or silent
//! here, a link is connected or not.

mod hasher;
mod search;
mod side;
mod state;

pub use search::{PairReport, explore};
pub use state::{Action, Bounds, OPEN_SEARCHES, SEARCHES};
