//! One session and the browser's objects that belong to it: its socket and its peer
//! connections.

use std::collections::BTreeMap;

use openstudio_session::mesh::{self, Command, Completion, OpError, OpId, PcId};
use openstudio_session::wire::{DisplayName, IceConfig};
use openstudio_session::{Input, Session, SocketId};
use openstudio_units::Timestamp;
use web_sys::{MediaStream, MediaStreamTrack};

use crate::driver::browser;
use crate::driver::event::{Port, Report};
use crate::driver::peer_connection::{PeerConnection, Setup};
use crate::driver::probe::Probe;
use crate::driver::socket::Socket;
use crate::driver::stats;
use crate::model::engine::Follower;
use crate::model::processing::Processing;
use crate::model::relay::{Relays, Step, Way};

/// Where this browser remembers by which way it reached relays.
const WAY_KEY: &str = "openstudio.relay";

/// A session that has begun. Dropping it closes what is open.
#[derive(Debug)]
pub(crate) struct Running {
    /// The core.
    pub(crate) session: Session,
    /// Tells this session's reports from those of earlier ones.
    pub(crate) number: u32,
    /// Whether the room was entered.
    pub(crate) entered: bool,
    /// Whether it began with a kept seat.
    pub(crate) resumes: bool,
    /// What the person wants to be called, until the room knows.
    pub(crate) name: Option<DisplayName>,
    /// What is shown and told of the studio's engine.
    pub(crate) engine: Follower,
    /// The ways to relays.
    pub(crate) relays: Relays,
    probe: Option<Probe>,
    /// STUN and TURN servers for peer connections.
    ice: IceConfig,
    /// Whether the session knows of a microphone.
    microphone: bool,
    processing: Processing,
    port: Port,
    url: String,
    socket: Option<Socket>,
    connections: BTreeMap<PcId, PeerConnection>,
    /// Carries no track: names the local stream for the other side.
    stream: MediaStream,
}

impl Running {
    /// Makes the objects of a session that is about to begin.
    pub(crate) fn new(
        session: Session,
        number: u32,
        port: Port,
        url: String,
        stream: MediaStream,
    ) -> Self {
        Self {
            session,
            number,
            entered: false,
            resumes: false,
            name: None,
            engine: Follower::default(),
            relays: Relays::new(browser::remembered(WAY_KEY).and_then(|way| Way::parse(&way))),
            probe: None,
            ice: IceConfig::default(),
            microphone: false,
            processing: Processing::default(),
            port,
            url,
            socket: None,
            connections: BTreeMap::new(),
            stream,
        }
    }

