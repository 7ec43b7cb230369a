//! Randomness as the core sees it: one seed, split by name, with a generator
//! whose algorithm is part of the contract.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng};

/// The source of everything random in one run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// Makes a seed of a number, for tests and simulations.
    pub fn from_number(number: u64) -> Self {
        let mut bytes = [0; 32];
        for (byte, value) in bytes.iter_mut().zip(number.to_le_bytes()) {
            *byte = value;
        }
        Self(bytes)
    }

    /// Returns the seed that belongs to `name`. Draws under one name never shift
    /// those under another.
    #[must_use]
    pub fn fork(self, name: &str) -> Self {
        let mut rng = ChaCha8Rng::from_seed(self.0);
        rng.set_stream(fnv1a(name.as_bytes()));
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Returns the generator of this seed: ChaCha with 8 rounds.
    pub fn rng(self) -> Rng {
        Rng(ChaCha8Rng::from_seed(self.0))
    }
}

/// 64-bit FNV-1a: spreads fork names over ChaCha's stream numbers.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A seeded generator. Same seed, same numbers, on every platform and release.
#[derive(Debug, Clone)]
pub struct Rng(ChaCha8Rng);

impl Hash for Rng {
    /// Generators that will draw the same numbers have the same hash.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.get_seed().hash(state);
        self.0.get_stream().hash(state);
        self.0.get_word_pos().hash(state);
    }
}

impl Rng {
    /// Returns 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Fills `bytes` with random bits.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// Returns a number in `[low, high]`, evenly spread; `low` if the range is empty.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        let width = u128::from(high.saturating_sub(low)).saturating_add(1);
        let scaled = u128::from(self.next_u64()).saturating_mul(width) >> 64;
        low.saturating_add(u64::try_from(scaled).unwrap_or(0))
    }

    /// Returns a duration in `[low, high]`, evenly spread, to the microsecond.
    pub fn duration_between(&mut self, low: Duration, high: Duration) -> Duration {
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.between(micros(low), micros(high)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_algorithm_is_part_of_the_contract() {
        let mut rng = Seed::from_number(7).rng();
        assert_eq!([rng.next_u64(), rng.next_u64()], GOLDEN);
    }

    const GOLDEN: [u64; 2] = [14_095_323_943_061_994_099, 8_595_031_940_432_502_117];

    #[test]
    fn forks_differ_by_name_and_repeat() {
        let seed = Seed::from_number(1);
        assert_eq!(seed.fork("a"), seed.fork("a"));
        assert_ne!(seed.fork("a"), seed.fork("b"));
        assert_ne!(seed.fork("a"), Seed::from_number(2).fork("a"));
    }

    #[test]
    fn between_stays_within_its_bounds_and_reaches_both() {
        let mut rng = Seed::from_number(3).rng();
        let drawn: Vec<u64> = (0..1000).map(|_| rng.between(10, 13)).collect();
        assert!(drawn.iter().all(|n| (10..=13).contains(n)));
        assert!((10..=13).all(|n| drawn.contains(&n)));
        assert_eq!(rng.between(5, 5), 5);
        rng.between(0, u64::MAX);
    }
}
