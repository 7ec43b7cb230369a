//! [`BindingClient`]: which address a STUN server sees a socket at (RFC 8489 §12).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use openstudio_units::{Rng, Seed, Timestamp};

use super::BindingRequest;

/// The first repetition comes after this (RFC 8489 §6.2.1), each further one after double.
const RTO: Duration = Duration::from_millis(500);

/// How often a request is sent: a server that is silent is known after 7.5 s.
const SENDS: u32 = 4;

/// A NAT forgets a mapping that nobody uses (RFC 8445 §11): this often it is used.
const INTERVAL: Duration = Duration::from_secs(15);

/// What to do, or to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindingOutput {
    /// Send this to the server.
    Transmit(Vec<u8>),
    /// The server sees another address than before, or sees one for the first time.
    Mapped(SocketAddr),
    /// The server does not answer. It is asked again 15 s later.
    Silent,
}

#[derive(Debug)]
struct Asked {
    request: BindingRequest,
    sends: u32,
}

/// Asks a STUN server for one socket's address by datagrams, and again every 15 s: that keeps
/// the mapping of a NAT, and shows when it is another one.
///
/// Its driver transmits what [`Self::poll_output`] says, calls [`Self::handle`] with each
/// datagram of the server, and [`Self::on_timeout`] when [`Self::poll_timeout`] says so.
#[derive(Debug)]
pub struct BindingClient {
    ids: Rng,
    asked: Option<Asked>,
    due: Timestamp,
    mapped: Option<SocketAddr>,
    outputs: VecDeque<BindingOutput>,
}

impl BindingClient {
    /// Makes a client and asks.
    pub fn new(seed: Seed, now: Timestamp) -> Self {
        let ids = seed.fork("stun client").rng();
        let mut client =
            Self { ids, asked: None, due: now, mapped: None, outputs: VecDeque::new() };
        client.ask(now);
        client
    }

    /// Something came from the server. What is no answer to a request is ignored.
    pub fn handle(&mut self, now: Timestamp, bytes: &[u8]) {
        let answer = self.asked.as_ref().and_then(|asked| asked.request.answer(bytes));
        // An error counts as silence: the server may know better when asked again.
        let Some(Ok(mapped)) = answer else { return };
        self.asked = None;
        self.due = now + INTERVAL;
        if self.mapped.replace(mapped) != Some(mapped) {
            self.outputs.push_back(BindingOutput::Mapped(mapped));
        }
    }

    /// Asks again. Calling early or twice is harmless.
    pub fn on_timeout(&mut self, now: Timestamp) {
        if now < self.due {
            return;
        }
        match &mut self.asked {
            None => self.ask(now),
            Some(asked) if asked.sends < SENDS => {
                let wait = RTO.saturating_mul(1_u32.wrapping_shl(asked.sends));
                asked.sends = asked.sends.saturating_add(1);
                self.due = now + wait;
                self.outputs.push_back(BindingOutput::Transmit(asked.request.bytes().to_vec()));
            }
            Some(_) => {
                self.asked = None;
                self.due = now + INTERVAL;
                self.outputs.push_back(BindingOutput::Silent);
            }
        }
    }

    /// Returns when to call [`Self::on_timeout`].
    pub fn poll_timeout(&self) -> Timestamp {
        self.due
    }

    /// Returns the next thing to do or to know. None means drained.
    pub fn poll_output(&mut self) -> Option<BindingOutput> {
        self.outputs.pop_front()
    }

    fn ask(&mut self, now: Timestamp) {
        let request = BindingRequest::draw(&mut self.ids);
        self.due = now + RTO;
        self.outputs.push_back(BindingOutput::Transmit(request.bytes().to_vec()));
        self.asked = Some(Asked { request, sends: 1 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer_binding;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn client() -> BindingClient {
        BindingClient::new(Seed::from_number(7), NOW)
    }

    fn request(client: &mut BindingClient) -> Vec<u8> {
        match client.poll_output() {
            Some(BindingOutput::Transmit(bytes)) => bytes,
            other => panic!("{other:?}"),
        }
    }

    fn answer(request: &[u8], mapped: &str) -> Vec<u8> {
        answer_binding(request, mapped.parse().unwrap()).unwrap()
    }

    #[test]
    fn an_address_is_told_once_and_another_one_again() {
        let mut client = client();
        let first = request(&mut client);
        client.handle(NOW, &answer(&first, "192.0.2.1:5000"));
        let told = client.poll_output();
        assert_eq!(told, Some(BindingOutput::Mapped("192.0.2.1:5000".parse().unwrap())));
        for mapped in ["192.0.2.1:5000", "192.0.2.2:5000"] {
            client.on_timeout(client.poll_timeout());
            let bytes = request(&mut client);
            client.handle(NOW, &answer(&bytes, mapped));
        }
        let told = client.poll_output();
        assert_eq!(told, Some(BindingOutput::Mapped("192.0.2.2:5000".parse().unwrap())));
        assert_eq!(client.poll_output(), None);
        client.handle(NOW, &answer(&first, "192.0.2.3:5000"));
        assert_eq!(client.poll_output(), None, "an answer to an earlier request");
    }

    #[test]
    fn a_silent_server_is_told_after_seven_and_a_half_seconds_and_asked_again() {
        let mut client = client();
        let first = request(&mut client);
        let mut at = Vec::new();
        for _ in 1..SENDS {
            at.push(client.poll_timeout().since(NOW).as_millis());
            client.on_timeout(client.poll_timeout());
            assert_eq!(request(&mut client), first);
        }
        assert_eq!(at, [500, 1_500, 3_500]);
        client.on_timeout(NOW + Duration::from_millis(7_499));
        assert_eq!(client.poll_output(), None);
        let silent = client.poll_timeout();
        assert_eq!(silent.since(NOW), Duration::from_millis(7_500));
        client.on_timeout(silent);
        assert_eq!(client.poll_output(), Some(BindingOutput::Silent));
        assert_eq!(client.poll_timeout().since(silent), INTERVAL);
        client.on_timeout(client.poll_timeout());
        assert_ne!(request(&mut client), first);
    }
}
