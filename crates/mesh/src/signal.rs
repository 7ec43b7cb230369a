//! What two links say to each other, whatever carries it.
//!
//! Delivery may be at most once and is in order per sender; every message names its
//! generation, so that those of an old one are recognised.

use openstudio_units::{Generation, OfferId};

/// An ICE candidate, as `RTCIceCandidateInit` (webrtc-pc §4.8.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IceCandidate {
    /// The candidate line.
    pub candidate: String,
    /// The media section's identification tag.
    pub sdp_mid: Option<String>,
    /// The media section's index.
    pub sdp_m_line_index: Option<u16>,
    /// The ICE user name fragment.
    pub username_fragment: Option<String>,
}

/// What kind of offer the polite side asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OfferKind {
    /// The first offer of the generation, or the outstanding one again.
    Any,
    /// An ICE restart within the generation.
    IceRestart,
}

/// A message from one link to its counterpart.
///
/// `generation` and `offer` are `None` where the counterpart does not count them;
/// such a message is taken to belong to the present round.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// A description to answer.
    Offer {
        /// The sender's generation.
        generation: Option<Generation>,
        /// This offer's id.
        offer: Option<OfferId>,
        /// The description.
        sdp: String,
    },
    /// The answer to an offer.
    Answer {
        /// The generation of the offer.
        generation: Option<Generation>,
        /// The id of the offer.
        offer: Option<OfferId>,
        /// The description.
        sdp: String,
    },
    /// Candidates gathered in one round.
    Candidates {
        /// The sender's generation.
        generation: Option<Generation>,
        /// The round in which they were gathered.
        offer: Option<OfferId>,
        /// The candidates, oldest first.
        candidates: Vec<IceCandidate>,
    },
    /// The polite side wants an offer.
    RequestOffer {
        /// The lowest generation that it will accept.
        generation: Generation,
        /// What kind of offer.
        kind: OfferKind,
        /// Whether the peer connection is to use relayed candidates only.
        relay_only: bool,
    },
    /// The receiver's generation is behind.
    Stale {
        /// The sender's generation.
        generation: Generation,
    },
}
