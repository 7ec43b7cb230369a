//! One seed from begin to end: the join, episodes of trouble, and what must be after each.

use std::collections::BTreeMap;
use std::time::Duration;

use openstudio_session::SessionConfig;
use openstudio_units::{PeerId, Rng, Seed, Timestamp};

use crate::client::ToClient;
use crate::scenario::Scenario;
use crate::trace::Violation;
use crate::trouble::Trouble;
use crate::world::{Happening, World, WorldConfig};

/// How long the room may take to be whole again after the last trouble.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// The calm at the end: longer than a ghost lives (silence, a look, the grace period).
const LAST_CALM: Duration = Duration::from_secs(80);

/// The most that a page may remember, printed, for each other participant.
const PAGE_PER_PEER: usize = 24_000;

/// What is to be simulated.
#[derive(Debug, Clone)]
pub struct RunConfig {
    /// Decides everything that is random.
    pub seed: u64,
    /// How many clients. 2 to 60.
    pub peers: usize,
    /// Simulated time.
    pub length: Duration,
    /// Which troubles.
    pub scenario: Scenario,
    /// Whether to keep the text of everything that happens.
    pub traced: bool,
    /// How the clients are set up. The default is what the product runs with.
    pub session: SessionConfig,
}

/// What one seed gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// How many troubles there were.
    pub faults: u64,
    /// How often a person pressed *Retry*.
    pub retries: u64,
    /// For the join and for each episode: from the last trouble until all were connected.
    pub full_mesh: Vec<Duration>,
    /// The rule that was broken, if one was.
    pub violation: Option<Violation>,
    /// What it looked like then.
    pub scene: String,
    /// The hash of everything that happened.
    pub hash: u64,
    /// Everything that happened, if it was kept.
    pub lines: Vec<String>,
}

/// Simulates one seed.
pub fn run(config: &RunConfig) -> Outcome {
    let mut run = Run::new(config);
    if run.gather_everybody() {
        run.live(config.scenario);
    }
    run.close()
}

struct Run {
    world: World,
    plan: Rng,
    end: Timestamp,
    full_mesh: Vec<Duration>,
}

impl Run {
    fn new(config: &RunConfig) -> Self {
        let mut plan = Seed::from_number(config.seed).fork("scenario").rng();
        // Four kinds of studio: without any server, with STUN, and two with a relay.
        let servers = plan.between(0, 3);
        let world = World::new(WorldConfig {
            seed: config.seed,
            peers: config.peers.clamp(2, 60),
            has_stun: servers > 0,
            has_relay: servers > 1,
            hard_nats: plan.between(0, 1) == 1,
            traced: config.traced,
            session: config.session.clone(),
        });
        let end = world.now + config.length;
        Self { world, plan, end, full_mesh: Vec::new() }
    }

    /// The host starts the session; everybody else joins at once.
    fn gather_everybody(&mut self) -> bool {
        self.world.join(0);
        while self.world.invite.is_none() {
            let limit = self.world.now + DEADLINE;
            if !self.world.step(limit) {
                self.world.violation("the session does not start");
                return false;
            }
        }
        for c in 1..self.world.clients.len() {
            let delay = self.plan.duration_between(Duration::ZERO, Duration::from_millis(20));
            self.world.after(delay, Happening::Begin(Trouble::Join(c)));
        }
        let last = self.world.now + Duration::from_millis(20);
        self.world.run_to(last) && self.settle(last)
    }

    fn live(&mut self, scenario: Scenario) {
        let longest = Duration::from_secs(63) + DEADLINE + LAST_CALM + Duration::from_secs(10);
        while self.world.now + longest < self.end {
            let planned = scenario.draw(&mut self.plan, self.world.clients.len());
            let mut last = self.world.now;
            for (begin, trouble, length) in planned {
                let (from, to) = (self.world.now + begin, self.world.now + begin + length);
                self.world.queue.push(from, Happening::Begin(trouble));
                self.world.queue.push(to, Happening::End(trouble));
                last = last.max(to);
            }
            if !self.world.run_to(last) || !self.ask_again() || !self.rest() {
                return;
            }
        }
        if self.world.run_to(self.end) {
            let verdict = self.world.judge().and_then(|()| self.world.judge_rosters());
            let verdict = verdict.and_then(|()| self.world.judge_strips());
            self.must(verdict.map_err(|what| format!("at the end: {what}")));
            let most = PAGE_PER_PEER * self.world.clients.len();
            let largest = self.world.largest_page();
            if largest > most {
                self.world.violation(format!("a page remembers {largest} characters"));
            }
        }
    }

