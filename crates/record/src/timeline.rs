//! Where in the session a stream's packets belong: from the sender's clock to the session's.

/// Drift is looked at once for so many packets: 5 s.
const WINDOW: u32 = 250;

/// A stream that lags by this much is moved: 5 ms.
const LAG: i64 = 240;

/// A stream that leads by this much is moved: 20 ms, which is a packet that is left out.
const LEAD: i64 = 960;

/// The smallest piece of silence that there is: 2.5 ms.
pub(crate) const STEP: i64 = 120;

/// The sender's time and the session's, of one stream of packets.
///
/// The least delayed of the packets tells how the two clocks stand; the others were late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline {
    /// What is added to the sender's time.
    offset: i64,
    /// How much later than its place the least delayed packet of this window came.
    least: i64,
    seen: u32,
}

impl Timeline {
    /// Begins with the first packets: pairs of the sender's time and the moment of arrival.
    /// None without any.
    pub fn of(first: impl IntoIterator<Item = (u64, u64)>) -> Option<Self> {
        let offset = first.into_iter().map(|(time, arrival)| difference(arrival, time)).min()?;
        Some(Self { offset, least: i64::MAX, seen: 0 })
    }

    /// Returns where a packet belongs; one from before the session's zero is at zero.
    pub fn place(&self, time: u64) -> u64 {
        time.saturating_add_signed(self.offset)
    }

    /// Returns how much later than at its place a packet came.
    pub fn delay(&self, time: u64, arrival: u64) -> i64 {
        difference(arrival, time).saturating_sub(self.offset)
    }

    /// Takes a packet, and follows a clock that drifts: by whole steps of 2.5 ms towards the
    /// end, by a packet's time towards the beginning.
    pub fn follow(&mut self, time: u64, arrival: u64) {
        self.least = self.least.min(self.delay(time, arrival));
        self.seen += 1;
        if self.seen < WINDOW {
            return;
        }
        if self.least >= LAG {
            self.offset = self.offset.saturating_add(self.least / STEP * STEP);
        } else if self.least <= -LEAD {
            self.offset = self.offset.saturating_sub(LEAD);
        }
        (self.least, self.seen) = (i64::MAX, 0);
    }
}

/// Returns `a` − `b`.
fn difference(a: u64, b: u64) -> i64 {
    let size = i64::try_from(a.abs_diff(b)).unwrap_or(i64::MAX);
    if a >= b { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_delayed_packet_tells_the_time() {
        let timeline = Timeline::of([(1_000, 5_400), (1_960, 5_960), (2_920, 7_700)]).unwrap();
        assert_eq!(timeline.place(1_000), 5_000);
        assert_eq!(timeline.delay(2_920, 7_700), 780);
        assert_eq!(Timeline::of([]), None);
    }

    #[test]
    fn a_steady_clock_is_left_alone_whatever_the_network_does() {
        let mut timeline = Timeline::of([(0, 100)]).unwrap();
        for n in 0..100_000_u64 {
            let delay = if n % 50 == 0 { 100 } else { 100 + n * 7_919 % 9_600 };
            timeline.follow(n * 960, n * 960 + delay);
        }
        assert_eq!(timeline.place(0), 100);
    }

    #[test]
    fn a_clock_that_drifts_is_followed() {
        // 100 millionths in ten hours: 3.6 s.
        for (name, drift) in [("slow", 1), ("fast", -1)] {
            let mut timeline = Timeline::of([(0, 100_000)]).unwrap();
            let mut worst = 0;
            for n in 0..1_800_000_u64 {
                let arrival = (100_000 + n * 960)
                    .saturating_add_signed(drift * i64::try_from(n * 960 / 10_000).unwrap());
                timeline.follow(n * 960, arrival);
                worst = worst.max(timeline.delay(n * 960, arrival).abs());
            }
            assert!(worst <= LEAD + 60, "a {name} clock was {worst} frames off");
        }
    }
}
