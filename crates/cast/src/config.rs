//! What a host sets up, and what is wrong with it.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use url::{Host, Url};

/// How and where a programme is cast.
#[derive(Debug, Clone)]
pub struct CastConfig {
    /// The station's name, as listeners' players and directories show it.
    pub station: String,
    /// What the station is about, in a sentence; may be empty.
    pub description: String,
    /// What is on at the beginning; may be empty.
    pub title: String,
    /// Bits a second, within [`CastConfig::BITRATES`].
    pub bitrate: u32,
    /// An Icecast server that gets the programme.
    pub icecast: Option<IcecastConfig>,
    /// A folder for HLS. It is made if there is none, and is best used for nothing else.
    pub hls: Option<PathBuf>,
}

impl CastConfig {
    /// Bits a second that may be chosen.
    pub const BITRATES: RangeInclusive<u32> = 48_000..=256_000;

    /// Bits a second that are good for speech and music.
    pub const BITRATE: u32 = 128_000;

    /// Makes a configuration for listeners over HTTP alone.
    pub fn new(station: &str) -> Self {
        Self {
            station: station.to_owned(),
            description: String::new(),
            title: String::new(),
            bitrate: Self::BITRATE,
            icecast: None,
            hls: None,
        }
    }
}

/// A mount of an Icecast server (2.4 or later), and how to sign in there.
#[derive(Clone)]
pub struct IcecastConfig {
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
    pub(crate) mount: String,
    pub(crate) user: String,
    pub(crate) password: String,
}

impl IcecastConfig {
    /// The user that Icecast has for sources.
    pub const USER: &'static str = "source";

    /// Makes one of an address `http://host:port/mount`, a user (see [`IcecastConfig::USER`])
    /// and the password.
    ///
    /// # Errors
    /// The address is no such address, or user or password cannot be sent.
    pub fn new(url: &str, user: &str, password: &str) -> Result<Self, CastError> {
        let parsed = Url::parse(url).map_err(|_| CastError::Address)?;
        if parsed.scheme() != "http" {
            return Err(CastError::Scheme);
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(CastError::PasswordInAddress);
        }
        let (Some(host), Some(port)) = (parsed.host(), parsed.port_or_known_default()) else {
            return Err(CastError::Address);
        };
        if parsed.path() == "/" {
            return Err(CastError::Mount);
        }
        let strange = |text: &str| text.chars().any(char::is_control);
        if user.is_empty() || user.contains(':') || strange(user) || strange(password) {
            return Err(CastError::Login);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            mount: parsed.path().to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }

    /// Returns the address, without user and password.
    pub fn address(&self) -> String {
        format!("http://{}:{}{}", self.host, self.port, self.mount)
    }
}

impl fmt::Debug for IcecastConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IcecastConfig")
            .field("address", &self.address())
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Why a programme cannot be cast.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CastError {
    /// The bit rate is too low or too high.
    #[error("the bit rate is {0} bit/s: choose one from 48000 to 256000")]
    Bitrate(u32),
    /// The address of the Icecast server is none.
    #[error("the address of the Icecast server cannot be read: write it as http://host:port/mount")]
    Address,
    /// The address begins with something else than `http://`.
    #[error(
        "the address of the Icecast server has to begin with http://: write it as http://host:port/mount"
    )]
    Scheme,
    /// The address has no mount.
    #[error("the address of the Icecast server names no mount: write it as http://host:port/mount")]
    Mount,
    /// The address has a password, which would be shown wherever the address is.
    #[error("the address of the Icecast server holds a user or a password: set those on their own")]
    PasswordInAddress,
    /// User or password cannot be sent.
    #[error(
        "the Icecast user is empty or has a colon, or there are control characters in the password: correct them"
    )]
    Login,
    /// There is no runtime to run on.
    #[error("a programme is cast on a tokio runtime: start it from there")]
    NoRuntime,
    /// The encoder could not be made.
    #[error("the Opus encoder cannot be made: {0}")]
    Encoder(#[source] opus::Error),
    /// The thread that writes the HLS folder, or randomness, could not be had.
    #[error(
        "the system lacks what is needed to cast: {0}; free some memory, or end other programs"
    )]
    System(#[source] std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let config = IcecastConfig::new("http://[::1]:8000/a b.ogg", "source", "pä:ss").unwrap();
        assert_eq!((config.port, config.mount.as_str()), (8000, "/a%20b.ogg"));
        assert_eq!(config.address(), "http://[::1]:8000/a%20b.ogg");
        let config = IcecastConfig::new("http://radio.example/live", "source", "").unwrap();
        assert_eq!(config.port, 80);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let reason = |url: &str, user: &str, password: &str| {
            IcecastConfig::new(url, user, password).unwrap_err().to_string()
        };
        assert!(reason("radio.example:8000/live", "source", "x").contains("http://"));
        assert!(reason("live", "source", "x").contains("cannot be read"));
        assert!(reason("https://radio.example/live", "source", "x").contains("begin with http://"));
        assert!(reason("http://radio.example:8000", "source", "x").contains("no mount"));
        let told = reason("http://source:geheim@radio.example:8000/live", "source", "x");
        assert!(told.contains("on their own") && !told.contains("geheim"));
        for (user, password) in [("", "x"), ("a:b", "x"), ("a\n", "x"), ("a", "x\r")] {
            assert!(reason("http://radio.example:8000/live", user, password).contains("correct"));
        }
    }

    #[test]
    fn the_password_is_not_printed() {
        let config = IcecastConfig::new("http://h:1/m", "source", "geheim").unwrap();
        let mut cast = CastConfig::new("Radio");
        cast.icecast = Some(config);
        let printed = format!("{cast:?}");
        assert!(printed.contains("http://h:1/m") && !printed.contains("geheim"));
    }
}
