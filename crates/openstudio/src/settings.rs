//! Puts the settings together: flag over environment over file over default.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use directories::ProjectDirs;
use openstudio_cast::{CastConfig, IcecastConfig};
use openstudio_engine::EngineConfig;
use openstudio_server::{Limits, ServerConfig};
use openstudio_wire::limits::MAX_MESSAGE_BYTES;

use crate::config::Options;
use crate::logs::LogFormat;
use crate::relay;
use crate::tls;

/// The name of the settings file in the data folder.
const FILE_NAME: &str = "openstudio.toml";

/// Everything a server needs to know.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) server: ServerConfig,
    pub(crate) engine: EngineConfig,
    pub(crate) log_format: LogFormat,
    pub(crate) log_level: String,
}

/// Returns the settings; `options` has the flags and the environment.
pub(crate) fn load(options: &Options) -> anyhow::Result<Settings> {
    let data_dir = match &options.data_dir {
        Some(data_dir) => data_dir.clone(),
        None => default_data_dir()?,
    };
    let file = match &options.config {
        Some(path) => {
            read(path)?.with_context(|| format!("there is no settings file {}", path.display()))?
        }
        None => read(&data_dir.join(FILE_NAME))?.unwrap_or_default(),
    };
    build(options.clone().over(file), data_dir)
}

fn default_data_dir() -> anyhow::Result<PathBuf> {
    let dirs = ProjectDirs::from("", "", "openstudio")
        .context("this user has no home folder; choose a data folder with --data-dir")?;
    Ok(dirs.data_dir().to_owned())
}

/// Reads a settings file; `None` if it is not there.
fn read(path: &Path) -> anyhow::Result<Option<Options>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(error) => {
            return Err(error)
                .with_context(|| format!("cannot read the settings file {}", path.display()));
        }
    };
    let options = toml::from_str(&text)
        .with_context(|| format!("the settings file {} is wrong", path.display()))?;
    Ok(Some(options))
}

fn build(options: Options, data_dir: PathBuf) -> anyhow::Result<Settings> {
    // The file may name another folder than the one it was found in.
    let mut server = ServerConfig::new(options.data_dir.clone().unwrap_or(data_dir));
    server.limits = limits(&options, server.limits)?;
    server.has_engine = options.engine.unwrap_or(true);
    let engine = engine(&options, &server.data_dir)?;
    if let Some(listen) = options.listen {
        server.listen = listen;
    }
    server.tls = tls::source(&options)?;
    server.http_redirect = options.http_redirect;
    let relays = relay::settings(&options, server.listen)?;
    (server.relay, server.turn_shared) = (relays.own, relays.shared);
    server.turn_lifetime = relays.lifetime;
    server.web_dir = options.web_dir;
    server.allowed_origins = options.allowed_origins.unwrap_or_default();
    for origin in &server.allowed_origins {
        check_origin(origin)?;
    }
    server.trusted_proxies =
        options.trusted_proxies.unwrap_or_default().iter().map(|ip| ip.to_canonical()).collect();
    let rooms = &mut server.rooms;
    rooms.ice.stun = options.stun.unwrap_or_default();
    if let Some(url) = rooms.ice.stun.iter().find(|url| !is_url_of(url, &["stun:", "stuns:"])) {
        bail!("`{url}` is no STUN server; write it as stun:HOST:PORT");
    }
    rooms.ice.turn = options.turn.unwrap_or_default();
    relay::check_urls(rooms.ice.turn.iter().flat_map(|server| &server.urls))?;
    if let Some(n) = options.max_participants {
        if n == 0 {
            bail!("max-participants must be 1 at least");
        }
        rooms.max_participants = usize::try_from(n)?;
    }
    if let Some(n) = options.max_rooms {
        rooms.max_rooms = usize::try_from(n)?;
    }
    if options.setups_in_flight.is_some_and(|n| !(1..=64).contains(&n)) {
        bail!("setups-in-flight must be between 1 and 64");
    }
    rooms.setups_in_flight = options.setups_in_flight;
    if let Some(seconds) = options.grace_seconds {
        rooms.grace = Duration::from_secs(seconds.into());
    }
    Ok(Settings {
        server,
        engine,
        log_format: options.log_format.unwrap_or_default(),
        log_level: options.log_level.unwrap_or_else(|| "info".to_owned()),
    })
}

