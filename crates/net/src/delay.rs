//! How long something is under way: a packet, or a message in a stream.

use std::time::Duration;

use openstudio_units::Rng;

use crate::chance::Chance;

/// How long a packet is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Delay {
    /// At least.
    pub base: Duration,
    /// What is added at most, evenly spread.
    pub jitter: Duration,
}

impl Delay {
    /// Draws one: always one number of the generator, whatever the jitter.
    pub fn draw(self, rng: &mut Rng) -> Duration {
        self.base.saturating_add(rng.duration_between(Duration::ZERO, self.jitter))
    }
}

/// How long a message is under way in a reliable stream, whose lost segments are sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamDelay {
    /// One way, if nothing is lost.
    pub delay: Delay,
    /// How likely a segment is lost.
    pub loss: Chance,
    /// What a lost one adds, in whole milliseconds: at least, at most.
    pub resent_ms: (u64, u64),
}

impl StreamDelay {
    /// Draws one.
    pub fn draw(self, rng: &mut Rng) -> Duration {
        let delay = self.delay.draw(rng);
        if !self.loss.draw(rng) {
            return delay;
        }
        let (least, most) = self.resent_ms;
        delay.saturating_add(Duration::from_millis(rng.between(least, most)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openstudio_units::Seed;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn jitter_is_added_evenly_up_to_its_bound() {
        let mut rng = Seed::from_number(1).rng();
        let delay = Delay { base: MS(20), jitter: MS(10) };
        let drawn: Vec<_> = (0..10_000).map(|_| delay.draw(&mut rng)).collect();
        assert!(drawn.iter().all(|d| (MS(20)..=MS(30)).contains(d)));
        let late = drawn.iter().filter(|d| **d > MS(25)).count();
        assert!((4_700..=5_300).contains(&late), "{late} of 10000 are in the later half");
    }

    #[test]
    fn a_lost_segment_costs_the_time_to_send_it_again() {
        let mut rng = Seed::from_number(1).rng();
        let delay = Delay { base: MS(5), jitter: MS(0) };
        let stream = |loss| StreamDelay { delay, loss, resent_ms: (200, 900) };
        assert_eq!(stream(Chance::NEVER).draw(&mut rng), MS(5));
        let resent = stream(Chance::ALWAYS).draw(&mut rng);
        assert!((MS(205)..=MS(905)).contains(&resent), "{resent:?}");
    }
}
