//! Reading and writing messages with `stun-types`, and what it leaves to its user.

use std::net::SocketAddr;

use openstudio_units::Rng;
use stun_types::attribute::{Attribute as _, AttributeStaticType, Fingerprint, MessageIntegrity};
use stun_types::attribute::{AttributeFromRaw, AttributeType, MessageIntegritySha256};
use stun_types::message::{
    IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message, MessageClass, MessageType,
    MessageWrite as _, MessageWriteExt as _, MessageWriteVec, Method, TransactionId,
};
use stun_types::prelude::AttributeWrite;
use turn_types::attribute::{Data, XorPeerAddress};

/// Bytes of a message's head.
pub(crate) const HEAD: usize = 20;

/// Makes the first request of a client long enough that a server which sends strangers no more
/// than they sent can answer it.
pub(crate) const SOFTWARE: &str = "OpenStudio TURN client";

/// Attributes below this must be understood (RFC 8489 §14).
const OPTIONAL: u16 = 0x8000;

/// Reads a message that is exactly `bytes`, or none.
///
/// The codec takes attributes from what follows a message, and writes a warning about each
/// message that is wrong: whoever can send a packet could fill the log. So it is only given
/// what it will like.
pub(crate) fn parse(bytes: &[u8]) -> Option<Message<'_>> {
    is_well_formed(bytes).then(|| Message::from_bytes(bytes).ok()).flatten()
}

fn is_well_formed(bytes: &[u8]) -> bool {
    let Some((head, mut rest)) = bytes.split_first_chunk::<HEAD>() else { return false };
    let [first, second, high, low, cookie @ ..] = head;
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if first & 0xC0 != 0 || !cookie.starts_with(&[0x21, 0x12, 0xA4, 0x42]) {
        return false;
    }
    if length != rest.len() || !length.is_multiple_of(4) {
        return false;
    }
    let mut last = 0;
    while let Some((&[t0, t1, l0, l1], after)) = rest.split_first_chunk::<4>() {
        let kind = u16::from_be_bytes([t0, t1]);
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let Some((_, next)) = after.split_at_checked(length.next_multiple_of(4)) else {
            return false;
        };
        // What follows the integrity is not covered by it; nobody sends anything there.
        let rank = rank(kind);
        if rank < last || (rank > 0 && rank == last) {
            return false;
        }
        last = rank;
        if kind == Fingerprint::TYPE.value() {
            let before = bytes.len().saturating_sub(rest.len());
            if !has_fingerprint(bytes, before, [*first, *second], after.get(..length)) {
                return false;
            }
        }
        rest = next;
    }
    rest.is_empty()
}

/// The order of the attributes at the end; 0 for those before.
fn rank(kind: u16) -> u8 {
    [MessageIntegrity::TYPE, MessageIntegritySha256::TYPE, Fingerprint::TYPE]
        .iter()
        .zip(1..)
        .find_map(|(end, rank)| (end.value() == kind).then_some(rank))
        .unwrap_or(0)
}

/// Whether the FINGERPRINT at `before` is right (RFC 8489 §14.7).
fn has_fingerprint(bytes: &[u8], before: usize, kind: [u8; 2], value: Option<&[u8]>) -> bool {
    let length = before.saturating_add(8).saturating_sub(HEAD);
    let Ok(length) = u16::try_from(length) else { return false };
    let [high, low] = length.to_be_bytes();
    let covered = bytes.get(4..before).unwrap_or_default();
    let sum = Fingerprint::compute(&[&[kind[0], kind[1], high, low], covered]);
    let [a, b, c, d] = sum;
    value == Some(&[a ^ 0x53, b ^ 0x54, c ^ 0x55, d ^ 0x4E])
}

/// Returns an attribute; none if it is not there or is wrong.
pub(crate) fn attribute<'a, A>(message: &'a Message<'a>) -> Option<A>
where
    A: AttributeFromRaw<'a> + AttributeStaticType,
{
    message.attribute::<A>().ok()
}

/// Returns all peers of a message; none if one of them is wrong.
pub(crate) fn peers(message: &Message<'_>) -> Option<Vec<SocketAddr>> {
    message
        .iter_attributes()
        .filter(|(_, raw)| raw.get_type() == XorPeerAddress::TYPE)
        .map(|(_, raw)| XorPeerAddress::from_raw_ref(&raw).ok())
        .map(|peer| peer.map(|peer| peer.addr(message.transaction_id())))
        .collect()
}

/// Returns the types that must be understood and are not among `known`.
pub(crate) fn unknown(message: &Message<'_>, known: &[AttributeType]) -> Vec<AttributeType> {
    message
        .iter_attributes()
        .map(|(_, raw)| raw.get_type())
        .filter(|kind| kind.value() < OPTIONAL && !known.contains(kind))
        .take(16)
        .collect()
}

/// Draws the id of a transaction.
pub(crate) fn draw(rng: &mut Rng) -> TransactionId {
    let high = u128::from(rng.next_u64());
    TransactionId::from(high.wrapping_shl(64) | u128::from(rng.next_u64()))
}

