//! What a network does to packets: links that delay, lose and double them, and NATs.
//!
//! ```text
//!  home ─► Nat::outbound ─► Link (up) ─► public network ─► Link (down) ─► Nat::inbound ─► home
//! ```
//!
//! It is sans-IO: it is told the time, and draws from a [`Seed`](openstudio_units::Seed). The
//! simulator asks it for rules ([`Behaviour::admits`], [`StreamDelay`]), the link emulator lets
//! packets through it.
//!
//! It is *not* a network stack: it knows endpoints and sizes, no bytes of a packet.
//!
//! # How to drive a [`Link`]
//! 1. [`Link::send`] what enters it.
//! 2. At [`Link::poll_timeout`], [`Link::poll`] until there is nothing more.
//!
//! # Invariants
//! Same seed, same packets at the same times: same fate. Nothing is kept for ever: links, tables
//! of mappings and what a mapping remembers of the other ends are bounded.

mod behaviour;
mod chance;
mod delay;
mod link;
mod loss;
mod nat;
mod outages;
mod ports;
mod table;

pub use behaviour::{Behaviour, Dependence, NatKind};
pub use chance::{Chance, ChanceError};
pub use delay::{Delay, StreamDelay};
pub use link::{Link, LinkConfig, LinkCounters, MAX_IN_FLIGHT};
pub use loss::{GilbertElliott, Loss, LossProcess};
pub use nat::{Flow, Forwarded, Nat, NatConfig, NatCounters, Refusal, Translation};
pub use outages::Outages;
pub use ports::PortAssignment;
pub use table::{MAX_REMOTES, Protocol};
