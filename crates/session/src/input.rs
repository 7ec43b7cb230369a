//! What a driver tells the session.

use openstudio_mesh as mesh;
use openstudio_units::{PeerId, Role, RoomId};
use openstudio_wire::{ClientMessage, DisplayName, Line, StripChange, Token};

use crate::output::SocketId;

/// One thing that happened, or that the person wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// *Start session*: make a room and be its host.
    Start {
        /// What the person is called.
        name: Option<DisplayName>,
    },
    /// *Join session*.
    Join {
        /// Which room.
        room: RoomId,
        /// The invitation of the link, if it has one.
        invite: Option<Token>,
        /// What the person is called.
        name: Option<DisplayName>,
    },
    /// Take a seat again whose token was kept (a reloaded page, another tab).
    Resume {
        /// The kept token.
        token: Token,
    },
    /// *Leave*.
    Leave,
    /// *End session*; hosts only.
    EndRoom,
    /// *Mute myself* pressed or released.
    SetMuted(bool),
    /// A microphone was granted or lost.
    SetMicrophone(bool),
    /// A control of the desk was moved; hosts and ops only.
    SetStrip {
        /// Whose strip.
        peer: PeerId,
        /// What is to be different.
        change: StripChange,
    },
    /// The person wants to be called something else.
    Rename(DisplayName),
    /// An invite link is wanted.
    RequestInvite(Role),
    /// The studio's engine is to do something; hosts and ops only.
    Order(Order),
    /// The socket that [`Output::OpenSocket`](crate::Output::OpenSocket) asked for is open.
    SocketOpened(SocketId),
    /// A text message arrived.
    MessageReceived {
        /// On which socket.
        socket: SocketId,
        /// The text.
        text: String,
    },
    /// The socket closed, or could not be opened.
    SocketClosed {
        /// Which one.
        socket: SocketId,
        /// The code of the close frame, if there was one.
        code: Option<u16>,
    },
    /// The browser says that it is online again.
    Online,
    /// A fact or a completion for the connection manager. Only what belongs to peer
    /// connections, *Retry* and the network; people and signals are the session's.
    Mesh(mesh::Input),
}

/// What a host wants of the studio's engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// *Record*, or stop.
    Record(bool),
    /// *Go on air*, or stop.
    Air {
        /// Whether to send.
        on: bool,
        /// What listeners read; none leaves it.
        title: Option<Line>,
    },
    /// *Mark*: note this moment.
    Mark(Line),
    /// *Recordings*: which there are.
    ListRecordings,
    /// *Delete* a recording; hosts only.
    DeleteRecording(String),
}

impl Order {
    pub(crate) fn into_message(self) -> ClientMessage {
        match self {
            Self::Record(on) => ClientMessage::Record { on },
            Self::Air { on, title } => ClientMessage::Air { on, title },
            Self::Mark(text) => ClientMessage::Mark { text },
            Self::ListRecordings => ClientMessage::ListRecordings,
            Self::DeleteRecording(id) => ClientMessage::DeleteRecording { id },
        }
    }
}
