//! [`Outages`]: what is down, when several troubles may say so at once.

use std::collections::BTreeMap;

/// Which things are down. A thing is up again when all that took it down have ended.
#[derive(Debug, Clone)]
pub struct Outages<K> {
    counts: BTreeMap<K, u32>,
}

impl<K> Default for Outages<K> {
    fn default() -> Self {
        Self { counts: BTreeMap::new() }
    }
}

impl<K: Ord> Outages<K> {
    /// One more trouble takes it down.
    pub fn begin(&mut self, what: K) {
        let count = self.counts.entry(what).or_default();
        *count = count.saturating_add(1);
    }

    /// One of the troubles is over; nothing happens if there is none.
    pub fn end(&mut self, what: &K) {
        if let Some(count) = self.counts.get_mut(what) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(what);
            }
        }
    }

    /// Returns whether it is down.
    pub fn is_out(&self, what: &K) -> bool {
        self.counts.contains_key(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_up_when_the_last_trouble_is_over() {
        let mut outages = Outages::default();
        outages.end(&1);
        outages.begin(1);
        outages.begin(1);
        outages.end(&1);
        assert!(outages.is_out(&1) && !outages.is_out(&2));
        outages.end(&1);
        assert!(!outages.is_out(&1));
    }
}
