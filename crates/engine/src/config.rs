//! What an operator may choose.

use std::path::PathBuf;
use std::time::Duration;

use openstudio_cast::CastConfig;

/// The settings of an [`crate::Engine`].
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Where recordings go, each into a folder of its own.
    pub recordings: PathBuf,
    /// Where it is kept what is under way, for the next start.
    pub state: PathBuf,
    /// How a programme is sent, and where to. Its title is what a host types. Below its HLS
    /// folder each room gets one of its own.
    pub cast: CastConfig,
    /// In how many rooms it takes part at once.
    pub rooms: usize,
    /// How long it goes on for a room that everybody has left.
    pub patience: Duration,
    /// What was under way longer ago than this is not taken up again.
    pub memory: Duration,
}

impl EngineConfig {
    /// Makes the default settings for a data folder.
    pub fn new(data_dir: &std::path::Path) -> Self {
        Self {
            recordings: data_dir.join("recordings"),
            state: data_dir.join("engine"),
            cast: CastConfig::new("OpenStudio"),
            rooms: 16,
            patience: Duration::from_secs(5 * 60),
            memory: Duration::from_secs(15 * 60),
        }
    }
}
