//! What happens to a seat: its owner's changes, their going away, its end.

use openstudio_units::{PeerId, RoomId, Timestamp};
use openstudio_wire::{CloseCode, DisplayName, ErrorCode, LeaveReason, ServerMessage, StripChange};

use crate::output::{ConnId, Event, RoomEnd};
use crate::refusal::Refusal;
use crate::room::Presence;
use crate::rooms::{Place, Rooms};
use crate::timer::Timer;

impl Rooms {
    pub(crate) fn mute(
        &mut self,
        conn: ConnId,
        whose: Option<PeerId>,
        muted: bool,
    ) -> Result<(), Refusal> {
        let (room_id, from) = self.seated(conn)?;
        let peer_id = whose.unwrap_or(from);
        if peer_id != from {
            return self.set_strip(conn, peer_id, StripChange::muted(muted));
        }
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return Ok(());
        };
        if let Some(seat) = room.seats.get_mut(&from) {
            seat.muted = muted;
        }
        let seq = room.bump();
        self.broadcast(room_id, None, &ServerMessage::Mute { from, peer_id, muted, seq });
        Ok(())
    }

    pub(crate) fn microphone(&mut self, conn: ConnId, available: bool) -> Result<(), Refusal> {
        let (room_id, peer) = self.seated(conn)?;
        if let Some(seat) = self.rooms.get_mut(&room_id).and_then(|r| r.seats.get_mut(&peer)) {
            seat.microphone = available;
        }
        self.announce_update(room_id, peer, None);
        Ok(())
    }

    pub(crate) fn rename(
        &mut self,
        now: Timestamp,
        conn: ConnId,
        name: DisplayName,
    ) -> Result<(), Refusal> {
        let (room_id, peer) = self.seated(conn)?;
        if let Some(seat) = self.rooms.get_mut(&room_id).and_then(|r| r.seats.get_mut(&peer)) {
            seat.name = Some(name);
        }
        self.announce_update(room_id, peer, None);
        // The token carries the name, so that it survives a restart of the server.
        self.renew_token(now, room_id, peer);
        Ok(())
    }

    pub(crate) fn leave(&mut self, conn: ConnId) -> Result<(), Refusal> {
        let (room_id, peer) = self.seated(conn)?;
        self.cancel_seat_timers(room_id, peer);
        self.remove_seat(room_id, peer, LeaveReason::Left);
        self.peers.insert(peer, Place::Lobby(conn));
        Ok(())
    }

    pub(crate) fn end_room(&mut self, conn: ConnId) -> Result<(), Refusal> {
        let (room_id, peer) = self.seated(conn)?;
        let role = self.rooms.get(&room_id).and_then(|r| r.seats.get(&peer)).map(|seat| seat.role);
        if !role.is_some_and(|role| role.may_end_room()) {
            return Err(Refusal::new(ErrorCode::Forbidden, "only a host can end the session"));
        }
        self.broadcast(room_id, None, &ServerMessage::RoomEnded { room_id });
        let Some(room) = self.rooms.remove(&room_id) else {
            return Ok(());
        };
        if let Some(until) = room.rebuilding_until {
            self.timers.cancel(until, Timer::Rebuild(room_id));
        }
        for (peer, seat) in room.seats {
            self.cancel_timers_of(room_id, peer, seat.presence);
            self.peers.remove(&peer);
            if let Some(conn) = seat.conn() {
                self.drop_connection(conn, CloseCode::RoomEnded);
            }
        }
        self.remember_ended(room_id);
        self.event(Event::RoomClosed { room: room_id, reason: RoomEnd::Ended });
        Ok(())
    }

    /// The seat's socket is gone: it is kept for the grace period.
    pub(crate) fn go_away(&mut self, now: Timestamp, room_id: RoomId, peer: PeerId) {
        self.cancel_seat_timers(room_id, peer);
        let until = now + self.config.grace;
        if let Some(seat) = self.rooms.get_mut(&room_id).and_then(|r| r.seats.get_mut(&peer)) {
            seat.presence = Presence::Away { until };
            self.timers.set(until, Timer::Grace(room_id, peer));
        }
        self.announce_update(room_id, peer, None);
    }

    /// Gives up a seat whose timer is not set any more, and the room with the last one.
    pub(crate) fn remove_seat(&mut self, room_id: RoomId, peer: PeerId, reason: LeaveReason) {
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return;
        };
        room.seats.remove(&peer);
        let seq = room.bump();
        if room.seats.is_empty() {
            if let Some(until) = room.rebuilding_until {
                self.timers.cancel(until, Timer::Rebuild(room_id));
            }
            self.rooms.remove(&room_id);
            self.event(Event::RoomClosed { room: room_id, reason: RoomEnd::Empty });
            return;
        }
        self.broadcast(room_id, None, &ServerMessage::PeerLeft { peer_id: peer, reason, seq });
    }

    /// Tells the room about a changed seat.
    pub(crate) fn announce_update(
        &mut self,
        room_id: RoomId,
        peer: PeerId,
        except: Option<PeerId>,
    ) {
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return;
        };
        let seq = room.bump();
        let Some(participant) = room.participant(peer) else {
            return;
        };
        self.broadcast(room_id, except, &ServerMessage::PeerUpdated { participant, seq });
    }

    pub(crate) fn cancel_seat_timers(&mut self, room_id: RoomId, peer: PeerId) {
        let seat = self.rooms.get(&room_id).and_then(|room| room.seats.get(&peer));
        if let Some(presence) = seat.map(|seat| seat.presence) {
            self.cancel_timers_of(room_id, peer, presence);
        }
    }

    fn cancel_timers_of(&mut self, room_id: RoomId, peer: PeerId, presence: Presence) {
        match presence {
            Presence::Here { .. } => self.cancel_renewals(room_id, peer, presence),
            Presence::Away { until } => self.timers.cancel(until, Timer::Grace(room_id, peer)),
        }
    }
}
