//! Where a message ends in a stream of bytes (RFC 8656 §12.5, RFC 8489 §6.2.2).

use thiserror::Error;

/// What begins here is neither STUN nor channel data. Close the stream: its framing is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the stream carries something else than STUN and TURN")]
pub struct NotTurn;

/// Returns how many bytes the message takes that a stream goes on with, padding included;
/// none while too little of it is there to tell. At most 65,555.
///
/// # Errors
/// See [`NotTurn`].
pub fn length_in_stream(bytes: &[u8]) -> Result<Option<usize>, NotTurn> {
    let Some(first) = bytes.first() else { return Ok(None) };
    let kind = first & 0xC0;
    if kind != 0x00 && kind != 0x40 {
        return Err(NotTurn);
    }
    let Some(&[_, _, high, low]) = bytes.first_chunk() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    match kind {
        0x00 if length.is_multiple_of(4) => Ok(Some(length.saturating_add(20))),
        0x00 => Err(NotTurn),
        _ => Ok(Some(length.next_multiple_of(4).saturating_add(4))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stun_has_a_head_of_20_and_channel_data_is_padded() {
        assert_eq!(length_in_stream(&[0x00, 0x01, 0x00, 0x08]), Ok(Some(28)));
        assert_eq!(length_in_stream(&[0x40, 0x00, 0x00, 0x05, 1]), Ok(Some(12)));
        assert_eq!(length_in_stream(&[0x40, 0x00, 0xFF, 0xFF]), Ok(Some(65_540)));
        assert_eq!(length_in_stream(&[0x3F, 0x00, 0xFF, 0xFC]), Ok(Some(65_552)));
    }

    #[test]
    fn too_little_is_no_error_and_another_protocol_is() {
        assert_eq!(length_in_stream(&[]), Ok(None));
        assert_eq!(length_in_stream(&[0x00, 0x01, 0x00]), Ok(None));
        for first in [0x80, 0xC0, 0xFF] {
            assert_eq!(length_in_stream(&[first]), Err(NotTurn));
        }
        assert_eq!(length_in_stream(&[0x00, 0x01, 0x00, 0x03]), Err(NotTurn));
    }
}
