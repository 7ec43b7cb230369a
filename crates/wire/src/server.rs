//! What the server sends.

use openstudio_units::{Incarnation, PeerId, Role, RoomId};
use serde::{Deserialize, Serialize};

use crate::engine::{EngineState, RecordingSummary};
use crate::error::ErrorCode;
use crate::fields::{
    CandidateBatch, CandidateMessage, Description, IceConfig, LeaveReason, OfferRequest,
    Participant, StaleNotice, Token,
};
use crate::strip::NamedStrip;

/// What a participant gets together with a seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeatGrant {
    /// What the participant may do.
    pub role: Role,
    /// Proves the seat in a later `resume`. The newest one replaces older ones.
    pub token: Token,
    /// The seat's incarnation.
    pub incarnation: Incarnation,
    /// STUN and TURN servers.
    pub ice: IceConfig,
}

/// A message from the server to a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ServerMessage {
    /// Greets each new socket.
    Welcome {
        /// [`crate::PROTOCOL_VERSION`] of the server.
        protocol: u32,
        /// The server's release.
        server: String,
        /// How long a seat is kept for a socket that closed, milliseconds.
        grace_ms: u64,
        /// How many first set-ups of peer connections a client should drive at once;
        /// none leaves it to the client.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        setups_in_flight: Option<u8>,
        /// Whether this server records and sends programmes out.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        engine: bool,
        /// As in [`ServerMessage::RetrySpread`]; none leaves it to the client.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_spread_ms: Option<u64>,
    },
    /// The socket's peer has its id.
    Registered {
        /// The id.
        peer_id: PeerId,
    },
    /// Answers a `ping`.
    Pong {
        /// Wall-clock time of the server, milliseconds since 1970.
        timestamp: u64,
    },
    /// The room is there and the receiver is its host.
    RoomCreated {
        /// The new room.
        room_id: RoomId,
        /// The receiver's id.
        host_id: PeerId,
        /// The receiver's seat.
        #[serde(flatten)]
        seat: SeatGrant,
        /// The room's sequence number.
        seq: u64,
        /// All seats, the receiver's too.
        participants: Vec<Participant>,
    },
    /// The receiver is in the room.
    RoomJoined {
        /// The room.
        room_id: RoomId,
        /// The receiver's seat.
        #[serde(flatten)]
        seat: SeatGrant,
        /// The room's sequence number.
        seq: u64,
        /// All seats, the receiver's too.
        participants: Vec<Participant>,
    },
    /// The receiver has its seat again. A `snapshot` follows at once.
    Resumed {
        /// The receiver's id.
        peer_id: PeerId,
        /// The room.
        room_id: RoomId,
        /// The receiver's seat.
        #[serde(flatten)]
        seat: SeatGrant,
    },
    /// A newer seat token, before the older one runs out.
    SeatToken {
        /// The token.
        token: Token,
    },
    /// Newer credentials for relays, before the older ones run out: new peer connections and
    /// ICE restarts use these. Connections that run go on with theirs.
    IceServers {
        /// STUN and TURN servers, in place of those that came before.
        ice: IceConfig,
    },
    /// All seats of the room at one sequence number.
    Snapshot {
        /// The room.
        room_id: RoomId,
        /// The room's sequence number.
        seq: u64,
        /// `false` while a restarted server still waits for seats to return: who is
        /// not listed may yet come, and must not be dropped.
        complete: bool,
        /// All seats, the receiver's too.
        participants: Vec<Participant>,
    },
    /// Somebody has a seat now.
    PeerJoined {
        /// The seat.
        #[serde(flatten)]
        participant: Participant,
        /// The room's sequence number.
        seq: u64,
    },
    /// Something about a seat is different: present, name, microphone, incarnation.
    PeerUpdated {
        /// The seat.
        #[serde(flatten)]
        participant: Participant,
        /// The room's sequence number.
        seq: u64,
    },
    /// Somebody's seat is gone.
    PeerLeft {
        /// Whose.
        peer_id: PeerId,
        /// Why.
        reason: LeaveReason,
        /// The room's sequence number.
        seq: u64,
    },
    /// An offer from another peer; `from` is the server's word.
    Offer(Description),
    /// An answer from another peer.
    Answer(Description),
    /// A candidate from another peer.
    IceCandidate(CandidateMessage),
    /// Candidates from another peer.
    IceCandidates(CandidateBatch),
    /// Another peer asks for an offer.
    RequestOffer(OfferRequest),
    /// Another peer says that the receiver's generation is behind.
    Stale(StaleNotice),
    /// A host changed how the desk treats a participant.
    Strip {
        /// Who did it.
        from: PeerId,
        /// Whose strip, and what it is like from here on.
        #[serde(flatten)]
        strip: NamedStrip,
        /// The room's sequence number.
        seq: u64,
    },
    /// A microphone was muted or unmuted. By somebody else than its owner: says the same as
    /// the `strip` before it, for clients without a desk.
    Mute {
        /// Who did it.
        from: PeerId,
        /// Whose microphone.
        peer_id: PeerId,
        /// Whether it is muted.
        muted: bool,
        /// The room's sequence number.
        seq: u64,
    },
    /// The invitation that was asked for.
    InviteToken {
        /// The invitation.
        invite_token: Token,
        /// The room it is for.
        room_id: RoomId,
        /// What the invited may do.
        role: Role,
    },
    /// What the studio's engine does for the room. Sent with each change, and once a second
    /// while it does something. Until then it does nothing.
    Engine {
        /// All of it.
        #[serde(flatten)]
        state: EngineState,
    },
    /// The room's recordings, newest first.
    Recordings {
        /// At most [`limits::MAX_RECORDINGS`](crate::limits::MAX_RECORDINGS).
        recordings: Vec<RecordingSummary>,
        /// Lets whoever has it download them, for a while.
        token: Token,
    },
    /// A host ended the session.
    RoomEnded {
        /// The room.
        room_id: RoomId,
    },
    /// The crowd on this server is another one: who loses the socket from here on comes back
    /// at a moment drawn evenly from so long a time, so that all do not come at once.
    RetrySpread {
        /// How long, milliseconds; 0 leaves it to the client.
        retry_spread_ms: u64,
    },
    /// The server is about to stop. Clients keep their media and resume.
    GoingAway {
        /// How long to wait before the first attempt to resume, milliseconds.
        retry_after_ms: u64,
    },
    /// Something was refused.
    Error {
        /// Why, for machines.
        code: ErrorCode,
        /// Why, for people.
        message: String,
        /// The `type` of the message that was refused, if it could be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<String>,
        /// The peer that the refused message was for, if it named one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<PeerId>,
    },
}

