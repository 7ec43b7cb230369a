//! The parts that messages are made of.

use std::fmt;

use openstudio_units::{Generation, Incarnation, OfferId, PeerId, Role};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits;
use crate::strip::Strip;

/// A name that cannot be shown. Choose another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing is left after trimming.
    #[error("invalid name: it is empty")]
    Empty,
    /// More than [`limits::MAX_NAME_CHARS`].
    #[error("invalid name: it has more than {} characters", limits::MAX_NAME_CHARS)]
    TooLong,
    /// It holds control or text-direction characters, which could disguise it.
    #[error("invalid name: it holds characters that cannot be shown")]
    NotPrintable,
}

/// What a participant is called on everybody's screen. Any printable text; it is
/// text, never markup, wherever it is shown.
///
/// # Units and range
/// 1 to [`limits::MAX_NAME_CHARS`] characters, trimmed, runs of white space folded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DisplayName(String);

impl DisplayName {
    /// Makes a name of what a person typed.
    ///
    /// # Errors
    /// See [`NameError`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        printable(text, limits::MAX_NAME_CHARS).map(Self)
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DisplayName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<DisplayName> for String {
    fn from(name: DisplayName) -> Self {
        name.0
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One line for people: a note, a title. Trimmed, not empty, without control characters and
/// at most [`limits::MAX_LINE_CHARS`] long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Line(String);

impl Line {
    /// Makes a line of what a person typed.
    ///
    /// # Errors
    /// See [`NameError`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        printable(text, limits::MAX_LINE_CHARS).map(Self)
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Line {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<Line> for String {
    fn from(line: Line) -> Self {
        line.0
    }
}

/// Folds white space, and refuses what cannot be seen or pretends to be something else.
fn printable(text: &str, limit: usize) -> Result<String, NameError> {
    let folded = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if folded.is_empty() {
        return Err(NameError::Empty);
    }
    if folded.chars().count() > limit {
        return Err(NameError::TooLong);
    }
    let disguise = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if folded.chars().any(disguise) {
        return Err(NameError::NotPrintable);
    }
    Ok(folded)
}

/// A signed token as text. Opaque to clients; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} bytes)", self.0.len())
    }
}

/// A session description on its way from one peer to another. Which of the two
/// kinds it is, `offer` or `answer`, is the message's `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// The sender's own id.
    pub from: PeerId,
    /// The peer it is for.
    pub to: PeerId,
    /// The description as `RTCSessionDescription.sdp` has it.
    pub sdp: String,
    /// The sender's generation for this pair. Clients that do not count leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// The offer's id, or the id of the offer that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer_id: Option<OfferId>,
}

/// An ICE candidate, as `RTCIceCandidate.toJSON()` gives it (webrtc-pc §4.8.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The candidate line; empty for the end of candidates.
    pub candidate: String,
    /// The media section's identification tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdp_mid: Option<String>,
    /// The media section's index.
    #[serde(default, rename = "sdpMLineIndex", skip_serializing_if = "Option::is_none")]
    pub sdp_m_line_index: Option<u16>,
    /// The ICE user name fragment of the candidate's generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_fragment: Option<String>,
}

/// One candidate on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CandidateMessage {
    /// The sender's own id.
    pub from: PeerId,
    /// The peer it is for.
    pub to: PeerId,
    /// The candidate.
    pub candidate: Candidate,
    /// The sender's generation for this pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// The offer of the round in which it was gathered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer_id: Option<OfferId>,
}

/// Several candidates of one round on their way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CandidateBatch {
    /// The sender's own id.
    pub from: PeerId,
    /// The peer they are for.
    pub to: PeerId,
    /// The candidates, in the order in which they were gathered.
    pub candidates: Vec<Candidate>,
    /// The sender's generation for this pair.
    pub generation: Generation,
    /// The offer of the round in which they were gathered.
    pub offer_id: OfferId,
}

/// What kind of offer the polite side asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OfferRequestKind {
    /// Any offer of that generation: the first one, or the outstanding one again.
    Offer,
    /// An ICE restart within that generation.
    IceRestart,
}

/// The polite side's wish for an offer: it never makes the first one itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OfferRequest {
    /// The sender's own id.
    pub from: PeerId,
    /// The peer that is to make the offer.
    pub to: PeerId,
    /// The lowest generation that the asker will accept.
    pub generation: Generation,
    /// What it asks for.
    pub kind: OfferRequestKind,
    /// Whether the asker wants relayed candidates only.
    #[serde(default)]
    pub relay_only: bool,
}

/// Tells a peer that its generation is behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StaleNotice {
    /// The sender's own id.
    pub from: PeerId,
    /// The peer that is behind.
    pub to: PeerId,
    /// The sender's generation.
    pub generation: Generation,
}

/// One seat of a room, as everybody in it sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    /// Whose seat it is.
    pub peer_id: PeerId,
    /// What they may do.
    pub role: Role,
    /// What they are called; older clients have no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<DisplayName>,
    /// Rises when the page behind the seat is a new one.
    #[serde(default)]
    pub incarnation: Incarnation,
    /// Whether the signalling socket is there; `false` while the seat is kept for
    /// its owner's return.
    #[serde(default = "yes")]
    pub present: bool,
    /// Whether they muted themselves.
    #[serde(default)]
    pub muted: bool,
    /// Whether they have a microphone (muted or not), and so send audio packets.
    #[serde(default)]
    pub microphone: bool,
    /// How the desk treats them.
    #[serde(default, skip_serializing_if = "Strip::is_untouched")]
    pub strip: Strip,
}

fn yes() -> bool {
    true
}

/// Why somebody is no longer in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaveReason {
    /// They left on purpose.
    Left,
    /// Their socket closed and did not come back within the grace period.
    TimedOut,
}

/// STUN and TURN servers for a participant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IceConfig {
    /// STUN URLs.
    pub stun: StunUrls,
    /// TURN servers with credentials.
    pub turn: Vec<IceServer>,
}

/// A list of STUN URLs.
pub type StunUrls = Vec<String>;

/// One TURN server, as `RTCIceServer` (webrtc-pc §4.2.2).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// `turn:` and `turns:` URLs.
    pub urls: Vec<String>,
    /// The user name.
    pub username: String,
    /// The password.
    pub credential: String,
}

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer").field("urls", &self.urls).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_name_is_trimmed_and_folded() {
        assert_eq!(DisplayName::new("  Ada \t Lovelace ").unwrap().as_str(), "Ada Lovelace");
        assert_eq!(DisplayName::new("<b>Ö 🎙</b>").unwrap().as_str(), "<b>Ö 🎙</b>");
    }

    #[test]
    fn a_name_that_cannot_be_shown_is_refused() {
        assert_eq!(DisplayName::new(" \n"), Err(NameError::Empty));
        assert_eq!(DisplayName::new(&"x".repeat(65)), Err(NameError::TooLong));
        assert_eq!(DisplayName::new("a\u{7}b"), Err(NameError::NotPrintable));
        assert_eq!(DisplayName::new("tsoh\u{202e}"), Err(NameError::NotPrintable));
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let server = IceServer {
            urls: vec!["turn:example.org".into()],
            username: "u".into(),
            credential: "hunter2".into(),
        };
        let shown = format!("{server:?} {:?}", Token("hunter2".into()));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
