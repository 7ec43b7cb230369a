//! What the server says.

use std::collections::BTreeSet;
use std::time::Duration;

use openstudio_mesh::{self as mesh, Mesh};
use openstudio_units::{Incarnation, PeerId, Role, RoomId, Timestamp};
use openstudio_wire::{
    ClientMessage, EngineState, ErrorCode, IceConfig, LeaveReason, NamedStrip, Participant,
    SeatGrant, ServerMessage, Token, limits,
};

use super::{Seat, Session};
use crate::convert;
use crate::output::{EndReason, Event, Output, SignallingState, SocketId};
use crate::roster::Difference;

impl Session {
    pub(super) fn on_text(&mut self, now: Timestamp, socket: SocketId, text: &str) {
        if self.socket.open_id() != Some(socket) {
            return;
        }
        self.socket.on_heard(now, &self.config);
        match ServerMessage::parse(text) {
            Ok(message) => self.on_message(now, message),
            Err(error) => tracing::debug!(%error, "message of another protocol version"),
        }
    }

    pub(super) fn on_message(&mut self, now: Timestamp, message: ServerMessage) {
        match message {
            ServerMessage::RoomCreated { room_id, seat, seq, participants, .. }
            | ServerMessage::RoomJoined { room_id, seat, seq, participants } => {
                self.on_seat(now, self.me, room_id, seat);
                self.on_snapshot(now, seq, true, participants);
                self.on_entered(now);
            }
            ServerMessage::Resumed { peer_id, room_id, seat } => {
                self.on_seat(now, peer_id, room_id, seat);
            }
            ServerMessage::Snapshot { seq, complete, participants, .. } => {
                self.on_snapshot(now, seq, complete, participants);
                self.on_entered(now);
            }
            ServerMessage::SeatToken { token } => self.on_token(token),
            ServerMessage::IceServers { ice } => self.on_renewed_ice(now, ice),
            ServerMessage::PeerJoined { participant, seq }
            | ServerMessage::PeerUpdated { participant, seq } => {
                let changed = self.roster.apply(seq, participant);
                self.on_changed(now, changed);
            }
            ServerMessage::Strip { from, strip, seq } => self.on_strip(now, from, strip, seq),
            // By a host: the `strip` before it has said so.
            ServerMessage::Mute { from, peer_id, seq, .. } if from != peer_id => {
                self.roster.note(seq);
            }
            ServerMessage::Mute { peer_id, muted, seq, .. } => {
                let changed = self.roster.apply_mute(seq, peer_id, muted);
                self.on_changed(now, changed);
            }
            ServerMessage::PeerLeft { peer_id, reason, seq } => {
                if peer_id != self.me && self.roster.remove(seq, peer_id) {
                    self.on_gone(now, peer_id, reason);
                }
            }
            ServerMessage::InviteToken { invite_token: token, role, .. } => {
                self.event(Event::Invite { role, token });
            }
            ServerMessage::Engine { state } => {
                self.engine = state;
                self.event(Event::EngineChanged);
            }
            ServerMessage::Recordings { recordings, token } => {
                self.event(Event::Recordings { recordings, token });
            }
            ServerMessage::RoomEnded { .. } => self.end(now, EndReason::RoomEnded),
            ServerMessage::RetrySpread { retry_spread_ms } => {
                self.socket.on_spread(Duration::from_millis(retry_spread_ms));
            }
            ServerMessage::GoingAway { retry_after_ms } => {
                self.socket.on_going_away(Duration::from_millis(retry_after_ms));
            }
            ServerMessage::Error { code, message, request, to } => {
                if let Some(peer) = to.filter(|_| request.as_deref() == Some("set-strip"))
                    && self.mixer.forget(peer)
                {
                    self.event(Event::StripChanged { peer });
                }
                self.on_error(now, code, message, request.as_deref());
            }
            ServerMessage::Welcome { setups_in_flight, engine, retry_spread_ms, .. } => {
                self.has_engine = engine;
                let spread = retry_spread_ms.unwrap_or_default();
                self.socket.on_spread(Duration::from_millis(spread));
                if let Some(setups) = setups_in_flight {
                    self.config.mesh.setups_in_flight = usize::from(setups);
                }
            }
            ServerMessage::Registered { .. } | ServerMessage::Pong { .. } => {}
            relayed @ (ServerMessage::Offer(_)
            | ServerMessage::Answer(_)
            | ServerMessage::IceCandidate(_)
            | ServerMessage::IceCandidates(_)
            | ServerMessage::RequestOffer(_)
            | ServerMessage::Stale(_)) => {
                if let Some((from, signal)) = convert::to_signal(relayed) {
                    self.feed_mesh(now, mesh::Input::SignalReceived { from, signal });
                }
            }
        }
    }

