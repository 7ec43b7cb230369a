//! Ids, time and randomness as newtypes: the vocabulary of every OpenStudio crate.
//!
//! This crate is *not* a place for behaviour. It holds what two crates must agree
//! on to speak about the same thing: who ([`PeerId`], [`RoomId`], [`Role`]), when
//! ([`Timestamp`]), which round ([`Incarnation`], [`Generation`], [`OfferId`]), how loud
//! ([`Gain`]) and where randomness comes from ([`Seed`], [`Rng`]).
//!
//! Invariants: nothing here reads a clock or a random source; every id is `Copy`
//! and ordered, so that collections iterate the same way on every machine.
#![warn(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod gain;
mod id;
mod rounds;
mod seed;
mod time;

pub use gain::{Gain, GainError};
pub use id::{IdError, PeerId, Role, RoleError, RoomId};
pub use rounds::{Generation, Incarnation, OfferId};
pub use seed::{Rng, Seed};
pub use time::Timestamp;
