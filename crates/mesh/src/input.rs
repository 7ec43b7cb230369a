//! What a driver tells the mesh: facts in the past tense, completions of commands, and
//! wishes of the person in front of it.

use std::time::Duration;

use openstudio_units::{Incarnation, PeerId, Role};

use crate::output::{OpId, PcId};
use crate::signal::{IceCandidate, Signal};

/// What the room says about another participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerInfo {
    /// Decides the order of set-up: hosts first.
    pub role: Role,
    /// A risen one replaces the link at once.
    pub incarnation: Incarnation,
    /// Whether signals can reach the peer.
    pub present: bool,
    /// Whether the peer has a microphone, and so must be heard to send packets, muted or not.
    pub sends_audio: bool,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A participant is in the room, or something about them is different. Idempotent.
    PeerSeen {
        /// Who.
        peer: PeerId,
        /// What is known about them.
        info: PeerInfo,
    },
    /// A participant left for good. Nothing of them stays behind.
    PeerLeft {
        /// Who.
        peer: PeerId,
    },
    /// A message of the counterpart arrived.
    SignalReceived {
        /// Who sent it, by the server's word.
        from: PeerId,
        /// What it says.
        signal: Signal,
    },
    /// Signalling came up or went down on this side.
    SignallingChanged {
        /// Whether signals can be sent.
        up: bool,
    },
    /// A command came to its end.
    Completed {
        /// Which one.
        op: OpId,
        /// How.
        result: Result<Completion, OpError>,
    },
    /// `negotiationneeded` fired.
    NegotiationNeeded {
        /// Where.
        pc: PcId,
    },
    /// `icecandidate` fired. `None` is the end of candidates.
    LocalCandidateGathered {
        /// Where.
        pc: PcId,
        /// The candidate.
        candidate: Option<IceCandidate>,
    },
    /// `connectionstatechange` fired.
    ConnectionStateChanged {
        /// Where.
        pc: PcId,
        /// `RTCPeerConnection.connectionState`.
        state: PeerConnectionState,
    },
    /// `track` fired.
    RemoteTrackAdded {
        /// Where.
        pc: PcId,
    },
    /// This side's seat has another incarnation: it was given up by the room meanwhile,
    /// and everybody closed their links to it.
    IncarnationChanged {
        /// The present one.
        incarnation: Incarnation,
    },
    /// The person pressed *Retry* for one participant.
    RetryRequested {
        /// For whom.
        peer: PeerId,
    },
    /// The network is back with the addresses that it had, or another way through it was found:
    /// what is unfinished begins anew.
    NetworkOnline,
    /// The machine's addresses changed, or may have: every connection may use a dead one.
    NetworkChanged,
    /// Something that packets may go through has ended, or may have: the relay in a server that was
    /// started again, the network of before. Each connection is looked at closely, and one by
    /// which nothing comes begins anew at once.
    PathsInDoubt,
    /// The ICE servers for peer connections made from here on.
    IceServersChanged {
        /// Whether there is a relay among them.
        has_relay: bool,
    },
    /// Closes the connection to one participant, who stays in the room.
    CloseConnection {
        /// To whom.
        peer: PeerId,
    },
    /// Closes all connections and forgets everybody.
    CloseAll,
}

/// `RTCPeerConnectionState` (webrtc-pc §4.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerConnectionState {
    /// Nothing has begun, or nothing is left to do.
    New,
    /// ICE or DTLS is under way.
    Connecting,
    /// Media can flow.
    Connected,
    /// Media may not flow at the moment; it may come back by itself.
    Disconnected,
    /// It will not come back by itself.
    Failed,
    /// It was closed.
    Closed,
}

/// `RTCSdpType`, as far as it is used: rollback is implicit, provisional answers are not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DescriptionKind {
    /// To be answered.
    Offer,
    /// Answers an offer.
    Answer,
}

/// What a command gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Completion {
    /// It is done, and gave nothing.
    Done,
    /// [`Command::SetLocalDescription`](crate::Command::SetLocalDescription) is done.
    LocalDescriptionSet {
        /// Which kind the signalling state called for.
        kind: DescriptionKind,
        /// `RTCPeerConnection.localDescription.sdp`.
        sdp: String,
    },
    /// [`Command::AddIceCandidates`](crate::Command::AddIceCandidates) is done.
    CandidatesAdded {
        /// How many were refused. That may be harmless: an address family that is not there.
        refused: u32,
    },
    /// [`Command::SampleStats`](crate::Command::SampleStats) is done.
    Stats(StatsSample),
}

/// A command that failed. The text is for logs and for the screen's details.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OpError(pub String);

/// One look at a connection.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StatsSample {
    /// A number that is different whenever audio packets arrived since the last sample:
    /// a packet count, or the RTP time of the newest.
    pub inbound_progress: u64,
    /// Round-trip time of the selected candidate pair, where known.
    pub round_trip: Option<Duration>,
    /// Share of inbound packets lost since the last detailed sample, 0 to 1, where known.
    pub inbound_loss: Option<f64>,
    /// Share of what was sent that the other side missed, 0 to 1, by its newest receiver report
    /// (RFC 3550 §6.4.1); none without a new one since the last detailed sample.
    pub outbound_loss: Option<f64>,
}
