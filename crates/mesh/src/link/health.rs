//! Whether a connected link is heard, and how well.
//!
//! Turns samples of statistics into two answers: is it silent although the remote side
//! sends, and which [`HealthLevel`] does it have. It does not know what is done about it.
//! Source: our policy; ICE alone says `connected` for links that nobody hears.
//!
//! Invariants: silence is called only after two samples without progress, so one late
//! timer never makes it, and a path that is in doubt is called dead only after two samples since
//! then; a level changes only after [`STEADY_SAMPLES`] samples agree.

use openstudio_units::Timestamp;

use crate::config::MeshConfig;
use crate::input::StatsSample;
use crate::output::HealthLevel;

/// How many detailed samples in a row must agree before the level changes.
const STEADY_SAMPLES: u32 = 2;

/// How many samples in a row must be without progress before that is silence.
const STALLED_SAMPLES: u32 = 2;

/// Loss from which a listener hears it, and from which speech becomes hard to follow
/// (Opus with in-band FEC conceals about 5 % well).
const LOSS_DEGRADED: f64 = 0.05;
const LOSS_POOR: f64 = 0.15;

/// Round trips from which people begin to talk over each other (ITU-T G.114: 150 ms one
/// way is good, 400 ms is the limit).
const ROUND_TRIP_DEGRADED_MS: u128 = 300;
const ROUND_TRIP_POOR_MS: u128 = 800;

/// The health of one connection.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Health {
    next_sample: Timestamp,
    /// How many samples come before the next detailed one.
    until_detailed: u32,
    progress: Option<u64>,
    /// When packets last arrived, or from when they are expected.
    heard_at: Timestamp,
    /// Whether any packet arrived since they are expected.
    heard: bool,
    /// Samples in a row without progress.
    stalled: u32,
    doubt: Option<Doubt>,
    level: HealthLevel,
    candidate: (HealthLevel, u32),
}

/// How far a path that is in doubt was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Doubt {
    /// Not yet: what came until now came before.
    Asked,
    /// Once, at this time.
    Seen(Timestamp),
}

/// What a sample says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Packets arrived since the last sample.
    pub(crate) progressed: bool,
    /// The path was in doubt, and nothing came by it since.
    pub(crate) is_dead: bool,
    /// The level, if it is another one.
    pub(crate) level: Option<HealthLevel>,
}

impl Health {
    /// Starts watching a connection that has just been made.
    pub(crate) fn new(now: Timestamp, config: &MeshConfig) -> Self {
        Self {
            next_sample: now + config.sample_interval,
            until_detailed: 0,
            progress: None,
            heard_at: now,
            heard: false,
            stalled: 0,
            doubt: None,
            level: HealthLevel::Good,
            candidate: (HealthLevel::Good, 0),
        }
    }

    pub(crate) fn deadline(&self) -> Timestamp {
        self.next_sample
    }

    pub(crate) fn level(&self) -> HealthLevel {
        self.level
    }

    /// Packets are expected from here on: the remote microphone came, or the machine woke.
    pub(crate) fn expect_from(&mut self, now: Timestamp) {
        self.heard_at = now;
        self.heard = false;
        self.stalled = 0;
        self.next_sample = now;
    }

    /// The path may have ended. Of one by which nothing came yet, that says nothing.
    pub(crate) fn doubt(&mut self, now: Timestamp) {
        if self.heard {
            self.doubt = Some(Doubt::Asked);
            self.next_sample = now;
        }
    }

    /// Whether a sample is due; `Some(detailed)` schedules the one after it.
    pub(crate) fn on_timeout(&mut self, now: Timestamp, config: &MeshConfig) -> Option<bool> {
        if now < self.next_sample {
            return None;
        }
        self.next_sample = now + config.sample_interval;
        let detailed = self.until_detailed == 0;
        let before_next = if detailed { config.detailed_sample_every } else { self.until_detailed };
        self.until_detailed = before_next.saturating_sub(1);
        Some(detailed)
    }

    pub(crate) fn on_sample(
        &mut self,
        now: Timestamp,
        config: &MeshConfig,
        sample: StatsSample,
    ) -> Verdict {
        let progressed = self.progress.is_some_and(|before| before != sample.inbound_progress);
        self.progress = Some(sample.inbound_progress);
        if progressed {
            self.heard_at = now;
            self.heard = true;
            self.stalled = 0;
        } else {
            self.stalled = self.stalled.saturating_add(1).min(STALLED_SAMPLES);
        }
        let is_dead = self.resolve_doubt(now, config, progressed);
        if progressed && self.level == HealthLevel::Lost {
            return Verdict { progressed, is_dead, level: self.set_level(HealthLevel::Good) };
        }
        let measured = Self::measured(sample);
        Verdict { progressed, is_dead, level: measured.and_then(|level| self.settle(level)) }
    }

    /// Returns whether a path that was in doubt has ended.
    fn resolve_doubt(&mut self, now: Timestamp, config: &MeshConfig, progressed: bool) -> bool {
        match self.doubt {
            None => false,
            Some(Doubt::Asked) => {
                self.doubt = Some(Doubt::Seen(now));
                self.next_sample = now + config.doubt_interval;
                false
            }
            Some(Doubt::Seen(since)) => {
                // A sample that was under way may end right after the first.
                let long_enough = now.since(since) >= config.doubt_interval;
                if progressed || long_enough {
                    self.doubt = None;
                }
                !progressed && long_enough
            }
        }
    }