    pub(super) fn on_seat(&mut self, now: Timestamp, me: PeerId, room: RoomId, grant: SeatGrant) {
        let SeatGrant { role, token, incarnation, ice } = grant;
        self.me = me;
        // If it does something after all, that is told next.
        self.engine = EngineState::default();
        self.event(Event::EngineChanged);
        let renewed = self.incarnation.replace(incarnation) != Some(incarnation);
        self.seat = Some(Seat { room, role, token: token.clone() });
        self.event(Event::SeatToken(token));
        if renewed {
            self.feed_mesh(now, mesh::Input::IncarnationChanged { incarnation });
        }
        self.ensure_mesh(now, incarnation);
        self.on_ice(now, ice);
        // The relay of a server that was started again has forgotten everybody.
        self.feed_mesh(now, mesh::Input::PathsInDoubt);
    }

    pub(super) fn ensure_mesh(&mut self, now: Timestamp, incarnation: Incarnation) {
        if self.mesh.is_none() {
            let (config, seed) = (self.config.mesh.clone(), self.seed.fork("mesh"));
            self.mesh = Some(Mesh::new(config, self.me, incarnation, seed, now));
        }
    }

    pub(super) fn on_ice(&mut self, now: Timestamp, ice: IceConfig) {
        let has_relay = !ice.turn.is_empty();
        self.ice_urls = urls(&ice);
        self.event(Event::IceServers(ice));
        self.feed_mesh(now, mesh::Input::IceServersChanged { has_relay });
    }

    /// Newer credentials of the same servers are for the application alone: to the mesh, whose
    /// links would begin anew, nothing has changed.
    pub(super) fn on_renewed_ice(&mut self, now: Timestamp, ice: IceConfig) {
        if self.seat.is_none() {
            return;
        }
        if urls(&ice) == self.ice_urls {
            self.event(Event::IceServers(ice));
        } else {
            self.on_ice(now, ice);
        }
    }

    pub(super) fn on_token(&mut self, token: Token) {
        if let Some(seat) = &mut self.seat {
            seat.token = token.clone();
            self.event(Event::SeatToken(token));
        }
    }

    /// The seat and everybody else's are known: signals can flow.
    pub(super) fn on_entered(&mut self, now: Timestamp) {
        if self.socket.is_ready() {
            return;
        }
        let Some(Seat { room, role, .. }) = self.seat.clone() else {
            return;
        };
        self.socket.on_ready(now, &self.config);
        self.set_signalling(SignallingState::Ready);
        self.event(Event::Entered { room, me: self.me, role });
        self.announce();
        self.restore_strips(role);
        self.send_strips(now);
        self.feed_mesh(now, mesh::Input::SignallingChanged { up: true });
    }

    /// Tells what the room does not know of this participant, or knows wrongly: it may
    /// have changed while there was no socket.
    pub(super) fn announce(&mut self) {
        let told = self.roster.iter().find(|participant| participant.peer_id == self.me);
        let told = told.map(|me| (me.microphone, me.muted));
        let (available, muted) = (self.has_microphone, self.muted);
        if told.is_none_or(|(told, _)| told != available) {
            self.send(&ClientMessage::Microphone { available });
        }
        if told.is_none_or(|(_, told)| told != muted) {
            self.send(&ClientMessage::Mute { peer_id: None, muted });
        }
    }

