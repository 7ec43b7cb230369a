//! The relay's settings: `--turn-…` and `[[turn-shared]]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context as _, bail};
use openstudio_server::{RelayConfig, SharedTurn};

use crate::config::Options;
use crate::settings::is_url_of;
use crate::tls::TlsMode;

/// The relays that participants get credentials for.
#[derive(Debug)]
pub(crate) struct Relays {
    /// The one in this server.
    pub(crate) own: Option<RelayConfig>,
    /// Those that share a secret with it.
    pub(crate) shared: Vec<SharedTurn>,
    /// How long the credentials are good.
    pub(crate) lifetime: Duration,
}

/// Returns the settings of the relays.
pub(crate) fn settings(options: &Options, listen: SocketAddr) -> anyhow::Result<Relays> {
    let shared = options.turn_shared.clone().unwrap_or_default();
    check_urls(shared.iter().flat_map(|server| &server.urls))?;
    if shared.iter().any(|server| server.secret.is_empty()) {
        bail!("turn-shared wants a secret that is not empty");
    }
    let shared = shared
        .into_iter()
        .map(|server| SharedTurn { urls: server.urls, secret: server.secret })
        .collect();
    let relay = own(options, listen)?;
    // Whoever is on this machine needs no relay to it.
    let reaches_others = !relay.listen.ip().to_canonical().is_loopback();
    let wanted = options.turn_server.unwrap_or(reaches_others || options.turn_listen.is_some());
    Ok(Relays { own: wanted.then_some(relay), shared, lifetime: lifetime(options)? })
}

/// Refuses what is no URL of a TURN server.
pub(crate) fn check_urls<'a>(urls: impl IntoIterator<Item = &'a String>) -> anyhow::Result<()> {
    match urls.into_iter().find(|url| !is_url_of(url, &["turn:", "turns:"])) {
        Some(url) => bail!("`{url}` is no TURN server; write it as turn:HOST:PORT"),
        None => Ok(()),
    }
}

fn own(options: &Options, listen: SocketAddr) -> anyhow::Result<RelayConfig> {
    let proxied = options.trusted_proxies.as_ref().is_some_and(|proxies| !proxies.is_empty());
    let default = usual_place(listen.ip(), proxied);
    let mut relay = RelayConfig::new(options.turn_listen.unwrap_or(default));
    if options.tls.unwrap_or_default() == TlsMode::Off {
        relay.tls_listen = None;
    } else if let Some(listen) = options.turn_tls_listen {
        relay.tls_listen = Some(listen);
    }
    relay.host = options.turn_host.as_deref().map(host).transpose()?;
    if let Some(text) = &options.turn_ports {
        relay.ports = ports(text)?;
    }
    relay.public_ip = options.turn_public_ip.map(|ip| ip.to_canonical());
    for text in options.turn_allow.iter().flatten() {
        relay.allowed.push(text.parse().context("turn-allow is wrong")?);
    }
    if let Some(n) = options.turn_allocations {
        relay.user_allocations = usize::try_from(n)?;
    }
    Ok(relay)
}

fn lifetime(options: &Options) -> anyhow::Result<Duration> {
    match options.turn_seconds {
        None => Ok(RelayConfig::LIFETIME),
        Some(0) => bail!("turn-seconds must be 1 at least"),
        Some(seconds) => Ok(Duration::from_secs(seconds.into())),
    }
}

/// Where the relay listens unless that is said: where the server does. A proxy on this machine brings
/// others to the server, and never to the relay: they come to it directly.
fn usual_place(server: IpAddr, proxied: bool) -> SocketAddr {
    let ip = match server.to_canonical() {
        IpAddr::V4(ip) if proxied && ip.is_loopback() => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(ip) if proxied && ip.is_loopback() => Ipv6Addr::UNSPECIFIED.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => server,
    };
    SocketAddr::new(ip, RelayConfig::PORT)
}

/// A host as it stands in a URL: IPv6 in brackets.
fn host(text: &str) -> anyhow::Result<String> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok(format!("[{text}]"));
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_v6 = bracketed.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok());
    if text.parse::<IpAddr>().is_ok() || is_v6 || (!text.is_empty() && text.bytes().all(is_name)) {
        return Ok(text.to_owned());
    }
    bail!("turn-host `{text}` is no host; write a name or an address, without a port")
}

