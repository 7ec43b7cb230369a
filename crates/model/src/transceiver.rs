//! One transceiver: a media section's two ends here.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::description::{DescriptionError, Direction, Msid};

/// What kind of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

impl Kind {
    /// Returns the name in the standard.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

impl FromStr for Kind {
    type Err = DescriptionError;

    fn from_str(text: &str) -> Result<Self, DescriptionError> {
        match text {
            "audio" => Ok(Self::Audio),
            "video" => Ok(Self::Video),
            _ => Err(DescriptionError),
        }
    }
}

/// Who made a transceiver. Decides what a remote offer and a rollback may do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// `addTransceiver()`: never taken by a remote offer.
    Added,
    /// `addTrack()`: the first remote section of its kind may take it.
    Track,
    /// A remote offer.
    Remote,
}

/// Names a `MediaStream`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// A transceiver (webrtc-pc §5.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Transceiver {
    /// What kind of media.
    pub kind: Kind,
    /// What is wanted.
    pub direction: Direction,
    /// What was negotiated.
    pub current_direction: Option<Direction>,
    /// Whether the sender has a track.
    pub has_track: bool,
    /// The stream of the sender; none or one.
    pub stream: Option<StreamId>,
    /// The media section, once there is one.
    pub mid: Option<u32>,
    /// `[[FiredDirection]]`: decides whether `track` fires again.
    pub(crate) fired: Option<Direction>,
    /// The stream that the receiver's track is in.
    pub(crate) remote_stream: Option<StreamId>,
    pub(crate) origin: Origin,
    /// Whether `addTrack()` took it after it was made.
    pub(crate) taken: bool,
    /// Whether it was ever negotiated to send.
    pub(crate) ever_sent: bool,
    /// What the first applied section with a line said; see [`Self::apply_local`].
    pub(crate) first_msid: Msid,
}

impl Transceiver {
    pub(crate) fn new(kind: Kind, direction: Direction, origin: Origin) -> Self {
        Self {
            kind,
            direction,
            current_direction: None,
            has_track: false,
            stream: None,
            mid: None,
            fired: None,
            remote_stream: None,
            origin,
            taken: false,
            ever_sent: false,
            first_msid: Msid::Absent,
        }
    }

    /// The `a=msid` line of its section in an offer or an answer. As in Chromium, one who
    /// wants to send has it also where the answer does not allow that, and who once sent
    /// keeps it (RFC 9429 §5.2.2).
    pub(crate) fn msid(&self) -> Msid {
        if self.direction.sends() || self.ever_sent { Msid::of(self.stream) } else { Msid::Absent }
    }

    /// As it is after a rollback, with what the rolled-back description gave it as `before`.
    pub(crate) fn restored(self, before: Option<&Self>) -> Self {
        match before {
            Some(Self { mid: mid @ Some(_), fired, remote_stream, .. }) => {
                Self { mid: *mid, fired: *fired, remote_stream: *remote_stream, ..self }
            }
            Some(_) | None => {
                // What stays of those that the offer made is as if `addTrack()` had made it.
                let origin = match self.origin {
                    Origin::Added => Origin::Added,
                    Origin::Track | Origin::Remote => Origin::Track,
                };
                let (mid, fired, remote_stream, first_msid) = (None, None, None, Msid::Absent);
                Self { mid, fired, remote_stream, first_msid, origin, ..self }
            }
        }
    }

    /// A local description with this line was applied. Chromium then gives the sender
    /// the stream that was first applied, whatever `setStreams()` said since. Not so in
    /// webrtc-pc, but whoever calls `setStreams()` with every offer has to live with it.
    pub(crate) fn apply_local(&mut self, msid: Msid) {
        if self.first_msid == Msid::Absent || msid == Msid::Absent {
            self.first_msid = msid;
        }
        if self.first_msid != Msid::Absent {
            self.stream = self.first_msid.stream();
        }
    }
}

/// Makes media identifications. As in Chromium, none is made twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Mids {
    next: u32,
    /// Those of descriptions.
    pub(crate) known: BTreeSet<u32>,
}

impl Mids {
    pub(crate) fn generate(&mut self) -> u32 {
        while self.known.contains(&self.next) {
            self.next = self.next.saturating_add(1);
        }
        let mid = self.next;
        self.next = self.next.saturating_add(1);
        mid
    }
}
