//! Do the STUN servers answer, and what do they say of the way out of this network?

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use openstudio_server::ServerConfig;
use openstudio_turn::{BindingRequest, NoAddress, ServerUrl};
use openstudio_units::Seed;
use tokio::net::{UdpSocket, lookup_host};

use super::finding::Finding;

const STUN: &str = "stun";

/// How long is waited for an answer before the request is sent again (RFC 8489 §6.2.1); twice
/// as long each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// How often a request is sent.
const REQUESTS: u32 = 4;

/// The largest answer that is looked at, bytes.
const MAX_ANSWER: usize = 1_500;

pub(crate) async fn check(config: &ServerConfig) -> Vec<Finding> {
    let servers = &config.rooms.ice.stun;
    if servers.is_empty() {
        return vec![without(config)];
    }
    let socket = match UdpSocket::bind("0.0.0.0:0").await {
        Ok(socket) => socket,
        Err(error) => {
            let advice = "see the system's limits";
            return vec![Finding::fail(STUN, format!("no UDP port ({error})"), advice)];
        }
    };
    let mut found = Vec::new();
    let mut mapped = Vec::new();
    for url in servers {
        if url.starts_with("stuns:") {
            let words = format!("{url} is asked over TLS by browsers, and is not checked");
            found.push(Finding::ok(STUN, words));
            continue;
        }
        let Some(place) = ServerUrl::read(url) else {
            let words = format!("{url} names no server");
            found.push(Finding::fail(STUN, words, "write it as stun:HOST:PORT"));
            continue;
        };
        match ask(&socket, &place).await {
            Ok((server, address)) => {
                let words = format!("{url} answers; it sees this machine as {address}");
                found.push(Finding::ok(STUN, words));
                mapped.push((server, address));
            }
            Err(trouble) => found.push(trouble.told(url)),
        }
    }
    found.extend(compare(&mapped));
    found
}

fn without(config: &ServerConfig) -> Finding {
    if config.relay.is_some() {
        return Finding::ok(STUN, "the studio's own relay is one, and no other is configured");
    }
    if config.listen.ip().to_canonical().is_loopback() {
        return Finding::ok(STUN, "no server is configured, and none is needed on this machine");
    }
    Finding::warn(
        STUN,
        "no server is configured; people behind different routers may not reach each other",
        "name one with --stun stun:HOST:PORT",
    )
}

/// Why a server gave no address.
#[derive(Debug)]
enum Trouble {
    Name,
    Network(io::Error),
    Silent,
    /// It answers, but says no address.
    Refused,
}

impl Trouble {
    fn told(&self, url: &str) -> Finding {
        match self {
            Self::Name => Finding::fail(
                STUN,
                format!("the name in {url} leads to no IPv4 address"),
                "correct it, or see why names are not found here (/etc/resolv.conf)",
            ),
            Self::Network(error) => Finding::fail(
                STUN,
                format!("{url} cannot be reached ({error})"),
                "see whether this machine has a way to the internet",
            ),
            Self::Silent => Finding::fail(
                STUN,
                format!("{url} does not answer"),
                "see whether it runs, and whether a firewall lets UDP out and the answer in",
            ),
            Self::Refused => Finding::fail(
                STUN,
                format!("{url} answers, but gives no address"),
                "see whether it is a STUN server, or name another",
            ),
        }
    }
}

impl From<NoAddress> for Trouble {
    fn from(NoAddress: NoAddress) -> Self {
        Self::Refused
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Network(error)
    }
}

/// Asks a server as which address it sees this socket. Returns both.
async fn ask(socket: &UdpSocket, place: &ServerUrl) -> Result<(SocketAddr, SocketAddr), Trouble> {
    let found = lookup_host((&*place.host, place.port)).await;
    let mut addresses = found.map_err(|_| Trouble::Name)?;
    let server = addresses.find(SocketAddr::is_ipv4).ok_or(Trouble::Name)?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let request = BindingRequest::new(Seed(seed));
    let mut wait = FIRST_WAIT;
    for _ in 0..REQUESTS {
        socket.send_to(request.bytes(), server).await?;
        match tokio::time::timeout(wait, answer(socket, server, &request)).await {
            Ok(answer) => return Ok((server, answer?)),
            Err(_) => wait *= 2,
        }
    }
    Err(Trouble::Silent)
}

