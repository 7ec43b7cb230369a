//! Coming back: the same seat on a new socket, after a restart of the server too.

use openstudio_units::{Incarnation, RoomId, Timestamp};
use openstudio_wire::{CloseCode, ErrorCode, SeatGrant, ServerMessage, Token};

use crate::entry::ended;
use crate::output::{ConnId, Event};
use crate::refusal::Refusal;
use crate::room::Room;
use crate::rooms::{Place, Rooms};
use crate::timer::Timer;
use crate::tokens::{Claims, SeatClaims};

impl Rooms {
    pub(crate) fn resume(
        &mut self,
        now: Timestamp,
        conn: ConnId,
        token: &Token,
        fresh: bool,
    ) -> Result<(), Refusal> {
        let claims = self.open_seat(token)?;
        self.check_owner(conn, &claims)?;
        let room_id = claims.room;
        if self.is_ended(room_id) {
            return Err(ended());
        }
        if !fresh && self.is_taken_over(conn, &claims) {
            self.drop_connection(conn, CloseCode::TakenOver);
            return Ok(());
        }
        let known = match self.rooms.get(&room_id) {
            Some(room) if room.seats.contains_key(&claims.peer) => true,
            Some(room) => {
                self.check_free_seat(room, claims.role)?;
                false
            }
            None => {
                self.check_room_for_room()?;
                false
            }
        };
        // Signing comes before every change, since it is what could still fail.
        let (claims, fresh) = self.settle(claims, fresh);
        let seat = self.grant(&claims)?;
        self.release_older_socket(conn, &claims);
        if known {
            self.take_seat(now, conn, &claims, fresh);
        } else {
            self.rebuild_seat(now, conn, claims.clone());
        }
        self.confirm_resume(conn, &claims, seat);
        if known {
            self.announce_update(room_id, claims.peer, Some(claims.peer));
        } else {
            self.announce_join(room_id, claims.peer);
        }
        self.send_snapshot(room_id, conn);
        Ok(())
    }

    /// Whether a newer page sits on the seat, on another socket. What an older one said
    /// before it was reloaded may come late, on a socket of its own.
    fn is_taken_over(&self, conn: ConnId, claims: &SeatClaims) -> bool {
        let room = self.rooms.get(&claims.room);
        room.and_then(|room| room.seats.get(&claims.peer)).is_some_and(|seat| {
            seat.conn().is_some_and(|sitting| sitting != conn)
                && seat.incarnation > claims.incarnation
        })
    }

    fn open_seat(&self, token: &Token) -> Result<SeatClaims, Refusal> {
        match self.tokens.verify(token)? {
            Claims::Seat(claims) => Ok(claims),
            Claims::Invite(_) => Err(Refusal::new(
                ErrorCode::WrongToken,
                "this is an invitation and not a seat's token; join the room with it",
            )),
            Claims::Download(_) => {
                Err(Refusal::new(ErrorCode::WrongToken, "this token is for downloads alone"))
            }
        }
    }

    /// Checks that neither the socket nor the peer is bound to something else.
    fn check_owner(&self, conn: ConnId, claims: &SeatClaims) -> Result<(), Refusal> {
        if self.peer_of(conn).is_some_and(|peer| peer != claims.peer) {
            return Err(Refusal::new(
                ErrorCode::AlreadyRegistered,
                "this socket has another peer id already",
            ));
        }
        match self.peers.get(&claims.peer) {
            Some(Place::Seated(room)) if *room != claims.room => Err(Refusal::new(
                ErrorCode::AlreadyInRoom,
                "this participant is in another room by now; leave it first",
            )),
            Some(Place::Seated(_) | Place::Lobby(_)) | None => Ok(()),
        }
    }

