//! What a driver tells the session.

use openstudio_mesh as mesh;
use openstudio_units::{Role, RoomId};
use openstudio_wire::{DisplayName, Token};

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
    /// The person wants to be called something else.
    Rename(DisplayName),
    /// An invite link is wanted.
    RequestInvite(Role),
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
