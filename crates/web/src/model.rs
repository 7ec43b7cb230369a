//! What the page shows, worked out without a browser: addresses, cards, wording, levels,
//! devices, time. Everything here is plain data in, plain data out, and tested on the host.
//!
//! It is *not* where anything is decided about connections; `openstudio-session` does that. Which
//! way this browser reaches relays is worked out here (`relay`).

pub(crate) mod address;
pub(crate) mod card;
pub(crate) mod check;
pub(crate) mod clock;
pub(crate) mod devices;
pub(crate) mod engine;
pub(crate) mod keys;
pub(crate) mod loudness;
pub(crate) mod meter;
pub(crate) mod name;
pub(crate) mod opus;
pub(crate) mod pace;
pub(crate) mod processing;
pub(crate) mod redundancy;
pub(crate) mod relay;
pub(crate) mod seat;
pub(crate) mod strip;
pub(crate) mod token;
pub(crate) mod words;