fn engine(options: &Options, data_dir: &Path) -> anyhow::Result<EngineConfig> {
    let mut engine = EngineConfig::new(data_dir);
    if let Some(folder) = &options.recordings_dir {
        engine.recordings.clone_from(folder);
    }
    let cast = &mut engine.cast;
    if let Some(station) = &options.station {
        cast.station.clone_from(station);
    }
    if let Some(kbits) = options.programme_kbits {
        cast.bitrate = kbits.saturating_mul(1_000);
        if !CastConfig::BITRATES.contains(&cast.bitrate) {
            bail!("programme-kbits must be between 48 and 256");
        }
    }
    cast.hls.clone_from(&options.hls_dir);
    if let Some(url) = &options.icecast_url {
        let user = options.icecast_user.as_deref().unwrap_or(IcecastConfig::USER);
        let Some(password) = &options.icecast_password else {
            bail!("icecast-url wants icecast-password as well");
        };
        // The address may hold a password, by mistake: it is not shown.
        let icecast = IcecastConfig::new(url, user, password).context("icecast-url is wrong")?;
        cast.icecast = Some(icecast);
    }
    Ok(engine)
}

fn limits(options: &Options, default: Limits) -> anyhow::Result<Limits> {
    let limits = Limits {
        socket_messages_per_second: options
            .socket_messages_per_second
            .unwrap_or(default.socket_messages_per_second),
        socket_message_burst: options.socket_message_burst.unwrap_or(default.socket_message_burst),
        socket_bytes_per_second: options
            .socket_bytes_per_second
            .unwrap_or(default.socket_bytes_per_second),
        socket_byte_burst: options.socket_byte_burst.unwrap_or(default.socket_byte_burst),
        address_messages_per_second: options
            .address_messages_per_second
            .unwrap_or(default.address_messages_per_second),
        address_message_burst: options
            .address_message_burst
            .unwrap_or(default.address_message_burst),
        address_connections: options.address_connections.unwrap_or(default.address_connections),
        address_sockets: options.address_sockets.unwrap_or(default.address_sockets),
        address_connects_per_second: options
            .address_connects_per_second
            .unwrap_or(default.address_connects_per_second),
        address_connect_burst: options
            .address_connect_burst
            .unwrap_or(default.address_connect_burst),
        connections: options.connections.unwrap_or(default.connections),
        queued_messages: options.queued_messages.unwrap_or(default.queued_messages),
        queued_bytes: options.queued_bytes.unwrap_or(default.queued_bytes),
    };
    let largest = u32::try_from(MAX_MESSAGE_BYTES)?;
    if limits.socket_byte_burst < largest {
        bail!("socket-byte-burst must be {largest} at least, the size of one message");
    }
    if limits.queued_bytes < largest {
        bail!("queued-bytes must be {largest} at least, the size of one message");
    }
    Ok(limits)
}

fn check_origin(origin: &str) -> anyhow::Result<()> {
    let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    match authority.map(|authority| authority.trim_end_matches('/')) {
        Some(authority) if !authority.is_empty() && !authority.contains(['/', '*', ' ']) => Ok(()),
        Some(_) | None => {
            bail!("`{origin}` is no origin; write it as https://HOST or https://HOST:PORT")
        }
    }
}

pub(crate) fn is_url_of(url: &str, schemes: &[&str]) -> bool {
    schemes.iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<Settings> {
        build(toml::from_str(text)?, PathBuf::from("/data"))
    }

    #[test]
    fn what_is_said_first_wins() {
        let flags = Options { max_rooms: Some(3), ..Options::default() };
        let file: Options = toml::from_str("max-rooms = 5\nmax-participants = 7").unwrap();
        let settings = build(flags.over(file), PathBuf::from("/data")).unwrap();
        assert_eq!(settings.server.rooms.max_rooms, 3);
        assert_eq!(settings.server.rooms.max_participants, 7);
        assert_eq!(settings.server.listen.to_string(), "127.0.0.1:6736");
    }

    #[test]
    fn a_turn_server_is_read_from_the_file() {
        let text = "stun = ['stun:a:1']\n[[turn]]\nurls = ['turn:b:2']\nusername = 'u'\n\
                    credential = 'c'\n";
        let ice = parse(text).unwrap().server.rooms.ice;
        assert_eq!(ice.stun, ["stun:a:1"]);
        assert_eq!(ice.turn[0].username, "u");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("max-roms = 5", "max-roms"),
            ("stun = ['a:1']", "a:1"),
            ("allowed-origins = ['radio.example']", "radio.example"),
            ("max-participants = 0", "max-participants"),
            ("setups-in-flight = 65", "setups-in-flight"),
            ("queued-bytes = 5", "queued-bytes"),
            ("programme-kbits = 20", "programme-kbits"),
            ("icecast-url = 'http://a:8000/live'", "icecast-password"),
            ("icecast-url = 'nowhere'\nicecast-password = 'x'", "icecast-url"),
            ("listen = 'nowhere'", "listen"),
            ("[[turn-shared]]\nurls = ['b:2']\nsecret = 's'", "b:2"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
