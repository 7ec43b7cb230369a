//! A hall of rooms with sockets that remember what they got.
#![allow(dead_code, reason = "each test file uses its part of it")]
#![allow(unreachable_pub, reason = "shared by the test files")]

use std::collections::BTreeMap;
use std::time::Duration;

use openstudio_room::{
    Claims, ConnId, Event, Output, RoomConfig, Rooms, SignError, TokenError, Tokens,
};
use openstudio_units::{PeerId, Role, RoomId, Seed, Timestamp};
use openstudio_wire::{
    ClientMessage, CloseCode, DisplayName, ErrorCode, SeatGrant, ServerMessage, Token,
};

/// Tokens that are their own index into a list: unforgeable within one test, and kept
/// by whoever clones the list, as a key on disk is.
#[derive(Debug, Clone, Default)]
pub struct ListedTokens(std::sync::Arc<std::sync::Mutex<Vec<Claims>>>);

impl Tokens for ListedTokens {
    fn sign(&self, claims: &Claims, _: Duration) -> Result<Token, SignError> {
        let mut list = self.0.lock().unwrap();
        list.push(claims.clone());
        Ok(Token(format!("token {}", list.len() - 1)))
    }

    fn verify(&self, token: &Token) -> Result<Claims, TokenError> {
        if token.0 == "expired" {
            return Err(TokenError::Expired);
        }
        let index = token.0.strip_prefix("token ").and_then(|n| n.parse::<usize>().ok());
        index.and_then(|n| self.0.lock().unwrap().get(n).cloned()).ok_or(TokenError::Invalid)
    }
}

pub fn peer(n: u8) -> PeerId {
    PeerId::from_random_bytes([n; 16])
}

pub fn name(text: &str) -> DisplayName {
    DisplayName::new(text).unwrap()
}

/// The rooms under test with their sockets.
pub struct Hall {
    pub rooms: Rooms,
    pub now: Timestamp,
    pub tokens: ListedTokens,
    pub events: Vec<Event>,
    received: BTreeMap<ConnId, Vec<ServerMessage>>,
    closed: BTreeMap<ConnId, CloseCode>,
    next: u64,
}

impl Hall {
    pub fn new() -> Self {
        Self::with(RoomConfig::default(), ListedTokens::default())
    }

    pub fn with(config: RoomConfig, tokens: ListedTokens) -> Self {
        let now = Timestamp::ZERO;
        let rooms = Rooms::new(config, Seed::from_number(1), Box::new(tokens.clone()), now);
        Self {
            rooms,
            now,
            tokens,
            events: Vec::new(),
            received: BTreeMap::new(),
            closed: BTreeMap::new(),
            next: 0,
        }
    }

    /// A server with the same key and nothing else.
    pub fn restarted(&self) -> Self {
        Self::with(RoomConfig::default(), self.tokens.clone())
    }

    /// Opens a socket and takes its greeting.
    pub fn connect(&mut self) -> ConnId {
        let conn = ConnId(self.next);
        self.next += 1;
        self.rooms.connected(self.now, conn);
        assert!(matches!(self.take(conn)[..], [ServerMessage::Welcome { .. }]));
        conn
    }

    /// Opens a socket and registers.
    pub fn register(&mut self, peer_id: PeerId) -> ConnId {
        let conn = self.connect();
        self.send(conn, ClientMessage::Register { peer_id });
        assert_eq!(self.take(conn), [ServerMessage::Registered { peer_id }]);
        conn
    }

