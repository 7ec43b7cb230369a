//! The ladder of one link: wait, ICE restart, recreate, recreate relay-only, give up.
//!
//! Decides *when* something is tried and *what*. It does not know how a restart or a new
//! peer connection is made, nor which side makes it. Source: our policy.
//!
//! Invariants: `attempts` rises in one place, once for each attempt; it falls to zero only
//! after the link was sound for [`MeshConfig::settle_time`], or by an outside reason
//! (*Retry*, `online`, a rejoin); nothing is tried while the peer cannot be reached.

use std::time::Duration;

use openstudio_units::{Rng, Timestamp};

use crate::config::MeshConfig;
use crate::output::Trouble;

/// One rung of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Step {
    /// New ICE credentials on the same peer connection.
    IceRestart,
    /// A new peer connection.
    Recreate,
    /// A new peer connection with relayed candidates only.
    RecreateRelayOnly,
}

impl Step {
    /// How long an attempt may take.
    fn timeout(self, config: &MeshConfig) -> Duration {
        match self {
            Self::IceRestart => config.restart_timeout,
            Self::Recreate | Self::RecreateRelayOnly => config.connect_timeout,
        }
    }
}

/// What the link is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Try this.
    Begin(Step),
    /// Nothing is left to try.
    GiveUp(Trouble),
}

/// What is possible at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Means {
    /// Signals reach the peer.
    pub(crate) reachable: bool,
    /// Both sides hold descriptions of the same generation.
    pub(crate) can_restart: bool,
    /// There is a relay server.
    pub(crate) has_relay: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum State {
    /// Nothing is wrong, as far as is known.
    Calm,
    /// Something is wrong; the next attempt begins at `until`. `soft` trouble may go away
    /// by itself. What does not `heal` when media flow needs the attempt all the same: an
    /// offer that nobody answers blocks every later one.
    Pending { until: Timestamp, soft: bool, heals: bool, force_recreate: bool },
    /// An attempt is under way.
    Attempting { step: Step, due: Timestamp },
    /// Nothing is tried from this side. The counterpart may still try: this side takes
    /// part, and stays in this state until media flow.
    GaveUp { heals: bool },
}

/// The recovery of one link.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Recovery {
    state: State,
    attempts: u32,
    trouble: Option<Trouble>,
    sound_since: Option<Timestamp>,
    rng: Rng,
}

impl Recovery {
    pub(crate) fn new(rng: Rng) -> Self {
        Self { state: State::Calm, attempts: 0, trouble: None, sound_since: None, rng }
    }

    pub(crate) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn gave_up(&self) -> bool {
        matches!(self.state, State::GaveUp { .. })
    }

    /// Whether anything is wrong.
    pub(crate) fn is_troubled(&self) -> bool {
        self.state != State::Calm
    }

    /// Whether an attempt is under way.
    pub(crate) fn is_attempting(&self) -> bool {
        matches!(self.state, State::Attempting { .. })
    }

    /// Whether the link waits for an attempt: `Some(soft)`.
    pub(crate) fn pending(&self) -> Option<bool> {
        match self.state {
            State::Pending { soft, .. } => Some(soft),
            State::Calm | State::Attempting { .. } | State::GaveUp { .. } => None,
        }
    }

    /// Whether the rung that is under way asks for relayed candidates only.
    pub(crate) fn relay_only(&self) -> bool {
        matches!(self.state, State::Attempting { step: Step::RecreateRelayOnly, .. })
    }

    /// Begin of the next attempt, or end of the one under way, or settling.
    pub(crate) fn deadline(&self, config: &MeshConfig, reachable: bool) -> Option<Timestamp> {
        match self.state {
            State::Pending { until, .. } if reachable => Some(until),
            State::Attempting { due, .. } if reachable => Some(due),
            State::Calm if self.attempts > 0 => {
                self.sound_since.map(|since| since + config.settle_time)
            }
            State::Pending { .. }
            | State::Attempting { .. }
            | State::Calm
            | State::GaveUp { .. } => None,
        }
    }

