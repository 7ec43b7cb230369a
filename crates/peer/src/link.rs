//! The link of a room, as the page shows it.

use std::str::FromStr;

use openstudio_session::wire::Token;
use openstudio_units::RoomId;

/// Where a studio is, and which of its rooms is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Whether the studio is reached over TLS: `https://` and `wss://`.
    pub is_encrypted: bool,
    /// Host and port, as they stand in the link.
    pub authority: String,
    /// The room; without one, a new one is made.
    pub room: Option<RoomId>,
    /// The invitation, if the link carries one.
    pub invite: Option<Token>,
}

/// A link that leads to no room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It does not begin with `http://` or `https://`.
    #[error("a link begins with `https://` or `http://`, as in https://HOST:PORT/#ROOM")]
    Scheme,
    /// There is no host in it.
    #[error("there is no host in the link")]
    Host,
    /// What is behind `#` is no room.
    #[error("`{0}` is not the id of a room: copy the whole link from the page")]
    Room(String),
}

impl Link {
    /// Returns the address for signalling.
    pub fn socket_url(&self) -> String {
        let scheme = if self.is_encrypted { "wss" } else { "ws" };
        format!("{scheme}://{}/ws", self.authority)
    }

    /// Returns the link that leads callers to a room of this studio.
    pub fn to_room(&self, room: RoomId) -> Self {
        Self { room: Some(room), invite: None, ..self.clone() }
    }
}

impl std::fmt::Display for Link {
    /// Writes the link without its invitation, which is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}/", self.authority)?;
        self.room.map_or(Ok(()), |room| write!(f, "#{room}"))
    }
}

impl FromStr for Link {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let text = text.trim();
        let encrypted = text.strip_prefix("https://").map(|rest| (rest, true));
        let plain = text.strip_prefix("http://").map(|rest| (rest, false));
        let (rest, is_encrypted) = encrypted.or(plain).ok_or(LinkError::Scheme)?;
        let (place, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let authority = place.split('/').next().unwrap_or_default();
        if authority.is_empty() {
            return Err(LinkError::Host);
        }
        let (id, query) = fragment.split_once('?').unwrap_or((fragment, ""));
        let id = id.trim_matches('/');
        let room = match id {
            "" => None,
            id => Some(id.parse().map_err(|_| LinkError::Room(id.to_owned()))?),
        };
        let invite = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("invite="))
            .filter(|token| !token.is_empty())
            .map(|token| Token(token.to_owned()));
        Ok(Self { is_encrypted, authority: authority.to_owned(), room, invite })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: &str = "01234567-89ab-4def-8123-456789abcdef";

    #[test]
    fn a_copied_link_is_understood() {
        let link: Link =
            format!("http://studio.example:6736/#{ROOM}?invite=abc.def").parse().unwrap();
        assert_eq!(link.socket_url(), "ws://studio.example:6736/ws");
        assert_eq!(link.room, Some(ROOM.parse().unwrap()));
        assert_eq!(link.invite, Some(Token("abc.def".into())));
        assert_eq!(link.to_string(), format!("http://studio.example:6736/#{ROOM}"));
    }

    #[test]
    fn a_link_with_https_leads_to_an_encrypted_socket() {
        let link: Link = format!("https://radio.example/#{ROOM}").parse().unwrap();
        assert_eq!(link.socket_url(), "wss://radio.example/ws");
        let room = link.room.unwrap();
        assert_eq!(link.to_room(room).to_string(), format!("https://radio.example/#{ROOM}"));
    }

    #[test]
    fn a_studio_alone_makes_a_room() {
        for text in ["http://[::1]:6736", "http://[::1]:6736/", "http://[::1]:6736/#"] {
            let link: Link = text.parse().unwrap();
            assert_eq!((link.authority.as_str(), link.room), ("[::1]:6736", None), "{text}");
        }
    }

    #[test]
    fn what_leads_nowhere_is_refused_with_what_to_do() {
        assert_eq!("ftp://a/".parse::<Link>(), Err(LinkError::Scheme));
        assert_eq!("http:///#x".parse::<Link>(), Err(LinkError::Host));
        let error = "http://a/#half-an-id".parse::<Link>().unwrap_err();
        assert!(error.to_string().contains("copy the whole link"), "{error}");
    }
}
