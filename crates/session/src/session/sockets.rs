//! What happens to the socket, and what goes out on it.

use openstudio_mesh::{self as mesh, Mesh};
use openstudio_units::Timestamp;
use openstudio_wire::{ClientMessage, CloseCode, ErrorCode};

use super::{Intent, Session};
use crate::output::{EndReason, Output, SignallingState, SocketId};
use crate::socket::Action;

impl Session {
    pub(super) fn perform(&mut self, now: Timestamp, action: Option<Action>) {
        match action {
            Some(Action::Open(socket)) => self.out.push_back(Output::OpenSocket(socket)),
            Some(Action::Ping(socket)) => {
                let text = ClientMessage::Ping.to_json();
                self.out.push_back(Output::SendText { socket, text });
            }
            Some(Action::Abandon(socket)) => {
                self.out.push_back(Output::CloseSocket(socket));
                self.on_lost(now);
            }
            None => {}
        }
    }

    /// The network is another one, and a socket of the old one says nothing and does not close:
    /// to ask whether it lives takes longer than to open the next.
    pub(super) fn open_anew(&mut self, now: Timestamp) {
        if !self.socket.is_wanted() {
            return;
        }
        if let Some(socket) = self.socket.close() {
            self.perform(now, Some(Action::Abandon(socket)));
        }
        let action = self.socket.open(now, &self.config);
        self.perform(now, Some(action));
    }

    /// When everybody falls silent at once, the socket is likely to be as dead as the links.
    pub(super) fn look_at_links(&mut self, now: Timestamp) {
        let cut_off = self.mesh.as_ref().is_some_and(Mesh::is_cut_off);
        if std::mem::replace(&mut self.cut_off, cut_off) != cut_off {
            let action = self.socket.on_cut_off(now, &self.config, cut_off);
            self.perform(now, action);
        }
    }

    pub(super) fn on_opened(&mut self, now: Timestamp, socket: SocketId) {
        if !self.socket.on_opened(now, &self.config, socket) {
            return;
        }
        if let Some(seat) = &self.seat {
            let message = ClientMessage::Resume { token: seat.token.clone(), fresh: false };
            return self.send_on(socket, &message);
        }
        if let Intent::Resume { token } = &self.intent {
            let message = ClientMessage::Resume { token: token.clone(), fresh: true };
            return self.send_on(socket, &message);
        }
        self.send_on(socket, &ClientMessage::Register { peer_id: self.me });
        self.ask_for_seat();
    }

    pub(super) fn ask_for_seat(&mut self) {
        let (room_id, invite_token, name) = match &self.intent {
            Intent::Start { name } => (None, None, name.clone()),
            Intent::Join { room, invite, name } => (Some(*room), invite.clone(), name.clone()),
            Intent::Nothing | Intent::Resume { .. } => return,
        };
        let message = ClientMessage::CreateOrJoinRoom { room_id, role: None, invite_token, name };
        if let Some(socket) = self.socket.open_id() {
            self.send_on(socket, &message);
        }
    }

    pub(super) fn on_closed(&mut self, now: Timestamp, socket: SocketId, code: Option<u16>) {
        if !self.socket.on_closed(now, &self.config, socket) {
            return;
        }
        match code.and_then(CloseCode::from_u16) {
            Some(CloseCode::TakenOver) => self.end(now, EndReason::TakenOver),
            Some(CloseCode::RoomEnded) => self.end(now, EndReason::RoomEnded),
            Some(CloseCode::Policy) => {
                let message = "The server refuses this browser: too many errors.".to_owned();
                self.end(now, EndReason::Refused { code: ErrorCode::RateLimited, message });
            }
            Some(CloseCode::GoingAway | CloseCode::TooSlow) | None => self.on_lost(now),
        }
    }

    pub(super) fn on_lost(&mut self, now: Timestamp) {
        self.lookup_at = None;
        // Who is missing may be there all the same: the next snapshot tells.
        self.rebuild_due = None;
        self.mixer.on_lost();
        self.set_signalling(SignallingState::Reconnecting);
        self.feed_mesh(now, mesh::Input::SignallingChanged { up: false });
    }

    /// Sends once there is a seat; what is said before is announced with the seat.
    pub(super) fn send(&mut self, message: &ClientMessage) {
        if let Some(socket) = self.socket.open_id().filter(|_| self.socket.is_ready()) {
            self.send_on(socket, message);
        }
    }

    pub(super) fn send_on(&mut self, socket: SocketId, message: &ClientMessage) {
        self.out.push_back(Output::SendText { socket, text: message.to_json() });
    }
}