    /// Decides role, name and incarnation of the seat, and whether it begins afresh.
    ///
    /// A seat that is there decides its own role and name. Its incarnation stays only
    /// for a client that has kept its links *and* whose links are the seat's latest: an
    /// older tab that returns has none that the others still know. A seat that is gone
    /// from a living room is a new seat, since the others have dropped its links; in a
    /// room that is being rebuilt nobody has dropped anything.
    fn settle(&mut self, claims: SeatClaims, fresh: bool) -> (SeatClaims, bool) {
        let rebuilt = self.rooms.get(&claims.room).is_none_or(|r| r.rebuilding_until.is_some());
        let Some(room) = self.rooms.get_mut(&claims.room) else {
            let incarnation = if fresh { after(claims.incarnation) } else { claims.incarnation };
            return (SeatClaims { incarnation, ..claims }, fresh);
        };
        room.note_incarnation(claims.incarnation);
        let seat = room.seats.get(&claims.peer);
        let fresh = fresh || seat.map_or(!rebuilt, |seat| seat.incarnation != claims.incarnation);
        let (role, name) = seat.map_or_else(
            || (claims.role, claims.name.clone()),
            |seat| (seat.role, seat.name.clone()),
        );
        let incarnation = if fresh { room.next_incarnation() } else { claims.incarnation };
        (SeatClaims { role, name, incarnation, ..claims }, fresh)
    }

    /// The newest socket wins.
    fn release_older_socket(&mut self, conn: ConnId, claims: &SeatClaims) {
        let older = match self.peers.get(&claims.peer) {
            Some(Place::Lobby(older)) => Some(*older),
            Some(Place::Seated(room)) => self
                .rooms
                .get(room)
                .and_then(|room| room.seats.get(&claims.peer))
                .and_then(|seat| seat.conn()),
            None => None,
        };
        if let Some(older) = older.filter(|older| *older != conn) {
            self.drop_connection(older, CloseCode::TakenOver);
        }
    }

    /// Sits down on a seat that is there.
    fn take_seat(&mut self, now: Timestamp, conn: ConnId, claims: &SeatClaims, fresh: bool) {
        let (room_id, peer) = (claims.room, claims.peer);
        self.cancel_seat_timers(room_id, peer);
        let presence = self.here(now, conn, peer);
        let Some(seat) = self.rooms.get_mut(&room_id).and_then(|r| r.seats.get_mut(&peer)) else {
            return;
        };
        seat.presence = presence;
        seat.incarnation = claims.incarnation;
        if fresh {
            seat.muted = false;
            seat.microphone = false;
        }
        self.set_renewals(room_id, peer, presence);
        self.assign(conn, peer, Place::Seated(room_id));
    }

    /// Makes the seat of a token again, and its room if that is gone too.
    fn rebuild_seat(&mut self, now: Timestamp, conn: ConnId, claims: SeatClaims) {
        let room_id = claims.room;
        if !self.rooms.contains_key(&room_id) {
            let until = now + self.config.grace;
            let mut room = Room::rebuilding(until);
            room.note_incarnation(claims.incarnation);
            self.rooms.insert(room_id, room);
            self.timers.set(until, Timer::Rebuild(room_id));
            self.event(Event::RoomOpened { room: room_id, rebuilt: true });
        }
        self.sit_down(now, conn, claims);
    }

    fn confirm_resume(&mut self, conn: ConnId, claims: &SeatClaims, seat: SeatGrant) {
        let message = ServerMessage::Resumed { peer_id: claims.peer, room_id: claims.room, seat };
        self.send(conn, message);
    }

    fn snapshot(&self, room_id: RoomId) -> Option<ServerMessage> {
        let room = self.rooms.get(&room_id)?;
        Some(ServerMessage::Snapshot {
            room_id,
            seq: room.seq(),
            complete: room.rebuilding_until.is_none(),
            participants: room.participants(),
        })
    }

    fn send_snapshot(&mut self, room_id: RoomId, conn: ConnId) {
        if let Some(snapshot) = self.snapshot(room_id) {
            self.send(conn, snapshot);
        }
        self.greet_from_engine(room_id, conn);
    }

    /// A rebuilt room has waited long enough: who is not there is not coming.
    pub(crate) fn complete_rebuild(&mut self, room_id: RoomId) {
        if let Some(room) = self.rooms.get_mut(&room_id) {
            room.rebuilding_until = None;
            room.bump();
        }
        if let Some(snapshot) = self.snapshot(room_id) {
            self.broadcast(room_id, None, &snapshot);
        }
    }
}

fn after(incarnation: Incarnation) -> Incarnation {
    Incarnation(incarnation.0.saturating_add(1))
}
