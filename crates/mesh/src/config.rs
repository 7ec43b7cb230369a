//! How patient the mesh is, and how much it does at once.

use std::time::Duration;

use openstudio_units::Timestamp;

use crate::backoff::Backoff;

/// Tunable behaviour. The defaults are what the product runs with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MeshConfig {
    /// How many first set-ups this side drives at once; the rest wait, hosts first. 1 to 64.
    pub setups_in_flight: usize,
    /// How long the first candidates of a round are collected before they are sent together.
    /// Addresses of the machine itself are there at once, and often enough. Less than
    /// [`MeshConfig::answer_timeout`].
    pub first_trickle_interval: Duration,
    /// The same for those that follow.
    pub trickle_interval: Duration,
    /// How long the polite side waits for an offer before it asks for one.
    pub offer_timeout: Duration,
    /// How often the polite side asks before it calls that trouble.
    pub offer_requests: u32,
    /// How long an offer may stay unanswered before it is sent again, and at last given up.
    pub answer_timeout: Duration,
    /// How often it is sent again, and the candidates of a round.
    pub repeats: u32,
    /// How long one operation of the platform may take.
    pub operation_timeout: Duration,
    /// How long ICE may stay `new` once descriptions are exchanged.
    pub ice_start_timeout: Duration,
    /// How long a link whose descriptions are exchanged may take to be connected before its
    /// candidates are sent again: a batch of them may be lost. Less than
    /// [`MeshConfig::ice_start_timeout`].
    pub repeat_interval: Duration,
    /// How long a set-up or an attempt may take until it is connected.
    pub connect_timeout: Duration,
    /// How much of that is left once descriptions are exchanged, at most: what ICE and DTLS
    /// have not done by then, they rarely do.
    pub ice_timeout: Duration,
    /// How long an attempt by ICE restart may take, which has less to do than a set-up: no
    /// handshake, and the addresses are mostly known.
    pub restart_timeout: Duration,
    /// How often a connected link is looked at.
    pub sample_interval: Duration,
    /// Every how many looks round trip and loss are asked for as well.
    pub detailed_sample_every: u32,
    /// How long nothing may come by a path that is in doubt: longer than a machine that is busy
    /// or a line that jitters holds packets back.
    pub doubt_interval: Duration,
    /// How long packets may stay away, once they came, before that is trouble.
    pub silence_timeout: Duration,
    /// How long the first packets may take after connecting or after the remote
    /// microphone came.
    pub first_audio_timeout: Duration,
    /// How long a link must be sound before its earlier attempts are forgotten.
    pub settle_time: Duration,
    /// Delays before each attempt to recover, and how many there are.
    pub backoff: Backoff,
    /// A timer this late means that the machine slept.
    pub wake_threshold: Duration,
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            setups_in_flight: 8,
            first_trickle_interval: Duration::from_millis(5),
            trickle_interval: Duration::from_millis(50),
            offer_timeout: Duration::from_secs(5),
            offer_requests: 3,
            answer_timeout: Duration::from_secs(3),
            repeats: 3,
            operation_timeout: Duration::from_secs(10),
            ice_start_timeout: Duration::from_secs(5),
            repeat_interval: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(10),
            ice_timeout: Duration::from_secs(6),
            restart_timeout: Duration::from_secs(5),
            sample_interval: Duration::from_secs(1),
            detailed_sample_every: 5,
            doubt_interval: Duration::from_millis(500),
            silence_timeout: Duration::from_secs(2),
            first_audio_timeout: Duration::from_secs(5),
            settle_time: Duration::from_secs(5),
            backoff: Backoff::default(),
            wake_threshold: Duration::from_secs(5),
        }
    }
}

/// A configuration that cannot work. Mend the named value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigError {
    /// [`MeshConfig::setups_in_flight`] is 0 or above 64.
    SetupsInFlight,
    /// A duration that must not be zero is.
    ZeroDuration,
    /// A trickle interval is not below [`MeshConfig::answer_timeout`].
    TrickleInterval,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SetupsInFlight => "between 1 and 64 set-ups may be in flight",
            Self::ZeroDuration => "a time limit of zero can never be kept",
            Self::TrickleInterval => "candidates must be sent before the answer is overdue",
        })
    }
}

impl std::error::Error for ConfigError {}

