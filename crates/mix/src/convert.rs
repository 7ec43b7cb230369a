//! Conversions between number types that std offers as `as` only. Nothing else.

/// Rounds to the precision of a sample.
#[expect(clippy::as_conversions, reason = "the only way; rounds to the nearest, never undefined")]
pub(crate) fn sample(value: f64) -> f32 {
    value as f32
}

/// Cuts the fraction off; NaN and what is negative become 0.
#[expect(clippy::as_conversions, reason = "the only way; saturates")]
pub(crate) fn whole(value: f64) -> u64 {
    value as u64
}

/// Exact up to 2^53, rounded above.
#[expect(clippy::as_conversions, reason = "the only way; rounds to the nearest")]
pub(crate) fn real(value: u64) -> f64 {
    value as f64
}

/// A number of frames or strips, as memory counts them.
pub(crate) fn size(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// A number of frames, as counters have it.
pub(crate) fn count(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
