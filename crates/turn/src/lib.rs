//! STUN (RFC 8489) and TURN (RFC 8656) without input or output.
//!
//! [`TurnServer`] relays UDP for clients that reach it by UDP, TCP or TLS; [`TurnClient`] is the
//! other side, and [`BindingClient`] asks which address a server sees. All are told the time and
//! the randomness, and perform nothing. [`BindingRequest`] and [`answer_binding`] are the two
//! sides of plain STUN. [`ServerUrl`] says where a server is.
//!
//! # The server's driver
//! 1. Wait for a datagram, for a message of a stream (cut with [`length_in_stream`]), for a
//!    packet at a relay's socket, for the deadline, or for the end of a stream.
//! 2. Tell it: [`TurnServer::handle`], [`TurnServer::relayed`], [`TurnServer::on_timeout`],
//!    [`TurnServer::stream_closed`].
//! 3. Drain [`TurnServer::poll_output`] and carry out what it says. Each
//!    [`Output::OpenRelay`] gets exactly one [`TurnServer::relay_opened`], at any later time.
//! 4. Read [`TurnServer::poll_timeout`], and begin again.
//!
//! # Invariants
//! Who has not proved to know a credential costs no memory but one row in a table of bounded
//! size, with a few answers that wait; its address gets by UDP at most 1.2 times the bytes back
//! that it sent. No packet leaves for an address that [`PeerPolicy`] refuses. To relay a packet
//! takes one allocation at most.
//!
//! This crate is *not* a place for sockets, names or transports: see `openstudio-server`.
#![warn(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod binding;
mod client;
mod limiter;
mod nonce;
mod policy;
mod secret;
mod server;
mod special;
mod stream;
mod stun;
mod url;

pub use binding::{BindingClient, BindingOutput, BindingRequest, NoAddress, answer_binding};
pub use client::{ClientConfig, ClientError, ClientEvent, ClientOutput, TurnClient};
pub use limiter::LimiterConfig;
pub use policy::{PeerPolicy, Prefix, PrefixError};
pub use secret::{Credentials, SharedSecret};
pub use server::{
    Client, Counts, Family, Output, Refused, RelayError, RelayId, TurnConfig, TurnServer,
};
pub use special::special_addresses;
pub use stream::{NotTurn, length_in_stream};
pub use url::{ServerUrl, Service};

/// How a client and a server reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A TCP stream.
    Tcp,
    /// A TLS stream over TCP.
    Tls,
}

impl Transport {
    /// Returns whether messages come in a stream and not as datagrams.
    pub fn is_stream(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls => true,
        }
    }
}
