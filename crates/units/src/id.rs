//! Who is who: participants, rooms and roles.
//!
//! Ids are UUIDs chosen at random by whoever creates the thing. They are *not*
//! secrets and prove nothing; tokens do that.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Text that is not a UUID where an id was expected. The sender must send one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a UUID")]
pub struct IdError;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Makes an id of 16 random bytes, as a UUID of version 4 (RFC 9562 §5.4).
            pub fn from_random_bytes(bytes: [u8; 16]) -> Self {
                Self(*uuid::Builder::from_random_bytes(bytes).as_uuid().as_bytes())
            }

            /// Returns the 16 bytes, most significant first.
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// Accepts the hyphenated form of RFC 9562 §4 in either case.
            fn from_str(text: &str) -> Result<Self, IdError> {
                if text.len() != 36 {
                    return Err(IdError);
                }
                uuid::Uuid::try_parse(text).map(|id| Self(*id.as_bytes())).map_err(|_| IdError)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

uuid_id! {
    /// A participant of a room. The byte order decides who is polite: of two peers
    /// the lower id is the polite one, the higher makes the first offer.
    PeerId
}

uuid_id! {
    /// A room. Whoever knows it may join as a caller, so it is drawn from a
    /// cryptographic random source by the server.
    RoomId
}

/// What a participant may do. Ordered by rank: hosts sort before callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Role {
    /// Runs the show: invites hosts and callers, ends the session.
    Host,
    /// Runs the technical side: invites like a host, but cannot end the session.
    Ops,
    /// Takes part. Also written `guest` by older clients.
    #[cfg_attr(feature = "serde", serde(alias = "guest"))]
    Caller,
    /// The studio itself: hears everybody, to record and to send the programme out, and says
    /// nothing. Given by the server to its own engine alone.
    Engine,
}

/// Text that names no role. The sender must send `host`, `ops`, `caller` or `engine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no such role")]
pub struct RoleError;

impl Role {
    /// Returns the name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Ops => "ops",
            Self::Caller => "caller",
            Self::Engine => "engine",
        }
    }

    /// Returns whether this role may invite others.
    pub fn may_invite(self) -> bool {
        matches!(self, Self::Host | Self::Ops)
    }

    /// Returns whether this role may move the faders of others, mute them and put them on
    /// air.
    pub fn may_mix(self) -> bool {
        matches!(self, Self::Host | Self::Ops)
    }

    /// Returns whether somebody of this role is a person, who is shown, heard and counted.
    pub fn is_person(self) -> bool {
        !matches!(self, Self::Engine)
    }

    /// Returns whether this role may end the session for everybody.
    pub fn may_end_room(self) -> bool {
        matches!(self, Self::Host)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        match text {
            "host" => Ok(Self::Host),
            "ops" => Ok(Self::Ops),
            "caller" | "guest" => Ok(Self::Caller),
            _ => Err(RoleError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_id_survives_text_and_keeps_its_order() {
        let low: PeerId = "00000000-0000-4000-8000-0000000000ff".parse().unwrap();
        let high: PeerId = "F0000000-0000-4000-8000-000000000000".parse().unwrap();
        assert!(low < high);
        assert_eq!(high.to_string(), "f0000000-0000-4000-8000-000000000000");
        assert!(low.to_string() < high.to_string(), "text order must equal byte order");
    }

    #[test]
    fn what_is_not_a_hyphenated_uuid_is_refused() {
        for text in
            ["", "x", "00000000000040008000000000000000", "{00000000-0000-4000-8000-000000000000}"]
        {
            assert_eq!(text.parse::<RoomId>(), Err(IdError), "{text}");
        }
    }

    #[test]
    fn hosts_sort_before_callers() {
        assert!(Role::Host < Role::Ops && Role::Ops < Role::Caller);
    }

    #[test]
    fn guest_is_a_name_for_caller() {
        assert_eq!("guest".parse(), Ok(Role::Caller));
        assert_eq!("root".parse::<Role>(), Err(RoleError));
    }
}
