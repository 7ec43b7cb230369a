//! STUN's Binding (RFC 8489 §3): as which address does a server see a client?

mod client;

use std::net::SocketAddr;

use openstudio_units::{Rng, Seed};
use stun_types::attribute::{Software, XorMappedAddress};
use stun_types::message::{BINDING, MessageClass, TransactionId};
use stun_types::prelude::AttributeWrite;
use thiserror::Error;

use crate::stun::{self, Writer, attribute};

pub use client::{BindingClient, BindingOutput};

/// The server answers a Binding request with an error, or without an address. Ask another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the STUN server gives no address")]
pub struct NoAddress;

/// A Binding request.
#[derive(Debug)]
pub struct BindingRequest {
    transaction: TransactionId,
    bytes: Vec<u8>,
}

impl BindingRequest {
    /// Writes one. `seed` must be new for each, and hard to guess.
    pub fn new(seed: Seed) -> Self {
        Self::draw(&mut seed.fork("binding").rng())
    }

    fn draw(ids: &mut Rng) -> Self {
        let transaction = stun::draw(ids);
        let software = Software::new(stun::SOFTWARE).ok();
        let software = software.as_ref().map(|software| -> &dyn AttributeWrite { software });
        let writer = Writer::new(MessageClass::Request, BINDING, transaction);
        let bytes = writer.add_some(software).finish();
        Self { transaction, bytes }
    }

    /// Returns what to send, also again where no answer comes (RFC 8489 §6.2.1).
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the client's address as the server sees it; none if `bytes` are no answer to this
    /// request. Whether they come from the server is for the caller to see.
    pub fn answer(&self, bytes: &[u8]) -> Option<Result<SocketAddr, NoAddress>> {
        let message = stun::parse(bytes)?;
        if message.transaction_id() != self.transaction || message.method() != BINDING {
            return None;
        }
        match message.class() {
            MessageClass::Success => {
                let mapped = attribute::<XorMappedAddress>(&message);
                Some(mapped.map(|mapped| mapped.addr(self.transaction)).ok_or(NoAddress))
            }
            MessageClass::Error => Some(Err(NoAddress)),
            MessageClass::Request | MessageClass::Indication => None,
        }
    }
}

/// Returns the answer to a Binding request that came from `from`; none if `bytes` are none. For
/// servers that have nothing but this to do: [`crate::TurnServer`] answers them too, and limits
/// how many.
pub fn answer_binding(bytes: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let message = stun::parse(bytes)?;
    let is_request = message.class() == MessageClass::Request && message.method() == BINDING;
    is_request.then(|| success(message.transaction_id(), from).finish())
}

/// A success response (RFC 8489 §12).
pub(crate) fn success(transaction: TransactionId, from: SocketAddr) -> Writer {
    Writer::new(MessageClass::Success, BINDING, transaction)
        .add(&XorMappedAddress::new(from, transaction))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: u64) -> BindingRequest {
        BindingRequest::new(Seed::from_number(number))
    }

    #[test]
    fn who_asks_is_told_its_own_address() {
        for from in ["11.0.1.1:5000", "[2600::1]:5000"] {
            let from = from.parse().unwrap();
            let asked = request(1);
            let answer = answer_binding(asked.bytes(), from).unwrap();
            assert_eq!(asked.answer(&answer), Some(Ok(from)));
            assert_eq!(request(2).answer(&answer), None, "it is another's");
        }
    }

    #[test]
    fn nothing_else_is_a_request_or_an_answer() {
        let from = "11.0.1.1:5000".parse().unwrap();
        let asked = request(1);
        let answer = answer_binding(asked.bytes(), from).unwrap();
        let indication = Writer::new(MessageClass::Indication, BINDING, 7.into()).finish();
        for bytes in [b"".as_slice(), &[0; 40], &indication, &answer] {
            assert_eq!(answer_binding(bytes, from), None);
        }
        for bytes in [b"".as_slice(), &[0; 40], &indication, asked.bytes()] {
            assert_eq!(asked.answer(bytes), None);
        }
    }

    #[test]
    fn an_answer_without_an_address_says_none() {
        let asked = request(1);
        for class in [MessageClass::Success, MessageClass::Error] {
            let answer = Writer::new(class, BINDING, asked.transaction).finish();
            assert_eq!(asked.answer(&answer), Some(Err(NoAddress)));
        }
    }
}
