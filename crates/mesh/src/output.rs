//! What the mesh asks of a driver (commands) and tells the application (events).

use std::fmt;
use std::hash::{Hash, Hasher};

use openstudio_units::{Generation, PeerId};

use crate::input::{DescriptionKind, OpError};
use crate::signal::{IceCandidate, Signal};

/// One asynchronous operation. Never used twice by one mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpId(pub u64);

impl Hash for OpId {
    /// A name decides nothing by its value: states that differ in names alone are one.
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// One peer connection. Never used twice by one mesh, so that what a closed one still
/// reports is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PcId(pub u64);

impl Hash for PcId {
    /// A name decides nothing by its value: states that differ in names alone are one.
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// The next thing to do or to know.
#[derive(Debug, Clone, PartialEq, Hash)]
pub enum Output {
    /// Do this.
    Command(Command),
    /// Know this.
    Event(Event),
}

/// Something for the driver to do. Of one peer connection, one operation at a time is
/// given out; those of different peer connections never wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Command {
    /// Make a peer connection.
    CreatePeerConnection {
        /// Completes with [`Completion::Done`](crate::Completion::Done).
        op: OpId,
        /// Its name from here on.
        pc: PcId,
        /// To whom.
        peer: PeerId,
        /// For the debug panel.
        generation: Generation,
        /// Whether this side makes the first offer, and so adds the transceivers.
        offers: bool,
        /// `iceTransportPolicy: "relay"`.
        relay_only: bool,
    },
    /// Close a peer connection and forget it. Has no completion.
    ClosePeerConnection {
        /// Which one.
        pc: PcId,
    },
    /// `setLocalDescription()` without an argument.
    SetLocalDescription {
        /// Completes with [`Completion::LocalDescriptionSet`](crate::Completion::LocalDescriptionSet).
        op: OpId,
        /// Where.
        pc: PcId,
    },
    /// `setRemoteDescription(…)`.
    SetRemoteDescription {
        /// Completes with [`Completion::Done`](crate::Completion::Done).
        op: OpId,
        /// Where.
        pc: PcId,
        /// Which kind.
        kind: DescriptionKind,
        /// The description.
        sdp: String,
    },
    /// `addIceCandidate(…)` for each, in order; none waits for the one before.
    AddIceCandidates {
        /// Completes with [`Completion::CandidatesAdded`](crate::Completion::CandidatesAdded)
        /// when all calls have ended.
        op: OpId,
        /// Where.
        pc: PcId,
        /// The candidates; at least one.
        candidates: Vec<IceCandidate>,
    },
    /// `restartIce()`. Has no completion: [`Input::NegotiationNeeded`](crate::Input) follows.
    RestartIce {
        /// Where.
        pc: PcId,
    },
    /// Send earlier packets again with each packet (RFC 2198), or no longer; off at first. Has
    /// no completion. Where that takes another round, [`Input::NegotiationNeeded`](crate::Input)
    /// follows; where the two sides have nothing in common for it, nothing does.
    SetRedundancy {
        /// Where.
        pc: PcId,
        /// Whether.
        on: bool,
    },
    /// Look at the connection.
    SampleStats {
        /// Completes with [`Completion::Stats`](crate::Completion::Stats).
        op: OpId,
        /// Where.
        pc: PcId,
        /// Whether round trip and loss are wanted, which cost more than progress alone.
        detailed: bool,
    },
    /// Send a message to the counterpart. Has no completion; it may be lost.
    SendSignal {
        /// To whom.
        to: PeerId,
        /// What.
        signal: Signal,
    },
}

/// The state of a link, as everybody may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionState {
    /// No media flows, and for the moment nothing is tried: it may come back by itself, or
    /// the peer is away, or the connection was closed on purpose.
    Disconnected,
    /// Its turn has not come: queued for set-up, or waiting for the peer's offer.
    Waiting,
    /// Negotiation, ICE or DTLS is under way, or an attempt to recover.
    Connecting,
    /// Media can flow.
    Connected,
    /// An attempt failed; another will follow.
    Failed,
    /// All attempts failed. See [`Event::ConnectionFailed`] for what ends this.
    FailedPermanent,
}

