//! One room: its seats and its counters. Knows no sockets' queues and no tokens.

use std::collections::BTreeMap;

use openstudio_units::{Incarnation, PeerId, Role, Timestamp};
use openstudio_wire::{DisplayName, Participant};

use crate::output::ConnId;

/// Whether the socket of a seat is there. Carries when that is looked at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It is, and its next token is due at `renew_at`.
    Here {
        /// The socket.
        conn: ConnId,
        /// When a newer token is due.
        renew_at: Timestamp,
    },
    /// It closed; the seat is kept until `until`.
    Away {
        /// When the seat is given up.
        until: Timestamp,
    },
}

/// A participant's place.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) role: Role,
    pub(crate) name: Option<DisplayName>,
    pub(crate) incarnation: Incarnation,
    pub(crate) muted: bool,
    pub(crate) microphone: bool,
    pub(crate) presence: Presence,
}

impl Seat {
    /// Returns the socket, if it is there.
    pub(crate) fn conn(&self) -> Option<ConnId> {
        match self.presence {
            Presence::Here { conn, .. } => Some(conn),
            Presence::Away { .. } => None,
        }
    }

    pub(crate) fn as_participant(&self, peer_id: PeerId) -> Participant {
        Participant {
            peer_id,
            role: self.role,
            name: self.name.clone(),
            incarnation: self.incarnation,
            present: self.conn().is_some(),
            muted: self.muted,
            microphone: self.microphone,
        }
    }
}

/// A room.
///
/// # Invariants
/// `seq` and `incarnations` never fall. No seat's incarnation is above `incarnations`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    pub(crate) seats: BTreeMap<PeerId, Seat>,
    seq: u64,
    incarnations: Incarnation,
    /// Until when a rebuilt room waits for seats to return.
    pub(crate) rebuilding_until: Option<Timestamp>,
}

impl Room {
    /// Makes a room that comes back and waits for its seats until `until`.
    pub(crate) fn rebuilding(until: Timestamp) -> Self {
        Self { rebuilding_until: Some(until), ..Self::default() }
    }

    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// Counts one change of the seats.
    pub(crate) fn bump(&mut self) -> u64 {
        self.seq = self.seq.saturating_add(1);
        self.seq
    }

    /// Takes note of an incarnation that a token of this room speaks of.
    pub(crate) fn note_incarnation(&mut self, seen: Incarnation) {
        self.incarnations = self.incarnations.max(seen);
    }

    /// Returns an incarnation above all before it.
    pub(crate) fn next_incarnation(&mut self) -> Incarnation {
        self.incarnations = Incarnation(self.incarnations.0.saturating_add(1));
        self.incarnations
    }

    pub(crate) fn participants(&self) -> Vec<Participant> {
        self.seats.iter().map(|(peer, seat)| seat.as_participant(*peer)).collect()
    }
}
