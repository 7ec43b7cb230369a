//! ICE and DTLS of one peer connection: which connection state follows from whether
//! packets pass (RFC 8445, RFC 7675 consent freshness, as Chromium times them).
//!
//! It does not know why packets pass or not: addresses, NATs and relays are the driver's.

use std::time::Duration;

use openstudio_units::Timestamp;

/// `RTCPeerConnectionState` (webrtc-pc §4.3.3), without `closed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionState {
    /// Nothing has begun.
    New,
    /// ICE checks or the DTLS handshake are under way.
    Connecting,
    /// Media can flow.
    Connected,
    /// Consent was not renewed for a while.
    Disconnected,
    /// It will not come back without an ICE restart.
    Failed,
}

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timings {
    /// From a working path to `connected`: checks, nomination, DTLS handshake.
    pub connect: Duration,
    /// From the last packet to `disconnected`. Chromium: about 5 s.
    pub disconnect: Duration,
    /// From the last packet, or from the first check, to `failed`. Chromium: 15 to 30 s.
    pub fail: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(150),
            disconnect: Duration::from_secs(5),
            fail: Duration::from_secs(20),
        }
    }
}

/// The ICE and DTLS transports of one peer connection, as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Transport {
    state: ConnectionState,
    timings: Timings,
    /// Since when packets pass without being connected, or do not pass.
    since: Option<Timestamp>,
    passes: bool,
}

impl Transport {
    /// Makes transports that have not begun.
    pub fn new(timings: Timings) -> Self {
        Self { state: ConnectionState::New, timings, since: None, passes: false }
    }

    /// `connectionState`.
    pub fn state(&self) -> ConnectionState {
        self.state
    }

    /// Whether media flow, as far as this end can tell.
    pub fn is_connected(&self) -> bool {
        self.state == ConnectionState::Connected
    }

    /// Whether packets passed at the last look.
    pub fn passes(&self) -> bool {
        self.passes
    }

    /// Both descriptions and a remote candidate are there: checks begin. Also after an ICE
    /// restart, which gives what failed another try.
    pub fn on_checks_begin(&mut self, now: Timestamp) -> Option<ConnectionState> {
        match self.state {
            ConnectionState::New | ConnectionState::Failed | ConnectionState::Disconnected => {
                self.since = Some(now);
                self.passes = false;
                self.enter(ConnectionState::Connecting)
            }
            ConnectionState::Connecting => {
                self.since = Some(now);
                None
            }
            ConnectionState::Connected => None,
        }
    }

    /// Tells whether packets pass from here on.
    pub fn on_path(&mut self, now: Timestamp, passes: bool) -> Option<ConnectionState> {
        if self.passes != passes {
            self.passes = passes;
            self.since = Some(now);
        }
        self.on_timeout(now)
    }

    /// When the state may change by itself.
    pub fn deadline(&self) -> Option<Timestamp> {
        let Timings { connect, disconnect, fail } = self.timings;
        let since = self.since?;
        match (self.state, self.passes) {
            (ConnectionState::Connecting | ConnectionState::Disconnected, true) => {
                Some(since + connect)
            }
            (ConnectionState::Connected, false) => Some(since + disconnect),
            (ConnectionState::Connecting | ConnectionState::Disconnected, false) => {
                Some(since + fail)
            }
            (ConnectionState::Connected, true)
            | (ConnectionState::New | ConnectionState::Failed, _) => None,
        }
    }

    /// Changes the state if that is due.
    pub fn on_timeout(&mut self, now: Timestamp) -> Option<ConnectionState> {
        if self.deadline().is_none_or(|due| now < due) {
            return None;
        }
        match (self.state, self.passes) {
            (ConnectionState::Connecting | ConnectionState::Disconnected, true) => {
                self.enter(ConnectionState::Connected)
            }
            (ConnectionState::Connected, false) => self.enter(ConnectionState::Disconnected),
            (ConnectionState::Connecting | ConnectionState::Disconnected, false) => {
                self.enter(ConnectionState::Failed)
            }
            (ConnectionState::Connected, true)
            | (ConnectionState::New | ConnectionState::Failed, _) => None,
        }
    }

    fn enter(&mut self, state: ConnectionState) -> Option<ConnectionState> {
        self.state = state;
        Some(state)
    }
}
