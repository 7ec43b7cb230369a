//! Nonces that need no memory: each carries its expiry and a MAC over that and the client.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openstudio_units::{Seed, Timestamp};

use crate::secret::hmac_sha1;

/// How long a nonce is good. RFC 8656 §5 recommends at most an hour.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Bytes of expiry, and bytes of the MAC: short, since strangers get few bytes for theirs.
const EXPIRY_BYTES: usize = 4;
const MAC_BYTES: usize = 8;

/// Gives nonces out and checks them.
#[derive(Debug)]
pub(crate) struct Nonces {
    key: [u8; 32],
}

impl Nonces {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { key: seed.fork("nonces").0 }
    }

    /// Makes a nonce of 16 characters for a client.
    pub(crate) fn issue(&self, now: Timestamp, client: SocketAddr) -> String {
        let expiry = seconds(now + LIFETIME).to_be_bytes();
        let mac = self.mac(expiry, client);
        let mut bytes = [0; EXPIRY_BYTES + MAC_BYTES];
        for (byte, value) in bytes.iter_mut().zip(expiry.into_iter().chain(mac)) {
            *byte = value;
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether this server gave `nonce` to this client, not too long ago.
    pub(crate) fn is_good(&self, now: Timestamp, client: SocketAddr, nonce: &str) -> bool {
        let mut bytes = [0; EXPIRY_BYTES + MAC_BYTES];
        if URL_SAFE_NO_PAD.decode_slice(nonce, &mut bytes) != Ok(bytes.len()) {
            return false;
        }
        let Some((expiry, mac)) = bytes.split_first_chunk::<EXPIRY_BYTES>() else { return false };
        let wanted = self.mac(*expiry, client);
        // Every byte is looked at, so that the time taken tells nothing.
        let difference = wanted.iter().zip(mac).fold(0, |sum, (a, b)| sum | (a ^ b));
        difference == 0 && u32::from_be_bytes(*expiry) > seconds(now)
    }

    fn mac(&self, expiry: [u8; EXPIRY_BYTES], client: SocketAddr) -> [u8; MAC_BYTES] {
        let address = match client.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        let port = client.port().to_be_bytes();
        let whole = hmac_sha1(&self.key, &[&expiry, &address, &port]);
        let mut mac = [0; MAC_BYTES];
        for (byte, value) in mac.iter_mut().zip(whole) {
            *byte = value;
        }
        mac
    }
}

fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_millis().div_euclid(1000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_its_client_and_its_time_only() {
        let nonces = Nonces::new(Seed::from_number(1));
        let client = "192.0.2.1:5".parse().unwrap();
        let now = Timestamp::from_millis(5_000);
        let nonce = nonces.issue(now, client);
        assert_eq!(nonce.len(), 16);
        assert!(nonces.is_good(now, client, &nonce));
        assert!(!nonces.is_good(now, "192.0.2.1:6".parse().unwrap(), &nonce));
        assert!(!nonces.is_good(now, "192.0.2.2:5".parse().unwrap(), &nonce));
        assert!(nonces.is_good(now + (LIFETIME - Duration::from_secs(1)), client, &nonce));
        assert!(!nonces.is_good(now + LIFETIME, client, &nonce));
        assert!(!Nonces::new(Seed::from_number(2)).is_good(now, client, &nonce));
        for wrong in ["", "AAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAA", "!!!!!!!!!!!!!!!!"] {
            assert!(!nonces.is_good(now, client, wrong), "{wrong}");
        }
    }
}
