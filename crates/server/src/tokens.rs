//! Seat tokens and invitations as JWTs (RFC 7519), signed with HMAC-SHA256.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use openstudio_room::{
    Claims, DownloadClaims, InviteClaims, SeatClaims, SignError, TokenError, Tokens,
};
use openstudio_units::{Incarnation, PeerId, Role, RoomId};
use openstudio_wire::{DisplayName, Token};
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// The claims of a token. `use` keeps the purposes apart.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "use", rename_all = "kebab-case")]
enum Payload {
    Seat {
        sub: PeerId,
        room: RoomId,
        role: Role,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<DisplayName>,
        inc: Incarnation,
        exp: u64,
    },
    Invite {
        room: RoomId,
        role: Role,
        exp: u64,
    },
    Download {
        room: RoomId,
        exp: u64,
    },
}

/// Signs and checks with one key and the system's clock.
pub(crate) struct JwtTokens {
    header: Header,
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
}

impl JwtTokens {
    pub(crate) fn new(secret: &Secret) -> Self {
        // The algorithm comes from here alone: a header that names another is refused.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.set_required_spec_claims(&["exp"]);
        Self {
            header: Header::new(Algorithm::HS256),
            signing: EncodingKey::from_secret(secret.as_bytes()),
            checking: DecodingKey::from_secret(secret.as_bytes()),
            validation,
        }
    }
}

impl std::fmt::Debug for JwtTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JwtTokens")
    }
}

impl Tokens for JwtTokens {
    fn sign(&self, claims: &Claims, lifetime: Duration) -> Result<Token, SignError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let exp = now.saturating_add(lifetime).as_secs();
        let payload = match claims {
            Claims::Seat(seat) => Payload::Seat {
                sub: seat.peer,
                room: seat.room,
                role: seat.role,
                name: seat.name.clone(),
                inc: seat.incarnation,
                exp,
            },
            Claims::Invite(invite) => Payload::Invite { room: invite.room, role: invite.role, exp },
            Claims::Download(download) => Payload::Download { room: download.room, exp },
        };
        encode(&self.header, &payload, &self.signing).map(Token).map_err(|_| SignError)
    }

    fn verify(&self, token: &Token) -> Result<Claims, TokenError> {
        match decode::<Payload>(&token.0, &self.checking, &self.validation) {
            Ok(data) => Ok(match data.claims {
                Payload::Seat { sub, room, role, name, inc, .. } => {
                    Claims::Seat(SeatClaims { peer: sub, room, role, name, incarnation: inc })
                }
                Payload::Invite { room, role, .. } => Claims::Invite(InviteClaims { room, role }),
                Payload::Download { room, .. } => Claims::Download(DownloadClaims { room }),
            }),
            Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => {
                Err(TokenError::Expired)
            }
            Err(_) => Err(TokenError::Invalid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::TempDir;

    fn tokens() -> JwtTokens {
        JwtTokens::new(&Secret::load_or_create(TempDir::new().path()).unwrap())
    }

    fn seat() -> Claims {
        Claims::Seat(SeatClaims {
            peer: PeerId::from_random_bytes([1; 16]),
            room: RoomId::from_random_bytes([2; 16]),
            role: Role::Host,
            name: Some(DisplayName::new("Ada <b>").unwrap()),
            incarnation: Incarnation(7),
        })
    }

    #[test]
    fn a_token_says_what_was_signed() {
        let tokens = tokens();
        let invite = Claims::Invite(InviteClaims {
            room: RoomId::from_random_bytes([3; 16]),
            role: Role::Ops,
        });
        let download =
            Claims::Download(DownloadClaims { room: RoomId::from_random_bytes([4; 16]) });
        for claims in [seat(), invite, download] {
            let token = tokens.sign(&claims, Duration::from_secs(60)).unwrap();
            assert!(token.0.len() < 400, "{} bytes", token.0.len());
            assert_eq!(tokens.verify(&token), Ok(claims));
        }
    }

    #[test]
    fn every_altered_byte_is_noticed() {
        let tokens = tokens();
        let Token(text) = tokens.sign(&seat(), Duration::from_secs(60)).unwrap();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let altered = Token(String::from_utf8(bytes).unwrap());
            assert_eq!(tokens.verify(&altered), Err(TokenError::Invalid), "byte {at}");
        }
    }

    #[test]
    fn a_token_of_another_key_or_of_no_algorithm_is_invalid() {
        let token = tokens().sign(&seat(), Duration::from_secs(60)).unwrap();
        let tokens = tokens();
        assert_eq!(tokens.verify(&token), Err(TokenError::Invalid));
        let payload = token.0.split('.').nth(1).unwrap();
        // {"typ":"JWT","alg":"none"}
        let unsigned = Token(format!("eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.{payload}."));
        assert_eq!(tokens.verify(&unsigned), Err(TokenError::Invalid));
    }

    #[test]
    fn an_expired_token_is_told_apart() {
        let tokens = tokens();
        let payload = Payload::Invite {
            room: RoomId::from_random_bytes([3; 16]),
            role: Role::Host,
            exp: 1_600_000_000,
        };
        let token = Token(encode(&tokens.header, &payload, &tokens.signing).unwrap());
        assert_eq!(tokens.verify(&token), Err(TokenError::Expired));
    }
}
