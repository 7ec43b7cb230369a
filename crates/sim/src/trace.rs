//! What happened in a world: a hash of all of it, its text if somebody wants to read it,
//! and the first rule that was broken.

use openstudio_units::Timestamp;

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Timestamp,
    /// Which, in words.
    pub what: String,
}

/// The trace of one world.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
    violation: Option<Violation>,
}

impl Trace {
    pub(crate) fn new(kept: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: kept.then(Vec::new), violation: None }
    }

    /// 64-bit FNV-1a over words: the same on every platform and release.
    pub(crate) fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// Keeps a line, if lines are kept.
    pub(crate) fn line(&mut self, now: Timestamp, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{now} {}", text()));
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.violation.is_some()
    }

    /// Keeps the first violation.
    pub(crate) fn break_off(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    pub(crate) fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}
