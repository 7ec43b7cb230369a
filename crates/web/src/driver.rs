//! The shell around a `Session` in a browser: performs what the core commands, reports
//! what happens, and holds no decision about connections.
//!
//! One loop (`run` in `studio`) owns everything. Closures given to the browser only send an
//! [`event::Event`] into the loop's channel; so does the page.

mod browser;
mod checking;
mod devices;
mod drawing;
mod entering;
mod event;
mod externs;
mod listener;
mod mixing;
mod peer_connection;
mod probe;
mod running;
mod sending;
mod socket;
mod stats;
mod studio;
mod surroundings;
mod tabs;
mod timer;
mod told;

pub(crate) use browser::{copy_text, is_secure, local_time, remember, remembered};
pub(crate) use event::{Event, Sender, Wish};
pub(crate) use externs::Sink;
pub(crate) use listener::Listener;
pub(crate) use studio::start;
