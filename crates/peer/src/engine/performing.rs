//! Performing what the session asks for.

use std::time::Instant;

use openstudio_session::mesh::{self, Command, Completion, OpError, PcId};
use openstudio_session::{Event, Input, Output, SignallingState};
use tokio::task::JoinHandle;

use super::{Engine, since};
use crate::connection::Connection;
use crate::network::Change;
use crate::signalling::Socket;

impl Engine {
    /// Does everything that the session asks for, until there is nothing more. Returns the
    /// end of the last socket, if it was closed.
    pub(super) fn settle(&mut self) -> Option<JoinHandle<()>> {
        let mut farewell = None;
        loop {
            while let Some(output) = self.session.poll_output() {
                match output {
                    Output::OpenSocket(id) => {
                        let reports = self.reports.clone();
                        self.socket = Some(Socket::open(id, self.place.clone(), reports));
                    }
                    Output::SendText { socket: id, text } => {
                        if let Some(socket) = self.socket.as_mut().filter(|s| s.id == id) {
                            socket.send(text);
                        }
                    }
                    Output::CloseSocket(id) => {
                        if let Some(socket) = self.socket.take_if(|socket| socket.id == id) {
                            farewell = socket.close();
                        }
                    }
                    Output::Mesh(command) => self.perform(command),
                    Output::Event(event) => self.event(event),
                }
            }
            self.follow_network();
            if !self.report() {
                return farewell;
            }
        }
    }

    /// Tells the connections, and the session, which ways to others there are.
    fn follow_network(&mut self) {
        let mut moved = false;
        while let Some(change) = self.network.next_change() {
            let connections = self.connections.values_mut();
            match change {
                Change::Added(candidate) => {
                    connections.for_each(|one| one.add_local_candidate(&candidate));
                }
                Change::Removed(candidate) => {
                    connections.for_each(|one| one.remove_local_candidate(&candidate));
                }
                Change::Complete => connections.for_each(|one| one.set_gathering(false)),
                Change::Moved => moved = true,
            }
        }
        if moved {
            let now = self.now();
            self.session.handle_input(now, Input::Mesh(mesh::Input::NetworkChanged));
        }
    }

    /// Takes what the connections report. Returns whether there was anything.
    fn report(&mut self) -> bool {
        let now = self.now();
        let begun = self.begun;
        let mut any = !self.completed.is_empty();
        for input in std::mem::take(&mut self.completed) {
            self.session.handle_input(now, Input::Mesh(input));
        }
        for connection in self.connections.values_mut() {
            connection.settle(&mut self.network, |instant| since(begun, instant));
            while let Some(input) = connection.next_report() {
                self.session.handle_input(now, Input::Mesh(input));
                any = true;
            }
        }
        any
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::CreatePeerConnection { op, pc, peer, offers, relay_only, .. } => {
                let policy = (offers, relay_only || self.relay_only);
                match Connection::new((pc, peer), policy, Instant::now(), &self.network) {
                    Ok(mut connection) => {
                        connection.complete(op, Ok(Completion::Done));
                        self.connections.insert(pc, connection);
                    }
                    Err(error) => self.complete(op, Err(error)),
                }
            }
            Command::ClosePeerConnection { pc } => self.close(pc),
            Command::SetLocalDescription { op, pc } => {
                self.with(op, pc, |connection| connection.set_local_description(op));
            }
            Command::SetRemoteDescription { op, pc, kind, sdp } => {
                self.with(op, pc, |connection| connection.set_remote_description(op, kind, &sdp))
            }
            Command::AddIceCandidates { op, pc, candidates } => {
                self.with(op, pc, |connection| connection.add_ice_candidates(op, &candidates))
            }
            Command::RestartIce { pc } => {
                if let Some(connection) = self.connections.get_mut(&pc) {
                    connection.restart_ice();
                }
            }
            Command::SetRedundancy { pc, on } => self.set_redundant(pc, on),
            Command::SampleStats { op, pc, detailed } => {
                self.with(op, pc, |connection| connection.sample_stats(op, detailed));
            }
            // The session sends those itself.
            Command::SendSignal { .. } => {}
        }
    }

    /// All connections get the same packets, so one that loses some decides for the encoder.
    fn set_redundant(&mut self, pc: PcId, on: bool) {
        if let Some(connection) = self.connections.get_mut(&pc).filter(|_| self.sends_redundancy) {
            connection.set_redundant(on);
        }
        self.expect_loss();
    }

    fn expect_loss(&mut self) {
        let expected = self.connections.values().any(Connection::is_redundant);
        if let Err(error) = self.voice.expect_loss(expected) {
            tracing::warn!(%error, "the encoder takes no loss into account");
        }
    }

    /// Closes a connection, and lets the other side know.
    fn close(&mut self, pc: PcId) {
        if let Some(mut connection) = self.connections.remove(&pc) {
            connection.close(&mut self.network);
        }
        self.routes.retain(|_, routed| *routed != pc);
        self.expect_loss();
    }

    /// Calls `act` with a connection; without one the operation has failed.
    fn with(&mut self, op: mesh::OpId, pc: PcId, act: impl FnOnce(&mut Connection)) {
        match self.connections.get_mut(&pc) {
            Some(connection) => act(connection),
            None => self.complete(op, Err(OpError("the peer connection is closed".into()))),
        }
    }

    fn complete(&mut self, op: mesh::OpId, result: Result<Completion, OpError>) {
        self.completed.push(mesh::Input::Completed { op, result });
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::SignallingChanged(state) => {
                self.signalling = state;
                match state {
                    SignallingState::Reconnecting => self.outages.begin(),
                    SignallingState::Ready => self.outages.end(),
                    SignallingState::Idle | SignallingState::Connecting => {}
                }
            }
            Event::Refused { message, .. } => self.refusal = Some(message),
            Event::Ended(reason) => self.ended = Some(reason),
            Event::Mesh(event) => tracing::debug!(?event),
            Event::Entered { .. } => self.begin_recording(),
            Event::IceServers(config) => {
                self.network.set_servers(Instant::now(), config);
                let gathering = self.network.is_gathering();
                self.connections.values_mut().for_each(|one| one.set_gathering(gathering));
            }
            Event::SeatToken(_)
            | Event::ParticipantChanged(_)
            | Event::StripChanged { .. }
            | Event::EngineChanged
            | Event::Recordings { .. }
            | Event::ParticipantLeft { .. }
            | Event::Invite { .. } => {}
        }
    }
}
