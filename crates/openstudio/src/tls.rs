//! TLS for the operator: what the flags mean, and what is said at the start.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use openstudio_tls::{
    AcmeConfig, Facts, Kind, LETS_ENCRYPT, Name, Reload, Source, Tls, Trust, UnixTime,
};
use serde::Deserialize;
use tokio::task::JoinHandle;

use crate::config::Options;

/// The port of `https://` without one.
const HTTPS_PORT: u16 = 443;

/// With fewer days left, the log warns.
pub(crate) const FEW_DAYS: i64 = 14;

/// Where the certificate comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TlsMode {
    /// Speak plain HTTP.
    #[default]
    Off,
    /// From files that another program keeps.
    Files,
    /// Signed by the studio itself, for a network without public names.
    SelfSigned,
    /// From an authority, for public names.
    Acme,
}

/// Returns where the certificate comes from; none without TLS.
pub(crate) fn source(options: &Options) -> anyhow::Result<Option<Source>> {
    let mode = options.tls.unwrap_or_default();
    check_unused(options, mode)?;
    let names = options.tls_names.iter().flatten().map(|name| name.parse::<Name>());
    let names: Vec<Name> = names.collect::<Result<_, _>>().context("tls-name is wrong")?;
    Ok(match mode {
        TlsMode::Off => None,
        TlsMode::Files => {
            let Some(certificate) = options.tls_cert.clone() else {
                bail!("tls files wants tls-cert, the file with the certificate");
            };
            let key = options.tls_key.clone().unwrap_or_else(|| certificate.clone());
            Some(Source::Files { certificate, key })
        }
        TlsMode::SelfSigned => Some(Source::SelfSigned { names }),
        TlsMode::Acme => {
            if names.is_empty() {
                bail!("tls acme wants tls-name, the public host name of the studio");
            }
            let directory = options.tls_directory.as_deref().unwrap_or(LETS_ENCRYPT).to_owned();
            let trust = options.tls_directory_ca.clone().map_or(Trust::System, Trust::File);
            let mail = options.tls_mail.clone();
            Some(Source::Acme(AcmeConfig { names, mail, directory, trust }))
        }
    })
}

/// A setting that has no effect is a mistake: somebody believes that it has one.
fn check_unused(options: &Options, mode: TlsMode) -> anyhow::Result<()> {
    use TlsMode::{Acme, Files, SelfSigned};
    let settings: [(&str, bool, &[TlsMode]); 8] = [
        ("tls-cert", options.tls_cert.is_some(), &[Files]),
        ("tls-key", options.tls_key.is_some(), &[Files]),
        ("tls-name", options.tls_names.is_some(), &[SelfSigned, Acme]),
        ("tls-mail", options.tls_mail.is_some(), &[Acme]),
        ("tls-directory", options.tls_directory.is_some(), &[Acme]),
        ("tls-directory-ca", options.tls_directory_ca.is_some(), &[Acme]),
        ("http-redirect", options.http_redirect.is_some(), &[Files, SelfSigned, Acme]),
        ("turn-tls-listen", options.turn_tls_listen.is_some(), &[Files, SelfSigned, Acme]),
    ];
    for (setting, is_set, wants) in settings {
        if is_set && !wants.contains(&mode) {
            let wants: Vec<String> = wants.iter().map(|mode| word(*mode)).collect();
            bail!("{setting} is of use with tls {} only", wants.join(" or "));
        }
    }
    Ok(())
}

