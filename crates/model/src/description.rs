//! Session descriptions, reduced to what decides whether two ends fit.
//!
//! Its text has three kinds of lines, of which the second is as in SDP (RFC 8839 §5.4). The
//! third may end with the stream (`a=msid` of RFC 8830), or `-` where there is none:
//!
//! ```text
//! offer
//! a=ice-ufrag:3.1
//! m=0 audio sendrecv 7
//! ```

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::transceiver::{Kind, StreamId};

/// `RTCSdpType` (webrtc-pc §4.6.1), without provisional answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SdpType {
    /// To be answered.
    Offer,
    /// Answers an offer.
    Answer,
    /// Takes the pending description back.
    Rollback,
}

impl SdpType {
    /// Returns the name in the standard.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Answer => "answer",
            Self::Rollback => "rollback",
        }
    }
}

/// ICE user name fragment and password, as one: whose they are, and which of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credentials {
    /// The name of the peer connection that made them.
    pub owner: u64,
    /// Rises with each pair that it makes.
    pub count: u32,
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.owner, self.count)
    }
}

impl FromStr for Credentials {
    type Err = DescriptionError;

    fn from_str(text: &str) -> Result<Self, DescriptionError> {
        let (owner, count) = text.split_once('.').ok_or(DescriptionError)?;
        let owner = owner.parse().map_err(|_| DescriptionError)?;
        let count = count.parse().map_err(|_| DescriptionError)?;
        Ok(Self { owner, count })
    }
}

/// `RTCRtpTransceiverDirection` (webrtc-pc §5.4.1), without `stopped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Both.
    Sendrecv,
    /// From here only.
    Sendonly,
    /// To here only.
    Recvonly,
    /// Neither.
    Inactive,
}

impl Direction {
    fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::Sendrecv,
            (true, false) => Self::Sendonly,
            (false, true) => Self::Recvonly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether media go out.
    pub fn sends(self) -> bool {
        matches!(self, Self::Sendrecv | Self::Sendonly)
    }

    /// Whether media come in.
    pub fn receives(self) -> bool {
        matches!(self, Self::Sendrecv | Self::Recvonly)
    }

    /// The same, seen from the other end.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// What both allow (RFC 9429 §5.3.1).
    #[must_use]
    pub fn intersected(self, other: Self) -> Self {
        Self::new(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// Returns the name in the standard.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sendrecv => "sendrecv",
            Self::Sendonly => "sendonly",
            Self::Recvonly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

impl FromStr for Direction {
    type Err = DescriptionError;

    fn from_str(text: &str) -> Result<Self, DescriptionError> {
        [Self::Sendrecv, Self::Sendonly, Self::Recvonly, Self::Inactive]
            .into_iter()
            .find(|direction| direction.as_str() == text)
            .ok_or(DescriptionError)
    }
}

/// The `a=msid` line of a media section (RFC 8830 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Msid {
    /// There is no line: nothing is, or ever was, to be sent.
    Absent,
    /// A track without a stream.
    NoStream,
    /// A track of this stream.
    Of(StreamId),
}

impl Msid {
    /// The line of a track of this stream, if of any.
    pub fn of(stream: Option<StreamId>) -> Self {
        stream.map_or(Self::NoStream, Self::Of)
    }

    /// The stream that it names.
    pub fn stream(self) -> Option<StreamId> {
        match self {
            Self::Of(stream) => Some(stream),
            Self::NoStream | Self::Absent => None,
        }
    }
}

/// One media section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Section {
    /// The media identification. Numbers only.
    pub mid: u32,
    /// What kind of media.
    pub kind: Kind,
    /// As its sender sees it.
    pub direction: Direction,
    /// Which stream its sender's track belongs to.
    pub msid: Msid,
}

/// An offer or an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Description {
    /// Offer, answer or rollback.
    pub kind: SdpType,
    /// The credentials of its sender.
    pub credentials: Credentials,
    /// The media sections in order.
    pub sections: Vec<Section>,
}

const UFRAG: &str = "a=ice-ufrag:";
const MEDIA: &str = "m=";

/// Text that is no description. A browser rejects it when it is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a session description")]
pub struct DescriptionError;

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{UFRAG}{}", self.kind.as_str(), self.credentials)?;
        for Section { mid, kind, direction, msid } in &self.sections {
            write!(f, "\n{MEDIA}{mid} {} {}", kind.as_str(), direction.as_str())?;
            match msid {
                Msid::Absent => {}
                Msid::NoStream => f.write_str(" -")?,
                Msid::Of(StreamId(id)) => write!(f, " {id}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Description {
    type Err = DescriptionError;

    fn from_str(text: &str) -> Result<Self, DescriptionError> {
        let mut lines = text.split('\n');
        let kind = match lines.next() {
            Some("offer") => SdpType::Offer,
            Some("answer") => SdpType::Answer,
            Some(_) | None => return Err(DescriptionError),
        };
        let ufrag = lines.next().and_then(|line| line.strip_prefix(UFRAG));
        let credentials = ufrag.ok_or(DescriptionError)?.parse()?;
        let sections = lines.map(section).collect::<Result<_, _>>()?;
        Ok(Self { kind, credentials, sections })
    }
}

fn section(line: &str) -> Result<Section, DescriptionError> {
    let mut parts = line.strip_prefix(MEDIA).ok_or(DescriptionError)?.split(' ');
    let mut next = || parts.next().ok_or(DescriptionError);
    let mid = next()?.parse().map_err(|_| DescriptionError)?;
    let kind = next()?.parse()?;
    let direction = next()?.parse()?;
    let msid = match next() {
        Err(DescriptionError) => Msid::Absent,
        Ok("-") => Msid::NoStream,
        Ok(id) => Msid::Of(StreamId(id.parse().map_err(|_| DescriptionError)?)),
    };
    Ok(Section { mid, kind, direction, msid })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_description_survives_text_and_garbage_is_refused() {
        let text = "offer\na=ice-ufrag:3.1\nm=0 audio sendrecv 7\nm=1 video inactive\nm=2 audio sendonly -";
        let description: Description = text.parse().unwrap();
        assert_eq!(description.to_string(), text);
        for garbage in ["", "offer", "maybe\na=ice-ufrag:3.1", "offer\na=ice-ufrag:3"] {
            assert_eq!(garbage.parse::<Description>(), Err(DescriptionError), "{garbage}");
        }
        for section in [
            "0 audio sendrecv",
            "m=0",
            "m=0 audio up",
            "m=x audio sendrecv",
            "m=0 audio sendrecv x",
        ] {
            let garbage = format!("offer\na=ice-ufrag:3.1\n{section}");
            assert_eq!(garbage.parse::<Description>(), Err(DescriptionError), "{garbage}");
        }
    }

    #[test]
    fn an_answer_allows_what_both_want() {
        let answer = |ours: Direction, theirs: Direction| ours.intersected(theirs.reversed());
        assert_eq!(answer(Direction::Sendrecv, Direction::Sendonly), Direction::Recvonly);
        assert_eq!(answer(Direction::Recvonly, Direction::Recvonly), Direction::Inactive);
    }
}
