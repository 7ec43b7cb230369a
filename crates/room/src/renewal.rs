//! What runs out while a seat is held, and is renewed before it does: the seat's token, and the
//! credentials for relays that its owner has.

use std::time::Duration;

use openstudio_units::{PeerId, RoomId, Timestamp};
use openstudio_wire::ServerMessage;

use crate::output::ConnId;
use crate::room::Presence;
use crate::rooms::Rooms;
use crate::timer::Timer;
use crate::tokens::SeatClaims;

/// Which part of the time between two renewals of credentials they are spread over, at most:
/// after a restart everybody returns at once.
const SPREAD: u32 = 8;

impl Rooms {
    /// The presence of a participant who has just got a seat's token and credentials.
    pub(crate) fn here(&self, now: Timestamp, conn: ConnId, peer: PeerId) -> Presence {
        let renew_at = self.token_due(now);
        Presence::Here { conn, renew_at, ice_at: self.ice_due(now, peer) }
    }

    /// Sets the timers of somebody who is here.
    pub(crate) fn set_renewals(&mut self, room_id: RoomId, peer: PeerId, presence: Presence) {
        if let Presence::Here { renew_at, ice_at, .. } = presence {
            self.timers.set(renew_at, Timer::Token(room_id, peer));
            if let Some(at) = ice_at {
                self.timers.set(at, Timer::Ice(room_id, peer));
            }
        }
    }

    pub(crate) fn cancel_renewals(&mut self, room_id: RoomId, peer: PeerId, presence: Presence) {
        if let Presence::Here { renew_at, ice_at, .. } = presence {
            self.timers.cancel(renew_at, Timer::Token(room_id, peer));
            if let Some(at) = ice_at {
                self.timers.cancel(at, Timer::Ice(room_id, peer));
            }
        }
    }

    /// Sends a newer seat token, and another one at half of its life.
    pub(crate) fn renew_token(&mut self, now: Timestamp, room_id: RoomId, peer: PeerId) {
        let next = self.token_due(now);
        let Some(seat) = self.rooms.get_mut(&room_id).and_then(|r| r.seats.get_mut(&peer)) else {
            return;
        };
        let Presence::Here { conn, ref mut renew_at, .. } = seat.presence else {
            return;
        };
        self.timers.cancel(*renew_at, Timer::Token(room_id, peer));
        *renew_at = next;
        let claims = SeatClaims {
            peer,
            room: room_id,
            role: seat.role,
            name: seat.name.clone(),
            incarnation: seat.incarnation,
        };
        self.timers.set(next, Timer::Token(room_id, peer));
        // Without a newer token the older one still serves; the next turn tries again.
        if let Ok(grant) = self.grant(&claims) {
            self.send(conn, ServerMessage::SeatToken { token: grant.token });
        }
    }

    /// Tells somebody anew about STUN and TURN; whoever drives the rooms adds credentials.
    pub(crate) fn renew_ice(&mut self, now: Timestamp, room_id: RoomId, peer: PeerId) {
        let next = self.ice_due(now, peer);
        let Some(seat) = self.rooms.get_mut(&room_id).and_then(|r| r.seats.get_mut(&peer)) else {
            return;
        };
        let Presence::Here { conn, ref mut ice_at, .. } = seat.presence else {
            return;
        };
        *ice_at = next;
        if let Some(at) = next {
            self.timers.set(at, Timer::Ice(room_id, peer));
        }
        self.send(conn, ServerMessage::IceServers { ice: self.config.ice.clone() });
    }

    fn token_due(&self, now: Timestamp) -> Timestamp {
        now + self.config.seat_token_lifetime.div_f64(2.0)
    }

    /// When the credentials that a participant got now are to be renewed. Ids are random, so
    /// their last byte spreads a room.
    fn ice_due(&self, now: Timestamp, peer: PeerId) -> Option<Timestamp> {
        let latest = self.config.ice_renewal?;
        let [.., byte] = peer.as_bytes();
        let sooner = latest.div_f64(f64::from(SPREAD) * 256.0).saturating_mul(u32::from(*byte));
        Some(now + latest.saturating_sub(sooner).max(Duration::from_millis(1)))
    }
}
