//! Do packets come through the relays that participants are told of, and back?

use openstudio_server::{RelayConfig, ServerConfig};
use openstudio_tls::{ClientTls, ConnectError, Trust};
use openstudio_turn::{Credentials, Transport};
use openstudio_wire::IceServer;

use super::finding::Finding;
use super::relay_ports;
use super::seat;
use super::studio::{Studio, reachable};
use super::turn::{self, Place, Trouble};

pub(super) const RELAY: &str = "relay";

pub(crate) async fn check(config: &ServerConfig, studio: Option<&Studio>) -> Vec<Finding> {
    let Some(studio) = studio else {
        let words = "not checked, since no studio runs here";
        return config.relay.as_ref().map_or_else(
            || vec![Finding::ok(RELAY, words)],
            |relay| relay_ports::check(config, relay),
        );
    };
    if studio.version.is_none() {
        let words = "not checked, since the studio has no certificate yet";
        return vec![Finding::ok(RELAY, words)];
    }
    let host = host(config);
    let address = reachable(config.listen);
    let authority = format!("{host}:{}", config.listen.port());
    let servers = match seat::ice(address, studio.is_encrypted, &authority).await {
        Ok(ice) => ice.turn,
        Err(error) => {
            let words = format!("the studio tells nothing of relays ({error:#})");
            return vec![Finding::warn(RELAY, words, "see the studio's log")];
        }
    };
    let own = config
        .relay
        .as_ref()
        .map(|relay| Own { host: relay.host.clone().unwrap_or(host), relay: relay.clone() });
    let mut found = own.as_ref().map_or_else(Vec::new, |own| own.missing(studio, &servers));
    for server in &servers {
        for url in &server.urls {
            found.push(ask(url, server, own.as_ref()).await);
        }
    }
    if found.is_empty() {
        found.push(Finding::ok(RELAY, "there is none, and none is configured"));
    }
    found
}

/// By which name or address the studio is asked, so that it tells where its relay is.
fn host(config: &ServerConfig) -> String {
    let relay = config.relay.as_ref().map(|relay| relay.listen.ip());
    let ip = relay.filter(|ip| !ip.is_unspecified());
    match ip.unwrap_or_else(|| reachable(config.listen).ip()) {
        std::net::IpAddr::V4(ip) => ip.to_string(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The relay in the studio, as the settings have it.
struct Own {
    /// What stands for it in URLs.
    host: String,
    relay: RelayConfig,
}

impl Own {
    /// Whether it is what is at a place.
    fn is_at(&self, place: &Place) -> bool {
        let listen = match place.transport {
            Transport::Udp | Transport::Tcp => Some(self.relay.listen),
            Transport::Tls => self.relay.tls_listen,
        };
        let has_port = listen.is_some_and(|listen| listen.port() == place.port);
        has_port && place.host == self.host.trim_matches(['[', ']'])
    }

    /// What the settings have and participants are not told of.
    fn missing(&self, studio: &Studio, servers: &[IceServer]) -> Vec<Finding> {
        let has = |by: &[Transport]| {
            let places = servers.iter().flat_map(|server| &server.urls);
            let mut places = places.filter_map(|url| Place::read(url));
            places.any(|place| by.contains(&place.transport) && self.is_at(&place))
        };
        let RelayConfig { listen, tls_listen, .. } = &self.relay;
        if !has(&[Transport::Udp, Transport::Tcp]) {
            return vec![Finding::warn(
                RELAY,
                format!("the studio has none at {listen}, though the settings have one"),
                "see in the studio's log why; or end what else uses the port, choose another \
                 with --turn-listen, and restart it",
            )];
        }
        match tls_listen {
            Some(listen) if studio.is_encrypted && !has(&[Transport::Tls]) => vec![Finding::warn(
                RELAY,
                format!("the studio's is not open for TLS at {listen}"),
                "see in the studio's log why; or end what else uses the port, choose another \
                 with --turn-tls-listen, and restart it",
            )],
            Some(_) | None => Vec::new(),
        }
    }
}

/// Asks at one URL.
async fn ask(url: &str, server: &IceServer, own: Option<&Own>) -> Finding {
    let Some(place) = Place::read(url) else {
        let advice = "write it as turn:HOST:PORT?transport=udp";
        return Finding::warn(RELAY, format!("{url} is understood by few browsers"), advice);
    };
    let is_own = own.is_some_and(|own| own.is_at(&place));
    let tls = match trust(is_own).load() {
        Ok(tls) => tls,
        Err(error) => {
            let words = format!("{url} is not checked ({error})");
            return Finding::warn(RELAY, words, "install the package ca-certificates");
        }
    };
    trip(url, &place, (server, &tls), is_own).await
}

/// The studio's own certificate has a check of its own, and is for other names than the address
/// by which it is asked here.
fn trust(is_own: bool) -> Trust {
    if is_own { Trust::Everybody } else { Trust::System }
}

async fn trip(
    url: &str,
    place: &Place,
    (server, tls): (&IceServer, &ClientTls),
    is_own: bool,
) -> Finding {
    let IceServer { username, credential, .. } = server;
    let credentials = Credentials { username: username.clone(), password: credential.clone() };
    match turn::round_trip(place, &credentials, tls).await {
        Ok(taken) => {
            let ms = taken.as_secs_f64() * 1_000.0;
            let words = format!("{url}: from this machine, through it and back in {ms:.1} ms");
            Finding::ok(RELAY, words)
        }
        Err(trouble) => {
            let (words, advice) = told(&trouble, place, is_own);
            Finding::fail(RELAY, format!("{url} {words}"), advice)
        }
    }
}

/// What is wrong, and what to do.
fn told(trouble: &Trouble, place: &Place, is_own: bool) -> (String, String) {
    let Place { transport, port, .. } = place;
    let by = if *transport == Transport::Udp { "UDP" } else { "TCP" };
    let firewall =
        format!("see whether it runs, and whether a firewall lets {by} port {port} through");
    match trouble {
        Trouble::Name => (
            "has a name that leads to no address".to_owned(),
            "correct it, or see why names are not found here (/etc/resolv.conf)".to_owned(),
        ),
        Trouble::Network(error) => (format!("cannot be reached ({error})"), firewall),
        Trouble::Silent => ("does not answer".to_owned(), firewall),
        Trouble::Tls(ConnectError::Untrusted(reason)) => (
            format!("is refused by browsers: {reason}"),
            "give it a certificate of an authority, for the name in its URL".to_owned(),
        ),
        Trouble::Tls(error) => (format!("cannot be reached ({error})"), firewall),
        Trouble::Refused(401) => (
            "refuses the credentials".to_owned(),
            "see whether both have the same secret, and whether both clocks are right".to_owned(),
        ),
        Trouble::Refused(code @ (486 | 508)) => (
            format!("has no address left ({code})"),
            "give it more ports (--turn-ports), or more addresses for one participant \
             (--turn-allocations)"
                .to_owned(),
        ),
        Trouble::Refused(code) => (
            format!("refuses with {code}"),
            "see in its log why, and what peers it denies: participants meet on its own address"
                .to_owned(),
        ),
        Trouble::Lost => (
            "gives addresses, but lets nothing through".to_owned(),
            if is_own {
                "see the studio's log, and whether this machine is overloaded".to_owned()
            } else {
                "see whether its own address is among the peers that it denies, and whether a \
                 firewall lets the UDP ports of its relayed addresses through"
                    .to_owned()
            },
        ),
    }
}
