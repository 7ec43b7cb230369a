//! The way between rooms and the studio's engine, which is not part of this crate: orders one
//! way, states and answers the other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use openstudio_room::{ConnId, EngineOrder};
use openstudio_units::RoomId;
use openstudio_wire::{EngineState, ServerMessage, Token};
use tokio::sync::mpsc;

use crate::hub::Hub;

/// Requests that wait for the engine at most. What comes on top is lost, and told in the log.
pub(crate) const QUEUE: usize = 1_024;

/// What rooms want of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineRequest {
    /// Somebody who may gave an order.
    Ordered {
        /// For which room.
        room: RoomId,
        /// Who: see [`EngineLine::answer`].
        conn: ConnId,
        /// What.
        order: EngineOrder,
    },
    /// The room is gone.
    Closed {
        /// Which.
        room: RoomId,
    },
}

/// What an engine gets of a server: see [`crate::Server::engine`].
#[derive(Debug)]
pub struct EnginePort {
    /// What rooms want, in order.
    pub requests: mpsc::Receiver<EngineRequest>,
    /// The way back.
    pub line: EngineLine,
}

/// The engine's way to the rooms. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EngineLine {
    pub(crate) hub: Arc<Hub>,
    pub(crate) address: SocketAddr,
}

impl EngineLine {
    /// Tells a room what the engine does.
    pub fn report(&self, room: RoomId, state: EngineState) {
        self.hub.engine_changed(room, state);
    }

    /// Answers whoever gave an order.
    pub fn answer(&self, conn: ConnId, message: ServerMessage) {
        self.hub.answer(conn, message);
    }

    /// Signs an invitation for the engine; none if it cannot be signed.
    pub fn invite(&self, room: RoomId) -> Option<Token> {
        self.hub.invite_engine(room)
    }

    /// Signs what lets a browser download a room's recordings; none if it cannot be signed.
    pub fn sign_download(&self, room: RoomId) -> Option<Token> {
        self.hub.sign_download(room)
    }

    /// Returns whose recordings a token lets somebody download; none if it proves nothing.
    pub fn open_download(&self, token: &Token) -> Option<RoomId> {
        self.hub.open_download(token)
    }

    /// Returns where a program on this machine reaches the server.
    pub fn address(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
        };
        SocketAddr::new(ip, self.address.port())
    }
}
