//! A STUN server that answers Binding requests and nothing else (RFC 8489 §12), for tests that
//! want server-reflexive candidates.

use std::io;
use std::net::UdpSocket;
use std::thread;

use openstudio_turn::answer_binding;

/// Answers on a socket for as long as the process lives.
pub(crate) fn serve(socket: UdpSocket) -> io::Result<()> {
    thread::Builder::new().name("stun".to_owned()).spawn(move || {
        let mut buffer = [0; 1500];
        loop {
            // An ICMP error about an answer shows up here, and is nothing to stop for.
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            if let Some(answer) = buffer.get(..length).and_then(|text| answer_binding(text, from)) {
                drop(socket.send_to(&answer, from));
            }
        }
    })?;
    Ok(())
}
