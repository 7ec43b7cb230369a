//! What the engine knows, in the words of the protocol.

use std::time::SystemTime;

use openstudio_cast as cast;
use openstudio_peer::RecordingStatus;
use openstudio_record::Summary;
use openstudio_wire::{
    AirState, Destination, DestinationState, RecordingState, RecordingSummary, TrackSummary,
};

/// Returns how a recording stands.
pub(crate) fn recording(status: &RecordingStatus) -> RecordingState {
    RecordingState {
        id: status.id.clone(),
        length_ms: status.length,
        bytes: status.bytes,
        stalled: status.stalled.clone(),
    }
}

/// Returns how a programme stands.
pub(crate) fn air(status: cast::Status) -> AirState {
    let length = SystemTime::now().duration_since(status.since).unwrap_or_default();
    AirState {
        length_ms: u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
        listeners: u64::try_from(status.listeners.saturating_sub(status.stalled))
            .unwrap_or(u64::MAX),
        title: Some(status.title).filter(|title| !title.is_empty()),
        destinations: status.destinations.into_iter().map(destination).collect(),
    }
}

fn destination(place: cast::Destination) -> Destination {
    let name = match place.kind {
        cast::Kind::Icecast => "Icecast",
        cast::Kind::Hls => "HLS",
    };
    let state = match place.state {
        cast::State::Connecting => DestinationState::Connecting,
        cast::State::OnAir => DestinationState::OnAir,
        cast::State::Retrying => DestinationState::Retrying,
        cast::State::Failed | cast::State::Ended => DestinationState::Failed,
    };
    Destination { name: name.to_owned(), state, words: place.words }
}

/// Returns a recording on disk.
pub(crate) fn summary(summary: Summary) -> RecordingSummary {
    let tracks = summary.tracks.into_iter().map(|track| TrackSummary {
        file: track.file,
        name: track.name,
        role: track.role,
        bytes: track.bytes,
    });
    RecordingSummary {
        id: summary.id,
        started_at: summary.started_at,
        length_ms: summary.length,
        bytes: summary.bytes,
        finished: summary.finished,
        tracks: tracks.collect(),
    }
}
