//! [`Tls`]: the certificate, and looking after it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::accept::Acceptor;
use crate::acme::{Acme, AcmeConfig};
use crate::certificate::{Certificate, Facts};
use crate::error::{TlsError, chain};
use crate::files::Files;
use crate::identity::Identity;
use crate::names::Name;
use crate::renewal::{Renewal, UnixTime};
use crate::self_signed::SelfSigned;

/// How often files are looked at.
const FILE_INTERVAL: Duration = Duration::from_mins(1);

/// How often it is asked whether something is due, at least: the machine may sleep, and its
/// clock may be set.
const DUE_INTERVAL: Duration = Duration::from_hours(1);

/// The folder in the data folder.
const FOLDER: &str = "tls";

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// PEM files that somebody else keeps; they may be one.
    Files {
        /// The certificate and those of its authorities, in this order.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// The studio signs it itself.
    SelfSigned {
        /// What it is to be for, beside the names and addresses of the machine.
        names: Vec<Name>,
    },
    /// An authority gives it.
    Acme(AcmeConfig),
}

/// Which [`Source`] it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Files.
    Files,
    /// Signed by the studio itself: browsers warn.
    SelfSigned,
    /// From an authority.
    Acme,
}

/// What [`Tls::open`] needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// Where the certificate comes from.
    pub source: Source,
    /// The data folder. What is made or fetched is kept in `tls` in there.
    pub data_dir: PathBuf,
}

impl TlsConfig {
    /// Returns the certificate that is there now, and changes nothing; none where there is none
    /// yet, and the studio would make or fetch one.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn look(&self) -> Result<Option<Certificate>, TlsError> {
        let folder = self.data_dir.join(FOLDER);
        match &self.source {
            Source::Files { certificate, key } => Certificate::read(certificate, key).map(Some),
            Source::SelfSigned { names } => Ok(SelfSigned::new(&folder, names).kept()),
            Source::Acme(wanted) => Ok(Acme::new(wanted, &folder)?.kept()),
        }
    }
}

/// Says that the certificate is to be looked at now. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Reload(Arc<Notify>);

impl Reload {
    /// Has files read again, and an authority asked again if the last attempt failed.
    pub fn now(&self) {
        self.0.notify_one();
    }
}

#[derive(Debug)]
enum Keeper {
    Files(Files),
    SelfSigned(SelfSigned),
    Acme(Box<Acme>),
}

/// The studio's certificate.
#[derive(Debug)]
pub struct Tls {
    identity: Arc<Identity>,
    acceptor: Acceptor,
    keeper: Keeper,
    reload: Reload,
}

impl Tls {
    /// Reads the certificate, or makes it. One from an authority may not be there yet: then
    /// handshakes fail until [`Tls::keep`] has fetched it.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn open(config: &TlsConfig) -> Result<Self, TlsError> {
        let folder = config.data_dir.join(FOLDER);
        let (keeper, certificate) = match &config.source {
            Source::Files { certificate, key } => {
                let mut files = Files::new(certificate.clone(), key.clone());
                let read = files.changed().transpose()?;
                (Keeper::Files(files), read)
            }
            Source::SelfSigned { names } => {
                let kept = SelfSigned::new(&folder, names);
                let made = kept.load_or_make(UnixTime::now())?;
                (Keeper::SelfSigned(kept), Some(made))
            }
            Source::Acme(wanted) => {
                let acme = Acme::new(wanted, &folder)?;
                let kept = acme.kept();
                (Keeper::Acme(Box::new(acme)), kept)
            }
        };
        let identity = Arc::new(Identity::default());
        if let Some(certificate) = certificate {
            identity.replace(certificate);
        }
        let acceptor = Acceptor::new(&identity)?;
        Ok(Self { identity, acceptor, keeper, reload: Reload::default() })
    }

    /// Returns what does the handshakes.
    pub fn acceptor(&self) -> Acceptor {
        self.acceptor.clone()
    }

    /// Returns the way to say that the certificate is to be looked at now.
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Returns what the certificate says of itself; none if there is none yet.
    pub fn facts(&self) -> Option<Facts> {
        self.identity.current().map(|certificate| certificate.facts().clone())
    }

    /// Returns where the certificate comes from.
    pub fn kind(&self) -> Kind {
        match self.keeper {
            Keeper::Files(_) => Kind::Files,
            Keeper::SelfSigned(_) => Kind::SelfSigned,
            Keeper::Acme(_) => Kind::Acme,
        }
    }

    /// Returns the file with the certificate that the studio signed itself.
    pub fn self_signed_path(&self) -> Option<PathBuf> {
        match &self.keeper {
            Keeper::SelfSigned(kept) => Some(kept.path()),
            Keeper::Files(_) | Keeper::Acme(_) => None,
        }
    }

    /// Looks after the certificate for ever: reads it again, makes or fetches a new one in time.
    /// What goes wrong is told in the log, and the certificate of before is kept.
    pub async fn keep(self) {
        let Self { identity, keeper, reload, .. } = self;
        match keeper {
            Keeper::Files(files) => keep_files(files, &identity, &reload.0).await,
            Keeper::SelfSigned(kept) => keep_self_signed(&kept, &identity, &reload.0).await,
            Keeper::Acme(acme) => keep_acme(&acme, &identity, &reload.0).await,
        }
    }
}

