//! [`Rooms`]: routing of inputs and outputs, and the timers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use openstudio_units::{PeerId, Rng, Role, RoomId, Seed, Timestamp};
use openstudio_wire::{
    ClientMessage, CloseCode, ErrorCode, LeaveReason, PROTOCOL_VERSION, ServerMessage,
};

use crate::budget::ErrorBudget;
use crate::config::RoomConfig;
use crate::crowd::Spread;
use crate::engine::EngineOrder;
use crate::output::{ConnId, Deadline, Event, Output, Stats};
use crate::refusal::Refusal;
use crate::room::Room;
use crate::timer::{Timer, Timers};
use crate::tokens::Tokens;

/// What is known about a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    pub(crate) peer: Option<PeerId>,
    budget: ErrorBudget,
}

/// Where a peer id is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Registered on this socket, without a seat.
    Lobby(ConnId),
    /// Has a seat in this room; the seat knows its socket.
    Seated(RoomId),
}

/// All rooms of a server.
///
/// # Invariants
/// A peer is in `peers` exactly when a socket is registered as it or a seat is its;
/// it has at most one seat. No room is empty.
#[derive(Debug)]
pub struct Rooms {
    pub(crate) config: RoomConfig,
    pub(crate) tokens: Box<dyn Tokens + Send>,
    pub(crate) connections: BTreeMap<ConnId, Connection>,
    pub(crate) peers: BTreeMap<PeerId, Place>,
    pub(crate) rooms: BTreeMap<RoomId, Room>,
    ended: BTreeSet<RoomId>,
    /// The members of `ended`, oldest first.
    ended_order: VecDeque<RoomId>,
    pub(crate) timers: Timers,
    outputs: VecDeque<Output>,
    room_ids: Rng,
    /// What the clients have been told.
    spread: Spread,
    started: Timestamp,
    stopping: bool,
}

impl Rooms {
    /// Makes a server's rooms: none.
    ///
    /// `seed` decides the ids of rooms, so it must come from a cryptographic source.
    pub fn new(
        config: RoomConfig,
        seed: Seed,
        tokens: Box<dyn Tokens + Send>,
        now: Timestamp,
    ) -> Self {
        Self {
            config,
            tokens,
            connections: BTreeMap::new(),
            peers: BTreeMap::new(),
            rooms: BTreeMap::new(),
            ended: BTreeSet::new(),
            ended_order: VecDeque::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            room_ids: seed.fork("room ids").rng(),
            spread: Spread::default(),
            started: now,
            stopping: false,
        }
    }

    /// Notes that a host ended this room, in this life of the server or an earlier one.
    pub fn remember_ended(&mut self, room: RoomId) {
        if !self.ended.insert(room) {
            return;
        }
        self.ended_order.push_back(room);
        while self.ended_order.len() > self.config.max_ended_rooms {
            if let Some(oldest) = self.ended_order.pop_front() {
                self.ended.remove(&oldest);
            }
        }
    }

    /// A socket is open.
    pub fn connected(&mut self, now: Timestamp, conn: ConnId) {
        if self.stopping {
            self.outputs.push_back(Output::Close { conn, code: CloseCode::GoingAway });
            return;
        }
        let connection = Connection { peer: None, budget: ErrorBudget::new(now) };
        self.connections.insert(conn, connection);
        let grace_ms = u64::try_from(self.config.grace.as_millis()).unwrap_or(u64::MAX);
        let server = self.config.release.clone();
        let (protocol, setups_in_flight) = (PROTOCOL_VERSION, self.config.setups_in_flight);
        let engine = self.config.has_engine;
        self.send(
            conn,
            ServerMessage::Welcome {
                protocol,
                server,
                grace_ms,
                setups_in_flight,
                engine,
                retry_spread_ms: Some(self.spread.as_millis()).filter(|spread| *spread > 0),
            },
        );
    }

