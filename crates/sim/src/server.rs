//! The simulated server: the real `room` code behind sockets that take their time.

use std::collections::BTreeMap;
use std::time::Duration;

use openstudio_room::{ConnId, Event, Output, RoomConfig, RoomEnd, Rooms};
use openstudio_session::SocketId;
use openstudio_units::{RoomId, Seed, Timestamp};
use openstudio_wire::{ClientMessage, IceConfig, IceServer};

use crate::tokens::ListedTokens;

/// The server's end of a socket: which life of the server, which socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Conn {
    pub(crate) life: u32,
    pub(crate) id: ConnId,
}

/// What is known of an open socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) client: usize,
    pub(crate) client_life: u32,
    pub(crate) socket: SocketId,
    pub(crate) heard: Timestamp,
    /// When the newest message arrives at the client: none overtakes it.
    pub(crate) down_after: Timestamp,
}

/// What the server wants to reach a client.
#[derive(Debug)]
pub(crate) enum Sent {
    Message(ConnId, Peer, String),
    Closed(Peer, u16),
}

/// How long a silent socket is kept, as the real server does.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);
/// How often it is looked at.
pub(crate) const LOOK: Duration = Duration::from_secs(15);

/// How often credentials are renewed: many times in the life of a room here.
const ICE_RENEWAL: Duration = Duration::from_secs(20);

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) life: u32,
    rooms: Option<Rooms>,
    pub(crate) conns: BTreeMap<ConnId, Peer>,
    pub(crate) armed: Option<Timestamp>,
    config: RoomConfig,
    tokens: ListedTokens,
    seed: Seed,
    next: u64,
    ended: Vec<RoomId>,
}

impl Server {
    pub(crate) fn new(seed: Seed, has_stun: bool, has_relay: bool) -> Self {
        let turn = IceServer {
            urls: vec!["turn:studio.invalid".to_owned()],
            username: "user".to_owned(),
            credential: "secret".to_owned(),
        };
        let ice = IceConfig {
            stun: has_stun.then(|| "stun:studio.invalid".to_owned()).into_iter().collect(),
            turn: has_relay.then_some(turn).into_iter().collect(),
        };
        let ice_renewal = has_relay.then_some(ICE_RENEWAL);
        let config = RoomConfig { ice, ice_renewal, max_participants: 64, ..RoomConfig::default() };
        Self {
            life: 0,
            rooms: None,
            conns: BTreeMap::new(),
            armed: None,
            config,
            tokens: ListedTokens::default(),
            seed,
            next: 0,
            ended: Vec::new(),
        }
    }

    /// Begins a life: everything but the key and the list of ended rooms is new.
    pub(crate) fn start(&mut self, now: Timestamp) {
        self.life += 1;
        let seed = self.seed.fork(&format!("life {}", self.life));
        let tokens = Box::new(self.tokens.clone());
        let mut rooms = Rooms::new(self.config.clone(), seed, tokens, now);
        self.ended.iter().for_each(|room| rooms.remember_ended(*room));
        self.rooms = Some(rooms);
    }

    /// Ends a life. Returns the sockets that break.
    pub(crate) fn kill(&mut self) -> Vec<Peer> {
        self.rooms = None;
        self.armed = None;
        std::mem::take(&mut self.conns).into_values().collect()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.rooms.is_some()
    }

    pub(crate) fn is_consistent(&self) -> bool {
        self.rooms.as_ref().is_none_or(Rooms::is_consistent)
    }

    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.rooms.as_ref().and_then(|rooms| rooms.poll_timeout()).map(|due| due.at)
    }

    /// A socket is open.
    pub(crate) fn accept(&mut self, now: Timestamp, peer: Peer) -> Option<Conn> {
        let rooms = self.rooms.as_mut()?;
        self.next += 1;
        let id = ConnId(self.next);
        self.conns.insert(id, peer);
        rooms.connected(now, id);
        Some(Conn { life: self.life, id })
    }

    /// A text came in.
    pub(crate) fn receive(&mut self, now: Timestamp, id: ConnId, text: &str) {
        let (Some(rooms), Some(peer)) = (&mut self.rooms, self.conns.get_mut(&id)) else {
            return;
        };
        peer.heard = now;
        match ClientMessage::parse(text) {
            Ok(message) => rooms.message(now, id, message),
            Err(error) => rooms.refuse(now, id, error.into()),
        }
    }

    /// A socket is gone.
    pub(crate) fn lost(&mut self, now: Timestamp, id: ConnId) {
        if let (Some(_), Some(rooms)) = (self.conns.remove(&id), &mut self.rooms) {
            rooms.disconnected(now, id);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Timestamp) {
        if let Some(rooms) = &mut self.rooms {
            rooms.handle_timeout(now);
        }
    }

    /// Asks everybody to come back later.
    pub(crate) fn shut_down(&mut self) {
        if let Some(rooms) = &mut self.rooms {
            rooms.shutdown();
        }
    }

    /// Takes what is to be sent.
    pub(crate) fn drain(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(output) = self.rooms.as_mut().and_then(Rooms::poll_output) {
            match output {
                Output::Send { conn, message } => {
                    if let Some(peer) = self.conns.get(&conn) {
                        sent.push(Sent::Message(conn, *peer, message.to_json()));
                    }
                }
                Output::Close { conn, code } => {
                    if let Some(peer) = self.conns.remove(&conn) {
                        sent.push(Sent::Closed(peer, code.as_u16()));
                    }
                }
                Output::Event(Event::RoomClosed { room, reason: RoomEnd::Ended }) => {
                    self.ended.push(room);
                }
                Output::Event(
                    Event::RoomOpened { .. }
                    | Event::RoomClosed { .. }
                    | Event::EngineOrdered { .. },
                ) => {}
            }
        }
        sent
    }
}