async fn keep_files(mut files: Files, identity: &Identity, reload: &Notify) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(FILE_INTERVAL) => {}
            () = reload.notified() => files.forget(),
        }
        match files.changed().map(|read| read.and_then(|read| better(read, &files, identity))) {
            Some(Ok(certificate)) => take(identity, certificate),
            Some(Err(error)) => {
                let error = chain(&error);
                tracing::warn!(%error, "the new certificate is not used; the one of before is kept");
            }
            None => {}
        }
    }
}

/// Refuses a certificate that is over in place of one that is not.
fn better(new: Certificate, files: &Files, identity: &Identity) -> Result<Certificate, TlsError> {
    let now = UnixTime::now();
    let is_valid = |certificate: &Certificate| certificate.facts().is_valid(now);
    if !is_valid(&new) && identity.current().as_ref().is_some_and(is_valid) {
        return Err(TlsError::Expired { path: files.certificate.clone() });
    }
    Ok(new)
}

async fn keep_self_signed(kept: &SelfSigned, identity: &Identity, reload: &Notify) {
    loop {
        pause(DUE_INTERVAL, reload).await;
        match kept.load_or_make(UnixTime::now()) {
            Ok(certificate) => {
                let shown = identity.current();
                if shown.is_none_or(|shown| shown.facts() != certificate.facts()) {
                    take(identity, certificate);
                }
            }
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(%error, "no new certificate could be made; the one of before is kept");
            }
        }
    }
}

async fn keep_acme(acme: &Acme, identity: &Arc<Identity>, reload: &Notify) {
    let mut renewal = Renewal::default();
    loop {
        let due = acme.due(identity.current().as_ref());
        let wait = renewal.wait(UnixTime::now(), due, jitter());
        if !wait.is_zero() {
            if pause(wait.min(DUE_INTERVAL), reload).await {
                renewal.succeeded();
            }
            continue;
        }
        tracing::info!("asking the authority for a certificate");
        match acme.fetch(identity).await {
            Ok(certificate) => {
                renewal.succeeded();
                tell(certificate.facts());
            }
            Err(error) => {
                renewal.failed(UnixTime::now());
                let error = chain(&error);
                let minutes = renewal.wait(UnixTime::now(), None, 0).as_secs() / 60;
                tracing::warn!(%error, minutes, "there is no new certificate; another attempt follows");
            }
        }
    }
}

/// Waits; returns whether somebody wants it now.
async fn pause(length: Duration, reload: &Notify) -> bool {
    tokio::select! {
        () = tokio::time::sleep(length) => false,
        () = reload.notified() => true,
    }
}

fn take(identity: &Identity, certificate: Certificate) {
    tell(certificate.facts());
    identity.replace(certificate);
}

fn tell(facts: &Facts) {
    let days = facts.days_left(UnixTime::now());
    let fingerprint = &facts.fingerprint;
    tracing::info!(days, %fingerprint, "a new certificate is shown from now on");
}

fn jitter() -> u8 {
    let mut byte = [0];
    // Without it, it is merely less polite.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    byte.first().copied().unwrap_or_default()
}
