//! One room: its seats and its counters. Knows no sockets' queues and no tokens.

use std::collections::BTreeMap;

use openstudio_units::{Incarnation, PeerId, Role, Timestamp};
use openstudio_wire::{DisplayName, EngineState, Participant, Strip};

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
        /// When newer credentials for relays are due.
        ice_at: Option<Timestamp>,
    },
    /// It closed; the seat is kept until `until`.
    Away {
        /// When the seat is given up.
        until: Timestamp,
    },
}

impl Presence {
    /// Returns when newer credentials for relays are due.
    pub(crate) fn ice_at(self) -> Option<Timestamp> {
        match self {
            Self::Here { ice_at, .. } => ice_at,
            Self::Away { .. } => None,
        }
    }
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

    fn as_participant(&self, peer_id: PeerId, strip: Strip) -> Participant {
        Participant {
            peer_id,
            role: self.role,
            name: self.name.clone(),
            incarnation: self.incarnation,
            present: self.conn().is_some(),
            muted: self.muted,
            microphone: self.microphone,
            strip,
        }
    }
}

/// A room.
///
/// # Invariants
/// `seq`, `incarnations` and the revision of a kept strip never fall. No seat's incarnation
/// is above `incarnations`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    pub(crate) seats: BTreeMap<PeerId, Seat>,
    /// The strips that somebody has touched, those of people who left too: they may return.
    strips: BTreeMap<PeerId, Strip>,
    seq: u64,
    incarnations: Incarnation,
    /// What the studio's engine does here.
    pub(crate) engine: EngineState,
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

    /// Returns how many people have a seat.
    pub(crate) fn people(&self) -> usize {
        self.seats.values().filter(|seat| seat.role.is_person()).count()
    }

    pub(crate) fn participants(&self) -> Vec<Participant> {
        self.seats.keys().filter_map(|peer| self.participant(*peer)).collect()
    }

    /// Returns one seat as the room is told of it.
    pub(crate) fn participant(&self, peer: PeerId) -> Option<Participant> {
        self.seats.get(&peer).map(|seat| seat.as_participant(peer, self.strip(peer)))
    }

    /// Returns how the desk treats a participant.
    pub(crate) fn strip(&self, peer: PeerId) -> Strip {
        self.strips.get(&peer).copied().unwrap_or_default()
    }

    /// Returns how many strips are kept.
    pub(crate) fn strips(&self) -> usize {
        self.strips.len()
    }

    /// Keeps a strip. Of those who left, the ones touched least are forgotten once there are
    /// more than `limit`.
    pub(crate) fn keep_strip(&mut self, peer: PeerId, strip: Strip, limit: usize) {
        self.strips.insert(peer, strip);
        while self.strips.len() > limit {
            let away = self.strips.iter().filter(|(peer, _)| !self.seats.contains_key(peer));
            let Some(least) = away.min_by_key(|(_, strip)| strip.revision).map(|(peer, _)| *peer)
            else {
                return;
            };
            self.strips.remove(&least);
        }
    }
}
