//! Certificates that the studio signs itself, for a network without public names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use crate::certificate::Certificate;
use crate::error::TlsError;
use crate::names::{Machine, Name, missing};
use crate::renewal::{Renewal, UnixTime};
use crate::store::{self, Readers};

/// How long a certificate is valid, days. Browsers refuse more than 398.
const LIFE_DAYS: i64 = 397;

/// How long before it is made it is valid already, days: clocks of phones may be behind.
const EARLIER_DAYS: i64 = 1;

/// A certificate in the data folder, and what it has to be for.
#[derive(Debug)]
pub(crate) struct SelfSigned {
    folder: PathBuf,
    /// What the operator wants it to be for, beside the names of the machine.
    names: BTreeSet<Name>,
}

impl SelfSigned {
    /// `folder` holds `self-signed.pem` and `self-signed.key`.
    pub(crate) fn new(folder: &Path, names: &[Name]) -> Self {
        Self { folder: folder.to_owned(), names: names.iter().cloned().collect() }
    }

    /// Returns where the certificate is: the file for `--ca`.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("self-signed.pem")
    }

    fn key_path(&self) -> PathBuf {
        self.folder.join("self-signed.key")
    }

    /// Returns the certificate that is kept, if it can be used at all.
    pub(crate) fn kept(&self) -> Option<Certificate> {
        Certificate::read(&self.path(), &self.key_path()).ok()
    }

    /// Returns the certificate that is kept, or a new one where that cannot be used, is for too
    /// few names, or is past two thirds of its life.
    pub(crate) fn load_or_make(&self, now: UnixTime) -> Result<Certificate, TlsError> {
        self.load_or_make_for(&Machine::this(), now)
    }

    fn load_or_make_for(&self, machine: &Machine, now: UnixTime) -> Result<Certificate, TlsError> {
        let wanted: BTreeSet<Name> = self.names.union(&machine.lasting).cloned().collect();
        if let Some(kept) = self.kept() {
            let facts = kept.facts();
            let due = Renewal::due(facts.not_before, facts.not_after);
            let is_fresh = now >= facts.not_before && now < due;
            if is_fresh && missing(&facts.names, &wanted).is_empty() {
                return Ok(kept);
            }
        }
        let names: BTreeSet<&Name> = wanted.union(&machine.passing).collect();
        self.make(&names, now)
    }

    fn make(&self, names: &BTreeSet<&Name>, now: UnixTime) -> Result<Certificate, TlsError> {
        let failed = |error: rcgen::Error| TlsError::Make(error.to_string());
        let params = params(names, now)?;
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?.pem();
        let key = key.serialize_pem();
        // In this order: a certificate without its key is made anew by the next start.
        store::write(&self.key_path(), key.as_bytes(), Readers::Owner)?;
        store::write(&self.path(), certificate.as_bytes(), Readers::All)?;
        Certificate::from_pem(
            (certificate.as_bytes(), &self.path()),
            (key.as_bytes(), &self.key_path()),
        )
    }
}

fn params(names: &BTreeSet<&Name>, now: UnixTime) -> Result<CertificateParams, TlsError> {
    let texts: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params =
        CertificateParams::new(texts).map_err(|error| TlsError::Make(error.to_string()))?;
    let made = OffsetDateTime::from_unix_timestamp(now.0)
        .map_err(|_| TlsError::Make("the clock of this machine is wrong".to_owned()))?;
    params.not_before = made - Duration::days(EARLIER_DAYS);
    params.not_after = made + Duration::days(LIFE_DAYS - EARLIER_DAYS);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "OpenStudio, signed by itself");
    // Whoever trusts it trusts this studio, and nothing that its key might sign.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::Folder;

    const DAY: i64 = 86_400;
    const START: UnixTime = UnixTime(1_800_000_000);

    fn machine(names: &[&str]) -> Machine {
        let lasting = names.iter().map(|name| name.parse().unwrap()).collect();
        Machine { lasting, passing: BTreeSet::new() }
    }

    fn at(days: i64) -> UnixTime {
        UnixTime(START.0 + days * DAY)
    }

    #[test]
    fn it_is_for_the_machine_and_for_what_the_operator_says() {
        let folder = Folder::new();
        let names = ["radio.example".parse().unwrap()];
        let kept = SelfSigned::new(folder.path(), &names);
        let made = kept.load_or_make_for(&machine(&["localhost", "192.0.2.1"]), START).unwrap();
        let mut texts: Vec<String> = made.facts().names.iter().map(Name::to_string).collect();
        texts.sort();
        assert_eq!(texts, ["192.0.2.1", "localhost", "radio.example"]);
        let life = made.facts().not_after.0 - made.facts().not_before.0;
        assert_eq!(life, LIFE_DAYS * DAY);
        assert!(made.facts().is_valid(UnixTime(START.0 - 3_600)), "a phone is an hour behind");
    }

    #[test]
    fn it_is_kept_until_two_thirds_of_its_life_are_over() {
        let folder = Folder::new();
        let kept = SelfSigned::new(folder.path(), &[]);
        let here = machine(&["localhost"]);
        let of = |now| kept.load_or_make_for(&here, now).unwrap().facts().fingerprint.clone();
        let first = of(START);
        assert_eq!(of(at(260)), first);
        let second = of(at(270));
        assert_ne!(second, first);
        assert_ne!(of(at(-10)), second, "the clock was wrong when it was made");
    }

    #[test]
    fn a_new_lasting_address_makes_a_new_one_and_a_passing_one_does_not() {
        let folder = Folder::new();
        let kept = SelfSigned::new(folder.path(), &[]);
        let of = |machine: &Machine| kept.load_or_make_for(machine, START).unwrap();
        let first = of(&machine(&["localhost"])).facts().clone();
        let mut later = machine(&["localhost"]);
        later.passing.extend(["2001:db8::1", "172.17.0.1"].map(|ip| ip.parse().unwrap()));
        assert_eq!(of(&later).facts(), &first);
        later.lasting.insert("192.0.2.9".parse().unwrap());
        let second = of(&later).facts().clone();
        assert_ne!(second, first);
        assert!(missing(&second.names, &later.passing).is_empty(), "they are in it, too");
        // What was passing when it was made may last now.
        later.lasting.append(&mut later.passing);
        assert_eq!(of(&later).facts(), &second);
    }

    #[test]
    fn a_damaged_file_is_replaced() {
        let folder = Folder::new();
        let kept = SelfSigned::new(folder.path(), &[]);
        let here = machine(&["localhost"]);
        let first = kept.load_or_make_for(&here, START).unwrap();
        std::fs::write(kept.key_path(), "damaged").unwrap();
        let second = kept.load_or_make_for(&here, START).unwrap();
        assert_ne!(second.facts(), first.facts());
    }

    #[cfg(unix)]
    #[test]
    fn the_key_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Folder::new();
        let kept = SelfSigned::new(folder.path(), &[]);
        kept.load_or_make_for(&machine(&["localhost"]), START).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&kept.key_path()), 0o600);
    }
}
