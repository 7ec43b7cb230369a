//! [`Packet`]: an IPv4 packet whose addresses and ports can be changed in place.
//!
//! UDP, TCP, echo requests and replies, and ICMP errors with the header that they quote. Not
//! fragments: nothing that is tested here sends them. Checksums are brought up to date, never
//! made anew: what arrives broken stays broken.

use std::net::{Ipv4Addr, SocketAddrV4};

use openstudio_net::{Flow, Protocol};

use crate::checksum;

/// Why something that was read is not forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// No IPv4, or nothing that is known of it.
    #[error("neither UDP, TCP nor ICMP over IPv4")]
    Unknown,
    /// A part of a packet.
    #[error("a fragment")]
    Fragment,
    /// Lengths that are wrong.
    #[error("cut off")]
    CutOff,
}

/// What a packet is for a NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Something with ports.
    Flow(Flow),
    /// An error about a packet with this flow, as it was where the error was made.
    Error(Flow),
}

/// Where something stands in a packet.
#[derive(Debug, Clone, Copy)]
struct Header {
    /// Of the IPv4 header.
    start: usize,
    /// Of what is in it.
    body: usize,
    protocol: Protocol,
    /// Where the checksum of UDP, TCP or an echo stands, if there is one within the packet.
    sum: Option<usize>,
    /// Whether that covers addresses too.
    pseudo: bool,
    source_port: Option<usize>,
    destination_port: Option<usize>,
}

/// An IPv4 packet of a known kind.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    bytes: Vec<u8>,
    outer: Header,
    /// The header that an ICMP error quotes.
    quoted: Option<Header>,
}

const TTL_AT: usize = 8;
const SUM_AT: usize = 10;
const SOURCE_AT: usize = 12;
const DESTINATION_AT: usize = 16;
const IDENTIFIER_AT: usize = 4;
/// Where the quoted packet begins in an ICMP error (RFC 792).
const QUOTED_AT: usize = 8;

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
/// Destination unreachable, time exceeded, parameter problem.
const ERRORS: [u8; 3] = [3, 11, 12];

