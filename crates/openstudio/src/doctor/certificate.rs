//! Is the certificate there, is it for the right names, and for how long?

use openstudio_server::ServerConfig;
use openstudio_tls::{Facts, Name, Source, TlsConfig, UnixTime};

use super::finding::Finding;
use super::studio::Studio;
use crate::tls::FEW_DAYS;

const CERTIFICATE: &str = "certificate";

pub(crate) fn check(config: &ServerConfig, studio: Option<&Studio>) -> Vec<Finding> {
    let Some(source) = &config.tls else {
        return vec![without(config)];
    };
    let tls = TlsConfig { source: source.clone(), data_dir: config.data_dir.clone() };
    let facts = match tls.look() {
        Ok(Some(certificate)) => certificate.facts().clone(),
        Ok(None) => return vec![not_there(source, studio)],
        Err(error) => {
            let error = anyhow::Error::new(error);
            return vec![Finding::fail(CERTIFICATE, format!("{error:#}"), "see --tls")];
        }
    };
    let mut found = vec![judge(source, &facts, UnixTime::now())];
    found.extend(studio.and_then(|studio| other(studio, &facts)));
    found
}

/// Told where the studio does not show the certificate that is there.
fn other(studio: &Studio, facts: &Facts) -> Option<Finding> {
    let is_it = |shown: &Facts| shown.fingerprint == facts.fingerprint;
    if !studio.is_encrypted || studio.shown.as_ref().is_some_and(is_it) {
        return None;
    }
    Some(Finding::warn(
        CERTIFICATE,
        "the running studio shows another certificate than the one that is there, or none",
        "send it SIGHUP, and see in its log why it does not take the new one; or restart it",
    ))
}

fn without(config: &ServerConfig) -> Finding {
    if config.listen.ip().to_canonical().is_loopback() {
        return Finding::ok(CERTIFICATE, "none is needed on this machine alone");
    }
    Finding::warn(
        CERTIFICATE,
        "there is none, and browsers give no microphone to other machines without",
        "start with --tls acme and --tls-name, with --tls self-signed on a local network, or put \
         a proxy with a certificate in front",
    )
}

/// What there is to say where none is kept.
fn not_there(source: &Source, studio: Option<&Studio>) -> Finding {
    let studio = studio.filter(|studio| studio.is_encrypted);
    if studio.is_some_and(|studio| studio.shown.is_some()) {
        return Finding::warn(
            CERTIFICATE,
            "the running studio shows one that is not in the data folder",
            "see in its log whether it cannot write there, or give doctor its --data-dir",
        );
    }
    match source {
        Source::Acme(_) if studio.is_some() => Finding::warn(
            CERTIFICATE,
            "the running studio was given none yet",
            "see in its log what the authority says; each --tls-name must lead to this machine, \
             and port 443 of that name must reach the studio from the internet",
        ),
        Source::Acme(_) => Finding::warn(
            CERTIFICATE,
            "none was fetched yet",
            "start the studio; its log says how it goes",
        ),
        Source::SelfSigned { .. } | Source::Files { .. } => {
            Finding::ok(CERTIFICATE, "the studio makes one when it starts")
        }
    }
}

fn judge(source: &Source, facts: &Facts, now: UnixTime) -> Finding {
    let names: Vec<String> = facts.names.iter().map(Name::to_string).collect();
    let names = names.join(", ");
    let days = facts.days_left(now);
    let renew = match source {
        Source::Files { .. } => "renew it with the program that made it",
        Source::SelfSigned { .. } => "start the studio, which makes a new one",
        Source::Acme(_) => "see in the studio's log why the authority gives no new one",
    };
    if now < facts.not_before {
        return Finding::fail(
            CERTIFICATE,
            format!("the one for {names} is not valid yet"),
            "set this machine's clock, or wait",
        );
    }
    if days < 0 {
        return Finding::fail(CERTIFICATE, format!("the one for {names} has expired"), renew);
    }
    if let Some(name) = wanted(source).iter().find(|wanted| !covers(facts, wanted)) {
        let words = format!("it is for {names}, and not for {name}");
        return Finding::warn(CERTIFICATE, words, "start the studio, which sees to it");
    }
    if facts.names.is_empty() {
        let words = "it is for no name, and no browser takes it";
        return Finding::fail(CERTIFICATE, words, "make one with subject alternative names");
    }
    if days < FEW_DAYS {
        let words = format!("the one for {names} expires in {days} days");
        return Finding::warn(CERTIFICATE, words, renew);
    }
    let words = format!("for {names}; key and certificate fit; {days} days left");
    Finding::ok(CERTIFICATE, words)
}

fn wanted(source: &Source) -> &[Name] {
    match source {
        Source::Files { .. } => &[],
        Source::SelfSigned { names } => names,
        Source::Acme(config) => &config.names,
    }
}

fn covers(facts: &Facts, wanted: &Name) -> bool {
    facts.names.iter().any(|name| name.covers(wanted))
}

#[cfg(test)]
mod tests {
    use openstudio_tls::{AcmeConfig, Trust};

    use super::super::finding::{Level, Report};
    use super::*;

    const DAY: i64 = 86_400;

    fn level(now: i64, given: &[&str], wanted: &[&str]) -> Level {
        let names = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let facts = Facts {
            names: names(given),
            not_before: UnixTime(0),
            not_after: UnixTime(90 * DAY),
            fingerprint: String::new(),
        };
        judge(&Source::SelfSigned { names: names(wanted) }, &facts, UnixTime(now)).level()
    }

    #[test]
    fn where_none_is_kept_the_running_studio_says_what_to_do() {
        let acme = Source::Acme(AcmeConfig {
            names: Vec::new(),
            mail: None,
            directory: String::new(),
            trust: Trust::Everybody,
        });
        let words = |studio: Option<&Studio>| {
            let found = Report(vec![not_there(&acme, studio)]);
            found.as_text()
        };
        let mut studio = Studio { version: None, date: None, shown: None, is_encrypted: true };
        assert!(words(None).contains("start the studio"));
        assert!(words(Some(&studio)).contains("port 443"));
        let (not_before, not_after) = (UnixTime(0), UnixTime(DAY));
        let fingerprint = String::new();
        studio.shown = Some(Facts { names: Vec::new(), not_before, not_after, fingerprint });
        assert!(words(Some(&studio)).contains("cannot write"));
        let kept = studio.shown.take().unwrap();
        assert_eq!(other(&studio, &kept).map(|found| found.level()), Some(Level::Warn));
        studio.shown = Some(kept.clone());
        assert_eq!(other(&studio, &kept), None);
        studio = Studio { shown: None, is_encrypted: false, ..studio };
        assert!(words(Some(&studio)).contains("start the studio"), "it speaks no TLS");
    }

    #[test]
    fn days_and_names_decide() {
        assert_eq!(level(DAY, &["a.example"], &[]), Level::Ok);
        assert_eq!(level(75 * DAY, &["a.example"], &[]), Level::Ok);
        assert_eq!(level(77 * DAY, &["a.example"], &[]), Level::Warn);
        assert_eq!(level(91 * DAY, &["a.example"], &[]), Level::Fail);
        assert_eq!(level(-DAY, &["a.example"], &[]), Level::Fail);
        assert_eq!(level(DAY, &["a.example"], &["b.example"]), Level::Warn);
        assert_eq!(level(DAY, &[], &[]), Level::Fail);
    }
}
