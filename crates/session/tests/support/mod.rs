//! A session with a server that says what the test wants it to say.
#![allow(dead_code, reason = "each test file uses its part of it")]
#![allow(unreachable_pub, reason = "shared by the test files")]

use std::time::Duration;

use openstudio_session::mesh::Command;
use openstudio_session::wire::{
    ClientMessage, DisplayName, ErrorCode, IceConfig, Participant, SeatGrant, ServerMessage, Strip,
    Token,
};
use openstudio_session::{
    EndReason, Event, Input, Output, Session, SessionConfig, SignallingState, SocketId,
};
use openstudio_units::{Incarnation, PeerId, Role, RoomId, Seed, Timestamp};

pub struct Client {
    pub session: Session,
    pub now: Timestamp,
    pub socket: Option<SocketId>,
    pub sent: Vec<ClientMessage>,
    pub commands: Vec<Command>,
    pub events: Vec<Event>,
    pub closed: Vec<SocketId>,
}

pub fn room() -> RoomId {
    RoomId::from_random_bytes([9; 16])
}

pub fn peer(n: u8) -> PeerId {
    PeerId::from_random_bytes([n; 16])
}

pub fn seat(n: u8) -> Participant {
    Participant {
        peer_id: peer(n),
        role: Role::Caller,
        name: DisplayName::new(&format!("Caller {n}")).ok(),
        incarnation: Incarnation(u32::from(n)),
        present: true,
        muted: false,
        microphone: true,
        strip: Strip::default(),
    }
}

pub fn grant(role: Role, token: &str) -> SeatGrant {
    SeatGrant {
        role,
        token: Token(token.to_owned()),
        incarnation: Incarnation(1),
        ice: IceConfig::default(),
    }
}

impl Client {
    pub fn new(input: Input) -> Self {
        let now = Timestamp::from_millis(5);
        let session = Session::new(SessionConfig::default(), Seed::from_number(4), now);
        let mut client = Self {
            session,
            now,
            socket: None,
            sent: Vec::new(),
            commands: Vec::new(),
            events: Vec::new(),
            closed: Vec::new(),
        };
        client.input(input);
        client
    }

    pub fn joining() -> Self {
        Self::new(Input::Join { room: room(), invite: None, name: DisplayName::new("Ada").ok() })
    }

    /// A client in the room with the given others.
    pub fn in_room(others: &[u8]) -> Self {
        let mut client = Self::joining();
        client.open();
        let me = client.registered();
        let mut participants: Vec<_> = others.iter().map(|n| seat(*n)).collect();
        participants.push(Participant { peer_id: me, microphone: false, ..seat(200) });
        client.says(ServerMessage::RoomJoined {
            room_id: room(),
            seat: grant(Role::Caller, "first"),
            seq: 10,
            participants,
        });
        client
    }

    pub fn registered(&self) -> PeerId {
        let id = self.sent.iter().find_map(|message| match message {
            ClientMessage::Register { peer_id } => Some(*peer_id),
            _ => None,
        });
        id.unwrap()
    }

    pub fn input(&mut self, input: Input) {
        self.session.handle_input(self.now, input);
        self.drain();
    }

    pub fn open(&mut self) {
        let socket = self.socket.unwrap();
        self.input(Input::SocketOpened(socket));
    }

    pub fn says(&mut self, message: ServerMessage) {
        let (socket, text) = (self.socket.unwrap(), message.to_json());
        self.input(Input::MessageReceived { socket, text });
    }

    pub fn refuses(&mut self, code: ErrorCode) {
        let message = "no".to_owned();
        self.says(ServerMessage::Error { code, message, request: None, to: None });
    }

    pub fn loses_socket(&mut self, code: Option<u16>) {
        let socket = self.socket.take().unwrap();
        self.input(Input::SocketClosed { socket, code });
    }

    /// Goes to the next deadline.
    pub fn wait(&mut self) -> Duration {
        let due = self.session.poll_timeout().unwrap();
        let waited = due.at.since(self.now);
        self.now = self.now.max(due.at);
        self.session.handle_timeout(self.now);
        self.drain();
        waited
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::OpenSocket(socket) => self.socket = Some(socket),
                Output::CloseSocket(socket) => self.closed.push(socket),
                Output::SendText { socket, text } => {
                    assert_eq!(Some(socket), self.socket, "sent on a socket that is gone");
                    self.sent.push(ClientMessage::parse(&text).unwrap());
                }
                Output::Mesh(command) => {
                    assert!(!matches!(command, Command::SendSignal { .. }));
                    self.commands.push(command);
                }
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    pub fn take_sent(&mut self) -> Vec<&'static str> {
        self.sent.drain(..).map(|message| message.kind()).collect()
    }

    pub fn end_reason(&self) -> Option<&EndReason> {
        self.events.iter().find_map(|event| match event {
            Event::Ended(reason) => Some(reason),
            _ => None,
        })
    }

    pub fn signalling(&self) -> Option<SignallingState> {
        self.events.iter().rev().find_map(|event| match event {
            Event::SignallingChanged(state) => Some(*state),
            _ => None,
        })
    }
}
