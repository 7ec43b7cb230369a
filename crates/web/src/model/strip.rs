//! What the desk is told of a participant: the room's strip, what the person in front of the
//! screen adds to it, and how both become a message to the audio thread.

use openstudio_session::wire::{Participant, Strip};
use openstudio_units::Gain;

/// How one participant is mixed on this page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mixed {
    /// The fader.
    pub(crate) gain: Gain,
    /// Whether nothing is heard of them, whoever decided that.
    pub(crate) silent: bool,
    /// Whether they are part of the programme.
    pub(crate) on_air: bool,
    /// Whether this person wants to hear them alone.
    pub(crate) solo: bool,
}

impl Default for Mixed {
    /// What an untouched strip is.
    fn default() -> Self {
        Self { gain: Gain::UNITY, silent: false, on_air: true, solo: false }
    }
}

impl Mixed {
    /// Returns what to multiply samples with where the desk does not do it.
    pub(crate) fn heard(self, any_solo: bool) -> f32 {
        if self.silent || (any_solo && !self.solo) { 0.0 } else { self.gain.factor() }
    }

    /// What a participant says of themselves counts as well: a client that says *muted* and
    /// sends on is not heard.
    pub(crate) fn new(participant: &Participant, strip: Strip, solo: bool) -> Self {
        let silent = participant.muted || strip.muted;
        Self { gain: strip.gain, silent, on_air: strip.on_air, solo }
    }

    /// Returns the flags of the audio thread's messages; `own` is the strip of the person in
    /// front of the screen, who must not hear themselves.
    pub(crate) fn flags(self, own: bool) -> u8 {
        u8::from(self.silent)
            | u8::from(self.on_air) << 1
            | u8::from(self.solo) << 2
            | u8::from(own) << 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openstudio_session::wire::StripChange;
    use openstudio_units::{Incarnation, PeerId, Role};

    fn participant(muted: bool) -> Participant {
        Participant {
            peer_id: PeerId::from_random_bytes([1; 16]),
            role: Role::Caller,
            name: None,
            incarnation: Incarnation(1),
            present: true,
            muted,
            microphone: true,
            strip: Strip::default(),
        }
    }

    #[test]
    fn either_mute_silences() {
        let muted = Strip::default().changed(StripChange::muted(true));
        assert!(!Mixed::new(&participant(false), Strip::default(), false).silent);
        assert!(Mixed::new(&participant(true), Strip::default(), false).silent);
        assert!(Mixed::new(&participant(false), muted, false).silent);
    }

    #[test]
    fn a_solo_silences_the_others() {
        let plain = Mixed::default();
        let solo = Mixed { solo: true, ..plain };
        let heard = |mixed: Mixed, any_solo| mixed.heard(any_solo) > 0.5;
        assert!(heard(plain, false) && !heard(plain, true) && heard(solo, true));
        assert!(!heard(Mixed { silent: true, ..solo }, true));
    }

    #[test]
    fn flags_are_those_of_the_audio_thread() {
        let plain = Mixed::new(&participant(false), Strip::default(), false);
        assert_eq!(plain.flags(false), 2);
        assert_eq!(plain.flags(true), 2 | 8);
        let all = Mixed { silent: true, solo: true, ..plain };
        assert_eq!(all.flags(false), 1 | 2 | 4);
    }
}