fn ports(text: &str) -> anyhow::Result<RangeInclusive<u16>> {
    let range = text.split_once('-').and_then(|(first, last)| {
        Some((first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?))
    });
    match range {
        Some((first, last)) if 0 < first && first <= last => Ok(first..=last),
        Some(_) | None => bail!("turn-ports `{text}` is no range; write it as 49160-49999"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Relays> {
        settings(&toml::from_str(text)?, "192.0.2.1:80".parse()?)
    }

    #[test]
    fn the_relay_is_where_the_server_is_unless_something_else_is_said() {
        let Relays { own, shared, lifetime } = read("").unwrap();
        let relay = own.unwrap();
        assert_eq!(relay.listen.to_string(), "192.0.2.1:3478");
        assert_eq!(relay.tls_listen, None, "there is no certificate");
        assert_eq!((relay.host, relay.user_allocations, shared.len()), (None, 12, 0));
        assert_eq!(lifetime, RelayConfig::LIFETIME);
        assert!(read("turn-server = false").unwrap().own.is_none());
        for (text, tls_listen) in [
            ("tls = 'self-signed'", "192.0.2.1:5349"),
            ("tls = 'self-signed'\nturn-listen = '[::]:5'", "[::]:5349"),
            ("tls = 'self-signed'\nturn-tls-listen = '127.0.0.1:6'", "127.0.0.1:6"),
        ] {
            let relay = read(text).unwrap().own.unwrap();
            assert_eq!(relay.tls_listen, Some(tls_listen.parse().unwrap()), "{text}");
        }
        let text = "turn-listen = '127.0.0.1:5'\nturn-host = '2001:db8::1'\n\
                    turn-ports = '5000-5009'\nturn-public-ip = '198.51.100.1'\n\
                    turn-allow = ['192.168.0.0/16']\nturn-allocations = 3\nturn-seconds = 9\n\
                    [[turn-shared]]\nurls = ['turns:a:5349']\nsecret = 'north'\n";
        let Relays { own, shared, lifetime } = read(text).unwrap();
        let relay = own.unwrap();
        assert_eq!(relay.listen.to_string(), "127.0.0.1:5");
        assert_eq!((relay.host.as_deref(), relay.ports), (Some("[2001:db8::1]"), 5000..=5009));
        assert_eq!(relay.public_ip, Some("198.51.100.1".parse().unwrap()));
        assert_eq!(relay.allowed[0].to_string(), "192.168.0.0/16");
        assert_eq!((relay.user_allocations, lifetime.as_secs()), (3, 9));
        assert_eq!((&shared[0].urls[0][..], &shared[0].secret[..]), ("turns:a:5349", "north"));
        assert!(!format!("{shared:?}").contains("north"));
    }

    #[test]
    fn a_studio_for_this_machine_alone_has_a_relay_only_if_somebody_says_so() {
        for (text, has_relay) in [
            ("", false),
            ("turn-server = true", true),
            ("turn-listen = '127.0.0.1:5'", true),
            ("turn-listen = '192.0.2.1:5'\nturn-server = false", false),
        ] {
            let options = toml::from_str(text).unwrap();
            let relay = settings(&options, "127.0.0.1:80".parse().unwrap()).unwrap().own;
            assert_eq!(relay.is_some(), has_relay, "{text}");
        }
    }

    #[test]
    fn behind_a_proxy_of_this_machine_the_relay_is_open_to_those_who_come_by_it() {
        for (server, text, listen) in [
            ("127.0.0.1:80", "trusted-proxies = ['127.0.0.1']", Some("0.0.0.0:3478")),
            ("[::1]:80", "trusted-proxies = ['::1']", Some("[::]:3478")),
            ("192.0.2.1:80", "trusted-proxies = ['192.0.2.9']", Some("192.0.2.1:3478")),
            ("127.0.0.1:80", "trusted-proxies = []", None),
            ("127.0.0.1:80", "trusted-proxies = ['::1']\nturn-server = false", None),
        ] {
            let options = toml::from_str(text).unwrap();
            let relay = settings(&options, server.parse().unwrap()).unwrap().own;
            let listen = listen.map(|text: &str| text.parse::<SocketAddr>().unwrap());
            assert_eq!(relay.map(|relay| relay.listen), listen, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("turn-ports = '5'", "turn-ports"),
            ("turn-ports = '9-5'", "turn-ports"),
            ("turn-ports = '0-5'", "turn-ports"),
            ("turn-host = 'a:5'", "turn-host"),
            ("turn-host = ''", "turn-host"),
            ("turn-allow = ['10/8']", "turn-allow"),
            ("turn-seconds = 0", "turn-seconds"),
            ("[[turn-shared]]\nurls = ['turn:a']\nsecret = ''", "turn-shared"),
        ] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
