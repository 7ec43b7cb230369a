//! [`Link`]: one direction of a line, from one packet to the next.
//!
//! A packet waits in the queue before the line, takes its time on it, and may be lost, doubled
//! or overtaken there. Order is kept, whatever the jitter, but for packets that are drawn to be
//! late.

use std::collections::BTreeMap;
use std::time::Duration;

use openstudio_units::{Rng, Seed, Timestamp};

use crate::chance::Chance;
use crate::delay::Delay;
use crate::loss::{Loss, LossProcess};

/// How many packets are under way at most; more are dropped as if the queue were full. A second
/// of 100 Mbit/s in packets of 800 bytes.
pub const MAX_IN_FLIGHT: usize = 16_384;

/// What a link does to packets. By default: nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkConfig {
    /// How long a packet is under way.
    pub delay: Delay,
    /// How packets are lost.
    pub loss: Loss,
    /// How likely a packet arrives twice.
    pub duplicate: Chance,
    /// How likely a packet is late by `reorder_by`, so that others overtake it.
    pub reorder: Chance,
    /// By how much.
    pub reorder_by: Duration,
    /// Bits a second; `None` is without a limit. None at all counts as one.
    pub rate: Option<u64>,
    /// How many bytes wait for a line of limited rate; what comes beyond them is dropped.
    pub queue_bytes: usize,
}

impl LinkConfig {
    /// A quarter of a second at 2 Mbit/s.
    pub const QUEUE_BYTES: usize = 65_536;
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            delay: Delay::default(),
            loss: Loss::None,
            duplicate: Chance::NEVER,
            reorder: Chance::NEVER,
            reorder_by: Duration::from_millis(5),
            rate: None,
            queue_bytes: Self::QUEUE_BYTES,
        }
    }
}

/// What happened to packets. Each that was sent is in exactly one of `delivered`, `lost`,
/// `overflowed`, `cut`, or under way; doubled ones count once more as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LinkCounters {
    /// Entered it.
    pub sent: u64,
    /// Came out.
    pub delivered: u64,
    /// Were lost by chance.
    pub lost: u64,
    /// Found the queue full.
    pub overflowed: u64,
    /// Came during an outage.
    pub cut: u64,
    /// Were doubled.
    pub doubled: u64,
    /// Were made late.
    pub reordered: u64,
}

/// One direction of a line.
#[derive(Debug)]
pub struct Link<T> {
    config: LinkConfig,
    counters: LinkCounters,
    is_out: bool,
    loss: LossProcess,
    jitter: Rng,
    duplicate: Rng,
    reorder: Rng,
    /// By arrival, then by order of entering.
    in_flight: BTreeMap<(Timestamp, u64), T>,
    entered: u64,
    /// Until when the line is busy with what was sent.
    busy_until: Timestamp,
    /// When the last packet that keeps its place arrives.
    last_arrival: Timestamp,
}

impl<T: Clone> Link<T> {
    /// Makes a line. Each kind of chance has a generator of its own, so that a change of one
    /// leaves the others' draws as they are.
    pub fn new(config: LinkConfig, seed: Seed) -> Self {
        Self {
            config,
            counters: LinkCounters::default(),
            is_out: false,
            loss: LossProcess::new(config.loss, seed.fork("loss").rng()),
            jitter: seed.fork("jitter").rng(),
            duplicate: seed.fork("duplicate").rng(),
            reorder: seed.fork("reorder").rng(),
            in_flight: BTreeMap::new(),
            entered: 0,
            busy_until: Timestamp::ZERO,
            last_arrival: Timestamp::ZERO,
        }
    }

    /// Returns what the line does.
    pub fn config(&self) -> LinkConfig {
        self.config
    }

    /// Changes what the line does to packets that are yet to come.
    pub fn set_config(&mut self, config: LinkConfig) {
        self.loss.set(config.loss);
        self.config = config;
    }

    /// Cuts the line, or mends it. What is under way when it is cut is lost.
    pub fn set_outage(&mut self, is_out: bool) {
        self.is_out = is_out;
        if is_out {
            let cut = u64::try_from(self.in_flight.len()).unwrap_or(u64::MAX);
            self.counters.cut = self.counters.cut.saturating_add(cut);
            self.in_flight.clear();
            self.busy_until = Timestamp::ZERO;
            self.last_arrival = Timestamp::ZERO;
        }
    }

    /// Returns what happened to packets up to now.
    pub fn counters(&self) -> LinkCounters {
        self.counters
    }

    /// Returns how many packets are under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// A packet of so many bytes enters the line.
    pub fn send(&mut self, now: Timestamp, bytes: usize, packet: T) {
        count(&mut self.counters.sent);
        if self.is_out {
            return count(&mut self.counters.cut);
        }
        let Some(leaves) = self.take_line(now, bytes) else {
            return count(&mut self.counters.overflowed);
        };
        // All are drawn for every packet, so that the fate of one shifts no other's.
        let is_lost = self.loss.next_is_lost();
        let is_doubled = self.config.duplicate.draw(&mut self.duplicate);
        let is_late = self.config.reorder.draw(&mut self.reorder);
        let delay = self.config.delay.draw(&mut self.jitter);
        if is_lost {
            return count(&mut self.counters.lost);
        }
        let mut arrival = (leaves + delay).max(self.last_arrival);
        if is_late {
            count(&mut self.counters.reordered);
            arrival = arrival + self.config.reorder_by;
        } else {
            self.last_arrival = arrival;
        }
        if is_doubled {
            count(&mut self.counters.doubled);
            self.enter(arrival, packet.clone());
        }
        self.enter(arrival, packet);
    }

    /// Returns a packet that has arrived. `None` means that there is none by `now`.
    pub fn poll(&mut self, now: Timestamp) -> Option<T> {
        let first = self.in_flight.first_entry().filter(|first| first.key().0 <= now)?;
        count(&mut self.counters.delivered);
        Some(first.remove())
    }

    /// Returns when the next packet arrives.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.in_flight.keys().next().map(|(arrival, _)| *arrival)
    }

    /// When the last bit of a packet has left, if it finds room.
    fn take_line(&mut self, now: Timestamp, bytes: usize) -> Option<Timestamp> {
        if self.in_flight.len() >= MAX_IN_FLIGHT {
            return None;
        }
        let Some(rate) = self.config.rate.map(|rate| rate.max(1)) else { return Some(now) };
        let start = self.busy_until.max(now);
        let waiting = bytes_in(start.since(now), rate);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let room = u64::try_from(self.config.queue_bytes).unwrap_or(u64::MAX);
        // A packet that finds the line free is sent, however short the queue is.
        if waiting > 0 && waiting.saturating_add(bytes) > room {
            return None;
        }
        self.busy_until = start + time_of(bytes, rate);
        Some(self.busy_until)
    }

    fn enter(&mut self, arrival: Timestamp, packet: T) {
        self.entered = self.entered.saturating_add(1);
        self.in_flight.insert((arrival, self.entered), packet);
    }
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

/// How long so many bytes occupy a line of some rate, rounded up to the microsecond.
fn time_of(bytes: u64, rate: u64) -> Duration {
    let bits = u128::from(bytes).saturating_mul(8_000_000);
    let micros = bits.div_ceil(u128::from(rate));
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// How many bytes leave a line in this time, rounded down.
fn bytes_in(time: Duration, rate: u64) -> u64 {
    let bits = time.as_micros().saturating_mul(rate.into());
    u64::try_from(bits.div_euclid(8_000_000)).unwrap_or(u64::MAX)
}