fn word(mode: TlsMode) -> String {
    mode.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Returns where the studio is, for a person to click.
pub(crate) fn place(address: SocketAddr, tls: Option<&Tls>) -> String {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let public = tls.filter(|tls| tls.kind() != Kind::SelfSigned && !address.ip().is_loopback());
    let name = public.and_then(Tls::facts).and_then(|facts| public_name(&facts));
    let host = name.unwrap_or_else(|| host_of(address.ip()));
    match address.port() {
        HTTPS_PORT if tls.is_some() => format!("{scheme}://{host}/"),
        port => format!("{scheme}://{host}:{port}/"),
    }
}

/// The first name of a certificate that a person can type.
fn public_name(facts: &Facts) -> Option<String> {
    facts.names.iter().map(Name::to_string).find(|name| !name.starts_with('*'))
}

fn host_of(ip: IpAddr) -> String {
    match ip.to_canonical() {
        ip if ip.is_unspecified() => "localhost".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// Says in the log what whoever runs the studio has to know about its address.
pub(crate) fn explain(address: SocketAddr, tls: Option<&Tls>) {
    let Some(tls) = tls else {
        return explain_without(address);
    };
    let facts = tls.facts();
    match (tls.kind(), &facts) {
        (Kind::SelfSigned, Some(facts)) => explain_self_signed(tls, facts, address),
        (Kind::Files, Some(facts)) => explain_days(facts),
        (Kind::Acme, Some(facts)) => {
            explain_days(facts);
            explain_port(address);
        }
        (Kind::Acme, None) => {
            tracing::info!("the certificate is being fetched; browsers cannot connect until then");
            explain_port(address);
        }
        (Kind::Files | Kind::SelfSigned, None) => {}
    }
}

fn explain_without(address: SocketAddr) {
    if !address.ip().to_canonical().is_loopback() {
        tracing::warn!(
            "browsers will not give the microphone on http://ADDRESS:{port} from another machine, \
             since the connection is not encrypted; start with --tls acme and --tls-name if this \
             machine has a public name, with --tls self-signed on a local network, put a proxy \
             with a certificate in front, or open the page on this machine at \
             http://localhost:{port}/",
            port = address.port()
        );
    }
}

fn explain_self_signed(tls: &Tls, facts: &Facts, address: SocketAddr) {
    tracing::warn!(
        "the studio signs its certificate itself, so every browser will warn once. Tell people: \
         \"Open https://{host}:{port}/. Your browser says that the connection is not private. \
         That is expected here. Choose Advanced, then Proceed (Chrome, Edge), Accept the Risk \
         (Firefox), or Show Details and visit this website (Safari). If you want to be sure, \
         look at the certificate first: its SHA-256 fingerprint must be {fingerprint}\"",
        host = reachable(facts, address.ip(), openstudio_tls::outward_v4()),
        port = address.port(),
        fingerprint = facts.fingerprint,
    );
    if let Some(path) = tls.self_signed_path() {
        tracing::info!(
            "for openstudio join, and for machines that are to trust this studio without a \
             warning, the certificate is in {}",
            path.display()
        );
    }
}

/// What other machines can type: an address of the local network if there is one, and of those
/// the one by which packets leave the machine, since others may be of containers and tunnels.
fn reachable(facts: &Facts, ip: IpAddr, outward: Option<Ipv4Addr>) -> String {
    if !ip.is_unspecified() {
        return host_of(ip);
    }
    if let Some(outward) = outward.map(|ip| Name::Ip(ip.into()))
        && facts.names.contains(&outward)
    {
        return outward.to_string();
    }
    let is_far = |name: &&Name| matches!(name, Name::Ip(ip) if !ip.is_loopback() && ip.is_ipv4());
    facts.names.iter().find(is_far).map_or_else(|| "ADDRESS".to_owned(), Name::to_string)
}

fn explain_days(facts: &Facts) {
    let days = facts.days_left(UnixTime::now());
    let names: Vec<String> = facts.names.iter().map(Name::to_string).collect();
    let names = names.join(", ");
    if days < 0 {
        tracing::warn!("the certificate for {names} has expired; browsers refuse the studio");
    } else if days < FEW_DAYS {
        tracing::warn!("the certificate for {names} expires in {days} days; is it renewed?");
    } else {
        tracing::info!("the certificate for {names} is valid for {days} days more");
    }
}

fn explain_port(address: SocketAddr) {
    if address.port() != HTTPS_PORT {
        tracing::warn!(
            "the authority comes to port 443, and the studio listens on port {}; this works only \
             if something forwards port 443 to it, else start with --listen 0.0.0.0:443",
            address.port()
        );
    }
}

/// Has the certificate looked at on each SIGHUP, until what is returned is dropped.
#[cfg(unix)]
pub(crate) fn follow_hangups(reload: Reload) -> anyhow::Result<Following> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    Ok(Following(tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            reload.now();
        }
    })))
}

/// There is no SIGHUP here; files are looked at each minute all the same.
#[cfg(not(unix))]
pub(crate) fn follow_hangups(_: Reload) -> anyhow::Result<Following> {
    Ok(Following(tokio::spawn(std::future::ready(()))))
}

/// Ends with its owner.
#[derive(Debug)]
pub(crate) struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<Option<Source>> {
        source(&toml::from_str(text)?)
    }

    #[test]
    fn each_way_wants_what_it_needs() {
        assert_eq!(parse("").unwrap(), None);
        assert_eq!(parse("tls = 'off'").unwrap(), None);
        let one = parse("tls = 'files'\ntls-cert = 'a.pem'").unwrap();
        let files = Source::Files { certificate: "a.pem".into(), key: "a.pem".into() };
        assert_eq!(one, Some(files));
        let Some(Source::SelfSigned { names }) =
            parse("tls = 'self-signed'\ntls-names = ['Radio.Example', '192.0.2.1']").unwrap()
        else {
            panic!("self-signed");
        };
        assert_eq!(
            names.iter().map(Name::to_string).collect::<Vec<_>>(),
            ["radio.example", "192.0.2.1"]
        );
        let Some(Source::Acme(acme)) =
            parse("tls = 'acme'\ntls-names = ['radio.example']").unwrap()
        else {
            panic!("acme");
        };
        assert_eq!((acme.directory.as_str(), acme.trust), (LETS_ENCRYPT, Trust::System));
    }

    #[test]
    fn people_are_told_the_address_that_leads_out() {
        let names = ["172.17.0.1", "192.168.1.5", "localhost"].map(|name| name.parse().unwrap());
        let facts = Facts {
            names: names.to_vec(),
            not_before: UnixTime(0),
            not_after: UnixTime(1),
            fingerprint: String::new(),
        };
        let of = |listen: &str, outward: Option<[u8; 4]>| {
            reachable(&facts, listen.parse().unwrap(), outward.map(Ipv4Addr::from))
        };
        assert_eq!(of("0.0.0.0", Some([192, 168, 1, 5])), "192.168.1.5");
        assert_eq!(of("0.0.0.0", Some([192, 168, 1, 6])), "172.17.0.1", "it is not for that");
        assert_eq!(of("0.0.0.0", None), "172.17.0.1");
        assert_eq!(of("127.0.0.1", Some([192, 168, 1, 5])), "127.0.0.1");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("tls = 'files'", "tls-cert"),
            ("tls = 'acme'", "tls-name"),
            ("tls = 'on'", "tls"),
            ("tls = 'self-signed'\ntls-names = ['http://a/']", "http://a/"),
            ("tls-cert = 'a.pem'", "tls-cert is of use with tls files only"),
            ("tls = 'files'\ntls-cert = 'a'\ntls-mail = 'a@b'", "tls-mail"),
            ("http-redirect = '127.0.0.1:80'", "http-redirect"),
            ("turn-tls-listen = '127.0.0.1:80'", "turn-tls-listen"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
