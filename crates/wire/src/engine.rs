//! The studio's engine, which records and sends the programme out, as rooms are told of it.

use openstudio_units::{PeerId, Role};
use serde::{Deserialize, Serialize};

/// What the engine does for a room. Everybody in it is told: nobody is recorded unawares.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineState {
    /// The recording under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<RecordingState>,
    /// The programme on its way to listeners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub air: Option<AirState>,
    /// What is wrong, in words for a host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
}

/// A recording under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingState {
    /// Its name.
    pub id: String,
    /// How long it is, milliseconds.
    pub length_ms: u64,
    /// What it takes on disk so far.
    pub bytes: u64,
    /// Whose tracks do not grow, though they should be heard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stalled: Vec<PeerId>,
}

/// The programme on its way to listeners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AirState {
    /// For how long, milliseconds.
    pub length_ms: u64,
    /// How many listen at this server.
    pub listeners: u64,
    /// What listeners read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where else it goes. Told to hosts and ops alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Destination>,
}

/// A place that the programme goes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// What it is called.
    pub name: String,
    /// Whether the programme gets there.
    pub state: DestinationState,
    /// How it stands, in words for a host.
    pub words: String,
}

/// Whether the programme gets to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DestinationState {
    /// It is being tried for the first time.
    Connecting,
    /// It does.
    OnAir,
    /// It does not, and is tried again.
    Retrying,
    /// It does not, and somebody must do something.
    Failed,
}

/// A recording on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingSummary {
    /// Its name.
    pub id: String,
    /// When it began, milliseconds since 1970.
    pub started_at: u64,
    /// How long it is, milliseconds.
    pub length_ms: u64,
    /// What it takes on disk.
    pub bytes: u64,
    /// Whether it has come to its end.
    pub finished: bool,
    /// Its files.
    pub tracks: Vec<TrackSummary>,
}

/// A file of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackSummary {
    /// The file.
    pub file: String,
    /// Whose voice it is, for people; none is the programme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What they could do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// How large it is.
    pub bytes: u64,
}

impl EngineState {
    /// Returns what somebody without a desk is told.
    #[must_use]
    pub fn for_callers(&self) -> Self {
        let mut state = self.clone();
        state.alarm = None;
        if let Some(air) = &mut state.air {
            air.destinations.clear();
        }
        state
    }

    /// Returns whether it does nothing and nothing is wrong.
    pub fn is_idle(&self) -> bool {
        *self == Self::default()
    }
}
