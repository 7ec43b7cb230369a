//! What hosts ask of the studio's engine, and what everybody is told of it. The engine itself
//! is the driver's affair.
//!
//! Invariants: hosts and ops alone give orders; whoever is in the room knows whether it is
//! recorded; a seat for the engine is given by an invitation that no participant can get.

use openstudio_units::{Role, RoomId};
use openstudio_wire::{EngineState, ErrorCode, Line, ServerMessage, Token};

use crate::output::{ConnId, Event};
use crate::refusal::Refusal;
use crate::rooms::Rooms;
use crate::tokens::{Claims, DownloadClaims, InviteClaims, SignError};

/// What somebody wants the engine to do for a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineOrder {
    /// Record, or stop.
    Record(bool),
    /// Send the programme out, or stop.
    Air {
        /// Whether to send.
        on: bool,
        /// What listeners read; none leaves it.
        title: Option<Line>,
    },
    /// Note this moment in the recording.
    Mark(Line),
    /// Tell the room's recordings to whoever asks: see [`Rooms::answer`].
    ListRecordings,
    /// Delete a recording of the room, and tell which are left.
    DeleteRecording(String),
}

impl Rooms {
    /// The engine does something else for a room than before. Ignored if the room is gone.
    pub fn engine_changed(&mut self, room_id: RoomId, state: EngineState) {
        let Some(room) = self.rooms.get_mut(&room_id) else { return };
        room.engine = state;
        let conns: Vec<ConnId> = room.seats.values().filter_map(|seat| seat.conn()).collect();
        for conn in conns {
            self.tell_engine(room_id, conn);
        }
    }

    /// Answers whoever gave an order. Ignored if they are gone.
    pub fn answer(&mut self, conn: ConnId, message: ServerMessage) {
        if self.connections.contains_key(&conn) {
            self.send(conn, message);
        }
    }

    /// Signs an invitation for the engine itself.
    ///
    /// # Errors
    /// See [`SignError`].
    pub fn invite_engine(&self, room: RoomId) -> Result<Token, SignError> {
        let claims = Claims::Invite(InviteClaims { room, role: Role::Engine });
        self.tokens.sign(&claims, self.config.invite_lifetime)
    }

    /// Signs what lets somebody download a room's recordings.
    ///
    /// # Errors
    /// See [`SignError`].
    pub fn sign_download(&self, room: RoomId) -> Result<Token, SignError> {
        let claims = Claims::Download(DownloadClaims { room });
        self.tokens.sign(&claims, self.config.download_lifetime)
    }

    /// Returns whose recordings a token lets somebody download; none if it proves nothing.
    pub fn open_download(&self, token: &Token) -> Option<RoomId> {
        match self.tokens.verify(token).ok()? {
            Claims::Download(DownloadClaims { room }) => Some(room),
            Claims::Seat(_) | Claims::Invite(_) => None,
        }
    }

    pub(crate) fn order_engine(&mut self, conn: ConnId, order: EngineOrder) -> Result<(), Refusal> {
        let (room, _, role) = self.seated_as(conn)?;
        let ends_something = matches!(order, EngineOrder::DeleteRecording(_));
        let may = role
            .is_some_and(|role| if ends_something { role.may_end_room() } else { role.may_mix() });
        if !may {
            let words = if ends_something {
                "only hosts can delete a recording"
            } else {
                "only hosts and operators can record or send the programme out"
            };
            return Err(Refusal::new(ErrorCode::Forbidden, words));
        }
        if !self.config.has_engine {
            return Err(Refusal::new(
                ErrorCode::NoEngine,
                "this server neither records nor sends a programme out; ask its operator",
            ));
        }
        self.event(Event::EngineOrdered { room, conn, order });
        Ok(())
    }

    /// Tells somebody who has just got their seat what the engine does, if it does something.
    pub(crate) fn greet_from_engine(&mut self, room_id: RoomId, conn: ConnId) {
        if self.rooms.get(&room_id).is_some_and(|room| !room.engine.is_idle()) {
            self.tell_engine(room_id, conn);
        }
    }

    fn tell_engine(&mut self, room_id: RoomId, conn: ConnId) {
        let Some(room) = self.rooms.get(&room_id) else { return };
        let seat = room.seats.values().find(|seat| seat.conn() == Some(conn));
        let state = match seat.map(|seat| seat.role) {
            Some(Role::Host | Role::Ops) => room.engine.clone(),
            Some(Role::Caller | Role::Engine) | None => room.engine.for_callers(),
        };
        self.send(conn, ServerMessage::Engine { state });
    }
}