impl Packet {
    /// Reads a packet.
    pub(crate) fn parse(mut bytes: Vec<u8>) -> Result<Self, Unusable> {
        let total = usize::from(word(&bytes, 2).ok_or(Unusable::CutOff)?);
        if bytes.first().is_none_or(|first| first >> 4 != 4) {
            return Err(Unusable::Unknown);
        }
        if total > bytes.len() {
            return Err(Unusable::CutOff);
        }
        bytes.truncate(total);
        let outer = Header::parse(&bytes, 0, false)?;
        let kind = bytes.get(outer.body).copied().unwrap_or_default();
        let is_error = outer.protocol == Protocol::Icmp && ERRORS.contains(&kind);
        let quoted = is_error
            .then(|| Header::parse(&bytes, outer.body.saturating_add(QUOTED_AT), true))
            .transpose()?;
        Ok(Self { bytes, outer, quoted })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn content(&self) -> Content {
        match &self.quoted {
            Some(quoted) => Content::Error(quoted.flow(&self.bytes)),
            None => Content::Flow(self.outer.flow(&self.bytes)),
        }
    }

    pub(crate) fn source(&self) -> Ipv4Addr {
        address(&self.bytes, SOURCE_AT)
    }

    pub(crate) fn destination(&self) -> Ipv4Addr {
        address(&self.bytes, DESTINATION_AT)
    }

    /// One more router was passed (RFC 1812 §5.3.1); `false` if it was the last.
    pub(crate) fn pass_router(&mut self) -> bool {
        let old = word(&self.bytes, TTL_AT).unwrap_or_default();
        let [ttl, protocol] = old.to_be_bytes();
        if ttl <= 1 {
            return false;
        }
        let new = u16::from_be_bytes([ttl.saturating_sub(1), protocol]);
        self.replace(TTL_AT, new, &[SUM_AT], None);
        true
    }

    /// Makes the packet one of another flow.
    pub(crate) fn set_flow(&mut self, flow: Flow) {
        let header = self.outer;
        self.set_source(header, flow.source, None);
        self.set_destination(header, flow.destination, None);
    }

    /// Makes the error one about another flow, from or to another address.
    pub(crate) fn set_error(&mut self, about: Flow, source: Ipv4Addr, destination: Ipv4Addr) {
        let Some(quoted) = self.quoted else { return };
        // The checksum of the error covers everything that it quotes.
        let around = self.outer.body.saturating_add(2);
        self.set_source(quoted, about.source, Some(around));
        self.set_destination(quoted, about.destination, Some(around));
        self.replace_address(SOURCE_AT, source, &[SUM_AT], None);
        self.replace_address(DESTINATION_AT, destination, &[SUM_AT], None);
    }

    fn set_source(&mut self, header: Header, end: SocketAddrV4, around: Option<usize>) {
        let at = header.start.saturating_add(SOURCE_AT);
        self.set_end(header, (at, header.source_port), end, around);
    }

    fn set_destination(&mut self, header: Header, end: SocketAddrV4, around: Option<usize>) {
        let at = header.start.saturating_add(DESTINATION_AT);
        self.set_end(header, (at, header.destination_port), end, around);
    }

    fn set_end(
        &mut self,
        header: Header,
        (address_at, port_at): (usize, Option<usize>),
        end: SocketAddrV4,
        around: Option<usize>,
    ) {
        let own = header.start.saturating_add(SUM_AT);
        // UDP without a checksum stays without one (RFC 768).
        let is_used = |at: &usize| {
            header.protocol != Protocol::Udp || word(&self.bytes, *at).is_some_and(|sum| sum != 0)
        };
        let inner = header.sum.filter(is_used);
        let pseudo = inner.filter(|_| header.pseudo);
        let sums: Vec<usize> = [Some(own), pseudo].into_iter().flatten().collect();
        self.replace_address(address_at, *end.ip(), &sums, around);
        if let Some(at) = port_at {
            self.replace(at, end.port(), inner.as_slice(), around);
        }
        if let Some(sum) = inner.filter(|_| header.protocol == Protocol::Udp) {
            // A sum that comes to zero is sent as its other form (RFC 768).
            if word(&self.bytes, sum) == Some(0) {
                self.write(sum, u16::MAX, around);
            }
        }
    }

    fn replace_address(&mut self, at: usize, new: Ipv4Addr, sums: &[usize], around: Option<usize>) {
        let [a, b, c, d] = new.octets();
        self.replace(at, u16::from_be_bytes([a, b]), sums, around);
        self.replace(at.saturating_add(2), u16::from_be_bytes([c, d]), sums, around);
    }

    /// Changes a word, and the checksums that cover it; `around` is one that covers those too.
    fn replace(&mut self, at: usize, new: u16, sums: &[usize], around: Option<usize>) {
        let Some(old) = word(&self.bytes, at) else { return };
        self.write(at, new, around);
        for sum in sums {
            if let Some(value) = word(&self.bytes, *sum) {
                self.write(*sum, checksum::update(value, old, new), around);
            }
        }
    }

    fn write(&mut self, at: usize, new: u16, around: Option<usize>) {
        let Some(old) = word(&self.bytes, at) else { return };
        put(&mut self.bytes, at, new);
        if let Some((sum, value)) = around.and_then(|sum| Some((sum, word(&self.bytes, sum)?))) {
            put(&mut self.bytes, sum, checksum::update(value, old, new));
        }
    }
}

impl Header {
    /// Reads the header that begins at `start`. Of a quoted packet, eight bytes after its header
    /// are enough.
    fn parse(bytes: &[u8], start: usize, is_quoted: bool) -> Result<Self, Unusable> {
        let first = *bytes.get(start).ok_or(Unusable::CutOff)?;
        let words = usize::from(first & 0x0f);
        if first >> 4 != 4 || words < 5 {
            return Err(Unusable::Unknown);
        }
        let body = start.saturating_add(words.saturating_mul(4));
        let part = word(bytes, start.saturating_add(6)).ok_or(Unusable::CutOff)?;
        // More fragments, or an offset.
        if part & 0x3fff != 0 {
            return Err(Unusable::Fragment);
        }
        let (protocol, least, sum_at) = match bytes.get(start.saturating_add(9)) {
            Some(17) => (Protocol::Udp, 8, 6),
            Some(6) => (Protocol::Tcp, 20, 16),
            Some(1) => (Protocol::Icmp, 8, 2),
            _ => return Err(Unusable::Unknown),
        };
        let least = if is_quoted { 8 } else { least };
        if body.saturating_add(least) > bytes.len() {
            return Err(Unusable::CutOff);
        }
        let sum_at = body.saturating_add(sum_at);
        let mut header = Self {
            start,
            body,
            protocol,
            sum: (sum_at.saturating_add(2) <= bytes.len()).then_some(sum_at),
            pseudo: protocol != Protocol::Icmp,
            source_port: Some(body),
            destination_port: Some(body.saturating_add(2)),
        };
        if protocol == Protocol::Icmp {
            header.find_identifier(bytes, is_quoted)?;
        }
        Ok(header)
    }

    /// An echo's identifier is the port of who asked (RFC 5508 §3).
    fn find_identifier(&mut self, bytes: &[u8], is_quoted: bool) -> Result<(), Unusable> {
        let identifier = Some(self.body.saturating_add(IDENTIFIER_AT));
        (self.source_port, self.destination_port) = match bytes.get(self.body) {
            Some(&ECHO_REQUEST) => (identifier, None),
            Some(&ECHO_REPLY) => (None, identifier),
            // There are no errors about errors (RFC 1122 §3.2.2).
            Some(kind) if ERRORS.contains(kind) && !is_quoted => (None, None),
            _ => return Err(Unusable::Unknown),
        };
        Ok(())
    }

    fn flow(&self, bytes: &[u8]) -> Flow {
        let end = |address_at: usize, port_at: Option<usize>| {
            let port = port_at.and_then(|at| word(bytes, at)).unwrap_or_default();
            SocketAddrV4::new(address(bytes, self.start.saturating_add(address_at)), port)
        };
        Flow {
            protocol: self.protocol,
            source: end(SOURCE_AT, self.source_port),
            destination: end(DESTINATION_AT, self.destination_port),
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    pair.try_into().ok().map(u16::from_be_bytes)
}

fn put(bytes: &mut [u8], at: usize, new: u16) {
    if let Some(pair) = bytes.get_mut(at..at.saturating_add(2)) {
        pair.copy_from_slice(&new.to_be_bytes());
    }
}

/// The address at an offset; none is `0.0.0.0`.
fn address(bytes: &[u8], at: usize) -> Ipv4Addr {
    let octets =
        bytes.get(at..at.saturating_add(4)).and_then(|four| <[u8; 4]>::try_from(four).ok());
    octets.map_or(Ipv4Addr::UNSPECIFIED, Ipv4Addr::from)
}

#[cfg(test)]
#[path = "packet_tests.rs"]
pub(crate) mod tests;