    /// Whether packets are missing, given that they are expected.
    pub(crate) fn is_silent(&self, now: Timestamp, config: &MeshConfig) -> bool {
        let patience = if self.heard { config.silence_timeout } else { config.first_audio_timeout };
        self.stalled >= STALLED_SAMPLES && now.since(self.heard_at) >= patience
    }

    /// Calls the level [`HealthLevel::Lost`] at once; it does not need a second look.
    pub(crate) fn on_silent(&mut self) -> Option<HealthLevel> {
        self.set_level(HealthLevel::Lost)
    }

    fn measured(sample: StatsSample) -> Option<HealthLevel> {
        let loss = sample.inbound_loss?;
        let round_trip = sample.round_trip.map_or(0, |time| time.as_millis());
        Some(if loss >= LOSS_POOR || round_trip >= ROUND_TRIP_POOR_MS {
            HealthLevel::Poor
        } else if loss >= LOSS_DEGRADED || round_trip >= ROUND_TRIP_DEGRADED_MS {
            HealthLevel::Degraded
        } else {
            HealthLevel::Good
        })
    }

    fn settle(&mut self, level: HealthLevel) -> Option<HealthLevel> {
        let (candidate, seen) = self.candidate;
        let seen = if candidate == level { seen.saturating_add(1) } else { 1 };
        let seen = seen.min(STEADY_SAMPLES);
        self.candidate = (level, seen);
        if seen >= STEADY_SAMPLES { self.set_level(level) } else { None }
    }

    fn set_level(&mut self, level: HealthLevel) -> Option<HealthLevel> {
        if self.level == level {
            return None;
        }
        self.level = level;
        Some(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds.saturating_mul(1000))
    }

    fn sample(progress: u64, loss: f64) -> StatsSample {
        StatsSample {
            inbound_progress: progress,
            round_trip: Some(Duration::from_millis(20)),
            inbound_loss: Some(loss),
            outbound_loss: None,
        }
    }

    #[test]
    fn packets_that_stop_are_silence_after_two_seconds() {
        let config = MeshConfig::default();
        let mut health = Health::new(at(0), &config);
        health.on_sample(at(1), &config, sample(1, 0.0));
        health.on_sample(at(2), &config, sample(2, 0.0));
        health.on_sample(at(3), &config, sample(2, 0.0));
        assert!(!health.is_silent(at(3), &config));
        health.on_sample(at(4), &config, sample(2, 0.0));
        assert!(health.is_silent(at(4), &config));
    }

    #[test]
    fn the_first_packets_may_take_longer() {
        let config = MeshConfig::default();
        let mut health = Health::new(at(0), &config);
        for second in 1..5 {
            health.on_sample(at(second), &config, sample(0, 0.0));
            assert!(!health.is_silent(at(second), &config));
        }
        health.on_sample(at(5), &config, sample(0, 0.0));
        assert!(health.is_silent(at(5), &config));
    }

    #[test]
    fn one_late_look_is_no_silence() {
        let config = MeshConfig::default();
        let mut health = Health::new(at(0), &config);
        health.on_sample(at(1), &config, sample(1, 0.0));
        health.on_sample(at(2), &config, sample(2, 0.0));
        health.on_sample(at(9), &config, sample(2, 0.0));
        assert!(!health.is_silent(at(9), &config), "the second look decides");
    }

    #[test]
    fn a_path_in_doubt_is_dead_if_nothing_comes_between_two_looks() {
        let config = MeshConfig::default();
        let millis = Timestamp::from_millis;
        for (sound, seen, dead) in [(true, 5, false), (false, 4, true)] {
            let mut health = Health::new(at(0), &config);
            health.on_sample(at(0), &config, sample(2, 0.0));
            health.doubt(at(0));
            assert_ne!(health.deadline(), at(0), "nobody was heard yet");
            health.on_sample(at(1), &config, sample(3, 0.0));
            health.doubt(millis(1_300));
            assert_eq!(health.deadline(), millis(1_300));
            let first = health.on_sample(millis(1_310), &config, sample(4, 0.0));
            assert!(!first.is_dead, "this came before");
            assert_eq!(health.deadline(), millis(1_310) + config.doubt_interval);
            let early = health.on_sample(millis(1_320), &config, sample(4, 0.0));
            assert!(!early.is_dead, "too early to tell");
            let second = health.on_sample(millis(1_810), &config, sample(seen, 0.0));
            assert_eq!(second.is_dead, dead, "sound: {sound}");
            let later = health.on_sample(millis(3_000), &config, sample(seen, 0.0));
            assert!(!later.is_dead, "the doubt is over");
        }
    }

    #[test]
    fn one_bad_sample_does_not_change_the_level() {
        let config = MeshConfig::default();
        let mut health = Health::new(at(0), &config);
        assert_eq!(health.on_sample(at(1), &config, sample(1, 0.5)).level, None);
        assert_eq!(health.on_sample(at(2), &config, sample(2, 0.0)).level, None);
        assert_eq!(health.on_sample(at(3), &config, sample(3, 0.5)).level, None);
        let level = health.on_sample(at(4), &config, sample(4, 0.5)).level;
        assert_eq!(level, Some(HealthLevel::Poor));
    }

    #[test]
    fn round_trip_and_loss_are_asked_for_every_fifth_time() {
        let config = MeshConfig::default();
        let mut health = Health::new(at(0), &config);
        let detailed: Vec<bool> =
            (1..=6).filter_map(|second| health.on_timeout(at(second), &config)).collect();
        assert_eq!(detailed, [true, false, false, false, false, true]);
    }
}
