//! What a page does: performs what its session asks for, and reports what comes of it.
//!
//! The counterpart of the browser's driver; it follows the contract of `openstudio-mesh`
//! and checks that the session does.

use std::time::Duration;

use openstudio_session::mesh::{self, Command};
use openstudio_session::{EndReason, Event, Input, Output};
use openstudio_units::{Role, Timestamp};

use crate::client::ToClient;
use crate::world::World;

/// The most that one input may lead to, for each participant in the room.
const OUTPUTS_PER_PEER: usize = 16;

impl World {
    /// Something reaches the event loop of a page.
    pub(crate) fn reach(&mut self, c: usize, what: ToClient) {
        if self.clients[c].asleep {
            self.clients[c].waiting.push(what);
            return;
        }
        self.trace.mix(tag(c, &what));
        self.stirred |= !matches!(what, ToClient::Alarm);
        if what != ToClient::Alarm {
            self.trace.line(self.now, || format!("client {c} <- {what:?}"));
        }
        match what {
            ToClient::SocketOpened(socket) => self.feed(c, Input::SocketOpened(socket)),
            ToClient::Message { socket, text } => {
                self.feed(c, Input::MessageReceived { socket, text });
            }
            ToClient::SocketClosed { socket, code } => {
                if self.clients[c].socket.is_some_and(|own| own.id == socket) {
                    self.clients[c].socket = None;
                    self.feed(c, Input::SocketClosed { socket, code });
                }
            }
            ToClient::Finish(pc) => self.finish(c, pc),
            ToClient::GatheringEnds(pc) => {
                self.feed_mesh(c, mesh::Input::LocalCandidateGathered { pc, candidate: None });
            }
            ToClient::Gather { pc, kind, of, tries } => self.gathered(c, pc, (kind, of), tries),
            ToClient::Transport(pc) => self.transport_due(c, pc),
            ToClient::Pump(pc) => self.pump(c, pc),
            ToClient::AskForInvite => self.feed(c, Input::RequestInvite(Role::Host)),
            ToClient::State { pc, state } => {
                self.trace.mix(u64::from(state == mesh::PeerConnectionState::Connected));
                self.feed_mesh(c, mesh::Input::ConnectionStateChanged { pc, state });
            }
            ToClient::Microphone(on) => self.set_microphone(c, on),
            ToClient::Retry => self.press_retry(c),
            ToClient::Online => self.feed(c, Input::Online),
            ToClient::NetworkChanged => self.feed_mesh(c, mesh::Input::NetworkChanged),
            ToClient::Alarm => self.alarm(c),
        }
    }

    pub(crate) fn feed_mesh(&mut self, c: usize, input: mesh::Input) {
        self.feed(c, Input::Mesh(input));
    }

    pub(crate) fn feed(&mut self, c: usize, input: Input) {
        let local = self.clients[c].local(self.now);
        if let Some(session) = &mut self.clients[c].session {
            session.handle_input(local, input);
            self.drain(c);
        }
    }

    // ----- timers

    fn alarm(&mut self, c: usize) {
        // A later alarm was set meanwhile, or an earlier one rang.
        if self.clients[c].armed.take_if(|at| *at <= self.now).is_none() {
            return;
        }
        let local = self.clients[c].local(self.now);
        if let Some(session) = &mut self.clients[c].session {
            session.handle_timeout(local);
            self.drain(c);
        }
    }

    fn arm(&mut self, c: usize) {
        let client = &mut self.clients[c];
        let Some(due) = client.session.as_ref().and_then(|session| session.poll_timeout()) else {
            return;
        };
        let due = Timestamp::ZERO + due.at.since(Timestamp::ZERO + client.ahead);
        let mut at = due.max(self.now);
        if client.throttled {
            let second = 1_000_000;
            at = Timestamp::from_micros(at.as_micros().div_ceil(second) * second);
        }
        if client.armed.is_none_or(|armed| at < armed) {
            client.armed = Some(at);
            let life = client.life;
            let what = ToClient::Alarm;
            self.queue.push(at, crate::world::Happening::ToClient { client: c, life, what });
        }
    }

    // ----- outputs

    pub(crate) fn drain(&mut self, c: usize) {
        let most = OUTPUTS_PER_PEER * (self.clients.len() + 2);
        let mut count = 0;
        while let Some(output) = self.clients[c].session.as_mut().and_then(|s| s.poll_output()) {
            count += 1;
            if count > most {
                return self.violation(format!("one input of client {c} leads to {count} outputs"));
            }
            if self.trace.is_broken() {
                return;
            }
            self.perform(c, output);
        }
        self.arm(c);
    }

