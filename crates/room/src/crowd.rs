//! Over how long a crowd is to spread its return, if all lose their sockets at once.

/// A crowd that comes back within half a second needs no spreading: clients do that anyway.
const UNSPREAD_MILLIS: u64 = 500;

/// Over how long those who lose their sockets are asked to come back. It follows the crowd in
/// steps, so that a crowd that grows from nothing to n is told 4 n times at most in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Spread {
    millis: u64,
}

impl Spread {
    /// Returns it in milliseconds; 0 asks for nothing.
    pub(crate) fn as_millis(self) -> u64 {
        self.millis
    }

    /// Follows a crowd of so many, of whom so many a second may return. Returns whether it is
    /// another spread now. One that falls is followed when half of it would do.
    pub(crate) fn follow(&mut self, crowd: usize, per_second: u32) -> bool {
        let crowd = u64::try_from(crowd).unwrap_or(u64::MAX);
        let needed = crowd.saturating_mul(1000).checked_div(per_second.into()).unwrap_or(0);
        let millis = if needed > UNSPREAD_MILLIS { step_below(needed) } else { 0 };
        let follows = millis > self.millis || millis <= self.millis / 2 && self.millis > 0;
        if follows {
            self.millis = millis;
        }
        follows
    }
}

/// Returns the greatest power of two, or one and a half of one, that is not above `millis`.
fn step_below(millis: u64) -> u64 {
    let power = 1_u64 << millis.max(2).ilog2();
    let half_more = power.saturating_add(power / 2);
    if half_more <= millis { half_more } else { power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_crowd_is_asked_for_nothing() {
        let mut spread = Spread::default();
        assert!((0..=500).all(|crowd| !spread.follow(crowd, 1000)));
        assert_eq!(spread.as_millis(), 0);
        assert!(!spread.follow(100_000, 0), "whoever wants no spreading gets none");
    }

    #[test]
    fn a_growing_crowd_never_returns_much_faster_than_it_may() {
        let mut spread = Spread::default();
        for crowd in 0..=50_000_u64 {
            spread.follow(usize::try_from(crowd).unwrap(), 1000);
            let per_second = crowd * 1000 / spread.as_millis().max(UNSPREAD_MILLIS);
            assert!(per_second <= 1500, "{per_second} a second of a crowd of {crowd}");
        }
    }

    #[test]
    fn telling_it_costs_a_few_messages_for_each_of_the_crowd() {
        let mut spread = Spread::default();
        let told: usize = (0..=50_000).filter(|&crowd| spread.follow(crowd, 1000)).sum();
        assert!(told <= 4 * 50_000, "{told}");
    }

    #[test]
    fn a_crowd_that_comes_and_goes_by_a_few_is_told_once() {
        let mut spread = Spread::default();
        let changes = (0..1000).filter(|n| spread.follow(4095 + n % 2, 1000)).count();
        assert_eq!(changes, 2, "up to 3072 and to 4096");
        assert!(!spread.follow(3072, 1000));
        assert!(spread.follow(3071, 1000), "half of the spread would do");
        assert_eq!(spread.as_millis(), 2048);
        assert!(spread.follow(10, 1000));
        assert_eq!(spread.as_millis(), 0);
    }
}