    /// Something is wrong.
    pub(crate) fn on_trouble(&mut self, now: Timestamp, config: &MeshConfig, trouble: Trouble) {
        self.sound_since = None;
        let is_soft = matches!(trouble, Trouble::IceDisconnected | Trouble::NoInboundAudio);
        match &mut self.state {
            State::GaveUp { .. } => return,
            // An attempt that goes on is judged by its own end, not by what it repairs.
            State::Attempting { .. } if is_soft => return,
            State::Pending { .. } if is_soft => return,
            State::Pending { soft, heals, force_recreate, .. } => {
                *soft = false;
                *heals &= heals_with_media(&trouble);
                *force_recreate |= needs_recreate(&trouble);
            }
            State::Calm | State::Attempting { .. } => self.schedule(now, config, &trouble, is_soft),
        }
        self.trouble = Some(trouble);
    }

    fn schedule(&mut self, now: Timestamp, config: &MeshConfig, trouble: &Trouble, soft: bool) {
        // A browser that did not even begin will not begin later: waiting gains nothing.
        let stuck = *trouble == Trouble::IceStuck;
        let exhausted = self.attempts >= config.backoff.attempts;
        let attempt = self.attempts.saturating_add(1);
        let delay = config.backoff.jittered(attempt, &mut self.rng);
        let until = if stuck || exhausted { now } else { now + delay };
        let (heals, force_recreate) = (heals_with_media(trouble), needs_recreate(trouble));
        self.state = State::Pending { until, soft, heals, force_recreate };
    }

    /// The link is sound: connected, and heard if there is anything to hear.
    pub(crate) fn on_sound(&mut self, now: Timestamp) {
        self.on_connected();
        if self.state == State::Calm && self.sound_since.is_none() {
            self.sound_since = Some(now);
        }
    }

    /// The link is connected. Earlier attempts still count: it may be a link that nobody
    /// hears.
    pub(crate) fn on_connected(&mut self) {
        let heals = match self.state {
            State::Pending { heals, .. } => heals,
            State::GaveUp { heals } => heals,
            State::Calm | State::Attempting { .. } => true,
        };
        if heals {
            self.state = State::Calm;
            self.trouble = None;
        }
    }

    /// A round was completed: ICE does the rest, and whatever was not answered no longer
    /// stands in the way.
    pub(crate) fn on_settled(&mut self, now: Timestamp, config: &MeshConfig) {
        if let State::Attempting { due, .. } = &mut self.state {
            *due = (*due).min(now + config.ice_timeout);
        }
        if self.trouble != Some(Trouble::NoAnswer) {
            return;
        }
        self.trouble = Some(Trouble::ConnectTimeout);
        match &mut self.state {
            State::Pending { heals, .. } | State::GaveUp { heals } => *heals = true,
            State::Calm | State::Attempting { .. } => {}
        }
    }

    /// The counterpart began an attempt: take part in it. What is under way already is the
    /// same attempt, seen from this side.
    pub(crate) fn on_asked(&mut self, now: Timestamp, config: &MeshConfig, step: Step) {
        if matches!(self.state, State::Attempting { step: ours, .. } if ours >= step) {
            return;
        }
        self.on_asked_anew(now, config, step);
    }

    /// The counterpart began an attempt of its own, which ends what is under way here: take
    /// part in it.
    pub(crate) fn on_asked_anew(&mut self, now: Timestamp, config: &MeshConfig, step: Step) {
        self.sound_since = None;
        match &mut self.state {
            State::GaveUp { heals } => *heals = true,
            State::Calm | State::Pending { .. } | State::Attempting { .. } => {
                self.begin(now, config, step);
            }
        }
    }

    /// Begins anew at once with all attempts, for an outside reason.
    pub(crate) fn restart(&mut self, now: Timestamp, trouble: Trouble, force_recreate: bool) {
        self.attempts = 0;
        self.sound_since = None;
        self.trouble = Some(trouble);
        self.state = State::Pending { until: now, soft: false, heals: false, force_recreate };
    }

