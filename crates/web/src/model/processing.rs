//! What is done to the sound of a microphone, and how finely it is sent.

/// What the microphone is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Processing {
    /// Speech, perhaps beside a loudspeaker: echo and noise are taken away, the level is
    /// evened out, one channel.
    #[default]
    Voice,
    /// Music, or a mixer: as it comes, two channels.
    Music,
}

impl Processing {
    /// Returns the word that the page and the browser's storage know it by.
    pub(crate) fn value(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Music => "music",
        }
    }

    /// Reads such a word; speech for any other.
    pub(crate) fn parse(value: &str) -> Self {
        if value == Self::Music.value() { Self::Music } else { Self::Voice }
    }

    /// Returns whether the browser cleans the sound.
    pub(crate) fn cleans(self) -> bool {
        self == Self::Voice
    }

    /// Returns whether both channels are sent.
    pub(crate) fn is_stereo(self) -> bool {
        self == Self::Music
    }

    /// Returns the bits per second for Opus: RFC 7587 §3.1.1 has 28 to 40 kbit/s for fullband
    /// speech and 64 to 128 kbit/s for fullband stereo music; both with some to spare.
    pub(crate) fn max_bitrate(self) -> u32 {
        match self {
            Self::Voice => 56_000,
            Self::Music => 160_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_read_back_and_others_are_speech() {
        for processing in [Processing::Voice, Processing::Music] {
            assert_eq!(Processing::parse(processing.value()), processing);
        }
        assert_eq!(Processing::parse(""), Processing::Voice);
    }
}
