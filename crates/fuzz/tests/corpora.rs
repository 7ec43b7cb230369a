//! Gives every committed input to its target: what the fuzzer has reached once stays tested,
//! with the stable compiler too.

use std::fs;
use std::path::{Path, PathBuf};

use openstudio_fuzz::TARGETS;

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

#[test]
fn every_committed_input_passes() {
    for (name, target) in TARGETS {
        let folder = corpora().join(name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder:?}: {e}"));
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort_unstable();
        assert!(files.len() >= 20, "{name}: only {} inputs", files.len());
        for file in files {
            let data = fs::read(&file).unwrap();
            let passed = std::panic::catch_unwind(|| target(&data));
            assert!(passed.is_ok(), "{name}: {}", file.display());
        }
    }
}

#[test]
fn every_corpus_has_a_target() {
    let mut folders: Vec<String> = fs::read_dir(corpora())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort_unstable();
    let mut names = TARGETS.map(|(name, _)| name);
    names.sort_unstable();
    assert_eq!(folders, names);
}

#[test]
fn what_is_empty_or_garbage_is_borne() {
    for (_, target) in TARGETS {
        target(&[]);
        target(&[0; 64]);
        target(&[0xff; 4096]);
    }
}