impl ServerMessage {
    /// Reads a message as a client does. Lenient about size, since the server is trusted
    /// with that, but never panics.
    ///
    /// # Errors
    /// The text is no message of this protocol version. Ignore it.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Returns the message as JSON text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Why the server closed a socket (RFC 6455 §7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// The server stops. Resume.
    GoingAway,
    /// The socket broke the rules again and again. Do not come back unchanged.
    Policy,
    /// A newer socket has the seat. Do not resume by yourself.
    TakenOver,
    /// The session ended. Do not resume.
    RoomEnded,
    /// The server had no room in its queue for this socket. Resume.
    TooSlow,
}

impl CloseCode {
    /// Returns the number in the close frame.
    pub fn as_u16(self) -> u16 {
        match self {
            Self::GoingAway => 1001,
            Self::Policy => 1008,
            Self::TooSlow => 1013,
            Self::TakenOver => 4001,
            Self::RoomEnded => 4002,
        }
    }

    /// Reads the number of a close frame; `None` for those that are not ours.
    pub fn from_u16(code: u16) -> Option<Self> {
        [Self::GoingAway, Self::Policy, Self::TooSlow, Self::TakenOver, Self::RoomEnded]
            .into_iter()
            .find(|known| known.as_u16() == code)
    }

    /// Returns the reason text of the close frame.
    pub fn reason(self) -> &'static str {
        match self {
            Self::GoingAway => "server stops",
            Self::Policy => "too many errors",
            Self::TooSlow => "too slow",
            Self::TakenOver => "taken over",
            Self::RoomEnded => "room ended",
        }
    }
}
