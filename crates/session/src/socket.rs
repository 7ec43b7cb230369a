//! The way to the server: one socket, opened again whenever it breaks.
//!
//! Decides when a socket is opened, when it counts as dead, and how long to wait before
//! the next one. It does not know what is said on it.
//!
//! Invariants: at most one socket; delays have full jitter, so that clients which lost
//! their server together do not come back together.

use openstudio_units::{Rng, Timestamp};

use crate::config::SessionConfig;
use crate::output::SocketId;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Open(SocketId),
    Ping(SocketId),
    /// The socket is given up: close it, and take it for closed.
    Abandon(SocketId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    /// Open, or being opened; without a seat by `due` it is given up.
    Entering {
        socket: SocketId,
        opened: bool,
        due: Timestamp,
    },
    /// The seat is there. `ping_due` is when a `ping` or its answer is due.
    Ready {
        socket: SocketId,
        ping_due: Timestamp,
        pinged: bool,
    },
    /// The next attempt begins at `until`.
    Waiting {
        until: Timestamp,
    },
}

/// The way to the server.
#[derive(Debug)]
pub(crate) struct Socket {
    state: State,
    last_id: u64,
    failures: u32,
    /// A late answer was asked for once more.
    asked_twice: bool,
    /// Nobody is heard any more: what does not answer is likely to be this end's network.
    cut_off: bool,
    /// Over how long the server wants those spread who come back, for as many as it has.
    spread: std::time::Duration,
    /// The server asked to wait this long before the next attempt.
    retry_after: std::time::Duration,
    rng: Rng,
}

