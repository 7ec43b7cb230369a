//! A number that only rises, and decides nothing.

use std::hash::{Hash, Hasher};

/// How often something happened, or the last name that was given out. Two meshes that differ
/// in counts alone behave the same, and so have the same hash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count(u64);

impl Count {
    /// Counts once more, and returns how often that is.
    pub(crate) fn rise(&mut self) -> u64 {
        self.add(1);
        self.0
    }

    pub(crate) fn add(&mut self, more: u64) {
        self.0 = self.0.saturating_add(more);
    }

    pub(crate) fn get(self) -> u64 {
        self.0
    }
}

impl Hash for Count {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
