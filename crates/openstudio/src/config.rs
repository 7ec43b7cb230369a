//! What can be said on the command line, in the environment and in the file.
//!
//! Each setting stands once, in [`Options`]: as a flag, as `OPENSTUDIO_…` in the
//! environment, and as a key of the TOML file. All are optional here; `settings.rs`
//! puts them together with the defaults.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use openstudio_wire::IceServer;
use serde::Deserialize;

use crate::doctor::DoctorOptions;
use crate::join::JoinOptions;
use crate::logs::LogFormat;
use crate::sim::SimOptions;
use crate::tls::TlsMode;

/// A self-hosted broadcast studio for live call-in shows.
#[derive(Debug, Parser)]
#[command(name = "openstudio", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// A TURN server of somebody else's (coturn's `use-auth-secret`).
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct SharedTurn {
    /// Its `turn:` and `turns:` URLs.
    pub(crate) urls: Vec<String>,
    /// What its credentials are computed with.
    pub(crate) secret: String,
}

impl fmt::Debug for SharedTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTurn").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the studio: page, signalling, rooms. The default command.
    Serve(Box<Options>),
    /// Take part in a room without a browser: to listen, to test, to stand in.
    Join(JoinOptions),
    /// Check this machine and its settings, and say what to do about what is not well.
    Doctor(Box<DoctorOptions>),
    /// Simulate rooms on a virtual clock, with troubles, and check that they hold.
    Sim(SimOptions),
}

