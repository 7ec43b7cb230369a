//! Notes the year in which the program is built: its clock cannot be before that.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    // What reproducible builds say instead of the clock.
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = epoch.map_or(now, Duration::from_secs);
    println!("cargo::rustc-env=OPENSTUDIO_BUILT={}", since.as_secs());
}