    /// A message came in. Ignored if the socket is not open.
    pub fn message(&mut self, now: Timestamp, conn: ConnId, message: ClientMessage) {
        if !self.connections.contains_key(&conn) {
            return;
        }
        let kind = message.kind();
        if let Err(refusal) = self.handle(now, conn, message) {
            self.answer_refusal(now, conn, refusal, Some(kind));
        }
        self.follow_crowd();
    }

    /// Something came in that the driver itself refuses: no message, or too many.
    pub fn refuse(&mut self, now: Timestamp, conn: ConnId, refusal: Refusal) {
        if self.connections.contains_key(&conn) {
            self.answer_refusal(now, conn, refusal, None);
        }
    }

    /// A socket is gone, whoever closed it.
    pub fn disconnected(&mut self, now: Timestamp, conn: ConnId) {
        let Some(connection) = self.connections.remove(&conn) else {
            return;
        };
        let Some(peer) = connection.peer else { return };
        match self.peers.get(&peer).copied() {
            Some(Place::Lobby(_)) => {
                self.peers.remove(&peer);
            }
            Some(Place::Seated(room)) => self.go_away(now, room, peer),
            None => debug_assert!(false, "a registered peer has a place"),
        }
        self.follow_crowd();
    }

    /// Does what is due. Calling early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::Grace(room, peer) => {
                    self.remove_seat(room, peer, LeaveReason::TimedOut);
                    self.peers.remove(&peer);
                }
                Timer::Rebuild(room) => self.complete_rebuild(room),
                Timer::Token(room, peer) => self.renew_token(now, room, peer),
                Timer::Ice(room, peer) => self.renew_ice(now, room, peer),
            }
        }
        self.follow_crowd();
    }

    /// Tells everybody to come back later and closes every socket. Sockets that open
    /// afterwards are closed at once.
    pub fn shutdown(&mut self) {
        self.stopping = true;
        let retry_after_ms = u64::try_from(self.config.retry_after.as_millis()).unwrap_or(u64::MAX);
        let retry_after_ms = retry_after_ms.max(self.spread.as_millis());
        for conn in std::mem::take(&mut self.connections).into_keys() {
            self.send(conn, ServerMessage::GoingAway { retry_after_ms });
            self.outputs.push_back(Output::Close { conn, code: CloseCode::GoingAway });
        }
        self.peers.clear();
        self.rooms.clear();
        self.timers.clear();
    }

    /// Tells everybody over how long to come back, when the crowd has become another one. Those
    /// who are away for a while belong to it.
    fn follow_crowd(&mut self) {
        if !self.spread.follow(self.peers.len(), self.config.returns_per_second) {
            return;
        }
        let message = ServerMessage::RetrySpread { retry_spread_ms: self.spread.as_millis() };
        let all = self.connections.keys();
        self.outputs.extend(all.map(|&conn| Output::Send { conn, message: message.clone() }));
    }

    /// Returns the next thing to do or to know; `None` means drained.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when to call [`Self::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.timers.next()
    }

    /// Returns how much there is.
    pub fn stats(&self) -> Stats {
        Stats {
            connections: self.connections.len(),
            rooms: self.rooms.len(),
            peers: self.peers.len(),
        }
    }

    /// Returns how many strips the fullest room remembers. For tests.
    pub fn remembered_strips(&self) -> usize {
        self.rooms.values().map(Room::strips).max().unwrap_or_default()
    }

    /// Returns whether the books balance: every seat has a peer, every peer a socket
    /// or a seat, every room a seat, every timer an owner. For tests.
    pub fn is_consistent(&self) -> bool {
        let seats = || self.rooms.values().flat_map(|room| room.seats.values());
        let renewing = seats().filter(|seat| seat.presence.ice_at().is_some()).count();
        let rebuilding = self.rooms.values().filter(|room| room.rebuilding_until.is_some()).count();
        let timers = seats().count().saturating_add(rebuilding).saturating_add(renewing);
        let seated = self.peers.values().filter(|p| matches!(p, Place::Seated(_))).count();
        let places = self.peers.iter().all(|(peer, place)| match place {
            Place::Lobby(conn) => self.connections.get(conn).is_some_and(|c| c.peer == Some(*peer)),
            Place::Seated(room) => self.seat_is_sound(*room, *peer),
        });
        places
            && seats().count() == seated
            && self.timers.len() == timers
            && self.rooms.values().all(|room| !room.seats.is_empty())
            && self.ended.len() == self.ended_order.len()
    }

    fn seat_is_sound(&self, room: RoomId, peer: PeerId) -> bool {
        let Some(seat) = self.rooms.get(&room).and_then(|room| room.seats.get(&peer)) else {
            return false;
        };
        match seat.conn() {
            Some(conn) => self.connections.get(&conn).is_some_and(|c| c.peer == Some(peer)),
            None => true,
        }
    }

    fn handle(
        &mut self,
        now: Timestamp,
        conn: ConnId,
        message: ClientMessage,
    ) -> Result<(), Refusal> {
        match message {
            ClientMessage::Offer(m) => self.relay(conn, m),
            ClientMessage::Answer(m) => self.relay(conn, crate::relay::Answer(m)),
            ClientMessage::IceCandidate(m) => self.relay(conn, m),
            ClientMessage::IceCandidates(m) => self.relay(conn, m),
            ClientMessage::RequestOffer(m) => self.relay(conn, m),
            ClientMessage::Stale(m) => self.relay(conn, m),
            ClientMessage::Ping => {
                let timestamp = self.config.zero_unix_ms.saturating_add(now.as_millis());
                self.send(conn, ServerMessage::Pong { timestamp });
                Ok(())
            }
            ClientMessage::Register { peer_id } => self.register(conn, peer_id),
            ClientMessage::Resume { token, fresh } => self.resume(now, conn, &token, fresh),
            ClientMessage::CreateRoom => self.create_room(now, conn, None),
            ClientMessage::JoinRoom { room_id } => self.join_room(now, conn, room_id),
            ClientMessage::CreateOrJoinRoom { room_id, role: _, invite_token, name } => {
                self.create_or_join(now, conn, (room_id, invite_token), name)
            }
            ClientMessage::Mute { peer_id, muted } => self.mute(conn, peer_id, muted),
            ClientMessage::SetStrip { peer_id, change } => self.set_strip(conn, peer_id, change),
            ClientMessage::RestoreStrips { strips } => self.restore_strips(conn, &strips),
            ClientMessage::Microphone { available } => self.microphone(conn, available),
            ClientMessage::Rename { name } => self.rename(now, conn, name),
            ClientMessage::RequestInvite { invite_role } => self.invite(conn, invite_role),
            ClientMessage::Record { on } => self.order_engine(conn, EngineOrder::Record(on)),
            ClientMessage::Air { on, title } => {
                self.order_engine(conn, EngineOrder::Air { on, title })
            }
            ClientMessage::Mark { text } => self.order_engine(conn, EngineOrder::Mark(text)),
            ClientMessage::ListRecordings => self.order_engine(conn, EngineOrder::ListRecordings),
            ClientMessage::DeleteRecording { id } => {
                self.order_engine(conn, EngineOrder::DeleteRecording(id))
            }
            ClientMessage::Leave => self.leave(conn),
            ClientMessage::EndRoom => self.end_room(conn),
        }
    }

    fn answer_refusal(
        &mut self,
        now: Timestamp,
        conn: ConnId,
        refusal: Refusal,
        request: Option<&'static str>,
    ) {
        let counts = refusal.counts();
        self.send(conn, refusal.into_message(request));
        let config = &self.config;
        let borne = self
            .connections
            .get_mut(&conn)
            .is_none_or(|connection| !counts || connection.budget.spend(now, config));
        if !borne {
            self.outputs.push_back(Output::Close { conn, code: CloseCode::Policy });
            self.disconnected(now, conn);
        }
    }

    fn register(&mut self, conn: ConnId, peer: PeerId) -> Result<(), Refusal> {
        if self.peer_of(conn).is_some() {
            return Err(Refusal::new(
                ErrorCode::AlreadyRegistered,
                "this socket has a peer id already",
            ));
        }
        if self.peers.contains_key(&peer) {
            return Err(Refusal::new(
                ErrorCode::PeerIdTaken,
                "this peer id is in use; resume with its token, or take another",
            ));
        }
        self.assign(conn, peer, Place::Lobby(conn));
        self.send(conn, ServerMessage::Registered { peer_id: peer });
        Ok(())
    }

    /// Returns the peer behind a socket.
    pub(crate) fn peer_of(&self, conn: ConnId) -> Option<PeerId> {
        self.connections.get(&conn).and_then(|connection| connection.peer)
    }

    /// Returns the peer behind a socket, which must be registered.
    pub(crate) fn registered(&self, conn: ConnId) -> Result<PeerId, Refusal> {
        self.peer_of(conn)
            .ok_or_else(|| Refusal::new(ErrorCode::NotRegistered, "register or resume first"))
    }

    /// Returns the room and the peer behind a socket, which must have a seat.
    pub(crate) fn seated(&self, conn: ConnId) -> Result<(RoomId, PeerId), Refusal> {
        let peer = self.registered(conn)?;
        match self.peers.get(&peer) {
            Some(Place::Seated(room)) => Ok((*room, peer)),
            Some(Place::Lobby(_)) | None => {
                Err(Refusal::new(ErrorCode::NotInRoom, "create or join a room first"))
            }
        }
    }

    /// Returns the room, the peer and the role behind a socket, which must have a seat.
    pub(crate) fn seated_as(
        &self,
        conn: ConnId,
    ) -> Result<(RoomId, PeerId, Option<Role>), Refusal> {
        let (room_id, peer) = self.seated(conn)?;
        let seat = self.rooms.get(&room_id).and_then(|room| room.seats.get(&peer));
        Ok((room_id, peer, seat.map(|seat| seat.role)))
    }

    /// Gives a socket its peer id, and the peer its place.
    pub(crate) fn assign(&mut self, conn: ConnId, peer: PeerId, place: Place) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.peer = Some(peer);
        }
        self.peers.insert(peer, place);
    }

    pub(crate) fn is_ended(&self, room: RoomId) -> bool {
        self.ended.contains(&room)
    }

    /// Returns an id that no room has or had.
    pub(crate) fn draw_room_id(&mut self) -> RoomId {
        loop {
            let mut bytes = [0; 16];
            self.room_ids.fill(&mut bytes);
            let id = RoomId::from_random_bytes(bytes);
            if !self.rooms.contains_key(&id) && !self.is_ended(id) {
                return id;
            }
        }
    }

    /// Returns whether the server started so recently that rooms may still come back.
    pub(crate) fn just_started(&self, now: Timestamp) -> bool {
        now.since(self.started) < self.config.grace
    }

    pub(crate) fn send(&mut self, conn: ConnId, message: ServerMessage) {
        self.outputs.push_back(Output::Send { conn, message });
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Closes a socket and forgets it. Its peer's place is the caller's affair.
    pub(crate) fn drop_connection(&mut self, conn: ConnId, code: CloseCode) {
        self.connections.remove(&conn);
        self.outputs.push_back(Output::Close { conn, code });
    }

    /// Sends to every present seat of the room but one.
    pub(crate) fn broadcast(
        &mut self,
        room_id: RoomId,
        except: Option<PeerId>,
        message: &ServerMessage,
    ) {
        let Some(room) = self.rooms.get(&room_id) else {
            return;
        };
        let receivers = room.seats.iter().filter(|(peer, _)| Some(**peer) != except);
        self.outputs.extend(
            receivers
                .filter_map(|(_, seat)| seat.conn())
                .map(|conn| Output::Send { conn, message: message.clone() }),
        );
    }
}
