//! A page around a `Session`: its socket, its driver, its clock.
//!
//! It decides nothing; `session` and `candidates` say what happens.
//! Invariants checked, besides those of [`Driver`]: one socket is open at most, and text goes
//! out only on that one, once it is open; the text is a message that a server takes; nothing
//! comes after the end; outputs per input are bounded; what is due gets done, and not again
//! and again.

use std::time::Duration;

use openstudio_session::mesh::{self, Command, IceCandidate};
use openstudio_session::{Event, Input, Output, Session, SessionConfig, SignallingState, SocketId};
use openstudio_units::{PeerId, Seed, Timestamp};
use openstudio_wire::{ClientMessage, limits};

use crate::driver::Driver;
use crate::wire::is_within_limits;

/// What one input may lead to, above all a snapshot of a room in which everybody is new.
const OUTPUTS: usize = 200;

/// A socket that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    id: SocketId,
    opened: bool,
}

/// The page.
pub(crate) struct Page {
    pub(crate) session: Session,
    pub(crate) driver: Driver,
    pub(crate) now: Timestamp,
    /// What was sent since it was last taken.
    pub(crate) sent: Vec<ClientMessage>,
    /// Candidates that the driver was told to add since they were last taken.
    pub(crate) added: Vec<IceCandidate>,
    line: Option<Line>,
    last_socket: u64,
    /// As it was registered or resumed.
    me: PeerId,
    signalling: SignallingState,
    ended: bool,
}

impl Page {
    pub(crate) fn new() -> Self {
        let now = Timestamp::from_millis(1000);
        Self {
            session: Session::new(SessionConfig::default(), Seed::from_number(1), now),
            driver: Driver::default(),
            now,
            sent: Vec::new(),
            added: Vec::new(),
            line: None,
            last_socket: 0,
            me: crate::people::local(),
            signalling: SignallingState::Idle,
            ended: false,
        }
    }

    /// This participant's id, as far as it is known.
    pub(crate) fn me(&self) -> PeerId {
        self.session.me().unwrap_or(self.me)
    }

    /// The socket that is open or being opened.
    pub(crate) fn socket(&self) -> Option<SocketId> {
        self.line.map(|line| line.id)
    }

    /// The socket opens, if it has not yet.
    pub(crate) fn open(&mut self) {
        if let Some(line) = self.line.as_mut().filter(|line| !line.opened) {
            line.opened = true;
            let id = line.id;
            self.feed(Input::SocketOpened(id));
        }
    }

    /// The socket closes, if there is one.
    pub(crate) fn close(&mut self, code: Option<u16>) {
        if let Some(line) = self.line.take() {
            self.feed(Input::SocketClosed { socket: line.id, code });
        }
    }

    /// A text arrives on the socket, if there is one.
    pub(crate) fn hear(&mut self, text: String) {
        if let Some(Line { id: socket, opened: true }) = self.line {
            self.feed(Input::MessageReceived { socket, text });
        }
    }

    pub(crate) fn feed(&mut self, input: Input) {
        self.session.handle_input(self.now, input);
        self.drain();
    }

    /// Lets time pass and does what is due: at one moment, that must come to an end.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        for _ in 0..24 {
            self.session.handle_timeout(self.now);
            self.drain();
            if self.session.poll_timeout().is_none_or(|due| due.at > self.now) {
                return;
            }
        }
        let due = self.session.poll_timeout();
        assert!(due.is_none(), "at {:?} for ever: {due:?}", self.now);
    }

    fn drain(&mut self) {
        let mut count = 0;
        while let Some(output) = self.session.poll_output() {
            count += 1;
            assert!(count <= OUTPUTS, "{count} outputs of one input");
            let closes = matches!(
                output,
                Output::CloseSocket(_) | Output::Mesh(Command::ClosePeerConnection { .. })
            );
            assert!(closes || !self.ended, "after the end: {output:?}");
            match output {
                Output::OpenSocket(id) => {
                    assert_eq!(self.line, None, "a second socket");
                    assert!(id.0 > self.last_socket, "{id:?} was used before");
                    self.last_socket = id.0;
                    self.line = Some(Line { id, opened: false });
                }
                Output::CloseSocket(id) => {
                    let line = self.line.take().map(|line| line.id);
                    assert_eq!(line, Some(id), "a socket is closed that is not open");
                }
                Output::SendText { socket, text } => self.send(socket, &text),
                Output::Mesh(command) => self.perform(command),
                Output::Event(event) => self.note(event),
            }
        }
        if self.ended {
            assert_eq!(self.session.poll_timeout(), None, "something is due after the end");
            assert_eq!((self.line, self.driver.len()), (None, 0), "something is left open");
        }
    }

    fn send(&mut self, socket: SocketId, text: &str) {
        let line = Line { id: socket, opened: true };
        assert_eq!(self.line, Some(line), "text on a socket that is not open: {text}");
        assert!(text.len() <= limits::MAX_MESSAGE_BYTES, "a message of {} bytes", text.len());
        match ClientMessage::parse(text) {
            Ok(message) => {
                assert!(is_within_limits(&message));
                if let ClientMessage::Register { peer_id } = message {
                    self.me = peer_id;
                }
                self.sent.push(message);
            }
            Err(error) => assert_eq!(error.to_string(), "", "a server refuses {text}"),
        }
    }

    fn perform(&mut self, command: Command) {
        assert!(!matches!(command, Command::SendSignal { .. }), "signals are the session's");
        self.driver.perform(&command);
        if let Command::AddIceCandidates { candidates, .. } = command {
            self.added.extend(candidates);
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::SignallingChanged(state) => {
                assert_ne!(state, self.signalling, "no change of signalling");
                self.signalling = state;
            }
            Event::Ended(_) => {
                assert!(!self.ended, "ended twice");
                self.ended = true;
            }
            Event::Mesh(mesh::Event::RemoteTrackAdded { peer, pc }) => {
                self.driver.on_track(pc, peer);
            }
            Event::Entered { .. }
            | Event::SeatToken(_)
            | Event::IceServers(_)
            | Event::ParticipantChanged(_)
            | Event::StripChanged { .. }
            | Event::EngineChanged
            | Event::Recordings { .. }
            | Event::ParticipantLeft { .. }
            | Event::Invite { .. }
            | Event::Refused { .. }
            | Event::Mesh(
                mesh::Event::ConnectionStateChanged { .. }
                | mesh::Event::ConnectionFailed { .. }
                | mesh::Event::QualityChanged { .. },
            ) => {}
        }
    }
}
