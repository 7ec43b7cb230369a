//! What the page shows, worked out without a browser: addresses, cards, wording, levels,
//! time. Everything here is plain data in, plain data out, and tested on the host.
//!
//! It is *not* where anything is decided about connections; `openstudio-session` does that.

pub(crate) mod address;
pub(crate) mod card;
pub(crate) mod clock;
pub(crate) mod level;
pub(crate) mod name;
pub(crate) mod seat;
pub(crate) mod token;
pub(crate) mod words;
