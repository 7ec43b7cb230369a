//! What the session tells, on the screen and in the sound.

use openstudio_session::wire::ErrorCode;
use openstudio_session::{self as session, Input, Order, SignallingState, mesh};
use openstudio_units::{PeerId, Role};

use crate::driver::browser;
use crate::driver::studio::Studio;
use crate::model::address::{caller_link, invite_link, listen_link};
use crate::view::{Entering, put};

impl Studio {
    pub(super) fn event(&mut self, event: session::Event) {
        match event {
            session::Event::SignallingChanged(state) => self.signalling_changed(state),
            session::Event::Entered { room, me, role } => {
                self.desk.meters.borrow_mut().set_own(me);
                put(self.view.role, role);
                if self.running.as_ref().is_some_and(|running| !running.entered) && role.may_mix() {
                    self.desk.wanted = true;
                }
                put(self.view.caller_link, caller_link(&browser::origin(), room));
                put(self.view.listen_link, listen_link(&browser::origin(), room));
                self.entered(room);
                self.stale = true;
            }
            session::Event::SeatToken(token) => {
                let now = self.now();
                if let Some(running) = &mut self.running {
                    running.engine.seated(now);
                }
                self.keep_token(token);
            }
            session::Event::IceServers(ice) => {
                let now = self.now();
                if let Some(running) = &mut self.running {
                    running.relays.on_servers(now, ice);
                    running.follow_relays(now);
                }
            }
            session::Event::ParticipantChanged(participant) => {
                self.participant_changed(participant.peer_id);
            }
            session::Event::StripChanged { peer } => self.follow_strip(peer),
            session::Event::ParticipantLeft { peer, .. } => {
                self.desk.meters.borrow_mut().remove(peer);
                self.desk.solos.remove(&peer);
                if let Some(graph) = &mut self.desk.graph {
                    graph.forget(peer);
                }
                self.stale = true;
            }
            // The next tick draws it.
            session::Event::EngineChanged => {}
            session::Event::Recordings { recordings, token } => {
                put(self.view.recordings, Some((recordings, token)));
            }
            session::Event::Invite { role, token } => self.invited(role, &token.0),
            session::Event::Refused { code, message } => {
                put(self.view.refusal, Some(message));
                // The list that is shown is no longer right.
                if code == ErrorCode::RecordingNotFound {
                    self.input(Input::Order(Order::ListRecordings));
                }
            }
            session::Event::Mesh(event) => self.mesh_event(event),
            session::Event::Ended(reason) => self.ended = Some(reason),
        }
    }

    /// A mass join is drawn with the next tick; only the sound follows at once.
    fn participant_changed(&mut self, peer: PeerId) {
        let prompt = self.prompt;
        self.follow_strip(peer);
        self.prompt = prompt;
        self.stale = true;
    }

    fn mesh_event(&mut self, event: mesh::Event) {
        let now = self.now();
        if let Some(running) = self.running.as_mut().filter(|_| is_loss(&event)) {
            running.relays.on_link_lost(now);
        }
        match event {
            mesh::Event::RemoteTrackAdded { peer, .. } if !self.is_person(peer) => {}
            mesh::Event::RemoteTrackAdded { peer, pc } => {
                let track = self.running.as_ref().and_then(|running| running.remote_track(pc));
                if let (Some(track), Some(graph)) = (track, &mut self.desk.graph)
                    && graph.play(peer, pc, track).is_err()
                {
                    tracing::warn!(%peer, "a track could not be played");
                }
            }
            mesh::Event::ConnectionStateChanged { .. }
            | mesh::Event::ConnectionFailed { .. }
            | mesh::Event::QualityChanged { .. } => self.stale = true,
        }
    }

    fn is_person(&self, peer: PeerId) -> bool {
        let session = self.running.as_ref().map(|running| &running.session);
        let seat = session.and_then(|s| s.participants().find(|seat| seat.peer_id == peer));
        seat.is_none_or(|seat| seat.role.is_person())
    }

    fn signalling_changed(&self, state: SignallingState) {
        let entered = self.running.as_ref().is_some_and(|running| running.entered);
        let lost = state == SignallingState::Reconnecting;
        put(self.view.reconnecting, lost && entered);
        if lost && !entered {
            put(self.view.entering, Entering::Unreachable);
        }
    }

    fn invited(&self, role: Role, token: &str) {
        let room = self.running.as_ref().and_then(|running| running.session.room());
        if let Some(room) = room.filter(|_| role == Role::Host) {
            put(self.view.host_link, invite_link(&browser::origin(), room, token));
        }
    }
}

/// Whether a connection that was there is not any more, or could not be made.
fn is_loss(event: &mesh::Event) -> bool {
    match event {
        mesh::Event::ConnectionStateChanged { from, to, .. } => {
            *from == mesh::ConnectionState::Connected || *to == mesh::ConnectionState::Failed
        }
        mesh::Event::ConnectionFailed { .. } => true,
        mesh::Event::RemoteTrackAdded { .. } | mesh::Event::QualityChanged { .. } => false,
    }
}