impl MeshConfig {
    /// Checks the ranges that stand with each field.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !(1..=64).contains(&self.setups_in_flight) {
            return Err(ConfigError::SetupsInFlight);
        }
        let durations = [
            self.offer_timeout,
            self.answer_timeout,
            self.operation_timeout,
            self.ice_start_timeout,
            self.repeat_interval,
            self.connect_timeout,
            self.ice_timeout,
            self.restart_timeout,
            self.sample_interval,
            self.doubt_interval,
            self.silence_timeout,
            self.first_audio_timeout,
        ];
        if durations.iter().any(Duration::is_zero) {
            return Err(ConfigError::ZeroDuration);
        }
        if self.first_trickle_interval.max(self.trickle_interval) >= self.answer_timeout {
            return Err(ConfigError::TrickleInterval);
        }
        Ok(())
    }

    /// The same with the limits of a machine that is slower by `factor`.
    pub(crate) fn stretched(&self, factor: u32) -> Self {
        Self {
            offer_timeout: self.offer_timeout.saturating_mul(factor),
            answer_timeout: self.answer_timeout.saturating_mul(factor),
            operation_timeout: self.operation_timeout.saturating_mul(factor),
            ice_start_timeout: self.ice_start_timeout.saturating_mul(factor),
            repeat_interval: self.repeat_interval.saturating_mul(factor),
            connect_timeout: self.connect_timeout.saturating_mul(factor),
            ice_timeout: self.ice_timeout.saturating_mul(factor),
            restart_timeout: self.restart_timeout.saturating_mul(factor),
            doubt_interval: self.doubt_interval.saturating_mul(factor),
            silence_timeout: self.silence_timeout.saturating_mul(factor),
            first_audio_timeout: self.first_audio_timeout.saturating_mul(factor),
            backoff: Backoff {
                base: self.backoff.base.saturating_mul(factor),
                cap: self.backoff.cap.saturating_mul(factor),
                ..self.backoff
            },
            ..self.clone()
        }
    }

    pub(crate) fn is_wake(&self, due: Timestamp, now: Timestamp) -> bool {
        now.since(due) > self.wake_threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_defaults_are_valid_and_broken_values_are_named() {
        assert_eq!(MeshConfig::default().validate(), Ok(()));
        let none = MeshConfig { setups_in_flight: 0, ..MeshConfig::default() };
        assert_eq!(none.validate(), Err(ConfigError::SetupsInFlight));
        let zero = MeshConfig { answer_timeout: Duration::ZERO, ..MeshConfig::default() };
        assert_eq!(zero.validate(), Err(ConfigError::ZeroDuration));
    }

    #[test]
    fn a_configuration_that_cannot_work_says_what_to_mend() {
        let late = Duration::from_secs(3);
        let plain = MeshConfig::default();
        let crowded = MeshConfig { setups_in_flight: 65, ..plain.clone() };
        let slow = MeshConfig { trickle_interval: late, answer_timeout: late, ..plain.clone() };
        let first = MeshConfig { first_trickle_interval: late, answer_timeout: late, ..plain };
        for (config, word) in [(crowded, "set-ups"), (slow, "candidates"), (first, "candidates")] {
            let error = config.validate().unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn a_slow_machine_gets_more_time_for_what_takes_time_and_for_nothing_else() {
        let plain = MeshConfig::default();
        let expected = MeshConfig {
            offer_timeout: plain.offer_timeout * 2,
            answer_timeout: plain.answer_timeout * 2,
            operation_timeout: plain.operation_timeout * 2,
            ice_start_timeout: plain.ice_start_timeout * 2,
            repeat_interval: plain.repeat_interval * 2,
            connect_timeout: plain.connect_timeout * 2,
            ice_timeout: plain.ice_timeout * 2,
            restart_timeout: plain.restart_timeout * 2,
            doubt_interval: plain.doubt_interval * 2,
            silence_timeout: plain.silence_timeout * 2,
            first_audio_timeout: plain.first_audio_timeout * 2,
            backoff: Backoff {
                base: plain.backoff.base * 2,
                cap: plain.backoff.cap * 2,
                attempts: plain.backoff.attempts,
            },
            ..plain.clone()
        };
        assert_eq!(plain.stretched(2), expected);
    }

    #[test]
    fn only_a_timer_that_is_later_than_the_threshold_means_sleep() {
        let config = MeshConfig::default();
        let due = Timestamp::from_millis(1000);
        let kept = due + config.wake_threshold;
        assert!(!config.is_wake(due, due));
        assert!(!config.is_wake(due, kept));
        assert!(config.is_wake(due, kept + Duration::from_millis(1)));
    }

    #[test]
    fn a_connect_timeout_leaves_time_for_the_offer_to_be_sent_as_often_as_it_may() {
        let config = MeshConfig::default();
        assert!(config.connect_timeout >= config.answer_timeout * config.repeats);
    }

    #[test]
    fn silence_is_noticed_after_more_than_one_sample() {
        let config = MeshConfig::default();
        assert!(config.silence_timeout >= config.sample_interval * 2);
    }
}
