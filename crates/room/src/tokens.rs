//! What tokens say. How they are signed is the server's affair.

use std::fmt;
use std::time::Duration;

use openstudio_units::{Incarnation, PeerId, Role, RoomId};
use openstudio_wire::{DisplayName, Token};
use thiserror::Error;

/// Proves a seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatClaims {
    /// Whose seat.
    pub peer: PeerId,
    /// In which room.
    pub room: RoomId,
    /// With which role.
    pub role: Role,
    /// Under which name.
    pub name: Option<DisplayName>,
    /// Which life of the page the token was given to.
    pub incarnation: Incarnation,
}

/// Lets somebody into a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InviteClaims {
    /// Which room.
    pub room: RoomId,
    /// With which role.
    pub role: Role,
}

/// Lets somebody download recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadClaims {
    /// Of which room.
    pub room: RoomId,
}

/// The purposes of a token. One is never accepted for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claims {
    /// A seat, for `resume`.
    Seat(SeatClaims),
    /// An invitation, for `create-or-join-room`.
    Invite(InviteClaims),
    /// Downloads.
    Download(DownloadClaims),
}

/// A token that proves nothing. Tell the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Not one of this server's, or altered.
    #[error("the token is not one of this server's")]
    Invalid,
    /// Past its time.
    #[error("the token has expired")]
    Expired,
}

/// The token could not be made. Refuse the request as `internal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the server could not sign a token")]
pub struct SignError;

/// Signs and checks tokens. The implementation knows the key and the wall clock.
pub trait Tokens: fmt::Debug {
    /// Signs `claims` for `lifetime` from now on.
    ///
    /// # Errors
    /// See [`SignError`].
    fn sign(&self, claims: &Claims, lifetime: Duration) -> Result<Token, SignError>;

    /// Checks signature, purpose and expiry, and returns what the token says.
    ///
    /// # Errors
    /// See [`TokenError`].
    fn verify(&self, token: &Token) -> Result<Claims, TokenError>;
}
