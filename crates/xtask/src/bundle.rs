//! Putting `dist/web` together: every file but `index.html` gets a name with
//! the hash of its content, so that it can be cached for ever, and a `.br` and
//! a `.gz` beside it.
//!
//! `crates/web/index.html` is the template; `{{name}}` in it (or in a text
//! asset) stands for the hashed name of the asset `name`. Besides the files of
//! `crates/web/assets` there are `app.js` and `app.wasm`, made by wasm-bindgen,
//! `desk.wasm`, the module of the audio thread, and `boot.js`, made here: the module that starts the client, since the
//! page's security policy allows no script inside it.

use crate::shell;
use crate::web::{Client, Profile};
use anyhow::{Context, Result, bail};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

const TEXT: [&str; 6] = ["css", "html", "js", "json", "svg", "webmanifest"];
const STAMP: &str = "web.stamp";

/// The folder of the finished page.
pub(crate) fn dist() -> PathBuf {
    shell::root().join("dist/web")
}

/// Identifies everything that goes into the page.
pub(crate) fn stamp(modules: &[&Path], profile: Profile) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(format!("{profile:?} 2\n"));
    for module in modules {
        hash.update(std::fs::read(module).with_context(|| format!("no {}", module.display()))?);
    }
    let own = std::env::current_exe().and_then(std::fs::metadata).and_then(|m| m.modified());
    hash.update(format!("{own:?}"));
    let web = shell::root().join("crates/web");
    hash.update(std::fs::read(web.join("index.html")).context("crates/web/index.html")?);
    for (name, content) in assets(&web.join("assets"))? {
        hash.update(name);
        hash.update(content);
    }
    Ok(hex(&hash.finalize()))
}

/// Whether the page in `dist/web` was made from exactly this.
pub(crate) fn is_current(stamp: &str) -> bool {
    let made = std::fs::read_to_string(shell::root().join("dist").join(STAMP));
    made.is_ok_and(|made| made == stamp) && dist().join("index.html").is_file()
}

/// Makes `dist/web` anew, beside the old one, which it then replaces.
pub(crate) fn assemble(client: &Client, profile: Profile, stamp: &str) -> Result<PathBuf> {
    let new = dist().with_file_name("web.new");
    drop(std::fs::remove_dir_all(&new));
    std::fs::create_dir_all(&new)?;
    let mut bundle = Bundle { folder: new.clone(), profile, names: BTreeMap::new() };
    bundle.fill(client)?;
    bundle.report()?;
    drop(std::fs::remove_dir_all(dist()));
    std::fs::rename(&new, dist())?;
    std::fs::write(shell::root().join("dist").join(STAMP), stamp)?;
    Ok(dist())
}

struct Bundle {
    folder: PathBuf,
    profile: Profile,
    /// From a file's plain name to its hashed one.
    names: BTreeMap<String, String>,
}

impl Bundle {
    fn fill(&mut self, client: &Client) -> Result<()> {
        let web = shell::root().join("crates/web");
        // Text assets may name others: pictures and fonts first, then styles and scripts.
        let (text, binary): (Vec<_>, Vec<_>) =
            assets(&web.join("assets"))?.into_iter().partition(|(name, _)| names_others(name));
        for (name, content) in binary {
            self.add(&name, &content)?;
        }
        for (name, content) in text {
            let content = self.fill_in(&name, &String::from_utf8(content)?)?;
            self.add(&name, content.as_bytes())?;
        }
        self.add("app.wasm", &std::fs::read(client.folder.join("app_bg.wasm"))?)?;
        self.add("desk.wasm", &std::fs::read(&client.desk)?)?;
        let glue = self.add_snippets(client)?;
        self.add("app.js", glue.as_bytes())?;
        let boot = self.fill_in("boot.js", include_str!("boot.js"))?;
        self.add("boot.js", boot.as_bytes())?;
        let template = std::fs::read_to_string(web.join("index.html"))?;
        let page = self.fill_in("index.html", &self.with_preloads(&template)?)?;
        self.write("index.html", page.as_bytes())
    }

