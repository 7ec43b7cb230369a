//! What an operator may choose about rooms.

use std::time::Duration;

use openstudio_wire::IceConfig;

/// The settings of [`crate::Rooms`].
#[derive(Debug, Clone)]
pub struct RoomConfig {
    /// Seats in one room, those in their grace period included. At least 1.
    pub max_participants: usize,
    /// Rooms at once.
    pub max_rooms: usize,
    /// How long a seat is kept for a socket that closed, and how long a rebuilt room
    /// waits for seats to return.
    pub grace: Duration,
    /// How long a seat token is good. A newer one is sent at half of it.
    pub seat_token_lifetime: Duration,
    /// How long an invitation is good.
    pub invite_lifetime: Duration,
    /// Whether whoever drives the rooms has an engine, which takes orders.
    pub has_engine: bool,
    /// How long a token for downloads is good.
    pub download_lifetime: Duration,
    /// What participants are told about STUN and TURN.
    pub ice: IceConfig,
    /// How long after they got them participants are told anew about STUN and TURN, at most;
    /// none for never. See [`RoomConfig::ice_renewal_of`].
    pub ice_renewal: Option<Duration>,
    /// The server's release, for `welcome`.
    pub release: String,
    /// Wall-clock time at [`openstudio_units::Timestamp::ZERO`], milliseconds since
    /// 1970, for `pong`.
    pub zero_unix_ms: u64,
    /// How many errors a socket may cause at once before it is closed.
    pub error_burst: u32,
    /// How many errors a second are forgiven.
    pub errors_forgiven_per_second: u32,
    /// How many ended rooms are remembered, so that their tokens do not bring them
    /// back. The oldest is forgotten first.
    pub max_ended_rooms: usize,
    /// How many first set-ups a client is asked to drive at once; none leaves it to the
    /// client.
    pub setups_in_flight: Option<u8>,
    /// Over how long clients are asked to spread their return from a restart at least.
    pub retry_after: Duration,
    /// How many clients a second may come back when all have lost their sockets: many of them
    /// are asked to spread their return accordingly. 0 never asks.
    pub returns_per_second: u32,
}

impl RoomConfig {
    /// Returns when credentials that live so long are to be renewed: after three quarters of
    /// their life, so that what is left is enough for an attempt to connect.
    pub fn ice_renewal_of(life: Duration) -> Duration {
        life.div_f64(4.0).saturating_mul(3)
    }
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self {
            max_participants: 15,
            max_rooms: 1000,
            grace: Duration::from_secs(30),
            seat_token_lifetime: Duration::from_secs(2 * 60 * 60),
            invite_lifetime: Duration::from_secs(24 * 60 * 60),
            has_engine: false,
            download_lifetime: Duration::from_secs(60 * 60),
            ice: IceConfig::default(),
            ice_renewal: None,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            zero_unix_ms: 0,
            error_burst: 32,
            errors_forgiven_per_second: 1,
            max_ended_rooms: 1 << 16,
            setups_in_flight: None,
            retry_after: Duration::from_secs(1),
            returns_per_second: 1000,
        }
    }
}
