//! [`Finding`]: what a check has found, in words.

use std::process::ExitCode;

use serde_json::{Value, json};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Ok,
    Warn,
    Fail,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Which check.
    check: &'static str,
    level: Level,
    words: String,
    /// What to do; empty where there is nothing.
    advice: String,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, words: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, words: words.into(), advice: String::new() }
    }

    pub(crate) fn warn(
        check: &'static str,
        words: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { check, level: Level::Warn, words: words.into(), advice: advice.into() }
    }

    pub(crate) fn fail(
        check: &'static str,
        words: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { check, level: Level::Fail, words: words.into(), advice: advice.into() }
    }

    #[cfg(test)]
    pub(crate) fn level(&self) -> Level {
        self.level
    }

    fn as_line(&self) -> String {
        let Self { check, level, words, advice } = self;
        let stop = if advice.is_empty() { "" } else { ": " };
        // Reasons of the system may have several lines.
        format!("{:<4}  {check:<12} {words}{stop}{advice}", level.word()).replace('\n', " ")
    }
}

/// All that was found.
#[derive(Debug)]
pub(crate) struct Report(pub(crate) Vec<Finding>);

impl Report {
    fn worst(&self) -> Level {
        self.0.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }

    /// One line for each finding.
    pub(crate) fn as_text(&self) -> String {
        self.0.iter().map(Finding::as_line).collect::<Vec<_>>().join("\n")
    }

    /// `{"status": …, "checks": [{"check": …, "level": …, "words": …, "advice": …}]}`.
    pub(crate) fn as_json(&self) -> Value {
        let checks: Vec<Value> = self
            .0
            .iter()
            .map(|Finding { check, level, words, advice }| {
                let level = level.word();
                json!({"check": check, "level": level, "words": words, "advice": advice})
            })
            .collect();
        json!({"status": self.worst().word(), "checks": checks})
    }

    /// 0, 1 or 2: see `--help`.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.worst() {
            Level::Ok => 0,
            Level::Warn => 1,
            Level::Fail => 2,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_decides_and_each_has_one_line() {
        let mut report = Report(vec![Finding::ok("clock", "the clock is right")]);
        assert_eq!(report.as_text(), "ok    clock        the clock is right");
        assert_eq!(report.as_json()["status"], "ok");
        report.0.push(Finding::warn("disk", "it is\nnearly full", "make room"));
        assert_eq!(
            report.as_text().lines().nth(1),
            Some("warn  disk         it is nearly full: make room")
        );
        assert_eq!(report.as_json()["checks"][1]["advice"], "make room");
        report.0.insert(0, Finding::fail("address", "no", "another"));
        assert_eq!(report.as_json()["status"], "fail");
        assert_eq!(report.worst(), Level::Fail);
    }
}