impl Socket {
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            state: State::Closed,
            last_id: 0,
            failures: 0,
            asked_twice: false,
            cut_off: false,
            spread: std::time::Duration::ZERO,
            retry_after: std::time::Duration::ZERO,
            rng,
        }
    }

    /// The socket on which something can be sent.
    pub(crate) fn open_id(&self) -> Option<SocketId> {
        match self.state {
            State::Entering { socket, opened: true, .. } | State::Ready { socket, .. } => {
                Some(socket)
            }
            State::Entering { .. } | State::Closed | State::Waiting { .. } => None,
        }
    }

    /// The socket that is open or being opened.
    pub(crate) fn current(&self) -> Option<SocketId> {
        match self.state {
            State::Entering { socket, .. } | State::Ready { socket, .. } => Some(socket),
            State::Closed | State::Waiting { .. } => None,
        }
    }

    /// Whether there is a socket, or is to be one.
    pub(crate) fn is_wanted(&self) -> bool {
        self.state != State::Closed
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready { .. })
    }

    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        match self.state {
            State::Entering { due, .. } => Some(due),
            State::Ready { ping_due, .. } => Some(ping_due),
            State::Waiting { until } => Some(until),
            State::Closed => None,
        }
    }

    pub(crate) fn open(&mut self, now: Timestamp, config: &SessionConfig) -> Action {
        self.last_id = self.last_id.saturating_add(1);
        let socket = SocketId(self.last_id);
        let due = now + self.opening_timeout(config);
        self.state = State::Entering { socket, opened: false, due };
        Action::Open(socket)
    }

    fn opening_timeout(&self, config: &SessionConfig) -> std::time::Duration {
        let hurries = self.cut_off && self.failures < config.cut_off_attempts;
        if hurries { config.cut_off_timeout } else { config.connect_timeout }
    }

    /// Nobody is heard any more, or somebody is again. A server that is overloaded or gone cuts
    /// nobody off, so its clients stay patient.
    pub(crate) fn on_cut_off(
        &mut self,
        now: Timestamp,
        config: &SessionConfig,
        cut_off: bool,
    ) -> Option<Action> {
        self.cut_off = cut_off;
        if !cut_off {
            return None;
        }
        let opening = now + self.opening_timeout(config);
        if let State::Entering { opened: false, due, .. } = &mut self.state {
            *due = (*due).min(opening);
        }
        self.probe(now, config)
    }

    /// A socket whose network is gone says nothing, and does not close: asks whether it lives.
    fn probe(&mut self, now: Timestamp, config: &SessionConfig) -> Option<Action> {
        let State::Ready { socket, ping_due, pinged } = &mut self.state else { return None };
        let due = now + config.probe_timeout;
        *ping_due = if *pinged { due.min(*ping_due) } else { due };
        let asks = !std::mem::replace(pinged, true);
        asks.then_some(Action::Ping(*socket))
    }

    /// Returns whether it was the one that is awaited.
    pub(crate) fn on_opened(
        &mut self,
        now: Timestamp,
        config: &SessionConfig,
        socket: SocketId,
    ) -> bool {
        match &mut self.state {
            State::Entering { socket: awaited, opened, due } if *awaited == socket => {
                *opened = true;
                // A server that answers is there.
                *due = (*due).max(now + config.cut_off_timeout);
                true
            }
            State::Entering { .. }
            | State::Closed
            | State::Ready { .. }
            | State::Waiting { .. } => false,
        }
    }

    /// The server answers, but has no seat yet: it gets the full time again.
    pub(crate) fn extend(&mut self, now: Timestamp, config: &SessionConfig) {
        if let State::Entering { due, .. } = &mut self.state {
            *due = now + config.connect_timeout;
        }
    }

    /// The seat is there.
    pub(crate) fn on_ready(&mut self, now: Timestamp, config: &SessionConfig) {
        if let Some(socket) = self.current() {
            self.failures = 0;
            self.retry_after = std::time::Duration::ZERO;
            let ping_due = now + config.heartbeat_interval;
            self.state = State::Ready { socket, ping_due, pinged: false };
        }
    }

    /// The server said something.
    pub(crate) fn on_heard(&mut self, now: Timestamp, config: &SessionConfig) {
        self.asked_twice = false;
        if let State::Ready { ping_due, pinged, .. } = &mut self.state {
            *ping_due = now + config.heartbeat_interval;
            *pinged = false;
        }
    }

    /// The server said over how long those are to be spread who come back.
    pub(crate) fn on_spread(&mut self, spread: std::time::Duration) {
        self.spread = spread;
    }

    /// The server asked for patience before the next attempt.
    pub(crate) fn on_going_away(&mut self, retry_after: std::time::Duration) {
        self.retry_after = retry_after;
    }

    /// The socket is gone. Returns whether it was the present one.
    pub(crate) fn on_closed(
        &mut self,
        now: Timestamp,
        config: &SessionConfig,
        socket: SocketId,
    ) -> bool {
        if self.current() != Some(socket) {
            return false;
        }
        self.back_off(now, config);
        true
    }

    /// Gives up the present socket, if there is one.
    pub(crate) fn close(&mut self) -> Option<SocketId> {
        let socket = self.current();
        self.state = State::Closed;
        socket
    }

    pub(crate) fn on_timeout(&mut self, now: Timestamp, config: &SessionConfig) -> Option<Action> {
        if self.deadline().is_none_or(|due| now < due) {
            return None;
        }
        match self.state {
            State::Waiting { .. } => Some(self.open(now, config)),
            // A page that was held up has its answer waiting behind this timer: ask once more.
            State::Ready { socket, ping_due, pinged: true }
                if now.since(ping_due) > config.heartbeat_timeout && !self.asked_twice =>
            {
                self.asked_twice = true;
                let ping_due = now + config.heartbeat_timeout;
                self.state = State::Ready { socket, ping_due, pinged: true };
                Some(Action::Ping(socket))
            }
            State::Entering { socket, .. } | State::Ready { socket, pinged: true, .. } => {
                self.back_off(now, config);
                Some(Action::Abandon(socket))
            }
            State::Ready { socket, pinged: false, .. } => {
                let ping_due = now + config.heartbeat_timeout;
                self.state = State::Ready { socket, ping_due, pinged: true };
                Some(Action::Ping(socket))
            }
            State::Closed => None,
        }
    }

    /// Draws the next delay evenly from zero to a limit that doubles ("full jitter").
    fn back_off(&mut self, now: Timestamp, config: &SessionConfig) {
        let doublings = self.failures.min(16);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let is_quick = self.failures < config.quick_retries;
        let unanswered =
            matches!(self.state, State::Entering { opened: false, due, .. } if now >= due);
        let cap = match (self.cut_off && unanswered, is_quick) {
            // The attempt itself was the wait.
            (true, _) => config.retry_base,
            (false, true) => config.retry_cap,
            (false, false) => config.late_retry_cap,
        };
        let limit = config.retry_base.saturating_mul(factor).min(cap);
        let asked = self.spread.max(self.retry_after);
        let limit = limit.max(asked.min(config.retry_after_cap));
        self.failures = self.failures.saturating_add(1);
        let delay = self.rng.duration_between(std::time::Duration::ZERO, limit);
        self.state = State::Waiting { until: now + delay };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openstudio_units::Seed;
    use std::time::Duration;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn socket(seed: u64) -> Socket {
        Socket::new(Seed::from_number(seed).rng())
    }

    #[test]
    fn clients_that_lose_their_server_together_do_not_come_back_together() {
        let config = SessionConfig::default();
        let mut delays: Vec<u64> = (0..1000)
            .map(|seed| {
                let mut socket = socket(seed);
                socket.open(Timestamp::ZERO, &config);
                socket.on_closed(Timestamp::ZERO, &config, SocketId(1));
                socket.deadline().unwrap().as_millis()
            })
            .collect();
        delays.sort_unstable();
        assert!(delays[999] <= 500);
        let busiest = (0..10).map(|n| delays.iter().filter(|d| **d / 50 == n).count()).max();
        assert!(busiest.unwrap() < 160, "of 1000 clients in 10 windows: {busiest:?}");
    }

    #[test]
    fn a_crowd_comes_back_within_what_its_server_said_and_no_faster() {
        let config = SessionConfig::default();
        // How often each is refused, since the server is not back yet, before it is heard.
        for refusals in 0..4 {
            let mut delays: Vec<u64> = (0..1000)
                .map(|seed| {
                    let mut socket = socket(seed);
                    socket.on_spread(Duration::from_secs(4));
                    let mut began = Timestamp::ZERO;
                    for _ in 0..=refusals {
                        began = socket.deadline().unwrap_or_default();
                        socket.open(began, &config);
                        let id = socket.current().unwrap();
                        socket.on_closed(began, &config, id);
                    }
                    socket.deadline().unwrap().since(began).as_millis().try_into().unwrap()
                })
                .collect();
            delays.sort_unstable();
            assert!((3_900..=4_000).contains(&delays[999]), "{} ms", delays[999]);
            let busiest = (0..40).map(|n| delays.iter().filter(|d| **d / 100 == n).count()).max();
            assert!(busiest.unwrap() < 50, "of 1000 in 40 windows: {busiest:?}");
        }
    }

    #[test]
    fn a_server_that_is_gone_for_long_is_looked_for_less_often() {
        let config = SessionConfig::default();
        let longest = |failure: u32| {
            let delays = (0..1000).map(|seed| {
                let mut socket = Socket { failures: failure, ..socket(seed) };
                socket.open(Timestamp::ZERO, &config);
                socket.on_closed(Timestamp::ZERO, &config, SocketId(1));
                socket.deadline().unwrap().as_millis()
            });
            delays.max().unwrap()
        };
        assert!((400..=500).contains(&longest(0)));
        assert!((900..=1000).contains(&longest(1)));
        for quick in [2, 3, config.quick_retries - 1] {
            assert!((1900..=2000).contains(&longest(quick)));
        }
        for late in [config.quick_retries, 1_000_000] {
            assert!((4900..=5000).contains(&longest(late)));
        }
    }

    #[test]
    fn a_silent_server_is_pinged_and_then_given_up() {
        let config = SessionConfig::default();
        let mut socket = socket(1);
        socket.open(Timestamp::ZERO, &config);
        socket.on_opened(Timestamp::ZERO, &config, SocketId(1));
        socket.on_ready(Timestamp::ZERO, &config);
        let late = Timestamp::ZERO + Duration::from_secs(3600);
        assert_eq!(socket.on_timeout(late, &config), Some(Action::Ping(SocketId(1))));
        let later = late + config.heartbeat_timeout;
        assert_eq!(socket.on_timeout(later, &config), Some(Action::Abandon(SocketId(1))));
        assert_eq!(socket.current(), None);
    }

    #[test]
    fn regression_a_page_that_was_held_up_asks_once_more_before_it_gives_the_socket_up() {
        let config = SessionConfig::default();
        let mut socket = socket(1);
        socket.open(Timestamp::ZERO, &config);
        socket.on_ready(Timestamp::ZERO, &config);
        socket.on_timeout(socket.deadline().unwrap(), &config);
        let late = socket.deadline().unwrap() + Duration::from_secs(20);
        assert_eq!(socket.on_timeout(late, &config), Some(Action::Ping(SocketId(1))));
        let later = late + Duration::from_secs(20);
        assert_eq!(socket.on_timeout(later, &config), Some(Action::Abandon(SocketId(1))));
    }

    /// How long attempts wait for an answer, and the next one after them, if nothing answers.
    fn unanswered(socket: &mut Socket, attempts: usize) -> Vec<(Duration, Duration)> {
        let config = SessionConfig::default();
        let mut now = Timestamp::ZERO;
        socket.open(now, &config);
        let mut wait = |socket: &mut Socket| {
            let due = socket.deadline().unwrap();
            let waited = due.since(std::mem::replace(&mut now, due));
            socket.on_timeout(due, &config);
            waited
        };
        (0..attempts).map(|_| (wait(socket), wait(socket))).collect()
    }

    #[test]
    fn who_is_cut_off_asks_anew_more_often_but_not_for_ever() {
        let config = SessionConfig::default();
        let hurried = usize::try_from(config.cut_off_attempts).unwrap();
        let mut socket = socket(1);
        socket.on_cut_off(Timestamp::ZERO, &config, true);
        let attempts = unanswered(&mut socket, hurried + 2);
        for (opening, delay) in &attempts[..hurried] {
            assert_eq!(*opening, config.cut_off_timeout);
            assert!(*delay <= config.retry_base, "{delay:?}");
        }
        assert!(attempts[hurried..].iter().all(|(opening, _)| *opening == config.connect_timeout));
    }

    #[test]
    fn who_is_not_cut_off_is_as_patient_with_a_slow_server_as_ever() {
        let config = SessionConfig::default();
        let mut socket = socket(1);
        socket.on_cut_off(Timestamp::ZERO, &config, true);
        socket.on_cut_off(Timestamp::ZERO, &config, false);
        let attempts = unanswered(&mut socket, 20);
        assert!(attempts.iter().all(|(opening, _)| *opening == config.connect_timeout));
        assert!(attempts.iter().any(|(_, delay)| *delay > config.retry_base));
    }

    #[test]
    fn a_server_that_answers_has_time_to_give_the_seat() {
        let config = SessionConfig::default();
        let mut socket = socket(1);
        socket.on_cut_off(Timestamp::ZERO, &config, true);
        socket.open(Timestamp::ZERO, &config);
        let late = socket.deadline().unwrap();
        socket.on_opened(late, &config, SocketId(1));
        assert_eq!(socket.deadline(), Some(late + config.cut_off_timeout));
    }

    #[test]
    fn a_ping_that_is_under_way_is_waited_for_no_longer_than_a_probe() {
        let config = SessionConfig::default();
        let mut socket = socket(1);
        socket.open(Timestamp::ZERO, &config);
        socket.on_ready(Timestamp::ZERO, &config);
        let pinged = socket.deadline().unwrap();
        socket.on_timeout(pinged, &config);
        assert_eq!(socket.on_cut_off(pinged, &config, true), None, "one ping is enough");
        assert_eq!(socket.deadline(), Some(pinged + config.probe_timeout));
    }

    #[test]
    fn an_answer_keeps_the_socket() {
        let config = SessionConfig::default();
        let mut socket = socket(1);
        socket.open(Timestamp::ZERO, &config);
        socket.on_ready(Timestamp::ZERO, &config);
        let due = socket.deadline().unwrap();
        socket.on_timeout(due, &config);
        socket.on_heard(due, &config);
        assert_eq!(socket.deadline(), Some(due + config.heartbeat_interval));
        assert!(socket.is_ready());
    }

    #[test]
    fn regression_a_server_that_asks_for_endless_patience_is_looked_for_all_the_same() {
        let config = SessionConfig::default();
        let mut socket = socket(1);
        socket.open(Timestamp::ZERO, &config);
        socket.on_going_away(Duration::from_millis(u64::MAX));
        socket.on_closed(Timestamp::ZERO, &config, SocketId(1));
        let wait = socket.deadline().unwrap().since(Timestamp::ZERO);
        assert!(wait <= config.retry_after_cap, "{wait:?}");
    }
}
