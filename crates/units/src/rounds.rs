//! Counters that tell one round from the next, so that late messages of an old
//! round are dropped by comparison and not by luck.

use std::fmt;

/// The life of a participant's page: rises whenever the same seat comes back
/// without the memory of its links (a reload, another tab). Given out by the
/// server, never by a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Incarnation(pub u32);

/// The life of the peer connection between two participants: rises whenever one
/// of them makes its `RTCPeerConnection` anew.
///
/// # Invariants
/// Both ends compute the same first value from their two incarnations, and the
/// first value after either of them has risen is above every value before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Generation(pub u64);

impl Generation {
    /// How many peer connections a pair may make before one of the two
    /// incarnations must rise: 65,536, far above what a page can allocate.
    const PER_INCARNATION: u64 = 1 << 16;

    /// Returns the first generation between two incarnations. Symmetric.
    pub fn first(a: Incarnation, b: Incarnation) -> Self {
        let sum = u64::from(a.0).saturating_add(u64::from(b.0));
        Self(sum.saturating_mul(Self::PER_INCARNATION).saturating_add(1))
    }

    /// Returns the generation after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns whether `self` and `first` were made between the same two
    /// incarnations, `first` being what [`Generation::first`] gave for them.
    pub fn is_of(self, first: Self) -> bool {
        self >= first && self.0.saturating_sub(first.0) < Self::PER_INCARNATION
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One offer within a generation; an answer echoes the id of the offer that it
/// answers, a candidate names the offer in whose round it was gathered.
///
/// # Invariants
/// The impolite side's ids are odd, the polite side's even, so that an id names
/// one offer of the pair and its maker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct OfferId(pub u32);

impl OfferId {
    /// The first offer of the impolite side.
    pub const FIRST_IMPOLITE: Self = Self(1);

    /// The first offer of the polite side.
    pub const FIRST_POLITE: Self = Self(2);

    /// Returns the id of the same side's next offer.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(2))
    }
}

impl fmt::Display for OfferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_risen_incarnation_outranks_every_generation_before_it() {
        let mut before = Generation::first(Incarnation(1), Incarnation(2));
        assert_eq!(before, Generation::first(Incarnation(2), Incarnation(1)));
        for _ in 0..600 {
            before = before.next();
        }
        let after = Generation::first(Incarnation(3), Incarnation(2));
        assert!(after > before);
        assert!(!before.is_of(after));
        assert!(after.next().is_of(after));
    }

    #[test]
    fn a_generation_fits_a_javascript_number() {
        let largest = Generation::first(Incarnation(u32::MAX), Incarnation(u32::MAX));
        assert!(largest.0 < 1 << 53);
    }
}
