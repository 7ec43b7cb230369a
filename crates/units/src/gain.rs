//! How loud a participant is in the mix: the fader's scale, in whole percent.

use std::fmt;
use thiserror::Error;

/// A number of percent beyond what a fader has. Keep to [`Gain::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a gain is a whole number of percent from 0 to {}", Gain::MAX.0)]
pub struct GainError;

/// A gain as people set it: linear, in whole percent. 100 % is as it came, 200 % is
/// +6.02 dB, 50 % is −6.02 dB, 0 % is silence.
///
/// # Units and range
/// 0 to 200. Whole numbers, so that everybody who is told a gain has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "u16", into = "u16")
)]
pub struct Gain(u16);

impl Gain {
    /// Silence.
    pub const SILENCE: Self = Self(0);

    /// As it came.
    pub const UNITY: Self = Self(100);

    /// The fader's upper end: 200 %.
    pub const MAX: Self = Self(200);

    /// Makes a gain of a number of percent.
    ///
    /// # Errors
    /// [`GainError`] above [`Self::MAX`].
    pub fn from_percent(percent: u16) -> Result<Self, GainError> {
        if percent <= Self::MAX.0 { Ok(Self(percent)) } else { Err(GainError) }
    }

    /// Returns the number of percent.
    pub fn percent(self) -> u16 {
        self.0
    }

    /// Returns what to multiply samples with: 0.0 to 2.0.
    pub fn factor(self) -> f32 {
        f32::from(self.0) / f32::from(Self::UNITY.0)
    }
}

impl Default for Gain {
    fn default() -> Self {
        Self::UNITY
    }
}

impl TryFrom<u16> for Gain {
    type Error = GainError;

    fn try_from(percent: u16) -> Result<Self, GainError> {
        Self::from_percent(percent)
    }
}

impl From<Gain> for u16 {
    fn from(gain: Gain) -> Self {
        gain.0
    }
}

impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_fader_goes_from_silence_to_six_decibels() {
        assert!(Gain::SILENCE.factor() <= 0.0);
        let db = |gain: Gain| 20.0 * gain.factor().log10();
        assert!(db(Gain::UNITY).abs() < 1e-6);
        assert!((db(Gain::MAX) - 6.02).abs() < 0.01);
        assert_eq!(Gain::default(), Gain::UNITY);
    }

    #[test]
    fn what_is_beyond_the_fader_is_refused() {
        assert_eq!(Gain::from_percent(200), Ok(Gain::MAX));
        assert_eq!(Gain::from_percent(201), Err(GainError));
    }
}
