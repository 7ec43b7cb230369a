//! Why something was not done, on its way to whoever asked for it.

use std::borrow::Cow;

use openstudio_units::PeerId;
use openstudio_wire::{ErrorCode, ParseError, ServerMessage};

use crate::tokens::{SignError, TokenError};

/// An `error` message before it knows what it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    code: ErrorCode,
    message: Cow<'static, str>,
    to: Option<PeerId>,
}

impl Refusal {
    /// Makes a refusal with a sentence for people.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), to: None }
    }

    /// Returns the code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Names the peer that the refused message was for.
    pub(crate) fn about(self, to: PeerId) -> Self {
        Self { to: Some(to), ..self }
    }

    /// Returns whether this counts against the socket. A message to somebody who has
    /// just left is nobody's fault, and a room's size is not the joiner's.
    pub(crate) fn counts(&self) -> bool {
        !matches!(self.code, ErrorCode::PeerNotFound | ErrorCode::RoomFull | ErrorCode::Internal)
    }

    pub(crate) fn into_message(self, request: Option<&'static str>) -> ServerMessage {
        ServerMessage::Error {
            code: self.code,
            message: self.message.into_owned(),
            request: request.map(str::to_owned),
            to: self.to,
        }
    }
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self::new(error.code, error.message)
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid => Self::new(
                ErrorCode::InvalidToken,
                "the link or token is not one of this server's; ask for a new link",
            ),
            TokenError::Expired => Self::new(
                ErrorCode::ExpiredToken,
                "the link or token has expired; ask for a new link",
            ),
        }
    }
}

impl From<SignError> for Refusal {
    fn from(_: SignError) -> Self {
        Self::new(ErrorCode::Internal, "the server failed; try again")
    }
}
