//! What the session asks of a driver and tells the application.

use openstudio_mesh as mesh;
use openstudio_units::{PeerId, Role, RoomId};
use openstudio_wire::{ErrorCode, IceConfig, LeaveReason, Participant, RecordingSummary, Token};

/// One attempt at a socket. Never used twice by one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// The next thing to do or to know.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Open a WebSocket to the server. Ends in
    /// [`Input::SocketOpened`](crate::Input::SocketOpened) or
    /// [`Input::SocketClosed`](crate::Input::SocketClosed).
    OpenSocket(SocketId),
    /// Send a text message.
    SendText {
        /// On which socket.
        socket: SocketId,
        /// The text.
        text: String,
    },
    /// Close a socket and forget it.
    CloseSocket(SocketId),
    /// Do what the connection manager says. Never
    /// [`mesh::Command::SendSignal`]: the session sends those itself.
    Mesh(mesh::Command),
    /// Know this.
    Event(Event),
}

/// How the way to the server stands. Says nothing about audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignallingState {
    /// No session.
    Idle,
    /// The first socket is being opened, or the seat is being asked for.
    Connecting,
    /// The seat is there.
    Ready,
    /// The socket is gone; the seat is being resumed.
    Reconnecting,
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// The person left.
    Left,
    /// A host ended the session.
    RoomEnded,
    /// Another tab or device has the seat.
    TakenOver,
    /// The server refused the seat, for good.
    Refused {
        /// Why, for machines.
        code: ErrorCode,
        /// Why, for people.
        message: String,
    },
}

/// Something to know.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The way to the server changed.
    SignallingChanged(SignallingState),
    /// The seat is there, for the first time or again.
    Entered {
        /// The room.
        room: RoomId,
        /// This participant's id.
        me: PeerId,
        /// What this participant may do.
        role: Role,
    },
    /// Keep this token for a reload. Replaces the one before.
    SeatToken(Token),
    /// Use these servers for peer connections made from here on, and for ICE restarts of those
    /// that there are (`setConfiguration()`). Their credentials are newer.
    IceServers(IceConfig),
    /// Somebody (perhaps this participant) is in the room, or is different.
    ParticipantChanged(Participant),
    /// The desk treats somebody in another way, or is to:
    /// [`Session::strip`](crate::Session::strip) tells how. Not emitted for what comes with
    /// [`Event::ParticipantChanged`].
    StripChanged {
        /// Whose strip.
        peer: PeerId,
    },
    /// Somebody is no longer in the room.
    ParticipantLeft {
        /// Who.
        peer: PeerId,
        /// Why.
        reason: LeaveReason,
    },
    /// The invitation that was asked for.
    Invite {
        /// What the invited may do.
        role: Role,
        /// For the link.
        token: Token,
    },
    /// The studio's engine does something else:
    /// [`Session::engine`](crate::Session::engine) tells what.
    EngineChanged,
    /// The room's recordings, which were asked for.
    Recordings {
        /// Newest first.
        recordings: Vec<RecordingSummary>,
        /// Lets a browser download them, for a while.
        token: Token,
    },
    /// The server refused something; the session goes on.
    Refused {
        /// Why, for machines.
        code: ErrorCode,
        /// Why, for people.
        message: String,
    },
    /// What the connection manager tells.
    Mesh(mesh::Event),
    /// The session is over.
    Ended(EndReason),
}
