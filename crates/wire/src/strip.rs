//! The mixer's state as messages carry it: one strip a participant.

use openstudio_units::{Gain, PeerId};
use serde::{Deserialize, Serialize};

/// How the desk treats one participant. The same for everybody in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Strip {
    /// The fader.
    pub gain: Gain,
    /// Whether the voice is part of the programme.
    pub on_air: bool,
    /// Whether a host muted the participant. What they did themselves is
    /// [`Participant::muted`](crate::Participant::muted).
    pub muted: bool,
    /// Rises by one with each change, so that of two states the newer one is known. 0 is a
    /// strip that nobody has touched.
    #[serde(default)]
    pub revision: u64,
}

impl Default for Strip {
    fn default() -> Self {
        Self { gain: Gain::UNITY, on_air: true, muted: false, revision: 0 }
    }
}

impl Strip {
    /// Returns whether nobody has touched it.
    pub fn is_untouched(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the strip after a change, one revision on.
    #[must_use]
    pub fn changed(self, change: StripChange) -> Self {
        Self { revision: self.revision.saturating_add(1), ..self.with(change) }
    }

    /// Returns the strip with a change that the server has not confirmed.
    #[must_use]
    pub fn with(self, change: StripChange) -> Self {
        Self {
            gain: change.gain.unwrap_or(self.gain),
            on_air: change.on_air.unwrap_or(self.on_air),
            muted: change.muted.unwrap_or(self.muted),
            ..self
        }
    }
}

/// What of a strip is to be different. What is none stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StripChange {
    /// The fader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain: Option<Gain>,
    /// Whether the voice is part of the programme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_air: Option<bool>,
    /// Whether a host mutes the participant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<bool>,
}

impl StripChange {
    /// Moves the fader.
    pub fn gain(gain: Gain) -> Self {
        Self { gain: Some(gain), ..Self::default() }
    }

    /// Puts on air, or takes off.
    pub fn on_air(on_air: bool) -> Self {
        Self { on_air: Some(on_air), ..Self::default() }
    }

    /// Mutes, or lifts a mute.
    pub fn muted(muted: bool) -> Self {
        Self { muted: Some(muted), ..Self::default() }
    }

    /// Returns whether nothing is to be different.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns this change followed by a later one.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        Self {
            gain: later.gain.or(self.gain),
            on_air: later.on_air.or(self.on_air),
            muted: later.muted.or(self.muted),
        }
    }
}

/// A strip with the name of its participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedStrip {
    /// Whose.
    pub peer_id: PeerId,
    /// The strip.
    #[serde(flatten)]
    pub strip: Strip,
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_change_leaves_the_rest_alone_and_counts() {
        let quiet = Strip::default().changed(StripChange::gain(Gain::SILENCE));
        assert_eq!(quiet, Strip { gain: Gain::SILENCE, revision: 1, ..Strip::default() });
        let off = quiet.changed(StripChange::on_air(false));
        assert_eq!((off.gain, off.on_air, off.revision), (Gain::SILENCE, false, 2));
        assert!(!off.is_untouched() && Strip::default().is_untouched());
    }

    #[test]
    fn of_two_changes_the_later_one_counts_for_each_part() {
        let both = StripChange::muted(true).then(StripChange::gain(Gain::MAX));
        let three = both.then(StripChange::muted(false));
        assert_eq!(three.gain, Some(Gain::MAX));
        assert_eq!(three.muted, Some(false));
        assert!(three.on_air.is_none() && !three.is_empty());
    }
}
