//! A hasher that sees timestamps relative to the present, so that the same state at another
//! time has the same fingerprint.

use std::hash::Hasher;

use openstudio_units::Timestamp;

/// Clocks of the pair begin here. No other 64-bit number in a mesh comes near it.
pub(super) const EPOCH: Timestamp = Timestamp::from_micros(1 << 52);

/// The smallest number that is taken for a timestamp.
const SMALLEST: u64 = 1 << 51;

/// What happened longer ago than this decides nothing any more: longer than every limit of
/// the mesh, stretched.
const FORGOTTEN: i64 = -3_600_000_000;

/// Two lanes of 64 bits, mixed differently.
#[derive(Debug, Clone)]
pub(super) struct RelativeHasher {
    now: u64,
    lanes: [u64; 2],
}

impl RelativeHasher {
    pub(super) fn new() -> Self {
        Self { now: 0, lanes: [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f] }
    }

    /// Takes timestamps relative to `now` from here on.
    pub(super) fn rebase(&mut self, now: Timestamp) {
        self.now = now.as_micros();
    }

    fn mix(&mut self, word: u64) {
        let [a, b] = &mut self.lanes;
        *a = (*a ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        *a ^= *a >> 32;
        *b = b.wrapping_add(word).wrapping_mul(0xc4ce_b9fe_1a85_ec53).rotate_left(29);
    }

    pub(super) fn fingerprint(&self) -> u128 {
        let [a, b] = self.lanes;
        (u128::from(a) << 64) | u128::from(b ^ (b >> 31))
    }
}

impl Hasher for RelativeHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.mix(u64::from_le_bytes(word) ^ (chunk.len() as u64) << 60);
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    fn write_u64(&mut self, number: u64) {
        if number < SMALLEST {
            return self.mix(number);
        }
        let relative = number.wrapping_sub(self.now).cast_signed();
        self.mix(relative.max(FORGOTTEN).cast_unsigned() ^ 0x5555_0000_0000_5555);
    }

    fn finish(&self) -> u64 {
        self.lanes[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::Hash;
    use std::time::Duration;

    fn fingerprint(value: impl Hash, now: Timestamp) -> u128 {
        let mut hasher = RelativeHasher::new();
        hasher.rebase(now);
        value.hash(&mut hasher);
        hasher.fingerprint()
    }

    #[test]
    fn the_same_distance_from_the_present_is_the_same() {
        let later = EPOCH + Duration::from_secs(7);
        let second = Duration::from_secs(1);
        let here = fingerprint((EPOCH + second, 7_u64), EPOCH);
        assert_eq!(here, fingerprint((later + second, 7_u64), later));
        assert_ne!(here, fingerprint((later + second, 8_u64), later));
        assert_ne!(here, fingerprint((later, 7_u64), later));
    }
}
