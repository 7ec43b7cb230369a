//! The seat that a tab keeps for its reload: what is written to its session storage.

use openstudio_session::wire::Token;
use openstudio_units::{Role, RoomId};
use serde::{Deserialize, Serialize};

/// A seat, as kept by the tab. Holds a secret, so it has no `Debug` of its own beyond
/// what [`Token`] shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptSeat {
    /// In which room.
    pub(crate) room: RoomId,
    /// With which role.
    pub(crate) role: Role,
    /// Proves it.
    pub(crate) token: Token,
    /// Whether the tab was in the room when this was written, so that a reload goes back
    /// in without asking.
    pub(crate) inside: bool,
    /// Whether its owner was muted: a reload must not open their microphone.
    pub(crate) muted: bool,
}

impl KeptSeat {
    /// Reads what was kept, if it is a seat.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Returns the text to keep.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_read_back_and_anything_else_is_not() {
        let room = "0b5e1f2a-1111-4222-8333-444455556666".parse().unwrap();
        let token = Token("a.b.c".into());
        let seat = KeptSeat { room, role: Role::Host, token, inside: true, muted: false };
        assert_eq!(KeptSeat::parse(&seat.to_text()), Some(seat));
        assert_eq!(KeptSeat::parse("{}"), None);
    }
}