/// Waits for the answer to a request; whatever else comes is not for us.
async fn answer(
    socket: &UdpSocket,
    server: SocketAddr,
    request: &BindingRequest,
) -> Result<SocketAddr, Trouble> {
    let mut bytes = [0; MAX_ANSWER];
    loop {
        let (length, from) = match socket.recv_from(&mut bytes).await {
            Ok(received) => received,
            // What an ICMP message says of an earlier request (a closed port).
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => return Err(error.into()),
        };
        if from == server
            && let Some(answer) = request.answer(bytes.get(..length).unwrap_or_default())
        {
            return Ok(answer?);
        }
    }
}

/// Whether the way out depends on where it leads (RFC 4787 §4.1), which two servers can tell.
fn compare(mapped: &[(SocketAddr, SocketAddr)]) -> Option<Finding> {
    let servers: BTreeSet<SocketAddr> = mapped.iter().map(|(server, _)| *server).collect();
    let addresses: BTreeSet<SocketAddr> = mapped.iter().map(|(_, address)| *address).collect();
    match (servers.len(), addresses.len()) {
        (0 | 1, _) => None,
        (_, 1) => Some(Finding::ok("nat", "one address for all destinations")),
        _ => Some(Finding::warn(
            "nat",
            "the router gives another address for each destination, so people behind another such \
             router are not reached directly",
            "configure a TURN server, or let the studio be reached without address translation",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use openstudio_server::RelayConfig;
    use openstudio_turn::answer_binding;

    /// A server that says this address, or the real one, to each request; it loses the first
    /// `lose` of them.
    async fn server(says: Option<SocketAddr>, lose: usize) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut bytes = [0; MAX_ANSWER];
            let mut seen = 0;
            while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
                seen += 1;
                let answer = answer_binding(&bytes[..length], says.unwrap_or(from)).unwrap();
                if seen <= lose {
                    continue;
                }
                let _ = socket.send_to(b"not for you", from).await;
                let _ = socket.send_to(&answer, from).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn a_server_says_as_which_address_it_sees_us_also_when_a_request_is_lost() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let own = socket.local_addr().unwrap();
        for lose in [0, 1] {
            let server = server(None, lose).await;
            let place = ServerUrl::read(&format!("stun:{server}")).unwrap();
            assert_eq!(ask(&socket, &place).await.unwrap(), (server, own));
        }
    }

    #[tokio::test]
    async fn names_that_lead_nowhere_and_ports_without_a_server_are_told_apart() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let place = ServerUrl::read("stun:stun.invalid").unwrap();
        assert!(matches!(ask(&socket, &place).await, Err(Trouble::Name)));
    }

    #[test]
    fn a_studio_with_a_relay_needs_no_other_server() {
        let mut config = ServerConfig::new("nowhere".into());
        config.listen = "0.0.0.0:6736".parse().unwrap();
        assert_eq!(without(&config).level(), Level::Warn);
        config.relay = Some(RelayConfig::new("0.0.0.0:3478".parse().unwrap()));
        assert_eq!(without(&config).level(), Level::Ok);
    }

    #[test]
    fn two_servers_tell_what_the_router_does() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (a, b) = (at("192.0.2.1:3478"), at("192.0.2.2:3478"));
        let (x, y) = (at("198.51.100.7:4000"), at("198.51.100.7:4001"));
        let level = |mapped: &[_]| compare(mapped).map(|finding| finding.level());
        assert_eq!(level(&[(a, x)]), None);
        assert_eq!(level(&[(a, x), (a, x)]), None, "it is one server");
        assert_eq!(level(&[(a, x), (b, x)]), Some(Level::Ok));
        assert_eq!(level(&[(a, x), (b, y)]), Some(Level::Warn));
    }
}