    /// Adds inline JavaScript of dependencies, and returns the glue that imports it.
    fn add_snippets(&mut self, client: &Client) -> Result<String> {
        let mut glue = std::fs::read_to_string(client.folder.join("app.js"))?;
        let folder = client.folder.join("snippets");
        for file in files_below(&folder)? {
            let inside = file.strip_prefix(&client.folder)?.to_string_lossy().into_owned();
            let name = inside.replace('/', "-");
            self.add(&name, &std::fs::read(&file)?)?;
            if let Some(hashed) = self.names.get(&name) {
                // Only where it is fetched from: the module also knows it by this name.
                for quote in ['"', '\''] {
                    let (from, to) =
                        (format!("from {quote}./{inside}"), format!("from {quote}./{hashed}"));
                    glue = glue.replace(&from, &to);
                }
            }
        }
        Ok(glue)
    }

    fn add(&mut self, name: &str, content: &[u8]) -> Result<()> {
        let hash = &hex(&Sha256::digest(content))[..16];
        let (stem, extension) = name.rsplit_once('.').context("an asset needs an extension")?;
        let hashed = format!("{stem}-{hash}.{extension}");
        self.write(&hashed, content)?;
        self.names.insert(name.to_owned(), hashed);
        Ok(())
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        std::fs::write(self.folder.join(name), content)?;
        let extension = name.rsplit('.').next().unwrap_or_default();
        if TEXT.contains(&extension) || extension == "wasm" {
            std::fs::write(self.folder.join(format!("{name}.br")), brotli(content, self.profile)?)?;
            std::fs::write(self.folder.join(format!("{name}.gz")), gzip(content)?)?;
        }
        Ok(())
    }

    /// Replaces `{{name}}` by the address of that asset.
    fn fill_in(&self, file: &str, text: &str) -> Result<String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, tail)) = after.split_once("}}") else {
                bail!("{file}: {{{{ without }}}}")
            };
            let Some(hashed) = self.names.get(name.trim()) else {
                bail!("{file}: there is no asset {name:?} (there are {:?})", self.names.keys());
            };
            filled.push_str(before);
            filled.push('/');
            filled.push_str(hashed);
            rest = tail;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// Lets the browser fetch glue and WebAssembly while it still reads the page.
    fn with_preloads(&self, template: &str) -> Result<String> {
        let links = "<link rel=\"modulepreload\" href=\"{{boot.js}}\">\n    \
             <link rel=\"modulepreload\" href=\"{{app.js}}\">\n    \
             <link rel=\"preload\" href=\"{{app.wasm}}\" as=\"fetch\" type=\"application/wasm\" crossorigin>\n  </head>";
        let Some((before, after)) = template.split_once("</head>") else {
            bail!("index.html has no </head>")
        };
        let mut page = format!("{}\n    {links}{after}", before.trim_end());
        if !template.contains("{{boot.js}}") {
            page = page.replace(
                "</head>",
                "  <script type=\"module\" src=\"{{boot.js}}\"></script>\n  </head>",
            );
        }
        Ok(page)
    }

    fn report(&self) -> Result<()> {
        let mut total = 0;
        for file in files_below(&self.folder)? {
            let compressed = file.extension().is_some_and(|e| e == "br");
            if compressed {
                total += std::fs::metadata(&file)?.len();
            }
        }
        println!("  {} files, {} kB with brotli", self.names.len() + 1, total.div_ceil(1000));
        Ok(())
    }
}

fn names_others(name: &str) -> bool {
    [".css", ".js", ".webmanifest", ".json"].iter().any(|extension| name.ends_with(extension))
}

/// Every file below a folder, in order; none if there is no such folder.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

fn assets(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut assets = Vec::new();
    for file in files_below(folder)? {
        let name = file.strip_prefix(folder)?.to_string_lossy().replace('/', "-");
        assets.push((name, std::fs::read(&file)?));
    }
    Ok(assets)
}

fn brotli(content: &[u8], profile: Profile) -> Result<Vec<u8>> {
    let quality = if profile == Profile::Release { 11 } else { 5 };
    let mut out = Vec::new();
    brotli::CompressorWriter::new(&mut out, 1 << 16, quality, 22).write_all(content)?;
    Ok(out)
}

fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
