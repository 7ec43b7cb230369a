//! Credentials that are computed and not stored: coturn's `use-auth-secret`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha1::Sha1;

/// A user name and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `EXPIRY:USER`, the expiry in seconds since 1970.
    pub username: String,
    /// Base64 of the HMAC.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What gives credentials out and what checks them have this in common. `Debug` does not show it.
#[derive(Clone)]
pub struct SharedSecret(Vec<u8>);

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret")
    }
}

impl SharedSecret {
    /// Takes the secret as bytes; coturn takes those of the text in its configuration.
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self(secret.into())
    }

    /// Makes credentials for `user` that are good until `expiry`, seconds since 1970.
    pub fn credentials(&self, user: &str, expiry: u64) -> Credentials {
        let username = format!("{expiry}:{user}");
        let password = self.password(&username);
        Credentials { username, password }
    }

    /// Returns the password of a user name: base64 of HMAC-SHA1.
    pub(crate) fn password(&self, username: &str) -> String {
        STANDARD.encode(hmac_sha1(&self.0, &[username.as_bytes()]))
    }
}

/// Takes a user name apart into its expiry, seconds since 1970, and its user.
pub(crate) fn parse_username(username: &str) -> Option<(u64, &str)> {
    let (expiry, user) = username.split_once(':')?;
    let digits = !expiry.is_empty() && expiry.bytes().all(|byte| byte.is_ascii_digit());
    (digits && !user.is_empty()).then_some(())?;
    Some((expiry.parse().ok()?, user))
}

/// HMAC-SHA1 (RFC 2104) of the parts, one after the other.
pub(crate) fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    // A key of any length is taken: the error is that of other kinds of MAC.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else { return [0; 20] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_that_of_rfc_2202() {
        let mac = hmac_sha1(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(mac[..4], [0xef, 0xfc, 0xdf, 0x6a]);
    }

    #[test]
    fn credentials_are_those_of_coturn() {
        // printf 1433895918:ninefingers | openssl dgst -sha1 -hmac north -binary | base64
        let made = SharedSecret::new("north").credentials("ninefingers", 1_433_895_918);
        assert_eq!(made.username, "1433895918:ninefingers");
        assert_eq!(made.password, NORTH);
        assert!(!format!("{made:?}").contains(NORTH));
    }

    const NORTH: &str = "jy8hTxmOO7UtEKXqSkSlvakPVYA=";

    #[test]
    fn a_user_name_says_until_when_and_who() {
        assert_eq!(parse_username("12:a:b"), Some((12, "a:b")));
        for wrong in ["", ":", "12", "12:", ":a", "+12:a", "1x:a", "99999999999999999999999:a"] {
            assert_eq!(parse_username(wrong), None, "{wrong}");
        }
    }
}
