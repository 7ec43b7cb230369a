//! Numbers as they come from JavaScript, and what they stand for. Nothing is refused: what
//! is out of range is brought into it.

use openstudio_mix::{MonitorSettings, MonitorSource, StripSettings};
use openstudio_units::Gain;

const MUTED: u32 = 1;
const ON_AIR: u32 = 2;
const SOLO: u32 = 4;
const OWN: u32 = 8;

/// The number of [`MonitorSource::Programme`].
const PROGRAMME: u32 = 1;

/// Reads a strip's settings. Unknown flags are ignored.
pub(crate) fn strip(gain_percent: i32, flags: u32) -> StripSettings {
    let has = |flag| flags & flag != 0;
    StripSettings {
        gain: gain(gain_percent),
        muted: has(MUTED),
        on_air: has(ON_AIR),
        solo: has(SOLO),
        own: has(OWN),
    }
}

/// Reads the monitor's settings. An unknown source is the conversation.
pub(crate) fn monitor(volume_percent: i32, source: u32) -> MonitorSettings {
    let source =
        if source == PROGRAMME { MonitorSource::Programme } else { MonitorSource::Conversation };
    MonitorSettings { volume: gain(volume_percent), source }
}

/// More than the fader has is its upper end, less is silence.
fn gain(percent: i32) -> Gain {
    let percent = percent.clamp(0, Gain::MAX.percent().into());
    u16::try_from(percent).ok().and_then(|p| Gain::from_percent(p).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_is_one_setting() {
        let plain = StripSettings::default();
        assert_eq!(strip(100, 0), plain);
        assert_eq!(strip(100, 1), StripSettings { muted: true, ..plain });
        assert_eq!(strip(100, 2), StripSettings { on_air: true, ..plain });
        assert_eq!(strip(100, 4), StripSettings { solo: true, ..plain });
        assert_eq!(strip(100, 8), StripSettings { own: true, ..plain });
        let all =
            StripSettings { gain: Gain::SILENCE, muted: true, on_air: true, solo: true, own: true };
        assert_eq!(strip(0, u32::MAX), all);
    }

    #[test]
    fn gains_beyond_the_fader_are_its_end() {
        assert_eq!(strip(200, 0).gain, Gain::MAX);
        assert_eq!(strip(201, 0).gain, Gain::MAX);
        assert_eq!(strip(i32::MAX, 0).gain, Gain::MAX);
        assert_eq!(strip(i32::MIN, 0).gain, Gain::SILENCE);
        assert_eq!(strip(-1, 0).gain, Gain::SILENCE);
        assert_eq!(monitor(50, 0).volume.percent(), 50);
    }

    #[test]
    fn the_monitor_plays_the_programme_only_when_asked() {
        assert_eq!(monitor(100, 0).source, MonitorSource::Conversation);
        assert_eq!(monitor(100, 1).source, MonitorSource::Programme);
        assert_eq!(monitor(100, 7).source, MonitorSource::Conversation);
    }
}