/// A message that is being written.
pub(crate) struct Writer(MessageWriteVec);

impl Writer {
    pub(crate) fn new(class: MessageClass, method: Method, transaction: TransactionId) -> Self {
        Self::with_capacity((class, method, transaction), 160)
    }

    fn with_capacity(
        (class, method, transaction): (MessageClass, Method, TransactionId),
        capacity: usize,
    ) -> Self {
        let kind = MessageType::from_class_method(class, method);
        Self(Message::builder(kind, transaction, MessageWriteVec::with_capacity(capacity)))
    }

    /// Adds an attribute. There is room for all that this crate writes, and none stands twice.
    pub(crate) fn add(mut self, attribute: &dyn AttributeWrite) -> Self {
        self.0.push_attribute_unchecked(attribute);
        self
    }

    pub(crate) fn add_some(self, attribute: Option<&dyn AttributeWrite>) -> Self {
        match attribute {
            Some(attribute) => self.add(attribute),
            None => self,
        }
    }

    pub(crate) fn sign(mut self, key: Option<&IntegrityKey>) -> Self {
        if let Some(key) = key {
            let _ = self.0.add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1);
        }
        self
    }

    pub(crate) fn fingerprint(mut self, wanted: bool) -> Self {
        if wanted {
            let _ = self.0.add_fingerprint();
        }
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.finish()
    }
}

/// The key of long-term credentials: MD5 of user, realm and password (RFC 8489 §9.2.2).
pub(crate) fn key(username: &str, realm: &str, password: &str) -> IntegrityKey {
    LongTermKeyCredentials::new(username.to_owned(), password.to_owned(), realm.to_owned())
        .make_key(IntegrityAlgorithm::Sha1)
}

/// Writes a Send or Data indication (RFC 8656 §11).
pub(crate) fn indication(
    method: Method,
    transaction: TransactionId,
    peer: SocketAddr,
    bytes: &[u8],
) -> Vec<u8> {
    // Head, address, head of the data, padding.
    let capacity = bytes.len().saturating_add(HEAD + 24 + 4 + 3);
    Writer::with_capacity((MessageClass::Indication, method, transaction), capacity)
        .add(&XorPeerAddress::new(peer, transaction))
        .add(&Data::new(bytes))
        .finish()
}

/// Writes channel data (RFC 8656 §12.4), padded if it goes into a stream.
pub(crate) fn channel_data(channel: u16, bytes: &[u8], padded: bool) -> Option<Vec<u8>> {
    let length = u16::try_from(bytes.len()).ok()?;
    let size = bytes.len().saturating_add(4);
    let size = if padded { size.next_multiple_of(4) } else { size };
    let mut message = Vec::with_capacity(size);
    message.extend_from_slice(&channel.to_be_bytes());
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(bytes);
    message.resize(size, 0);
    Some(message)
}

/// Reads channel data: number and bytes. What follows is padding.
pub(crate) fn parse_channel_data(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (&[n0, n1, l0, l1], rest) = bytes.split_first_chunk::<4>()?;
    let data = rest.get(..usize::from(u16::from_be_bytes([l0, l1])))?;
    Some((u16::from_be_bytes([n0, n1]), data))
}

#[cfg(test)]
mod tests {
    use stun_types::message::BINDING;

    use super::*;

    fn message(fingerprint: bool) -> Vec<u8> {
        let key = key("u", "r", "p");
        Writer::new(MessageClass::Request, BINDING, 7.into())
            .sign(Some(&key))
            .fingerprint(fingerprint)
            .finish()
    }

    #[test]
    fn what_is_written_can_be_read() {
        assert!(parse(&message(false)).is_some());
        let bytes = message(true);
        assert!(parse(&bytes).unwrap().validate_integrity_with_key(&key("u", "r", "p")).is_ok());
        assert!(parse(&bytes).unwrap().validate_integrity_with_key(&key("u", "r", "q")).is_err());
    }

    #[test]
    fn what_follows_a_message_or_its_integrity_is_refused() {
        let mut longer = message(true);
        longer.extend([0, 6, 0, 0]);
        assert!(parse(&longer).is_none(), "more bytes than the length says");
        longer[3] += 4;
        assert!(parse(&longer).is_none(), "an attribute after the fingerprint");
        for at in 0..longer.len() - 4 {
            assert!(parse(&message(true)[..at]).is_none(), "cut at {at}");
        }
        let mut altered = message(true);
        *altered.last_mut().unwrap() ^= 1;
        assert!(parse(&altered).is_none(), "a wrong fingerprint");
    }

    #[test]
    fn channel_data_is_padded_in_streams_only() {
        assert_eq!(channel_data(0x4000, b"abcde", false).unwrap().len(), 9);
        let padded = channel_data(0x4000, b"abcde", true).unwrap();
        assert_eq!(padded.len(), 12);
        assert_eq!(parse_channel_data(&padded), Some((0x4000, b"abcde".as_slice())));
        assert_eq!(parse_channel_data(&padded[..8]), None);
        assert_eq!(channel_data(0x4000, &vec![0; 65_536], false), None);
    }
}