    /// When [`Session::handle_timeout`] and [`Relays::on_timeout`] are to be called.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let session = self.session.poll_timeout().map(|deadline| deadline.at);
        session.into_iter().chain(self.relays.poll_timeout()).min()
    }

    /// Opens a socket.
    pub(crate) fn open_socket(&mut self, id: SocketId) {
        match Socket::open(&self.port, id, &self.url) {
            Ok(socket) => self.socket = Some(socket),
            Err(_) => self.port.input(Input::SocketClosed { socket: id, code: None }),
        }
    }

    /// Sends a text.
    pub(crate) fn send_text(&self, id: SocketId, text: &str) {
        if let Some(socket) = self.socket.as_ref().filter(|socket| socket.id == id) {
            socket.send(text);
        }
    }

    /// Closes a socket.
    pub(crate) fn close_socket(&mut self, id: SocketId) {
        self.socket = self.socket.take().filter(|socket| socket.id != id);
    }

    /// Returns the remote track that came on `pc`.
    pub(crate) fn remote_track(&self, pc: PcId) -> Option<&MediaStreamTrack> {
        self.connections.get(&pc).and_then(|connection| connection.remote.as_ref())
    }

    /// Sends another track, or none, on all connections, and tells the session.
    pub(crate) fn replace_track(&mut self, now: Timestamp, track: Option<&MediaStreamTrack>) {
        for connection in self.connections.values() {
            connection.replace_track(track);
        }
        if self.microphone != track.is_some() {
            self.microphone = track.is_some();
            self.session.handle_input(now, Input::SetMicrophone(self.microphone));
        }
    }

    /// Sends for another purpose from here on. Another number of channels is a matter of both
    /// sides, and so of a new round of negotiation; a bitrate is not.
    pub(crate) fn set_processing(&mut self, processing: Processing) {
        self.processing = processing;
        for (pc, connection) in &self.connections {
            if connection.set_processing(processing) {
                self.port.mesh(mesh::Input::NegotiationNeeded { pc: *pc });
            }
        }
    }

    /// Does what the choice of a way to the relays asks for.
    pub(crate) fn follow_relays(&mut self, now: Timestamp) {
        while let Some(step) = self.relays.poll_step() {
            match step {
                Step::Probe(number) => {
                    self.probe = None;
                    match Probe::begin(&self.port, number, self.relays.named()) {
                        Ok(probe) => self.probe = Some(probe),
                        Err(_) => self.port.report(Report::RelaysGathered { probe: number }),
                    }
                }
                Step::EndProbe => self.probe = None,
                Step::Configure => {
                    self.ice = self.relays.config();
                    for connection in self.connections.values() {
                        connection.set_ice(&self.ice);
                    }
                }
                Step::BeginAnew => {
                    self.session.handle_input(now, Input::Mesh(mesh::Input::NetworkOnline));
                }
                Step::Remember(way) => browser::remember(WAY_KEY, way.as_str()),
            }
        }
    }

    /// Performs a command of the connection manager.
    pub(crate) fn perform(&mut self, command: Command, track: Option<&MediaStreamTrack>) {
        let port = self.port.clone();
        match command {
            Command::CreatePeerConnection { op, pc, offers, relay_only, .. } => {
                let (ice, stream) = (&self.ice, &self.stream);
                let processing = self.processing;
                let setup = Setup { pc, offers, relay_only, ice, track, stream, processing };
                let made = PeerConnection::new(&port, &setup);
                port.complete(
                    op,
                    made.map(|connection| {
                        self.connections.insert(pc, connection);
                        Completion::Done
                    }),
                );
            }
            Command::ClosePeerConnection { pc } => {
                self.connections.remove(&pc);
            }
            Command::SetLocalDescription { op, pc } => {
                self.with(op, pc, |connection| connection.set_local_description(port, op));
            }
            Command::SetRemoteDescription { op, pc, kind, sdp } => {
                self.with(op, pc, |connection| {
                    connection.set_remote_description(port, (op, pc), kind, &sdp);
                })
            }
            Command::AddIceCandidates { op, pc, candidates } => self.with(op, pc, |connection| {
                connection.add_ice_candidates(port, op, &candidates);
            }),
            Command::RestartIce { pc } => {
                if let Some(connection) = self.connections.get(&pc) {
                    connection.restart_ice();
                }
            }
            Command::SetRedundancy { pc, on } => {
                if self.connections.get(&pc).is_some_and(|one| one.set_redundant(on)) {
                    port.mesh(mesh::Input::NegotiationNeeded { pc });
                }
            }
            Command::SampleStats { op, pc, detailed } => self.sample(op, pc, detailed),
            // The session sends those itself.
            Command::SendSignal { .. } => {}
        }
    }

    /// Takes what one of the objects reports.
    pub(crate) fn take(
        &mut self,
        now: Timestamp,
        report: Report,
        track: Option<&MediaStreamTrack>,
    ) {
        match report {
            Report::Input(input) => self.session.handle_input(now, input),
            Report::OfferApplied { op, pc } => {
                let port = self.port.clone();
                self.with(op, pc, |connection| connection.attach(port, op, track, &self.stream));
            }
            Report::TrackArrived { pc, track } => {
                if let Some(connection) = self.connections.get_mut(&pc) {
                    connection.remote = Some(track);
                    let input = mesh::Input::RemoteTrackAdded { pc };
                    self.session.handle_input(now, Input::Mesh(input));
                }
            }
            Report::RelayAnswered { probe, url, protocol } => {
                let by = (url.as_deref(), protocol.as_deref());
                self.relays.on_answer(now, probe, by);
            }
            Report::RelaysGathered { probe } => self.relays.on_gathered(probe),
            Report::StatsRead { op, pc, reading, detailed } => {
                let result = match self.connections.get_mut(&pc) {
                    Some(connection) => reading.map(|reading| {
                        Completion::Stats(connection.progress.take(reading, detailed))
                    }),
                    None => Err(closed()),
                };
                let input = mesh::Input::Completed { op, result };
                self.session.handle_input(now, Input::Mesh(input));
            }
        }
    }

    fn sample(&mut self, op: OpId, pc: PcId, detailed: bool) {
        let port = self.port.clone();
        let Some(connection) = self.connections.get_mut(&pc) else {
            return port.complete(op, Err(closed()));
        };
        let Some(transceiver) = connection.transceiver() else {
            return stats::nothing(&port, op, pc, detailed);
        };
        let moved = connection.progress.look(&transceiver.receiver());
        if moved && !detailed {
            return port.complete(op, Ok(Completion::Stats(connection.progress.sample())));
        }
        stats::read(port, (op, pc), &transceiver, detailed);
    }

    /// Calls `act` with a connection; without one the operation has failed.
    fn with(&self, op: OpId, pc: PcId, act: impl FnOnce(&PeerConnection)) {
        match self.connections.get(&pc) {
            Some(connection) => act(connection),
            None => self.port.complete(op, Err(closed())),
        }
    }
}

fn closed() -> OpError {
    OpError("the peer connection is closed".into())
}
