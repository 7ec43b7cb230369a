//! What can be known of a participant from outside.

use openstudio_session::mesh::ConnectionState;
use openstudio_session::wire::{EngineState, Strip};
use openstudio_session::{EndReason, SignallingState};
use openstudio_units::{PeerId, Role, RoomId};

use crate::interruptions::{Gap, Outage};
use crate::jitter::JitterCounters;
use crate::pitch::Heard;
use crate::recorder::RecordingStatus;

/// A participant at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// How the way to the server stands.
    pub signalling: SignallingState,
    /// The latest times without the server.
    pub outages: Vec<Outage>,
    /// The seat: which room, who, and what they may do; none before it is there.
    pub seat: Option<(RoomId, PeerId, Role)>,
    /// Everybody else in the room.
    pub others: Vec<Other>,
    /// What the studio's engine does for the room; none where there is no engine.
    pub engine: Option<EngineState>,
    /// What the server refused last, in words.
    pub refusal: Option<String>,
    /// The recording that it makes itself.
    pub recording: Option<RecordingStatus>,
    /// What is wrong with the recording, in words.
    pub alarm: Option<String>,
    /// Why it is over, if it is.
    pub ended: Option<EndReason>,
}

/// Somebody else in the room.
#[derive(Debug, Clone, PartialEq)]
pub struct Other {
    /// Who.
    pub peer: PeerId,
    /// What they are called.
    pub name: String,
    /// Whether they have a microphone.
    pub sends_audio: bool,
    /// Whether they muted themselves.
    pub muted: bool,
    /// How the desk treats them.
    pub strip: Strip,
    /// How the connection stands; none before there is one.
    pub state: Option<ConnectionState>,
    /// What is heard of them.
    pub heard: Heard,
    /// The latest steady tone that was heard of them, Hz.
    pub tone: Option<f32>,
    /// What happened to their packets.
    pub packets: JitterCounters,
    /// The latest times above 60 ms without a packet of theirs.
    pub gaps: Vec<Gap>,
}

impl Snapshot {
    /// Returns whether everybody else is connected.
    pub fn is_connected_to_all(&self) -> bool {
        self.others.iter().all(|other| other.state == Some(ConnectionState::Connected))
    }

    /// Counts packets from an earlier look on.
    pub fn count_from(&mut self, earlier: &Self) {
        for other in &mut self.others {
            let before = earlier.others.iter().find(|before| before.peer == other.peer);
            other.packets =
                other.packets.since(before.map_or_else(Default::default, |b| b.packets));
        }
    }
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            signalling: SignallingState::Idle,
            outages: Vec::new(),
            seat: None,
            others: Vec::new(),
            engine: None,
            recording: None,
            refusal: None,
            alarm: None,
            ended: None,
        }
    }
}
