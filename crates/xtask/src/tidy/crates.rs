//! Rules about crates and what they depend on.

use crate::shell;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Crates that hold decisions only: no runtime, socket, file, thread or clock.
pub(crate) const CORE: [&str; 6] = ["units", "wire", "mesh", "session", "room", "mix"];

/// What core crates may use from outside. None of these performs anything.
const CORE_MAY_USE: [&str; 8] =
    ["ebur128", "rand_chacha", "rand_core", "serde", "serde_json", "thiserror", "tracing", "uuid"];

/// A crate of the workspace: what it is named, and what it depends on.
struct Member {
    /// Folder name, which is also the package's name without our prefix.
    name: String,
    ours: BTreeSet<String>,
    external: BTreeSet<String>,
}

/// `ARCHITECTURE.md` names every crate in its table, and no crate that is not.
pub(crate) fn named(root: &Path) -> Result<Vec<String>> {
    let Some(table) = table(root)? else {
        return Ok(vec!["ARCHITECTURE.md: no table `| crate | job | may use (ours) |`".into()]);
    };
    let crates: BTreeSet<_> = members()?.into_iter().map(|member| member.name).collect();
    let table: BTreeSet<_> = table.into_keys().collect();
    let missing =
        crates.difference(&table).map(|name| format!("ARCHITECTURE.md: no row for {name}"));
    let stale =
        table.difference(&crates).map(|name| format!("ARCHITECTURE.md: there is no crate {name}"));
    Ok(missing.chain(stale).collect())
}

/// Every crate uses exactly those of ours that its row lists.
pub(crate) fn arrows(root: &Path) -> Result<Vec<String>> {
    let table = table(root)?.unwrap_or_default();
    let mut wrong = Vec::new();
    for Member { name, ours, .. } in members()? {
        let Some(row) = table.get(&name) else {
            continue;
        };
        if *row != ours {
            wrong.push(format!("{name}: uses {ours:?}, its row says {row:?}"));
        }
    }
    Ok(wrong)
}

/// Core crates use nothing from outside but what is listed here.
pub(crate) fn core_dependencies(_root: &Path) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for Member { name, external, .. } in members()? {
        if !CORE.contains(&name.as_str()) {
            continue;
        }
        let strange = external.iter().filter(|used| !CORE_MAY_USE.contains(&used.as_str()));
        wrong.extend(strange.map(|used| format!("{name}: depends on {used}")));
    }
    Ok(wrong)
}

/// Reads the table of crates: name to the names it may use.
fn table(root: &Path) -> Result<Option<BTreeMap<String, BTreeSet<String>>>> {
    let path = root.join("ARCHITECTURE.md");
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path)?;
    let cells = |line: &str| -> Vec<String> {
        line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = text.lines().skip_while(|line| {
        let cells = cells(line);
        cells.first().map(String::as_str) != Some("crate") || cells.len() < 3
    });
    if lines.next().is_none() {
        return Ok(None);
    }
    let known: BTreeSet<_> = members()?.into_iter().map(|member| member.name).collect();
    let rows = lines.skip(1).take_while(|line| line.trim_start().starts_with('|')).map(|line| {
        let cells = cells(line);
        let words = cells.last().map(String::as_str).unwrap_or_default();
        let used = words.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-');
        let used = used.map(str::to_owned).filter(|word| known.contains(word)).collect();
        (cells[0].trim_matches('`').to_owned(), used)
    });
    Ok(Some(rows.collect()))
}

/// All crates of the workspace, with what they use outside of tests.
fn members() -> Result<Vec<Member>> {
    let mut cargo = shell::cargo();
    cargo.args(["metadata", "--format-version=1", "--no-deps", "--offline"]);
    let metadata: Value = serde_json::from_str(&shell::output(&mut cargo)?)?;
    let packages = metadata["packages"].as_array().context("no packages in cargo's metadata")?;
    Ok(packages.iter().map(member).collect())
}

fn member(package: &Value) -> Member {
    let short = |name: &Value| {
        let name = name.as_str().unwrap_or_default();
        name.strip_prefix("openstudio-").unwrap_or(name).to_owned()
    };
    let mut member =
        Member { name: short(&package["name"]), ours: BTreeSet::new(), external: BTreeSet::new() };
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        if dependency["kind"] == "dev" {
            continue;
        }
        let name = short(&dependency["name"]);
        if dependency["path"].is_string() {
            member.ours.insert(name);
        } else {
            member.external.insert(name);
        }
    }
    member
}
