//! The URLs of STUN and TURN servers (RFC 7064, RFC 7065).

use crate::Transport;

/// The ports where a URL names none (RFC 8489 §9, RFC 8656 §6).
const PORT: u16 = 3478;
const TLS_PORT: u16 = 5349;

/// What a server is for, and how it is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// STUN by datagrams.
    Stun,
    /// TURN.
    Turn(Transport),
}

/// What the URL of a STUN or TURN server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    /// What the server is for.
    pub service: Service,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port, which is the usual one of the scheme if the URL names none.
    pub port: u16,
}

impl ServerUrl {
    /// Reads a URL. Returns none for what is not spoken here: STUN by streams, DTLS, other
    /// schemes; and for what is no URL of a server.
    pub fn read(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once(':')?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let transport = query.strip_prefix("transport=").unwrap_or_default();
        let service = match (scheme, transport) {
            ("stun", _) => Service::Stun,
            ("turn", "" | "udp") => Service::Turn(Transport::Udp),
            ("turn", "tcp") => Service::Turn(Transport::Tcp),
            ("turns", "" | "tcp") => Service::Turn(Transport::Tls),
            _ => return None,
        };
        let usual = if service == Service::Turn(Transport::Tls) { TLS_PORT } else { PORT };
        let (host, port) = split(place, usual)?;
        (!host.is_empty()).then(|| Self { service, host: host.to_owned(), port })
    }

    /// Returns `HOST:PORT`, with an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// Splits `HOST:PORT`, `HOST`, `[V6]:PORT` and `[V6]`.
fn split(place: &str, usual: u16) -> Option<(&str, u16)> {
    let (host, rest) = match place.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    match rest.strip_prefix(':') {
        Some(port) => Some((host, port.parse().ok()?)),
        None => rest.is_empty().then_some((host, usual)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_what_for_and_where() {
        let turn = |transport| Service::Turn(transport);
        for (url, service, host, port) in [
            ("stun:stun.example", Service::Stun, "stun.example", 3478),
            ("stun:192.0.2.1:19302", Service::Stun, "192.0.2.1", 19_302),
            ("turn:relay.example", turn(Transport::Udp), "relay.example", 3478),
            ("turn:relay.example:5?transport=udp", turn(Transport::Udp), "relay.example", 5),
            ("turn:[2001:db8::1]:5?transport=tcp", turn(Transport::Tcp), "2001:db8::1", 5),
            ("turns:[2001:db8::1]", turn(Transport::Tls), "2001:db8::1", 5349),
            ("turns:relay.example:443?transport=tcp", turn(Transport::Tls), "relay.example", 443),
        ] {
            let read = ServerUrl { service, host: host.to_owned(), port };
            assert_eq!(ServerUrl::read(url), Some(read), "{url}");
        }
    }

    #[test]
    fn an_authority_has_brackets_around_colons() {
        for (url, authority) in [
            ("stun:stun.example", "stun.example:3478"),
            ("turns:192.0.2.1:443", "192.0.2.1:443"),
            ("turns:[2001:db8::1]", "[2001:db8::1]:5349"),
        ] {
            let read = ServerUrl::read(url).unwrap();
            assert_eq!(read.authority(), authority);
        }
    }

    #[test]
    fn what_is_not_spoken_is_left_out() {
        for url in [
            "",
            "turn",
            "turn:",
            "stun::5",
            "stuns:stun.example",
            "turns:relay.example?transport=udp",
            "turn:relay.example?transport=sctp",
            "turn:relay.example:port",
            "turn:[2001:db8::1",
            "turn:[2001:db8::1]5",
            "turn:2001:db8::1",
            "http://relay.example/",
        ] {
            assert_eq!(ServerUrl::read(url), None, "{url}");
        }
    }
}