    /// A restarted server learns from the hosts what it has forgotten.
    pub(super) fn restore_strips(&mut self, role: Role) {
        let forgotten = std::mem::take(&mut self.forgotten);
        if role.may_mix() {
            for strips in forgotten.chunks(limits::MAX_STRIPS) {
                self.send(&ClientMessage::RestoreStrips { strips: strips.to_vec() });
            }
        }
    }

    pub(super) fn on_strip(&mut self, now: Timestamp, from: PeerId, strip: NamedStrip, seq: u64) {
        let peer = strip.peer_id;
        let changed = self.roster.apply_strip(seq, strip);
        if from == self.me {
            self.mixer.on_confirmed(peer, strip.strip);
            self.send_strips(now);
        }
        if changed {
            self.event(Event::StripChanged { peer });
        }
    }

    pub(super) fn on_error(
        &mut self,
        now: Timestamp,
        code: ErrorCode,
        message: String,
        request: Option<&str>,
    ) {
        if self.socket.is_ready() {
            let of_the_person = matches!(
                request,
                Some(
                    "rename"
                        | "request-invite"
                        | "end-room"
                        | "mute"
                        | "microphone"
                        | "set-strip"
                        | "record"
                        | "air"
                        | "mark"
                        | "list-recordings"
                        | "delete-recording"
                )
            ) && code != ErrorCode::PeerNotFound;
            if of_the_person {
                self.event(Event::Refused { code, message });
            }
            return;
        }
        let may_come = code == ErrorCode::RoomNotBack && self.seat.is_none();
        if may_come && self.lookups < self.config.room_lookups {
            self.lookups = self.lookups.saturating_add(1);
            self.lookup_at = Some(now + self.config.room_lookup_interval);
            self.socket.extend(now, &self.config);
            return;
        }
        if matches!(code, ErrorCode::RateLimited | ErrorCode::Internal) {
            if let Some(socket) = self.socket.current() {
                self.out.push_back(Output::CloseSocket(socket));
                self.socket.on_closed(now, &self.config, socket);
                self.on_lost(now);
            }
            return;
        }
        self.end(now, EndReason::Refused { code, message });
    }

    pub(super) fn on_snapshot(
        &mut self,
        now: Timestamp,
        seq: u64,
        complete: bool,
        participants: Vec<Participant>,
    ) {
        let Difference { changed, gone, forgotten } =
            self.roster.apply_snapshot(seq, complete, participants);
        self.forgotten = forgotten;
        for peer in gone {
            self.on_gone(now, peer, LeaveReason::TimedOut);
        }
        for participant in changed {
            self.on_changed(now, Some(participant));
        }
        self.rebuild_due = if complete { None } else { Some(now + self.config.rebuild_timeout) };
    }

    pub(super) fn on_changed(&mut self, now: Timestamp, changed: Option<Participant>) {
        let Some(participant) = changed else { return };
        let (peer, info) = (participant.peer_id, convert::to_peer_info(&participant));
        self.event(Event::ParticipantChanged(participant));
        self.feed_mesh(now, mesh::Input::PeerSeen { peer, info });
    }

    pub(super) fn on_gone(&mut self, now: Timestamp, peer: PeerId, reason: LeaveReason) {
        self.feed_mesh(now, mesh::Input::PeerLeft { peer });
        self.mixer.forget(peer);
        self.drain_mesh();
        self.event(Event::ParticipantLeft { peer, reason });
    }
}

fn urls(ice: &IceConfig) -> BTreeSet<String> {
    let turn = ice.turn.iter().flat_map(|server| &server.urls);
    ice.stun.iter().chain(turn).cloned().collect()
}
