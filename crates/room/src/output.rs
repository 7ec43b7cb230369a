//! What [`crate::Rooms`] gives to its driver.

use openstudio_units::{RoomId, Timestamp};
use openstudio_wire::{CloseCode, ServerMessage};

use crate::engine::EngineOrder;

/// One socket, numbered by the driver. Never used again for another socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Something to do or to know, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this message. Never follows a `Close` of the same connection.
    Send {
        /// On which socket.
        conn: ConnId,
        /// What.
        message: ServerMessage,
    },
    /// Close this socket after what was sent before.
    Close {
        /// Which socket.
        conn: ConnId,
        /// Why.
        code: CloseCode,
    },
    /// A fact for logs and storage.
    Event(Event),
}

/// A fact about a room. Not emitted for rooms that a shutdown takes down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The room is there.
    RoomOpened {
        /// Which.
        room: RoomId,
        /// Whether it came back from a seat token.
        rebuilt: bool,
    },
    /// The room is gone.
    RoomClosed {
        /// Which.
        room: RoomId,
        /// Why. [`RoomEnd::Ended`] must outlive a restart: store it, and give it to
        /// [`crate::Rooms::remember_ended`] when starting.
        reason: RoomEnd,
    },
    /// Somebody who may wants the engine to do something.
    EngineOrdered {
        /// For which room.
        room: RoomId,
        /// Who: answers go there.
        conn: ConnId,
        /// What.
        order: EngineOrder,
    },
}

/// Why a room is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomEnd {
    /// Its last seat was given up. A seat token may bring it back.
    Empty,
    /// A host ended it. It never comes back.
    Ended,
}

/// When to call [`crate::Rooms::handle_timeout`], and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// When.
    pub at: Timestamp,
    /// What is due then.
    pub reason: DeadlineReason,
}

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadlineReason {
    /// A seat is given up.
    GraceOver,
    /// A rebuilt room is complete.
    RebuildOver,
    /// A newer seat token is due.
    TokenRenewal,
    /// Newer credentials for relays are due.
    IceRenewal,
}

/// How much there is, for `/health` and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Sockets.
    pub connections: usize,
    /// Rooms.
    pub rooms: usize,
    /// Registered peers, with or without a seat or socket.
    pub peers: usize,
}
