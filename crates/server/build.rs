//! Embeds the built browser client (`dist/web`), or a page that says how to build it.
//!
//! This script builds nothing itself: the client needs another target, and a build
//! script that runs cargo again would wait for its own lock.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

const STUB: &str = include_str!("src/stub.html");

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let web = manifest.join("../../dist/web");
    // A folder that is not there cannot be watched, and cargo would then run this
    // script at every build. One that cannot be made is treated as missing.
    let _ = fs::create_dir_all(&web);
    println!("cargo::rerun-if-changed={}", web.display());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/stub.html");

    let mut files = Vec::new();
    collect(&web, &web, &mut files)?;
    if !files.iter().any(|(name, _)| name == "index.html") {
        let stub = out.join("index.html");
        fs::write(&stub, STUB)?;
        files = vec![("index.html".to_owned(), stub)];
    }
    files.sort();
    fs::write(out.join("embedded.rs"), table(&files))
}

/// Lists the files below `folder` with their names relative to `root`.
fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str) {
            files.push((name.replace('\\', "/"), fs::canonicalize(&path)?));
        }
    }
    Ok(())
}

fn table(files: &[(String, PathBuf)]) -> String {
    let mut text = String::from("&[\n");
    for (name, path) in files {
        let path = path.display().to_string();
        let _ = writeln!(text, "    ({name:?}, include_bytes!({path:?}).as_slice()),");
    }
    text.push(']');
    text
}