    /// Whoever was given up for good is tried again by hand; then the room must be whole.
    fn ask_again(&mut self) -> bool {
        let now = self.world.now;
        self.press_retry();
        self.settle(now)
    }

    /// Returns whether there was anybody to press it for.
    fn press_retry(&mut self) -> bool {
        let before = self.world.retries;
        for c in 0..self.world.clients.len() {
            self.world.tell(Duration::ZERO, c, ToClient::Retry);
        }
        let now = self.world.now;
        self.world.run_to(now);
        let pressed = self.world.retries - before;
        self.world.injected += pressed;
        pressed > 0
    }

    /// Waits for [`DEADLINE`]: at its end exactly those must be connected that can be. Notes
    /// when that came to be, for the last time: it may have been so before the troubles of
    /// this very moment were noticed.
    ///
    /// An attempt that the last trouble met may fail after it, and be the last of three:
    /// the person sees that and presses *Retry*, once.
    fn settle(&mut self, last: Timestamp) -> bool {
        let (mut last, mut patient) = (last, true);
        let mut whole_since = None;
        loop {
            if patient && self.press_retry() {
                patient = false;
                last = self.world.now;
            }
            let end = last + DEADLINE;
            if std::mem::take(&mut self.world.stirred) || whole_since.is_none() {
                let verdict = self.world.judge();
                if self.world.now >= end
                    && let Err(what) = verdict
                {
                    let seconds = DEADLINE.as_secs();
                    return self.must(Err(format!("{seconds} s after the last trouble: {what}")));
                }
                whole_since = verdict.ok().map(|()| whole_since.unwrap_or(self.world.now));
            }
            if let Some(since) = whole_since.filter(|_| self.world.now >= end) {
                self.full_mesh.push(since.since(last));
                return true;
            }
            let fine = self.world.now.since(last) < Duration::from_secs(2);
            let step = Duration::from_millis(if fine { 25 } else { 100 });
            let next = (self.world.now + step).min(end);
            if !self.world.run_to(next) {
                return false;
            }
        }
    }

    /// Nothing happens for a while, and nothing may change.
    fn rest(&mut self) -> bool {
        let length = self.plan.duration_between(Duration::from_secs(1), Duration::from_secs(15));
        let next = self.world.now + length;
        if !self.world.run_to(next) {
            return false;
        }
        let verdict = self.world.judge().map_err(|what| format!("in the calm: {what}"));
        self.must(verdict)
    }

    fn must(&mut self, verdict: Result<(), String>) -> bool {
        match verdict {
            Ok(()) => true,
            Err(what) => {
                self.world.violation(what);
                false
            }
        }
    }

    fn close(mut self) -> Outcome {
        let violation = self.world.trace.violation().cloned();
        let scene = if violation.is_some() { self.world.describe() } else { String::new() };
        let pending = u64::try_from(self.world.queue.len()).unwrap_or(u64::MAX);
        self.world.trace.mix(pending);
        Outcome {
            seed: self.world.config.seed,
            simulated: self.world.now.since(Timestamp::ZERO),
            faults: self.world.injected,
            retries: self.world.retries,
            full_mesh: self.full_mesh,
            violation,
            scene,
            hash: self.world.trace.hash(),
            lines: readable(self.world.trace.take_lines(), &self.world.owners),
        }
    }
}

/// Replaces the ids of participants by the numbers of their clients.
fn readable(mut lines: Vec<String>, owners: &BTreeMap<PeerId, usize>) -> Vec<String> {
    let names: Vec<(String, String)> =
        owners.iter().map(|(peer, client)| (peer.to_string(), format!("#{client}"))).collect();
    for line in &mut lines {
        for (id, name) in &names {
            if line.contains(id) {
                *line = line.replace(id, name);
            }
        }
    }
    lines
}
