//! A STUN server that answers Binding requests and nothing else (RFC 8489 §12), for tests that
//! want server-reflexive candidates.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread;

use stun_types::attribute::XorMappedAddress;
use stun_types::message::{BINDING, Message, MessageClass, MessageWriteVec};
use stun_types::prelude::*;

/// Answers on a socket for as long as the process lives.
pub(crate) fn serve(socket: UdpSocket) -> io::Result<()> {
    thread::Builder::new().name("stun".to_owned()).spawn(move || {
        let mut buffer = [0; 1500];
        loop {
            // An ICMP error about an answer shows up here, and is nothing to stop for.
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            if let Some(answer) = buffer.get(..length).and_then(|text| answer(text, from)) {
                drop(socket.send_to(&answer, from));
            }
        }
    })?;
    Ok(())
}

/// The answer to a request; none to anything else.
fn answer(request: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let request = Message::from_bytes(request).ok()?;
    if !request.has_class(MessageClass::Request) || !request.has_method(BINDING) {
        return None;
    }
    let mut answer = Message::builder_success(&request, MessageWriteVec::new());
    let seen = XorMappedAddress::new(from, request.transaction_id());
    answer.add_attribute(&seen).ok()?;
    Some(answer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_told_its_own_address() {
        let from: SocketAddr = "11.0.1.1:5000".parse().unwrap();
        let request = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
        let answer = answer(&request, from).unwrap();
        let answer = Message::from_bytes(&answer).unwrap();
        assert!(answer.has_class(MessageClass::Success));
        let asked = Message::from_bytes(&request).unwrap().transaction_id();
        assert_eq!(answer.transaction_id(), asked);
        let seen = answer.attribute::<XorMappedAddress>().unwrap();
        assert_eq!(seen.addr(asked), from);
    }

    #[test]
    fn nothing_else_is_answered() {
        let from = "11.0.1.1:5000".parse().unwrap();
        assert_eq!(answer(b"", from), None);
        assert_eq!(answer(&[0; 40], from), None);
        let told = Message::builder_indication(BINDING, MessageWriteVec::new()).finish();
        assert_eq!(answer(&told, from), None);
    }
}