    /// Forgets everything: a new link, as it were.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
        self.sound_since = None;
        self.trouble = None;
        self.state = State::Calm;
    }

    /// Gives the attempt under way its full time again.
    pub(crate) fn extend(&mut self, now: Timestamp, config: &MeshConfig) {
        if let State::Attempting { step, due } = &mut self.state {
            *due = now + step.timeout(config);
        }
    }

    /// The peer can be reached again, or this machine woke up: what could not succeed
    /// meanwhile begins again. Its time is [`Recovery::extend`]'s concern.
    pub(crate) fn on_reachable(&mut self, now: Timestamp) -> Option<Action> {
        match &mut self.state {
            State::Attempting { step, .. } => Some(Action::Begin(*step)),
            State::Pending { until, .. } => {
                *until = now;
                None
            }
            State::Calm | State::GaveUp { .. } => None,
        }
    }

    pub(crate) fn on_timeout(
        &mut self,
        now: Timestamp,
        config: &MeshConfig,
        means: Means,
    ) -> Option<Action> {
        match self.state {
            State::Calm => {
                let settled = self.sound_since.is_some_and(|at| now >= at + config.settle_time);
                if settled {
                    self.attempts = 0;
                }
                None
            }
            State::Pending { until, force_recreate, .. } if means.reachable && now >= until => {
                Some(self.begin_attempt(now, config, means, force_recreate))
            }
            State::Attempting { due, .. } if means.reachable && now >= due => {
                let trouble = self.trouble.take().unwrap_or(Trouble::ConnectTimeout);
                self.schedule(now, config, &trouble, false);
                self.trouble = Some(trouble);
                self.give_up_if_exhausted(config)
            }
            State::Pending { .. } | State::Attempting { .. } | State::GaveUp { .. } => None,
        }
    }

    fn give_up_if_exhausted(&mut self, config: &MeshConfig) -> Option<Action> {
        if self.attempts < config.backoff.attempts {
            return None;
        }
        let trouble = self.trouble.clone().unwrap_or(Trouble::ConnectTimeout);
        self.state = State::GaveUp { heals: heals_with_media(&trouble) };
        Some(Action::GiveUp(trouble))
    }

    fn begin_attempt(
        &mut self,
        now: Timestamp,
        config: &MeshConfig,
        means: Means,
        force_recreate: bool,
    ) -> Action {
        if let Some(give_up) = self.give_up_if_exhausted(config) {
            return give_up;
        }
        let attempt = self.attempts.saturating_add(1);
        let step = if attempt >= config.backoff.attempts && means.has_relay {
            Step::RecreateRelayOnly
        } else if attempt == 1 && means.can_restart && !force_recreate {
            Step::IceRestart
        } else {
            Step::Recreate
        };
        self.begin(now, config, step);
        Action::Begin(step)
    }

    /// The one place in which an attempt is counted.
    fn begin(&mut self, now: Timestamp, config: &MeshConfig, step: Step) {
        self.attempts = self.attempts.saturating_add(1).min(config.backoff.attempts);
        self.state = State::Attempting { step, due: now + step.timeout(config) };
    }
}

/// Whether flowing media prove that the trouble is over.
fn heals_with_media(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::NoAnswer | Trouble::OperationFailed(_) | Trouble::OperationTimeout => false,
        Trouble::IceDisconnected
        | Trouble::IceFailed
        | Trouble::NoInboundAudio
        | Trouble::NoOffer
        | Trouble::IceStuck
        | Trouble::ConnectTimeout
        | Trouble::NetworkChanged => true,
    }
}

