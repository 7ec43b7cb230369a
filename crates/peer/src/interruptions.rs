//! When something did not come: packets of somebody, or the server.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

/// Packets come every 20 ms. What is longer than three of them is noted.
const NOTED: Duration = Duration::from_millis(60);

/// Of one kind, so many of the latest are kept.
const KEPT: usize = 512;

/// A time without any packet of somebody who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// When the next packet came.
    pub until: SystemTime,
    /// How long there was none.
    pub length: Duration,
}

/// A time without the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// When its socket was lost.
    pub lost: SystemTime,
    /// When the seat was there again; none while it is not.
    pub back: Option<SystemTime>,
}

/// When packets of somebody came, over whatever connection.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    last: Option<Instant>,
    gaps: VecDeque<Gap>,
}

impl Arrivals {
    /// The latest packet so far came then.
    pub(crate) fn note(&mut self, at: Instant) {
        if let Some(length) = self.since_last(at).filter(|length| *length > NOTED) {
            push(&mut self.gaps, gap(length));
        }
        self.last = self.last.max(Some(at));
    }

    /// Returns the latest gaps above 60 ms, the present one too.
    pub(crate) fn gaps(&self) -> Vec<Gap> {
        let present = self.since_last(Instant::now()).filter(|length| *length > NOTED);
        self.gaps.iter().copied().chain(present.map(gap)).collect()
    }

    fn since_last(&self, at: Instant) -> Option<Duration> {
        self.last.map(|last| at.saturating_duration_since(last))
    }
}

fn gap(length: Duration) -> Gap {
    Gap { until: SystemTime::now(), length }
}

/// The latest outages.
#[derive(Debug, Default)]
pub(crate) struct Outages(VecDeque<Outage>);

impl Outages {
    /// The socket is lost.
    pub(crate) fn begin(&mut self) {
        push(&mut self.0, Outage { lost: SystemTime::now(), back: None });
    }

    /// The seat is there.
    pub(crate) fn end(&mut self) {
        if let Some(last) = self.0.back_mut() {
            last.back.get_or_insert_with(SystemTime::now);
        }
    }

    pub(crate) fn list(&self) -> Vec<Outage> {
        self.0.iter().copied().collect()
    }
}

fn push<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() == KEPT {
        list.pop_front();
    }
    list.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_noted_however_the_packets_come_and_others_are_not() {
        let begun = Instant::now();
        let mut arrivals = Arrivals::default();
        for ms in [5_000, 5_020, 5_060, 5_040, 5_120, 5_241, 5_260] {
            arrivals.note(begun + Duration::from_millis(ms));
        }
        let lengths: Vec<_> = arrivals.gaps().iter().map(|gap| gap.length.as_millis()).collect();
        assert_eq!(lengths, [121]);
    }

    #[test]
    fn whoever_has_fallen_silent_is_in_a_gap() {
        let mut arrivals = Arrivals::default();
        assert!(arrivals.gaps().is_empty(), "nothing was heard of them yet");
        arrivals.note(Instant::now() - Duration::from_secs(1));
        assert!(arrivals.gaps()[0].length >= Duration::from_secs(1));
    }

    #[test]
    fn an_outage_lasts_until_the_seat_is_there_and_memory_is_bounded() {
        let mut outages = Outages::default();
        outages.end();
        assert!(outages.list().is_empty(), "the first seat ends no outage");
        for _ in 0..1000 {
            outages.begin();
            assert_eq!(outages.list().last().unwrap().back, None);
            outages.end();
        }
        let list = outages.list();
        assert_eq!(list.len(), KEPT);
        assert!(list.iter().all(|outage| outage.back.is_some_and(|back| back >= outage.lost)));
    }
}
