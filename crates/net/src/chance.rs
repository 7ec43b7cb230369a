//! [`Chance`]: how likely something is, exactly, without floating point in the draw.

use openstudio_units::Rng;

/// How likely something is, in millionths.
///
/// # Units and range
/// `[0, 1_000_000]`: never to always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Chance(u32);

/// A number is no probability: ask for one in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is no probability: it must be between 0 and 1")]
pub struct ChanceError(pub f64);

impl Chance {
    /// It never happens.
    pub const NEVER: Self = Self(0);

    /// It always happens.
    pub const ALWAYS: Self = Self(Self::WHOLE);

    const WHOLE: u32 = 1_000_000;

    /// Makes a chance of millionths; more than all of them is always.
    pub const fn from_millionths(millionths: u32) -> Self {
        if millionths > Self::WHOLE { Self::ALWAYS } else { Self(millionths) }
    }

    /// Makes a chance of a probability, to the next millionth.
    ///
    /// # Errors
    /// [`ChanceError`] if it is not in `[0, 1]`.
    pub fn from_probability(probability: f64) -> Result<Self, ChanceError> {
        if !(0.0..=1.0).contains(&probability) {
            return Err(ChanceError(probability));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in [0, 10^6]")]
        Ok(Self((probability * f64::from(Self::WHOLE)).round() as u32))
    }

    /// Returns the probability.
    pub fn probability(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }

    /// Draws whether it happens: always one number of the generator.
    pub fn draw(self, rng: &mut Rng) -> bool {
        rng.between(1, Self::WHOLE.into()) <= self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openstudio_units::Seed;

    #[test]
    fn never_and_always_are_certain() {
        let mut rng = Seed::from_number(1).rng();
        assert!((0..10_000).all(|_| !Chance::NEVER.draw(&mut rng)));
        assert!((0..10_000).all(|_| Chance::ALWAYS.draw(&mut rng)));
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(Chance::from_probability(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Chance::from_probability(1.0), Ok(Chance::ALWAYS));
        assert_eq!(Chance::from_probability(0.005), Ok(Chance::from_millionths(5_000)));
        assert_eq!(Chance::from_millionths(u32::MAX), Chance::ALWAYS);
    }

    /// One in so many is drawn as in `between(1, so many) == 1`: histories depend on it.
    #[test]
    fn one_in_two_hundred_is_the_same_draw() {
        let (mut a, mut b) = (Seed::from_number(2).rng(), Seed::from_number(2).rng());
        let chance = Chance::from_millionths(5_000);
        assert!((0..100_000).all(|_| chance.draw(&mut a) == (b.between(1, 200) == 1)));
    }
}
