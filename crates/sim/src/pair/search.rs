//! The search: every state once, breadth first, and from each the way back to peace.

use std::collections::{BTreeMap, VecDeque};

use super::state::{Action, Bounds, Pair};

/// Steps in peace after which nothing good will come any more.
const MAX_PEACE: usize = 3000;

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairReport {
    /// Distinct states.
    pub states: u64,
    /// Steps between them.
    pub transitions: u64,
    /// The longest of the shortest ways to a state.
    pub depth: u32,
    /// Whether all states within the bounds were seen, and not only the first so many.
    pub complete: bool,
    /// States from which peace needs *Retry* to be pressed, since a link was given up.
    pub given_up: u64,
    /// A broken rule, with the way to it.
    pub violation: Option<(String, Vec<Action>)>,
}

struct Search {
    /// Number of each state, by fingerprint.
    seen: BTreeMap<u128, u32>,
    /// Whence each state was reached, by number.
    ways: Vec<(u32, Action)>,
    /// Fingerprints without bounds from which peace was reached, and whether by *Retry*.
    peaceful: BTreeMap<u128, bool>,
    report: PairReport,
}

/// Explores everything within `bounds`, up to `most` states.
pub fn explore(bounds: Bounds, most: u64) -> PairReport {
    let mut search = Search {
        seen: BTreeMap::new(),
        ways: Vec::new(),
        peaceful: BTreeMap::new(),
        report: PairReport {
            states: 0,
            transitions: 0,
            depth: 0,
            complete: false,
            given_up: 0,
            violation: None,
        },
    };
    match Pair::new(bounds) {
        Ok(first) => search.run(first, most),
        Err(what) => search.report.violation = Some((what, Vec::new())),
    }
    search.report
}

impl Search {
    fn run(&mut self, first: Pair, most: u64) {
        let mut frontier = VecDeque::new();
        self.admit(&first, 0, Action::Mend);
        frontier.push_back((first, 0_u32, 0_u32));
        while let Some((pair, number, depth)) = frontier.pop_front() {
            self.report.depth = depth;
            if let Err(what) = self.find_peace(&pair) {
                return self.break_off(what, number, None);
            }
            for action in pair.actions() {
                self.report.transitions += 1;
                let mut next = pair.clone();
                if let Err(what) = next.happen(action) {
                    return self.break_off(what, number, Some(action));
                }
                if self.report.states >= most {
                    return;
                }
                if let Some(new) = self.admit(&next, number, action) {
                    frontier.push_back((next, new, depth + 1));
                }
            }
        }
        self.report.complete = true;
    }

    /// Takes note of a state; returns its number if it is new.
    fn admit(&mut self, pair: &Pair, from: u32, action: Action) -> Option<u32> {
        let number = u32::try_from(self.ways.len()).ok()?;
        let fingerprint = pair.fingerprint(true);
        if self.seen.contains_key(&fingerprint) {
            return None;
        }
        self.seen.insert(fingerprint, number);
        self.ways.push((from, action));
        self.report.states += 1;
        Some(number)
    }

    /// If no trouble happens any more, both ends come to be connected and stable.
    fn find_peace(&mut self, from: &Pair) -> Result<(), String> {
        let mut pair = from.clone();
        let mut way = Vec::new();
        let mut retried = 0;
        let by_retry = loop {
            let fingerprint = pair.fingerprint(false);
            if let Some(by_retry) = self.peaceful.get(&fingerprint) {
                break *by_retry || retried > 0;
            }
            if pair.is_whole() {
                way.push(fingerprint);
                break retried > 0;
            }
            if way.len() > MAX_PEACE {
                return Err(format!("no peace after {MAX_PEACE} steps: {}", describe(&pair)));
            }
            way.push(fingerprint);
            match pair.next_in_peace() {
                Some(action) => pair.happen_in_peace(action)?,
                None if retried < 4 && pair.press_retry()? => retried += 1,
                None => return Err(format!("no way out: {}", describe(&pair))),
            }
        };
        self.report.given_up += u64::from(by_retry);
        for fingerprint in way {
            self.peaceful.insert(fingerprint, by_retry);
        }
        Ok(())
    }

    fn break_off(&mut self, what: String, number: u32, last: Option<Action>) {
        let mut way: Vec<Action> = last.into_iter().collect();
        let mut at = number;
        while at != 0 {
            let Some((from, action)) = self.ways.get(at as usize).copied() else { break };
            way.push(action);
            at = from;
        }
        way.reverse();
        self.report.violation = Some((what, way));
    }
}

fn describe(pair: &Pair) -> String {
    let links = pair.sides.iter().map(|side| {
        let links = side.mesh.snapshot();
        let link = links.first();
        link.map_or_else(String::new, |link| {
            format!(
                "{} {} generation {} attempts {} {:?} {:?}",
                link.state,
                link.signaling_state,
                link.generation,
                link.attempts,
                link.peer_connection_state,
                link.trouble
            )
        })
    });
    links.collect::<Vec<_>>().join(" | ")
}
