//! Reading what an invitation says of itself, for display only: the server alone decides
//! what it is worth.

use openstudio_units::Role;
use serde::Deserialize;

#[derive(Deserialize)]
struct Payload {
    role: Role,
}

/// Returns the role that an invitation names, if it can be read.
pub(crate) fn role_of(token: &str) -> Option<Role> {
    let payload = token.split('.').nth(1)?;
    let bytes = base64url(payload)?;
    serde_json::from_slice::<Payload>(&bytes).ok().map(|payload| payload.role)
}

/// Decodes base64url without padding (RFC 4648 §5).
fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let mut bits: u32 = 0;
    let mut held: u32 = 0;
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_of_an_invitation_is_read() {
        // {"role":"host","exp":1}
        let token = "e30.eyJyb2xlIjoiaG9zdCIsImV4cCI6MX0.x";
        assert_eq!(role_of(token), Some(Role::Host));
    }

    #[test]
    fn what_is_no_token_says_nothing() {
        for token in ["", "a.b", "a.!!.c", "a.e30.c", "a..c"] {
            assert_eq!(role_of(token), None, "{token}");
        }
    }

    #[test]
    fn base64url_decodes_every_length() {
        assert_eq!(base64url("TQ"), Some(b"M".to_vec()));
        assert_eq!(base64url("TWE"), Some(b"Ma".to_vec()));
        assert_eq!(base64url("TWFu"), Some(b"Man".to_vec()));
        assert_eq!(base64url("-_8"), Some(vec![0xfb, 0xff]));
    }
}