impl ConnectionState {
    /// Returns the name in logs and in the debug panel.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Waiting => "waiting",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Failed => "failed",
            Self::FailedPermanent => "failed-permanent",
        }
    }
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with a link.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// The peer connection is `disconnected`.
    IceDisconnected,
    /// The peer connection is `failed`.
    IceFailed,
    /// The peer has a microphone, but nothing of it arrives.
    NoInboundAudio,
    /// The peer made no offer, though asked.
    NoOffer,
    /// The peer answered no offer, though it was sent twice.
    NoAnswer,
    /// Descriptions are exchanged, but ICE has not begun.
    IceStuck,
    /// ICE or DTLS did not come to an end in time.
    ConnectTimeout,
    /// An operation failed.
    OperationFailed(OpError),
    /// An operation never came to its end.
    OperationTimeout,
    /// The network changed under the connection.
    NetworkChanged,
}

impl fmt::Display for Trouble {
    /// Writes a sentence for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IceDisconnected => f.write_str("The audio connection was interrupted."),
            Self::IceFailed => f.write_str("No network path between the two of you works."),
            Self::NoInboundAudio => f.write_str("The connection stands, but no audio arrives."),
            Self::NoOffer => f.write_str("Their browser does not begin a connection."),
            Self::NoAnswer => f.write_str("Their browser does not answer."),
            Self::IceStuck => f.write_str("The browser did not start connecting."),
            Self::ConnectTimeout => f.write_str("No network path was found in time."),
            Self::OperationFailed(OpError(text)) => {
                write!(f, "The browser refused a step: {text}")
            }
            Self::OperationTimeout => f.write_str("The browser did not finish a step."),
            Self::NetworkChanged => f.write_str("The network changed."),
        }
    }
}

/// How good a connected link is, with hysteresis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HealthLevel {
    /// Nothing to hear of any trouble.
    Good,
    /// Some loss or delay.
    Degraded,
    /// Much loss or delay.
    Poor,
    /// Packets are expected, and none arrive.
    Lost,
}

/// Something to know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// A link's public state is another one. Not emitted when a link ends by
    /// [`Input::PeerLeft`](crate::Input) or [`Input::CloseAll`](crate::Input).
    ConnectionStateChanged {
        /// Whose link.
        peer: PeerId,
        /// The state before.
        from: ConnectionState,
        /// The state from here on.
        to: ConnectionState,
        /// What is wrong, if anything is.
        trouble: Option<Trouble>,
    },
    /// All attempts failed. Ends by *Retry*, `online`, the peer's rejoining, an offer of
    /// the peer, or new ICE servers.
    ConnectionFailed {
        /// Whose link.
        peer: PeerId,
        /// The last trouble.
        trouble: Trouble,
    },
    /// The peer's audio track is there. Emitted once for every peer connection.
    RemoteTrackAdded {
        /// Whose.
        peer: PeerId,
        /// On which peer connection.
        pc: PcId,
    },
    /// The quality of a link is another one.
    QualityChanged {
        /// Whose link.
        peer: PeerId,
        /// How good it is.
        level: HealthLevel,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn each_trouble_is_told_in_a_sentence_of_its_own() {
        let troubles = [
            Trouble::IceDisconnected,
            Trouble::IceFailed,
            Trouble::NoInboundAudio,
            Trouble::NoOffer,
            Trouble::NoAnswer,
            Trouble::IceStuck,
            Trouble::ConnectTimeout,
            Trouble::OperationTimeout,
            Trouble::NetworkChanged,
        ];
        let sentences: BTreeSet<String> = troubles.iter().map(Trouble::to_string).collect();
        assert_eq!(sentences.len(), troubles.len());
        assert!(sentences.iter().all(|sentence| sentence.ends_with('.')));
        let refused = Trouble::OperationFailed(OpError("OperationError".to_owned()));
        assert!(refused.to_string().contains("OperationError"), "it says what the browser said");
    }

    #[test]
    fn a_state_is_written_as_it_is_named() {
        assert_eq!(ConnectionState::FailedPermanent.to_string(), "failed-permanent");
    }
}
