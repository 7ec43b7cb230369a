//! Rules about single source files.

use crate::shell;
use anyhow::{Context, Result};
use std::path::Path;

const SOFT_LINES: usize = 400;
const HARD_LINES: usize = 800;

/// Files that may be longer than `HARD_LINES`, with their present length. The
/// list only shrinks: a file that gets shorter gets a smaller allowance.
const ALLOWED_LINES: [(&str, usize); 0] = [];

/// A file under version control (or about to be).
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Lines before the unit tests, which close a file.
    fn production_lines(&self) -> usize {
        let tests = self.text.lines().position(|line| line.trim_end() == "#[cfg(test)]");
        tests.unwrap_or_else(|| self.text.lines().count())
    }
}

/// Every source file begins with a description.
pub(crate) fn module_docs(root: &Path) -> Result<Vec<String>> {
    let described = |source: &Source| {
        let start = source.text.trim_start();
        if source.is_rust() { start.starts_with("//!") } else { start.starts_with("//") }
    };
    let wrong = sources(root)?.into_iter().filter(|source| !described(source));
    Ok(wrong.map(|source| format!("{}: no description at the top", source.path)).collect())
}

/// No file is longer than `HARD_LINES`, but for those that are allowed to.
pub(crate) fn sizes(root: &Path) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for source in sources(root)? {
        let lines = source.production_lines();
        let allowed = ALLOWED_LINES.iter().find(|(path, _)| *path == source.path);
        let path = &source.path;
        match allowed {
            None if lines > HARD_LINES => {
                wrong.push(format!("{path}: {lines} lines, {HARD_LINES} at most"));
            }
            Some((_, limit)) if lines > *limit => {
                wrong.push(format!("{path}: {lines} lines, allowed {limit}"));
            }
            Some((_, limit)) if lines < *limit => {
                wrong.push(format!("{path}: {lines} lines; its allowance of {limit} must shrink"));
            }
            _ => {}
        }
    }
    Ok(wrong)
}

/// Files that should be split before they become a trouble. Warnings only.
pub(crate) fn long_files(root: &Path) -> Result<Vec<String>> {
    let long = sources(root)?.into_iter().filter(|s| s.production_lines() > SOFT_LINES);
    Ok(long
        .map(|s| format!("{}: {} lines, aim at {SOFT_LINES}", s.path, s.production_lines()))
        .collect())
}

/// Comments state what is true: plans and numbers of tickets live elsewhere.
pub(crate) fn words(root: &Path) -> Result<Vec<String>> {
    // In two halves, so that this file does not find itself.
    let banned =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("HA", "CK")];
    let mut wrong = Vec::new();
    for source in sources(root)? {
        for (number, line) in source.text.lines().enumerate() {
            let comment = line.find("//").map(|at| &line[at..]);
            let ticket = comment.is_some_and(has_ticket_number);
            if ticket || banned.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    Ok(wrong)
}

/// `#` and digits, standing alone.
fn has_ticket_number(comment: &str) -> bool {
    comment.split_whitespace().any(|word| {
        let word = word.trim_matches(|c: char| "().,;:".contains(c));
        word.strip_prefix('#')
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// `RFC 8445 §14.3`: a space, then the section with its sign.
pub(crate) fn rfc_references(root: &Path) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for source in sources(root)? {
        for (number, line) in source.text.lines().enumerate() {
            if line.contains("//") && !line.split("RFC").skip(1).all(is_reference) {
                wrong.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    Ok(wrong)
}

/// Judges what follows the letters `RFC`.
fn is_reference(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix(' ') else {
        return !rest.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    };
    let after =
        rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches([' ', ',']);
    let after = after.to_ascii_lowercase();
    rest.len() == after.len()
        || !["section", "sec.", "chapter"].iter().any(|w| after.starts_with(w))
}

/// Our Rust and JavaScript files that git knows or would add.
fn sources(root: &Path) -> Result<Vec<Source>> {
    let mut git = shell::command("git");
    git.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let mut found = Vec::new();
    for path in shell::output(&mut git)?.lines() {
        let source =
            [".rs", ".mjs", ".cjs", ".js"].iter().any(|extension| path.ends_with(extension));
        let file = root.join(path);
        // A file that was deleted but not yet committed is still listed.
        if source && file.is_file() && path != "crates/xtask/src/boot.js" {
            let text = std::fs::read_to_string(&file).with_context(|| path.to_owned())?;
            found.push(Source { path: path.to_owned(), text });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_written_with_its_sign() {
        assert!(is_reference(" 8445 §14.3 says"));
        assert!(is_reference(" 8445"));
        assert!(!is_reference("8445 §14.3"));
        assert!(!is_reference(" 8445, section 14.3"));
    }

    #[test]
    fn a_ticket_is_a_number_that_stands_alone() {
        assert!(has_ticket_number("// see #12."));
        assert!(!has_ticket_number("// the colour #12a, `#[test]`"));
    }
}
