//! Orders from a double of an authority, over real sockets.

mod double;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use self::double::{Double, Mood};
use super::*;
use crate::accept::{Accepted, Acceptor};
use crate::keep::{Source, Tls, TlsConfig};
use crate::tests_support::Folder;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A studio that does handshakes, and its authority.
struct World {
    folder: Folder,
    double: Double,
    studio: SocketAddr,
    listener: Option<TcpListener>,
}

impl World {
    async fn new(mood: Mood) -> Self {
        let folder = Folder::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let studio = listener.local_addr().unwrap();
        let double = Double::start(studio, mood).await;
        std::fs::write(folder.path().join("ca.pem"), double.ca_pem()).unwrap();
        Self { folder, double, studio, listener: Some(listener) }
    }

    /// Who asks for certificates, and the identity of the studio that shows them.
    fn asking(&mut self) -> (Acme, Arc<Identity>) {
        let config = self.config();
        let Source::Acme(wanted) = &config.source else { panic!("it is ACME") };
        let acme = Acme::new(wanted, self.folder.path()).unwrap();
        let identity = Arc::new(Identity::default());
        self.accept(Acceptor::new(&identity).unwrap());
        (acme, identity)
    }

    fn config(&self) -> TlsConfig {
        let source = Source::Acme(AcmeConfig {
            names: vec!["radio.example".parse().unwrap(), "studio.example".parse().unwrap()],
            mail: Some("desk@radio.example".to_owned()),
            directory: self.double.directory(),
            trust: Trust::File(self.folder.path().join("ca.pem")),
        });
        TlsConfig { source, data_dir: self.folder.path().to_owned() }
    }

    fn accept(&mut self, acceptor: Acceptor) {
        let listener = self.listener.take().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(Accepted::Tls(mut stream)) = acceptor.accept(stream).await {
                        // Until the client has gone.
                        let _ = tokio::io::copy(&mut *stream, &mut tokio::io::sink()).await;
                    }
                });
            }
        });
    }

    /// Connects as a browser would that believes the authority, by this name.
    async fn visit(&self, name: &str) -> std::io::Result<()> {
        let tls = Trust::File(self.folder.path().join("ca.pem")).load().unwrap();
        let stream = TcpStream::connect(self.studio).await?;
        let name = name.to_owned().try_into().unwrap();
        TlsConnector::from(tls.config()).connect(name, stream).await.map(drop)
    }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it takes too long")
}

#[tokio::test]
async fn a_certificate_is_ordered_proved_kept_and_shown() {
    let mut world = World::new(Mood::Fair).await;
    let tls = Tls::open(&world.config()).unwrap();
    assert_eq!(tls.facts(), None);
    world.accept(tls.acceptor());
    world.visit("radio.example").await.expect_err("there is none yet");
    let keeping = tokio::spawn(tls.keep());
    in_time(world.double.issued(1)).await;
    let shown = async {
        while world.visit("radio.example").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    in_time(shown).await;
    world.visit("studio.example").await.unwrap();
    world.visit("other.example").await.expect_err("it is not for that name");
    keeping.abort();
    assert_eq!(world.double.contacts(), ["mailto:desk@radio.example"]);

    // The next start has it at once, and asks for nothing.
    let again = Tls::open(&world.config()).unwrap();
    assert!(again.facts().unwrap().is_valid(UnixTime::now()));
    assert_eq!(world.double.issued_count(), 1);
}

#[tokio::test]
async fn an_account_is_made_once() {
    let mut world = World::new(Mood::Fair).await;
    let (acme, identity) = world.asking();
    in_time(acme.fetch(&identity)).await.unwrap();
    let second = in_time(acme.fetch(&identity)).await.unwrap();
    assert_eq!(world.double.accounts(), 1);
    assert_eq!(world.double.issued_count(), 2);
    assert_eq!(acme.kept().unwrap().facts(), second.facts());
    let due = acme.due(Some(&second)).unwrap();
    let facts = second.facts();
    assert_eq!(due, Renewal::due(facts.not_before, facts.not_after));
}

#[tokio::test]
async fn a_certificate_that_cannot_be_written_is_shown_all_the_same() {
    let mut world = World::new(Mood::Fair).await;
    let (acme, identity) = world.asking();
    // Not even root replaces a folder with a file.
    std::fs::create_dir_all(acme.path()).unwrap();
    in_time(acme.fetch(&identity)).await.unwrap();
    assert!(acme.kept().is_none());
    world.visit("radio.example").await.unwrap();
    let due = acme.due(identity.current().as_ref()).unwrap();
    assert!(UnixTime::now() < due, "no other is ordered");
    assert_eq!(world.double.issued_count(), 1);
}

#[tokio::test]
async fn what_the_authority_could_not_see_is_told_with_what_to_do() {
    let mut world = World::new(Mood::Blind).await;
    let (acme, identity) = world.asking();
    let words = in_time(acme.fetch(&identity)).await.unwrap_err().to_string();
    assert!(words.contains("radio.example") && words.contains("port 443"), "{words}");
    assert!(words.contains("connection refused"), "{words}");
    assert!(acme.kept().is_none());
}

#[test]
fn names_that_no_authority_certifies_are_refused_at_once() {
    let config = |names: &[&str], directory: &str| AcmeConfig {
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
        mail: None,
        directory: directory.to_owned(),
        trust: Trust::Everybody,
    };
    let refused = |names: &[&str], directory| {
        Acme::new(&config(names, directory), Path::new("/nowhere")).unwrap_err().to_string()
    };
    assert!(refused(&[], LETS_ENCRYPT).contains("--tls-name"));
    assert!(refused(&["studio.local"], LETS_ENCRYPT).contains("--tls self-signed"));
    assert!(refused(&["192.0.2.1"], LETS_ENCRYPT).contains("192.0.2.1"));
    assert!(refused(&["radio.example"], "http://ca.example/").contains("https://"));
}

#[test]
fn a_certificate_for_too_few_names_is_due_now() {
    let folder = Folder::new();
    let names = ["radio.example", "studio.example"].map(|name| name.parse().unwrap());
    let config = AcmeConfig {
        names: names.to_vec(),
        mail: None,
        directory: LETS_ENCRYPT.to_owned(),
        trust: Trust::Everybody,
    };
    let acme = Acme::new(&config, folder.path()).unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["radio.example".to_owned()]).unwrap();
    let pem = own.cert.pem() + &own.signing_key.serialize_pem();
    let path = Path::new("own.pem");
    let one = Certificate::from_pem((pem.as_bytes(), path), (pem.as_bytes(), path)).unwrap();
    assert_eq!(acme.due(Some(&one)), None);
    assert_eq!(acme.due(None), None);
}
