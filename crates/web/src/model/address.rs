//! The part of the address behind `#`: which room, and with which invitation.
//!
//! A room's id stays in the fragment so that it never reaches a server's access log.

use openstudio_units::RoomId;

/// What an address leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// `/`: make a session.
    Start,
    /// `/#<room-id>` or `/#<room-id>?invite=<token>`: join one.
    Room {
        /// Which one.
        room: RoomId,
        /// The invitation, as it stands in the address.
        invite: Option<String>,
    },
    /// Something behind `#` that is no session.
    Broken,
}

impl Address {
    /// Reads `location.hash`.
    pub(crate) fn parse(hash: &str) -> Self {
        let fragment = hash.strip_prefix('#').unwrap_or(hash).trim();
        if fragment.is_empty() {
            return Self::Start;
        }
        let (id, query) = fragment.split_once('?').unwrap_or((fragment, ""));
        let Ok(room) = id.trim_matches('/').parse() else { return Self::Broken };
        let invite = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("invite="))
            .map(str::trim)
            .filter(|token| !token.is_empty())
            .map(str::to_owned);
        Self::Room { room, invite }
    }

    /// Returns the room that the address names.
    pub(crate) fn room(&self) -> Option<RoomId> {
        match self {
            Self::Room { room, .. } => Some(*room),
            Self::Start | Self::Broken => None,
        }
    }
}

/// Returns the path and fragment of a room, as callers get it.
pub(crate) fn room_path(room: RoomId) -> String {
    format!("/#{room}")
}

/// Returns the link that lets anybody in as a caller.
pub(crate) fn caller_link(origin: &str, room: RoomId) -> String {
    format!("{origin}{}", room_path(room))
}

/// Returns the page for listeners.
pub(crate) fn listen_link(origin: &str, room: RoomId) -> String {
    format!("{origin}/listen/{room}")
}

/// Returns the link that carries an invitation.
pub(crate) fn invite_link(origin: &str, room: RoomId, token: &str) -> String {
    format!("{origin}{}?invite={token}", room_path(room))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: &str = "0b5e1f2a-1111-4222-8333-444455556666";

    #[test]
    fn an_empty_fragment_starts_a_session() {
        assert_eq!(Address::parse(""), Address::Start);
        assert_eq!(Address::parse("#"), Address::Start);
    }

    #[test]
    fn a_link_survives_the_round_trip() {
        let room = ROOM.parse().unwrap();
        let link = invite_link("https://studio.example", room, "aa.bb.cc");
        let hash = link.strip_prefix("https://studio.example/").unwrap();
        let expected = Address::Room { room, invite: Some("aa.bb.cc".into()) };
        assert_eq!(Address::parse(hash), expected);
        let plain = caller_link("https://studio.example", room);
        assert_eq!(plain, format!("https://studio.example/#{ROOM}"));
        assert_eq!(Address::parse(&format!("#{ROOM}")).room(), Some(room));
    }

    #[test]
    fn an_empty_invitation_is_none_and_unknown_parameters_are_ignored() {
        let room = ROOM.parse().unwrap();
        let none = Address::Room { room, invite: None };
        assert_eq!(Address::parse(&format!("#{ROOM}?invite=")), none);
        let parsed = Address::parse(&format!("#/{ROOM}?x=1&invite=t"));
        assert_eq!(parsed, Address::Room { room, invite: Some("t".into()) });
    }

    #[test]
    fn what_is_no_room_is_said_to_be_broken() {
        for hash in ["#hello", "#<script>", "#0b5e1f2a"] {
            assert_eq!(Address::parse(hash), Address::Broken, "{hash}");
        }
    }
}