/// Whether the peer connection itself is beyond an ICE restart.
fn needs_recreate(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::IceStuck
        | Trouble::NoAnswer
        | Trouble::OperationFailed(_)
        | Trouble::OperationTimeout => true,
        Trouble::IceDisconnected
        | Trouble::IceFailed
        | Trouble::NoInboundAudio
        | Trouble::NoOffer
        | Trouble::ConnectTimeout
        | Trouble::NetworkChanged => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openstudio_units::Seed;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const NOW: Timestamp = Timestamp::from_millis(1);
    const ALL: Means = Means { reachable: true, can_restart: true, has_relay: true };

    fn recovery() -> Recovery {
        Recovery::new(Seed::from_number(1).rng())
    }

    /// Lets every attempt run out and returns what was tried.
    fn climb(means: Means, trouble: Trouble) -> Vec<Action> {
        let config = MeshConfig::default();
        let mut recovery = recovery();
        recovery.on_trouble(NOW, &config, trouble);
        let mut actions = Vec::new();
        while let Some(at) = recovery.deadline(&config, true) {
            actions.extend(recovery.on_timeout(at, &config, means));
        }
        actions
    }

    #[test]
    fn the_ladder_is_restart_recreate_relay_only_give_up() {
        let tried = climb(ALL, Trouble::IceFailed);
        let expected = [
            Action::Begin(Step::IceRestart),
            Action::Begin(Step::Recreate),
            Action::Begin(Step::RecreateRelayOnly),
            Action::GiveUp(Trouble::IceFailed),
        ];
        assert_eq!(tried, expected);
    }

    #[test]
    fn without_a_relay_or_descriptions_every_rung_recreates() {
        let means = Means { can_restart: false, has_relay: false, ..ALL };
        let tried = climb(means, Trouble::IceFailed);
        let recreate = Action::Begin(Step::Recreate);
        let give_up = Action::GiveUp(Trouble::IceFailed);
        assert_eq!(tried, [recreate.clone(), recreate.clone(), recreate, give_up]);
    }

    #[test]
    fn ice_that_is_stuck_is_recreated_without_waiting() {
        let config = MeshConfig::default();
        let mut recovery = recovery();
        recovery.on_trouble(NOW, &config, Trouble::IceStuck);
        let action = recovery.on_timeout(NOW, &config, ALL);
        assert_eq!(action, Some(Action::Begin(Step::Recreate)));
    }

    #[test]
    fn soft_trouble_that_heals_costs_no_attempt() {
        let config = MeshConfig::default();
        let mut recovery = recovery();
        recovery.on_trouble(NOW, &config, Trouble::IceDisconnected);
        assert_eq!(recovery.pending(), Some(true));
        recovery.on_sound(NOW);
        assert_eq!((recovery.pending(), recovery.attempts()), (None, 0));
    }

    #[test]
    fn attempts_are_forgotten_only_after_the_link_was_sound_for_a_while() {
        let config = MeshConfig::default();
        let mut recovery = recovery();
        recovery.on_trouble(NOW, &config, Trouble::IceFailed);
        let at = recovery.deadline(&config, true).unwrap();
        recovery.on_timeout(at, &config, ALL);
        recovery.on_sound(at);
        let settled = recovery.deadline(&config, true).unwrap();
        assert_eq!(settled, at + config.settle_time);
        assert_eq!(recovery.attempts(), 1);
        recovery.on_timeout(settled, &config, ALL);
        assert_eq!(recovery.attempts(), 0);
    }

    /// Scenarios offline, seed 17, and sleep, seed 18: audio flowed, the screen said *Failed*.
    #[test]
    fn regression_an_answer_that_comes_at_last_lets_media_end_the_trouble() {
        let config = MeshConfig::default();
        for gave_up in [true, false] {
            let mut recovery = recovery();
            recovery.on_trouble(NOW, &config, Trouble::NoAnswer);
            while gave_up && !recovery.gave_up() {
                let at = recovery.deadline(&config, true).unwrap();
                recovery.on_timeout(at, &config, ALL);
            }
            recovery.on_connected();
            assert!(recovery.is_troubled(), "an unanswered offer is in the way");
            recovery.on_settled(NOW, &config);
            recovery.on_connected();
            assert!(!recovery.is_troubled());
        }
    }

    #[test]
    fn nothing_is_tried_while_the_peer_cannot_be_reached() {
        let config = MeshConfig::default();
        let mut recovery = recovery();
        recovery.on_trouble(NOW, &config, Trouble::IceFailed);
        assert_eq!(recovery.deadline(&config, false), None);
        let late = NOW + config.connect_timeout * 100;
        let away = Means { reachable: false, ..ALL };
        assert_eq!(recovery.on_timeout(late, &config, away), None);
        assert_eq!(recovery.attempts(), 0);
    }
}