    fn perform(&mut self, c: usize, output: Output) {
        match output {
            Output::OpenSocket(id) => self.open_socket(c, id),
            Output::SendText { socket, text } => {
                self.trace.line(self.now, || format!("client {c} -> {text}"));
                self.send_text(c, socket, text);
            }
            Output::CloseSocket(id) => self.close_socket(c, id),
            Output::Mesh(command) => {
                if !matches!(command, Command::SampleStats { .. }) {
                    self.trace.line(self.now, || format!("client {c} -> {command:?}"));
                }
                self.command(c, command);
            }
            Output::Event(event) => {
                self.trace.line(self.now, || format!("client {c} -> {event:?}"));
                self.event(c, event);
            }
        }
    }

    fn event(&mut self, c: usize, event: Event) {
        match event {
            Event::Entered { room, me, .. } => {
                self.clients[c].room = Some(room);
                self.clients[c].me = Some(me);
                self.owners.insert(me, c);
                if c == 0 && self.invite.is_none() {
                    self.tell(Duration::ZERO, c, ToClient::AskForInvite);
                }
            }
            Event::SeatToken(token) => self.clients[c].token = Some(token),
            Event::Invite { token, .. } => self.invite = Some(token),
            Event::ParticipantChanged(participant) => {
                self.clients[c].gone.remove(&participant.peer_id);
            }
            Event::ParticipantLeft { peer, .. } => {
                self.clients[c].gone.insert(peer);
                if self.clients[c].by_peer.contains_key(&peer) {
                    self.violation(format!("client {c}: a peer connection outlives its peer"));
                }
            }
            Event::Mesh(mesh::Event::ConnectionStateChanged { peer, from, to, .. }) => {
                let told = self.clients[c].states.insert(peer, to);
                if told.is_some_and(|told| told != from && !self.clients[c].gone.contains(&peer)) {
                    self.forgive_new_link(c, from);
                }
            }
            Event::Ended(reason) => self.ended(c, &reason),
            Event::Refused { code, message } => {
                self.violation(format!("client {c} is refused: {code:?} {message}"));
            }
            Event::SignallingChanged(_)
            | Event::EngineChanged
            | Event::Recordings { .. }
            | Event::StripChanged { .. }
            | Event::IceServers(_)
            | Event::Mesh(
                mesh::Event::ConnectionFailed { .. }
                | mesh::Event::RemoteTrackAdded { .. }
                | mesh::Event::QualityChanged { .. },
            ) => {}
        }
    }

    /// A link that was made anew begins at `disconnected` again; no other jump is honest.
    fn forgive_new_link(&mut self, c: usize, from: mesh::ConnectionState) {
        if from != mesh::ConnectionState::Disconnected {
            self.violation(format!("client {c}: a link's state jumps"));
        }
    }

    fn ended(&mut self, c: usize, reason: &EndReason) {
        if *reason != EndReason::Left {
            self.violation(format!("the session of client {c} ended: {reason:?}"));
        }
        if !self.clients[c].pcs.is_empty() {
            self.violation(format!("client {c} left with open peer connections"));
        }
        self.clients[c].forget_page();
    }
}

/// What a happening adds to the hash of the trace.
fn tag(c: usize, what: &ToClient) -> u64 {
    let (kind, detail) = match what {
        ToClient::SocketOpened(id) => (1, id.0),
        ToClient::Message { text, .. } => (2, u64::try_from(text.len()).unwrap_or(0)),
        ToClient::SocketClosed { socket, .. } => (3, socket.0),
        ToClient::Finish(pc) => (4, pc.0),
        ToClient::GatheringEnds(pc) => (5, pc.0),
        ToClient::Transport(pc) => (6, pc.0),
        ToClient::State { pc, .. } => (7, pc.0),
        ToClient::Microphone(on) => (8, u64::from(*on)),
        ToClient::Retry => (9, 0),
        ToClient::Online => (10, 0),
        ToClient::NetworkChanged => (11, 0),
        ToClient::Alarm => (12, 0),
        ToClient::Pump(pc) => (13, pc.0),
        ToClient::AskForInvite => (14, 0),
        ToClient::Gather { pc, .. } => (15, pc.0),
    };
    (u64::try_from(c).unwrap_or(0) << 48) ^ (kind << 40) ^ detail
}
