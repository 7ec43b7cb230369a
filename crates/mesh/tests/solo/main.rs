//! One mesh alone, with the exact commands, signals and events of each situation.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a broken test stops"
)]

mod driver;
mod heard;
mod signals;
mod states;
mod wishes;
