//! The rules of the house that no compiler knows. Each rule returns what is
//! wrong as sentences that name the file; none of them changes anything.

mod crates;
mod lint_files;
mod sources;

use crate::shell;
use crate::summary::Counts;
use anyhow::Result;
use std::path::Path;
use std::process::ExitCode;

type Rule = (&'static str, fn(&Path) -> Result<Vec<String>>);

const RULES: [Rule; 9] = [
    ("every source file says at its top what it is", sources::module_docs),
    ("source files stay short", sources::sizes),
    ("no plans or tickets in sources", sources::words),
    ("references to RFCs have one form", sources::rfc_references),
    ("ARCHITECTURE.md names every crate, and only those", crates::named),
    ("dependencies are those of ARCHITECTURE.md", crates::arrows),
    ("core crates depend on nothing that performs", crates::core_dependencies),
    ("lint settings of core crates agree", lint_files::core_agree),
    ("lint settings repeat the root's thresholds", lint_files::root_repeated),
];

/// Checks everything and prints what is wrong.
pub(crate) fn run() -> Result<Counts> {
    let mut counts = Counts::default();
    for (rule, check) in RULES {
        let wrong = check(&shell::root())?;
        counts += Counts::check(wrong.is_empty());
        if !wrong.is_empty() {
            println!("  ✗ {rule}");
        }
        for sentence in wrong {
            println!("      {sentence}");
        }
    }
    for warning in sources::long_files(&shell::root())? {
        println!("  (!) {warning}");
    }
    Ok(counts)
}

/// As a task of its own, with the closing line.
pub(crate) fn run_alone() -> Result<ExitCode> {
    let counts = run()?;
    println!("{counts}");
    Ok(if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() -> Result<()> {
        let mut all = Vec::new();
        for (_, check) in RULES {
            all.extend(check(&shell::root())?);
        }
        assert_eq!(all, Vec::<String>::new());
        Ok(())
    }
}
