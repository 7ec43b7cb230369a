//! Do the STUN servers answer, and what do they say of the way out of this network?

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use openstudio_server::ServerConfig;
use openstudio_turn::{BindingRequest, NoAddress, ServerUrl};
use openstudio_units::Seed;
use tokio::net::{UdpSocket, lookup_host};

use super::finding::Finding;
use super::nat::{self, Seen};

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
    let sockets = match Sockets::open().await {
        Ok(sockets) => sockets,
        Err(error) => {
            let advice = "see the system's limits";
            return vec![Finding::fail(STUN, format!("no UDP port ({error})"), advice)];
        }
    };
    let mut found = Vec::new();
    let mut all_seen = Vec::new();
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
        match sockets.ask(&place).await {
            Ok(seen) => {
                let words = format!("{url} answers; it sees this machine as {}", seen.mapped);
                found.push(Finding::ok(STUN, words));
                all_seen.push(seen);
            }
            Err(trouble) => found.push(trouble.told(url)),
        }
    }
    found.extend(nat::judge(&all_seen));
    found
}

/// What servers are asked from. They are all asked from the same port, so that what they see can
/// be compared.
struct Sockets {
    v4: UdpSocket,
    /// None where the system has no IPv6.
    v6: Option<UdpSocket>,
}

impl Sockets {
    async fn open() -> io::Result<Self> {
        let v4 = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        Ok(Self { v4, v6: UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await.ok() })
    }

    /// Asks by IPv4, or by IPv6 where the server has nothing else.
    async fn ask(&self, place: &ServerUrl) -> Result<Seen, Trouble> {
        let found = lookup_host((&*place.host, place.port)).await.map_err(|_| Trouble::Name)?;
        let addresses: Vec<SocketAddr> = found.collect();
        let v4 = addresses.iter().find(|address| address.is_ipv4());
        let server = *v4.or_else(|| addresses.first()).ok_or(Trouble::Name)?;
        if server.is_ipv4() {
            return see(&self.v4, server).await;
        }
        let socket = self.v6.as_ref().ok_or(Trouble::NoIpv6)?;
        // Who has no way to any address of IPv6 learns it here, and nothing was sent.
        let Some(_) = way_to(server).await else { return Err(Trouble::NoIpv6) };
        see(socket, server).await
    }
}

async fn see(socket: &UdpSocket, server: SocketAddr) -> Result<Seen, Trouble> {
    let mapped = ask(socket, server).await?;
    let own = way_to(server).await;
    Ok(Seen { server, mapped, own })
}

/// The address of this machine that packets to a server leave from. Sends nothing.
async fn way_to(server: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await.ok()?;
    socket.connect(server).await.ok()?;
    Some(socket.local_addr().ok()?.ip())
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
    /// It has addresses of IPv6 alone, and this machine has none.
    NoIpv6,
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
                format!("the name in {url} leads to no address"),
                "correct it, or see why names are not found here (/etc/resolv.conf)",
            ),
            // Browsers elsewhere may have it.
            Self::NoIpv6 => Finding::warn(
                STUN,
                format!("{url} has no IPv4 address, and is not checked: this machine has no IPv6"),
                "name a server that has an IPv4 address as well",
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

/// Asks a server as which address it sees this socket.
async fn ask(socket: &UdpSocket, server: SocketAddr) -> Result<SocketAddr, Trouble> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let request = BindingRequest::new(Seed(seed));
    let mut wait = FIRST_WAIT;
    for _ in 0..REQUESTS {
        socket.send_to(request.bytes(), server).await?;
        match tokio::time::timeout(wait, answer(socket, server, &request)).await {
            Ok(answer) => return answer,
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

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use openstudio_server::RelayConfig;
    use openstudio_turn::answer_binding;

    /// A server that says the real address to each request; it loses the first `lose` of them.
    async fn server(ip: &str, lose: usize) -> SocketAddr {
        let socket = UdpSocket::bind((ip, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut bytes = [0; MAX_ANSWER];
            let mut seen = 0;
            while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
                seen += 1;
                let answer = answer_binding(&bytes[..length], from).unwrap();
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
            let server = server("127.0.0.1", lose).await;
            assert_eq!(ask(&socket, server).await.unwrap(), own);
        }
    }

    #[tokio::test]
    async fn names_that_lead_nowhere_and_ports_without_a_server_are_told_apart() {
        let place = ServerUrl::read("stun:stun.invalid").unwrap();
        let sockets = Sockets::open().await.unwrap();
        assert!(matches!(sockets.ask(&place).await, Err(Trouble::Name)));
    }

    #[tokio::test]
    async fn a_server_that_has_ipv6_alone_is_asked_by_it() {
        let sockets = Sockets::open().await.unwrap();
        if sockets.v6.is_none() || UdpSocket::bind("[::1]:0").await.is_err() {
            return;
        }
        let server = server("::1", 0).await;
        let place = ServerUrl::read(&format!("stun:{server}")).unwrap();
        let seen = sockets.ask(&place).await.unwrap();
        assert_eq!((seen.server, seen.own), (server, Some(seen.mapped.ip())));
        let without = Sockets { v6: None, ..sockets };
        let trouble = without.ask(&place).await.unwrap_err();
        assert_eq!(trouble.told("stun:v6.example").level(), Level::Warn);
    }

    #[test]
    fn a_studio_with_a_relay_needs_no_other_server() {
        let mut config = ServerConfig::new("nowhere".into());
        config.listen = "0.0.0.0:6736".parse().unwrap();
        assert_eq!(without(&config).level(), Level::Warn);
        config.relay = Some(RelayConfig::new("0.0.0.0:3478".parse().unwrap()));
        assert_eq!(without(&config).level(), Level::Ok);
    }
}
