//! The scripts and their recordings, as files. Nothing of them is interpreted here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What happened at each peer connection of a case, by its name.
pub(crate) type Traces = BTreeMap<String, Vec<String>>;

/// One file: the cases of one theme.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Theme {
    #[serde(rename = "about")]
    _about: String,
    #[serde(default)]
    preludes: BTreeMap<String, Vec<String>>,
    pub(crate) cases: Vec<Case>,
}

/// One script.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    #[serde(default = "two")]
    pub(crate) peers: Vec<String>,
    /// Who is polite, in perfect negotiation.
    pub(crate) polite: Option<String>,
    after: Option<String>,
    #[serde(default = "once")]
    repeat: usize,
    pub(crate) steps: Vec<String>,
    /// Where the model is to do another thing than Chromium.
    pub(crate) deviation: Option<Deviation>,
}

/// A difference that stays, and its reason.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deviation {
    pub(crate) why: String,
    /// The traces of the model that are not those of Chromium.
    pub(crate) model: Traces,
}

fn two() -> Vec<String> {
    vec!["a".to_owned(), "b".to_owned()]
}

fn once() -> usize {
    1
}

impl Theme {
    /// Reads a theme; its cases have all their steps then.
    pub(crate) fn read(name: &str) -> Self {
        let mut theme: Self = read(&folder().join(format!("{name}.json")));
        for case in &mut theme.cases {
            let own = vec![case.steps.clone(); case.repeat].concat();
            let prelude = case.after.as_ref().map(|after| {
                theme.preludes.get(after).unwrap_or_else(|| panic!("{name}: no prelude {after}"))
            });
            case.steps = prelude.into_iter().flatten().cloned().chain(own).collect();
        }
        theme
    }
}

/// Reads what Chromium did in the cases of a theme, by their names.
pub(crate) fn recording(name: &str) -> BTreeMap<String, Traces> {
    read(&folder().join("recorded").join(format!("{name}.json")))
}

/// The names of all themes.
pub(crate) fn themes() -> Vec<String> {
    names(&folder())
}

/// The names of all themes that were recorded.
pub(crate) fn recorded_themes() -> Vec<String> {
    names(&folder().join("recorded"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let json = paths.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let mut names: Vec<String> =
        json.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