    /// Registers and makes a room.
    pub fn host(&mut self, peer_id: PeerId) -> (ConnId, RoomId, SeatGrant) {
        let conn = self.register(peer_id);
        self.send(conn, ClientMessage::CreateRoom);
        match self.take_but_engine(conn).pop() {
            Some(ServerMessage::RoomCreated { room_id, host_id, seat, .. }) => {
                assert_eq!(host_id, peer_id);
                (conn, room_id, seat)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Registers and joins as a caller.
    pub fn caller(&mut self, peer_id: PeerId, room_id: RoomId) -> (ConnId, SeatGrant) {
        let conn = self.register(peer_id);
        self.send(conn, ClientMessage::JoinRoom { room_id });
        (conn, self.joined(conn))
    }

    /// Gets an invitation from `inviter`.
    pub fn invitation(&mut self, inviter: ConnId, invite_role: Role) -> Token {
        self.send(inviter, ClientMessage::RequestInvite { invite_role });
        match self.take(inviter).pop() {
            Some(ServerMessage::InviteToken { invite_token, .. }) => invite_token,
            other => panic!("{other:?}"),
        }
    }

    /// Registers and joins with an invitation and a name.
    pub fn invited(
        &mut self,
        peer_id: PeerId,
        room_id: RoomId,
        invite_token: Token,
    ) -> (ConnId, SeatGrant) {
        let conn = self.register(peer_id);
        let (room_id, invite_token) = (Some(room_id), Some(invite_token));
        let role = Some(Role::Host);
        let name = Some(name("Invited"));
        self.send(conn, ClientMessage::CreateOrJoinRoom { room_id, role, invite_token, name });
        (conn, self.joined(conn))
    }

    pub fn joined(&mut self, conn: ConnId) -> SeatGrant {
        match self.take_but_engine(conn).pop() {
            Some(ServerMessage::RoomJoined { seat, .. }) => seat,
            other => panic!("{other:?}"),
        }
    }

    /// Resumes on a new socket; returns it with the granted seat and the snapshot.
    pub fn resume(&mut self, token: &Token, fresh: bool) -> (ConnId, SeatGrant, ServerMessage) {
        let conn = self.connect();
        self.send(conn, ClientMessage::Resume { token: token.clone(), fresh });
        match &mut self.take_but_engine(conn)[..] {
            [ServerMessage::Resumed { seat, .. }, snapshot @ ServerMessage::Snapshot { .. }] => {
                (conn, seat.clone(), snapshot.clone())
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn send(&mut self, conn: ConnId, message: ClientMessage) {
        self.rooms.message(self.now, conn, message);
        self.drain();
    }

    pub fn disconnect(&mut self, conn: ConnId) {
        self.rooms.disconnected(self.now, conn);
        self.drain();
    }

    /// Lets time pass, stopping at each deadline.
    pub fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(deadline) = self.rooms.poll_timeout().filter(|d| d.at <= until) {
            self.now = self.now.max(deadline.at);
            self.rooms.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// Takes what a socket got since the last time.
    pub fn take(&mut self, conn: ConnId) -> Vec<ServerMessage> {
        self.drain();
        self.received.remove(&conn).unwrap_or_default()
    }

    fn take_but_engine(&mut self, conn: ConnId) -> Vec<ServerMessage> {
        let mut messages = self.take(conn);
        messages.retain(|message| !matches!(message, ServerMessage::Engine { .. }));
        messages
    }

    pub fn closed(&self, conn: ConnId) -> Option<CloseCode> {
        self.closed.get(&conn).copied()
    }

    /// Sends and returns the refusal, which must be all that the sender gets.
    pub fn refused(&mut self, conn: ConnId, message: ClientMessage) -> ErrorCode {
        self.take(conn);
        let kind = message.kind();
        self.send(conn, message);
        match &self.take(conn)[..] {
            [ServerMessage::Error { code, message, request, .. }] => {
                assert_eq!(request.as_deref(), Some(kind));
                assert!(!message.is_empty());
                *code
            }
            other => panic!("{other:?}"),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.rooms.poll_output() {
            match output {
                Output::Send { conn, message } => {
                    assert!(!self.closed.contains_key(&conn), "sent after close: {message:?}");
                    self.received.entry(conn).or_default().push(message);
                }
                Output::Close { conn, code } => {
                    assert_eq!(self.closed.insert(conn, code), None, "closed twice");
                }
                Output::Event(event) => self.events.push(event),
            }
        }
        assert!(self.rooms.is_consistent());
    }
}
