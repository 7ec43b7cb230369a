//! Ways to a seat: making a room, joining one.

use openstudio_units::{PeerId, Role, RoomId, Timestamp};
use openstudio_wire::{DisplayName, ErrorCode, SeatGrant, ServerMessage, Token};

use crate::output::{ConnId, Event};
use crate::refusal::Refusal;
use crate::room::{Room, Seat};
use crate::rooms::{Place, Rooms};
use crate::tokens::{Claims, SeatClaims};

impl Rooms {
    pub(crate) fn create_room(
        &mut self,
        now: Timestamp,
        conn: ConnId,
        name: Option<DisplayName>,
    ) -> Result<(), Refusal> {
        let host_id = self.in_lobby(conn)?;
        self.check_room_for_room()?;
        let room_id = self.draw_room_id();
        let mut room = Room::default();
        let claims = SeatClaims {
            peer: host_id,
            room: room_id,
            role: Role::Host,
            name,
            incarnation: room.next_incarnation(),
        };
        let seat = self.grant(&claims)?;
        let seq = room.bump();
        self.rooms.insert(room_id, room);
        self.event(Event::RoomOpened { room: room_id, rebuilt: false });
        self.sit_down(now, conn, claims);
        let participants = self.participants(room_id);
        self.send(conn, ServerMessage::RoomCreated { room_id, host_id, seat, seq, participants });
        self.greet_from_engine(room_id, conn);
        Ok(())
    }

    pub(crate) fn join_room(
        &mut self,
        now: Timestamp,
        conn: ConnId,
        room_id: RoomId,
    ) -> Result<(), Refusal> {
        self.join(now, conn, (room_id, Role::Caller), None)
    }

    pub(crate) fn create_or_join(
        &mut self,
        now: Timestamp,
        conn: ConnId,
        (room_id, invite): (Option<RoomId>, Option<Token>),
        name: Option<DisplayName>,
    ) -> Result<(), Refusal> {
        self.in_lobby(conn)?;
        let invite = invite.map(|token| self.open_invite(&token)).transpose()?;
        let target = match (room_id, invite) {
            (None, None) => return self.create_room(now, conn, name),
            (Some(room_id), None) => (room_id, Role::Caller),
            (None, Some(invite)) => (invite.room, invite.role),
            (Some(room_id), Some(invite)) if invite.room == room_id => (room_id, invite.role),
            (Some(_), Some(_)) => {
                return Err(Refusal::new(
                    ErrorCode::WrongToken,
                    "this invitation is for another room; ask for a new link",
                ));
            }
        };
        self.join(now, conn, target, name)
    }

    fn join(
        &mut self,
        now: Timestamp,
        conn: ConnId,
        (room_id, role): (RoomId, Role),
        name: Option<DisplayName>,
    ) -> Result<(), Refusal> {
        let peer = self.in_lobby(conn)?;
        self.check_seat_in(now, room_id, role)?;
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return Ok(());
        };
        let incarnation = room.next_incarnation();
        let claims = SeatClaims { peer, room: room_id, role, name, incarnation };
        let seat = self.grant(&claims)?;
        self.sit_down(now, conn, claims);
        let seq = self.announce_join(room_id, peer);
        let participants = self.participants(room_id);
        self.send(conn, ServerMessage::RoomJoined { room_id, seat, seq, participants });
        self.greet_from_engine(room_id, conn);
        Ok(())
    }

    /// Checks that the room is there and has a free seat.
    fn check_seat_in(&self, now: Timestamp, room_id: RoomId, role: Role) -> Result<(), Refusal> {
        match self.rooms.get(&room_id) {
            Some(room) => self.check_free_seat(room, role),
            None if self.is_ended(room_id) => Err(ended()),
            None if self.just_started(now) => Err(Refusal::new(
                ErrorCode::RoomNotBack,
                "the server has just started, and nobody of this room is back; ask again",
            )),
            None => Err(Refusal::new(
                ErrorCode::RoomNotFound,
                "there is no such room, or everybody has left it; ask for a new link",
            )),
        }
    }

    pub(crate) fn check_free_seat(&self, room: &Room, role: Role) -> Result<(), Refusal> {
        let limit = self.config.max_participants;
        // The engine takes nobody's place.
        if room.people() < limit || !role.is_person() {
            return Ok(());
        }
        Err(Refusal::new(
            ErrorCode::RoomFull,
            format!("the room is full: it has {limit} seats; try again when somebody has left"),
        ))
    }

    pub(crate) fn check_room_for_room(&self) -> Result<(), Refusal> {
        let limit = self.config.max_rooms;
        if self.rooms.len() < limit {
            return Ok(());
        }
        Err(Refusal::new(
            ErrorCode::ServerFull,
            format!("the server carries {limit} rooms and no more; try again later"),
        ))
    }

    /// Returns the peer behind a socket, which must be registered and have no seat.
    fn in_lobby(&self, conn: ConnId) -> Result<PeerId, Refusal> {
        let peer = self.registered(conn)?;
        match self.peers.get(&peer) {
            Some(Place::Seated(_)) => {
                Err(Refusal::new(ErrorCode::AlreadyInRoom, "leave the room you are in first"))
            }
            Some(Place::Lobby(_)) | None => Ok(peer),
        }
    }

    /// Signs what a participant gets with a seat.
    pub(crate) fn grant(&self, claims: &SeatClaims) -> Result<SeatGrant, Refusal> {
        let lifetime = self.config.seat_token_lifetime;
        Ok(SeatGrant {
            role: claims.role,
            token: self.tokens.sign(&Claims::Seat(claims.clone()), lifetime)?,
            incarnation: claims.incarnation,
            ice: self.config.ice.clone(),
        })
    }

    /// Makes the seat that `claims` speak of, for a socket. The room must be there.
    pub(crate) fn sit_down(&mut self, now: Timestamp, conn: ConnId, claims: SeatClaims) {
        let SeatClaims { peer, room: room_id, role, name, incarnation } = claims;
        let presence = self.here(now, conn, peer);
        let seat = Seat { role, name, incarnation, muted: false, microphone: false, presence };
        if let Some(room) = self.rooms.get_mut(&room_id) {
            room.seats.insert(peer, seat);
            self.set_renewals(room_id, peer, presence);
            self.assign(conn, peer, Place::Seated(room_id));
        }
    }

    /// Tells the others of a new seat; returns the room's sequence number.
    pub(crate) fn announce_join(&mut self, room_id: RoomId, peer: PeerId) -> u64 {
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return 0;
        };
        let seq = room.bump();
        let Some(participant) = room.participant(peer) else {
            return seq;
        };
        self.broadcast(room_id, Some(peer), &ServerMessage::PeerJoined { participant, seq });
        seq
    }

    pub(crate) fn participants(&self, room_id: RoomId) -> Vec<openstudio_wire::Participant> {
        self.rooms.get(&room_id).map(Room::participants).unwrap_or_default()
    }
}

/// The answer to whoever wants into a room that a host ended.
pub(crate) fn ended() -> Refusal {
    Refusal::new(ErrorCode::RoomEnded, "this session has ended")
}