macro_rules! options {
    ($($(#[$attribute:meta])* $name:ident: $type:ty,)*) => {
        /// The settings of `openstudio serve`.
        #[derive(Debug, Clone, Default, Args, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        pub(crate) struct Options {
            $($(#[$attribute])* pub(crate) $name: Option<$type>,)*
        }

        impl Options {
            /// Returns these settings, and those of `fallback` where these say nothing.
            pub(crate) fn over(self, fallback: Self) -> Self {
                Self { $($name: self.$name.or(fallback.$name),)* }
            }
        }
    };
}

options! {
    /// Read settings from this TOML file [default: openstudio.toml in the data folder, if
    /// it is there].
    #[arg(long, env = "OPENSTUDIO_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    config: PathBuf,
    /// Listen on this address [default: 127.0.0.1:6736].
    #[arg(long, env = "OPENSTUDIO_LISTEN", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Keep the secret and the state here [default: a folder of the current user].
    #[arg(long, env = "OPENSTUDIO_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Form of the log lines.
    #[arg(long, env = "OPENSTUDIO_LOG_FORMAT", value_enum)]
    log_format: LogFormat,
    /// What to log: error, warn, info, debug, trace, or a filter [default: info].
    #[arg(long, env = "OPENSTUDIO_LOG_LEVEL", value_name = "LEVEL")]
    log_level: String,
    /// Let pages of this origin open a WebSocket; may stand several times.
    #[arg(long = "allowed-origin", env = "OPENSTUDIO_ALLOWED_ORIGINS", value_delimiter = ',',
          value_name = "ORIGIN")]
    allowed_origins: Vec<String>,
    /// Believe the X-Forwarded-For of this proxy; may stand several times.
    #[arg(long = "trusted-proxy", env = "OPENSTUDIO_TRUSTED_PROXIES", value_delimiter = ',',
          value_name = "ADDRESS")]
    trusted_proxies: Vec<IpAddr>,
    /// STUN server for participants, as stun:HOST:PORT; may stand several times.
    #[arg(long, env = "OPENSTUDIO_STUN", value_delimiter = ',', value_name = "URL")]
    stun: Vec<String>,
    /// TURN servers with their credentials; in the file only.
    #[arg(skip)]
    turn: Vec<IceServer>,
    /// Speak https: not at all, with a certificate from files, with one that the studio signs
    /// itself (browsers warn), or with one from Let's Encrypt (ACME) [default: off].
    #[arg(long, env = "OPENSTUDIO_TLS", value_enum, value_name = "WAY")]
    tls: TlsMode,
    /// With --tls files: the certificate, and those of its authorities after it (PEM).
    #[arg(long, env = "OPENSTUDIO_TLS_CERT", value_name = "FILE")]
    tls_cert: PathBuf,
    /// With --tls files: its private key (PEM) [default: in the file of the certificate].
    #[arg(long, env = "OPENSTUDIO_TLS_KEY", value_name = "FILE")]
    tls_key: PathBuf,
    /// A name that the certificate is to be for; may stand several times. With --tls acme, the
    /// public host names; with --tls self-signed, those that the machine does not know itself.
    #[arg(long = "tls-name", env = "OPENSTUDIO_TLS_NAMES", value_delimiter = ',',
          value_name = "HOST")]
    tls_names: Vec<String>,
    /// With --tls acme: where the authority may write to.
    #[arg(long, env = "OPENSTUDIO_TLS_MAIL", value_name = "ADDRESS")]
    tls_mail: String,
    /// With --tls acme: the authority's directory [default: Let's Encrypt].
    #[arg(long, env = "OPENSTUDIO_TLS_DIRECTORY", value_name = "URL")]
    tls_directory: String,
    /// With --tls acme: believe the authority by the certificates in this file (PEM), not by
    /// those of the system.
    #[arg(long, env = "OPENSTUDIO_TLS_DIRECTORY_CA", value_name = "FILE")]
    tls_directory_ca: PathBuf,
    /// Listen here without TLS as well, and lead browsers to https, as 0.0.0.0:80.
    #[arg(long, env = "OPENSTUDIO_HTTP_REDIRECT", value_name = "ADDRESS:PORT")]
    http_redirect: SocketAddr,
    /// TURN servers that share a secret with this one; in the file only.
    #[arg(skip)]
    turn_shared: Vec<SharedTurn>,
    /// Relay sound for participants whose networks let nothing else through [default: true,
    /// unless the studio can be reached from this machine alone].
    #[arg(long, env = "OPENSTUDIO_TURN_SERVER", value_name = "true|false")]
    turn_server: bool,
    /// Where the relay listens, by UDP and TCP [default: the address of --listen, port 3478; behind a
    /// proxy of this machine, all addresses].
    #[arg(long, env = "OPENSTUDIO_TURN_LISTEN", value_name = "ADDRESS:PORT")]
    turn_listen: SocketAddr,
    /// Where the relay listens by TLS, with the certificate of the page [default: the address of
    /// --turn-listen, port 5349].
    #[arg(long, env = "OPENSTUDIO_TURN_TLS_LISTEN", value_name = "ADDRESS:PORT")]
    turn_tls_listen: SocketAddr,
    /// The name or address of the relay for participants [default: the one in the address of
    /// the page].
    #[arg(long, env = "OPENSTUDIO_TURN_HOST", value_name = "HOST")]
    turn_host: String,
    /// UDP ports of relayed addresses [default: 49160-49999].
    #[arg(long, env = "OPENSTUDIO_TURN_PORTS", value_name = "FIRST-LAST")]
    turn_ports: String,
    /// The address that the internet sees, where the machine has another one (1:1 NAT).
    #[arg(long, env = "OPENSTUDIO_TURN_PUBLIC_IP", value_name = "ADDRESS")]
    turn_public_ip: IpAddr,
    /// A private network that the relay may send into, as 192.168.0.0/16; may stand several
    /// times.
    #[arg(long = "turn-allow", env = "OPENSTUDIO_TURN_ALLOW", value_delimiter = ',',
          value_name = "PREFIX")]
    turn_allow: Vec<String>,
    /// Relayed addresses at once of one participant: one for each other in the room, and some for
    /// those that are being replaced [default: 12].
    #[arg(long, env = "OPENSTUDIO_TURN_ALLOCATIONS", value_name = "N")]
    turn_allocations: u32,
    /// Seconds for which credentials for relays are good; participants get new ones in time,
    /// and a relayed address that is in use outlives them [default: 300].
    #[arg(long, env = "OPENSTUDIO_TURN_SECONDS", value_name = "N")]
    turn_seconds: u32,
    /// Let hosts record and send their programme out [default: true].
    #[arg(long, env = "OPENSTUDIO_ENGINE", value_name = "true|false")]
    engine: bool,
    /// Record into this folder [default: `recordings` in the data folder].
    #[arg(long, env = "OPENSTUDIO_RECORDINGS_DIR", value_name = "DIR")]
    recordings_dir: PathBuf,
    /// What listeners read as the station's name [default: OpenStudio].
    #[arg(long, env = "OPENSTUDIO_STATION", value_name = "NAME")]
    station: String,
    /// Kilobits a second of the programme, 48 to 256 [default: 128].
    #[arg(long, env = "OPENSTUDIO_PROGRAMME_KBITS", value_name = "N",
          value_parser = clap::value_parser!(u32).range(48..=256))]
    programme_kbits: u32,
    /// Send the programme to this Icecast server as well, as http://HOST:PORT/MOUNT.
    #[arg(long, env = "OPENSTUDIO_ICECAST_URL", value_name = "URL")]
    icecast_url: String,
    /// Who the source is, for Icecast [default: source].
    #[arg(long, env = "OPENSTUDIO_ICECAST_USER", value_name = "NAME")]
    icecast_user: String,
    /// The password for Icecast. Others see flags: better in the environment or the file.
    #[arg(long, env = "OPENSTUDIO_ICECAST_PASSWORD", value_name = "TEXT", hide_env_values = true)]
    icecast_password: String,
    /// Write the programme into this folder as HLS as well, a folder for each room.
    #[arg(long, env = "OPENSTUDIO_HLS_DIR", value_name = "DIR")]
    hls_dir: PathBuf,
    /// Serve the browser client from this folder, not from the binary.
    #[arg(long, env = "OPENSTUDIO_WEB_DIR", value_name = "DIR")]
    web_dir: PathBuf,
    /// Seats in a room [default: 15].
    #[arg(long, env = "OPENSTUDIO_MAX_PARTICIPANTS", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    max_participants: u32,
    /// Rooms at once [default: 1000].
    #[arg(long, env = "OPENSTUDIO_MAX_ROOMS", value_name = "N")]
    max_rooms: u32,
    /// Seconds for which the seat of a lost connection is kept [default: 30].
    #[arg(long, env = "OPENSTUDIO_GRACE_SECONDS", value_name = "N")]
    grace_seconds: u32,
    /// First set-ups of audio connections that a browser drives at once [default: the
    /// browser client's own].
    #[arg(long, env = "OPENSTUDIO_SETUPS_IN_FLIGHT", value_name = "N",
          value_parser = clap::value_parser!(u8).range(1..=64))]
    setups_in_flight: u8,
    /// Messages a second from one socket, sustained [default: 100].
    #[arg(long, env = "OPENSTUDIO_SOCKET_MESSAGES_PER_SECOND", value_name = "N")]
    socket_messages_per_second: u32,
    /// Messages at once from one socket [default: 1000].
    #[arg(long, env = "OPENSTUDIO_SOCKET_MESSAGE_BURST", value_name = "N")]
    socket_message_burst: u32,
    /// Bytes a second from one socket, sustained [default: 131072].
    #[arg(long, env = "OPENSTUDIO_SOCKET_BYTES_PER_SECOND", value_name = "N")]
    socket_bytes_per_second: u32,
    /// Bytes at once from one socket [default: 1048576].
    #[arg(long, env = "OPENSTUDIO_SOCKET_BYTE_BURST", value_name = "N")]
    socket_byte_burst: u32,
    /// Messages a second from one address, sustained [default: 1000].
    #[arg(long, env = "OPENSTUDIO_ADDRESS_MESSAGES_PER_SECOND", value_name = "N")]
    address_messages_per_second: u32,
    /// Messages at once from one address [default: 5000].
    #[arg(long, env = "OPENSTUDIO_ADDRESS_MESSAGE_BURST", value_name = "N")]
    address_message_burst: u32,
    /// TCP connections at once from one address [default: 300].
    #[arg(long, env = "OPENSTUDIO_ADDRESS_CONNECTIONS", value_name = "N")]
    address_connections: u32,
    /// Sockets at once from one address [default: 100].
    #[arg(long, env = "OPENSTUDIO_ADDRESS_SOCKETS", value_name = "N")]
    address_sockets: u32,
    /// New sockets a second from one address, sustained [default: 5].
    #[arg(long, env = "OPENSTUDIO_ADDRESS_CONNECTS_PER_SECOND", value_name = "N")]
    address_connects_per_second: u32,
    /// New sockets at once from one address [default: 60].
    #[arg(long, env = "OPENSTUDIO_ADDRESS_CONNECT_BURST", value_name = "N")]
    address_connect_burst: u32,
    /// Connections at once [default: 10000].
    #[arg(long, env = "OPENSTUDIO_CONNECTIONS", value_name = "N")]
    connections: u32,
    /// Messages that may wait for one slow socket [default: 2000].
    #[arg(long, env = "OPENSTUDIO_QUEUED_MESSAGES", value_name = "N")]
    queued_messages: u32,
    /// Bytes that may wait for one slow socket [default: 2097152].
    #[arg(long, env = "OPENSTUDIO_QUEUED_BYTES", value_name = "N")]
    queued_bytes: u32,
}
