//! Rules about `clippy.toml`: a crate's own file replaces the root's, so what
//! the root asks for must be repeated in it.

use super::crates::CORE;
use anyhow::Result;
use std::path::Path;

/// Core crates have one and the same file.
pub(crate) fn core_agree(root: &Path) -> Result<Vec<String>> {
    let read = |name: &str| std::fs::read_to_string(lint_file(root, name));
    let model = read(CORE[0])?;
    let mut wrong = Vec::new();
    for name in &CORE[1..] {
        if read(name).ok().as_ref() != Some(&model) {
            wrong.push(format!("crates/{name}/clippy.toml: differs from that of {}", CORE[0]));
        }
    }
    Ok(wrong)
}

/// Every crate's own file has the lines of the root's.
pub(crate) fn root_repeated(root: &Path) -> Result<Vec<String>> {
    let wanted = std::fs::read_to_string(root.join("clippy.toml"))?;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(root.join("crates"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Ok(own) = std::fs::read_to_string(lint_file(root, &name)) else {
            continue;
        };
        let settings = wanted.lines().filter(|line| line.contains('='));
        let missing = settings.filter(|line| !own.lines().any(|other| other == *line));
        wrong.extend(missing.map(|line| format!("crates/{name}/clippy.toml: lacks `{line}`")));
    }
    Ok(wrong)
}

fn lint_file(root: &Path, name: &str) -> std::path::PathBuf {
    root.join("crates").join(name).join("clippy.toml")
}
