//! Everything that is due at some time, in one ordered set.

use std::collections::BTreeSet;

use openstudio_units::{PeerId, RoomId, Timestamp};

use crate::output::{Deadline, DeadlineReason};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The seat of somebody who is away.
    Grace(RoomId, PeerId),
    /// The end of a rebuilt room's wait.
    Rebuild(RoomId),
    /// The next seat token of somebody who is here.
    Token(RoomId, PeerId),
    /// The next credentials for relays of somebody who is here.
    Ice(RoomId, PeerId),
}

/// The timers. Whoever sets one keeps its time and cancels it by that.
#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeSet<(Timestamp, Timer)>);

impl Timers {
    pub(crate) fn set(&mut self, at: Timestamp, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(crate) fn cancel(&mut self, at: Timestamp, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    /// Takes the earliest timer that is due at `now`.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<Timer> {
        let (at, timer) = *self.0.first()?;
        if at > now {
            return None;
        }
        self.0.pop_first();
        Some(timer)
    }

    pub(crate) fn next(&self) -> Option<Deadline> {
        let (at, timer) = *self.0.first()?;
        let reason = match timer {
            Timer::Grace(..) => DeadlineReason::GraceOver,
            Timer::Rebuild(..) => DeadlineReason::RebuildOver,
            Timer::Token(..) => DeadlineReason::TokenRenewal,
            Timer::Ice(..) => DeadlineReason::IceRenewal,
        };
        Some(Deadline { at, reason })
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
