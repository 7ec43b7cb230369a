//! How patient a session is with its server.

use std::time::Duration;

use openstudio_mesh::MeshConfig;

/// Tunable behaviour. The defaults are what the product runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// For the connection manager.
    pub mesh: MeshConfig,
    /// How long opening a socket and getting the seat may take.
    pub connect_timeout: Duration,
    /// How long opening a socket may take while this participant is cut off: nobody is heard who
    /// was. A packet that was lost on a dead path is repeated after ever longer times; an attempt
    /// that begins anew finds sooner that the path is back.
    pub cut_off_timeout: Duration,
    /// How many attempts follow each other like that. Browsers delay sockets after many failures.
    pub cut_off_attempts: u32,
    /// How often a `ping` is sent while nothing else arrives.
    pub heartbeat_interval: Duration,
    /// How long the server may stay silent after a `ping`.
    pub heartbeat_timeout: Duration,
    /// The same, when nobody is heard any more.
    pub probe_timeout: Duration,
    /// The largest delay before the first attempt to come back; doubles with each.
    pub retry_base: Duration,
    /// The largest delay before any of the first [`SessionConfig::quick_retries`] attempts to
    /// come back: a server that restarts is back within seconds, and those who talk wait for it.
    pub retry_cap: Duration,
    /// How many attempts follow each other like that.
    pub quick_retries: u32,
    /// The largest delay before any later attempt.
    pub late_retry_cap: Duration,
    /// The largest delay before any attempt, if the server asks for more patience than that.
    pub retry_after_cap: Duration,
    /// How often a room that is not back is asked for again: a restarted server knows it
    /// only when the first of its participants has returned, which may take
    /// [`SessionConfig::retry_cap`].
    pub room_lookups: u32,
    /// How long to wait before each of these.
    pub room_lookup_interval: Duration,
    /// How long a restarted server is given to hear from everybody before those who did
    /// not return are dropped, if the server itself does not say so.
    pub rebuild_timeout: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            mesh: MeshConfig::default(),
            connect_timeout: Duration::from_secs(8),
            cut_off_timeout: Duration::from_secs(4),
            cut_off_attempts: 12,
            heartbeat_interval: Duration::from_secs(10),
            heartbeat_timeout: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(2),
            retry_base: Duration::from_millis(500),
            retry_cap: Duration::from_secs(2),
            quick_retries: 20,
            late_retry_cap: Duration::from_secs(5),
            retry_after_cap: Duration::from_secs(5 * 60),
            room_lookups: 12,
            room_lookup_interval: Duration::from_secs(1),
            rebuild_timeout: Duration::from_secs(60),
        }
    }
}
