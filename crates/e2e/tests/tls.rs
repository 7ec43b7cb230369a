//! The studio over TLS: certificates, their renewal, those who come without, floods, and
//! native participants.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unwrap_in_result,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use openstudio_e2e::{PATIENCE, Reply, Server, TempDir, binary, free_port, get, get_over};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// Writes a certificate for this machine and its key.
fn write_certificate(folder: &Path) -> Result<()> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names)?;
    // As programs that renew do: whole files take the place of others.
    for (name, text) in [("cert", made.cert.pem()), ("key", made.signing_key.serialize_pem())] {
        fs::write(folder.join("draft"), text)?;
        fs::rename(folder.join("draft"), folder.join(format!("{name}.pem")))?;
    }
    Ok(())
}

fn files(folder: &Path) -> [String; 3] {
    let path = |name| folder.join(name).to_string_lossy().into_owned();
    let (certificate, key) = (path("cert.pem"), path("key.pem"));
    ["--tls=files".into(), format!("--tls-cert={certificate}"), format!("--tls-key={key}")]
}

fn borrowed(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// Connects as somebody who believes the certificates in a file, and nobody else.
async fn connect(server: &Server, ca: &Path) -> Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", server.port())).await?;
    let connector = TlsConnector::from(Arc::new(config));
    Ok(timeout(PATIENCE, connector.connect("127.0.0.1".try_into()?, stream)).await??)
}

async fn fetch(server: &Server, ca: &Path, path: &str) -> Result<Reply> {
    let stream = connect(server, ca).await?;
    get_over(stream, &format!("127.0.0.1:{}", server.port()), (path, &[])).await
}

/// Opens a WebSocket as a page of this origin does; returns the status of a refusal.
async fn open_socket(server: &Server, ca: &Path, origin: &str) -> Result<Option<u16>> {
    let mut request = server.ws().replace("ws://", "wss://").into_client_request()?;
    request.headers_mut().insert("origin", origin.parse()?);
    let stream = connect(server, ca).await?;
    match tokio_tungstenite::client_async(request, stream).await {
        Ok(_) => Ok(None),
        Err(tokio_tungstenite::tungstenite::Error::Http(reply)) => {
            Ok(Some(reply.status().as_u16()))
        }
        Err(error) => Err(error.into()),
    }
}

#[tokio::test]
async fn the_page_and_its_socket_come_over_https_with_a_certificate_from_files() -> Result<()> {
    let data = TempDir::new()?;
    write_certificate(data.path())?;
    let ca = data.path().join("cert.pem");
    let server = Server::start(data.path(), &borrowed(&files(data.path()))).await?;
    let page = fetch(&server, &ca, "/").await?;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(page.header("strict-transport-security"), "max-age=15552000");
    let own = format!("https://127.0.0.1:{}", server.port());
    assert_eq!(open_socket(&server, &ca, &own).await?, None);
    let between = format!("http://127.0.0.1:{}", server.port());
    assert_eq!(open_socket(&server, &ca, &between).await?, Some(403));
    assert_eq!(open_socket(&server, &ca, "https://evil.example").await?, Some(403));
    Ok(())
}

#[tokio::test]
async fn a_studio_that_signs_its_own_certificate_keeps_it() -> Result<()> {
    let data = TempDir::new()?;
    let args = ["--tls=self-signed", "--tls-name=radio.example"];
    let server = Server::start(data.path(), &args).await?;
    let kept = data.path().join("tls/self-signed.pem");
    let first = fs::read(&kept)?;
    let health = fetch(&server, &kept, "/health").await?;
    assert_eq!(health.status, 200);
    assert_eq!(health.header("strict-transport-security"), "", "people have to go on by hand");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let key = fs::metadata(data.path().join("tls/self-signed.key"))?;
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }
    server.kill().await?;
    let again = Server::start(data.path(), &args).await?;
    assert_eq!(fs::read(&kept)?, first);
    fetch(&again, &kept, "/health").await?;
    Ok(())
}

/// Lines of a log, as they come.
struct Log(tokio::sync::mpsc::UnboundedReceiver<String>);

impl Log {
    fn new(reader: std::io::PipeReader) -> Self {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self(receiver)
    }

    /// Waits for a line with these words.
    async fn until(&mut self, words: &str) -> Result<String> {
        let found = async {
            while let Some(line) = self.0.recv().await {
                if line.contains(words) {
                    return Ok(line);
                }
            }
            bail!("the log ended")
        };
        timeout(PATIENCE, found).await.with_context(|| format!("no line with `{words}`"))?
    }
}

async fn hang_up(server: &Server) -> Result<()> {
    let pid = server.pid().context("it is gone")?.to_string();
    let status = Command::new("kill").args(["-HUP", &pid]).status().await?;
    assert!(status.success());
    Ok(())
}

#[tokio::test]
async fn new_files_are_taken_and_broken_ones_are_not() -> Result<()> {
    let data = TempDir::new()?;
    write_certificate(data.path())?;
    let (reader, writer) = std::io::pipe()?;
    let mut command = Command::new(binary()?);
    command.arg("--listen=127.0.0.1:0").args(files(data.path())).stderr(writer);
    command.env("OPENSTUDIO_LOG_LEVEL", "info");
    let server = Server::spawn(command, data.path()).await?;
    let mut log = Log::new(reader);
    let ca = data.path().join("cert.pem");
    let old = data.path().join("old.pem");
    fs::copy(&ca, &old)?;
    fetch(&server, &old, "/health").await?;
    // A connection goes on over the renewal.
    let stream = connect(&server, &old).await?;

    write_certificate(data.path())?;
    hang_up(&server).await?;
    log.until("a new certificate is shown").await?;
    fetch(&server, &ca, "/health").await?;
    fetch(&server, &old, "/health").await.expect_err("it is shown no more");
    get_over(stream, "127.0.0.1", ("/health", &[])).await?;

    let good = data.path().join("good.pem");
    fs::copy(&ca, &good)?;
    for (broken, words) in [("no key", "private key"), ("", "private key")] {
        fs::write(data.path().join("key.pem"), broken)?;
        hang_up(&server).await?;
        let line = log.until("is kept").await?;
        assert!(line.contains(words) && line.contains("key.pem"), "{line}");
        fetch(&server, &good, "/health").await?;
    }
    let elsewhere = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    fs::write(data.path().join("key.pem"), elsewhere.signing_key.serialize_pem())?;
    hang_up(&server).await?;
    let line = log.until("is kept").await?;
    assert!(line.contains("does not belong"), "{line}");
    fetch(&server, &good, "/health").await?;
    Ok(())
}

#[tokio::test]
async fn who_comes_without_tls_is_led_to_it() -> Result<()> {
    let data = TempDir::new()?;
    let plain = free_port()?;
    let redirect = format!("--http-redirect=127.0.0.1:{plain}");
    let server = Server::start(data.path(), &["--tls=self-signed", &redirect]).await?;
    let there = format!("https://127.0.0.1:{}/a?b=c", server.port());
    let reply = get(&server, "/a?b=c", &[]).await?;
    assert_eq!((reply.status, reply.header("location")), (307, there.as_str()));
    let stream = TcpStream::connect(("127.0.0.1", plain)).await?;
    let reply = get_over(stream, &format!("127.0.0.1:{plain}"), ("/a?b=c", &[])).await?;
    assert_eq!((reply.status, reply.header("location")), (307, there.as_str()));
    assert_eq!(reply.header("cache-control"), "no-store");
    Ok(())
}

#[tokio::test]
async fn silent_handshakes_stop_nobody_and_count_as_connections() -> Result<()> {
    const ALLOWED: usize = 20;
    let data = TempDir::new()?;
    let limit = format!("--address-connections={ALLOWED}");
    let server =
        Server::start(data.path(), &["--tls=self-signed", "--engine=false", &limit]).await?;
    let ca = data.path().join("tls/self-signed.pem");
    let mut silent = Vec::new();
    for number in 0..ALLOWED {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await?;
        // Half of them begin a handshake, and leave it at that.
        if number % 2 == 0 {
            stream.write_all(&[22, 3, 1, 2, 0, 1]).await?;
        }
        silent.push(stream);
    }
    let mut further = TcpStream::connect(("127.0.0.1", server.port())).await?;
    let (mut first, mut other) = ([0], [0]);
    let refused = async {
        tokio::select! {
            biased;
            // A handshake that takes too long is ended as well, but the first one first.
            read = silent[0].read(&mut first) => bail!("the limit does not hold: {read:?}"),
            read = further.read(&mut other) => assert!(matches!(read, Ok(0) | Err(_))),
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, refused).await.context("the limit does not hold")??;
    drop(silent.pop());
    let served = async {
        while fetch(&server, &ca, "/health").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, served).await.context("silent handshakes stop others")?;
    Ok(())
}

async fn join(server: &Server, flags: &[&str]) -> Result<(i32, String)> {
    let link = format!("https://127.0.0.1:{}/", server.port());
    let mut command = Command::new(binary()?);
    command.args(["join", &link, "--count=2", "--tone=600", "--for=5"]).args(flags);
    let output = timeout(3 * PATIENCE, command.kill_on_drop(true).output()).await??;
    let Output { status, stderr, .. } = output;
    Ok((status.code().unwrap_or(-1), String::from_utf8_lossy(&stderr).into_owned()))
}

#[tokio::test]
async fn native_participants_believe_whom_they_are_told_to() -> Result<()> {
    let data = TempDir::new()?;
    let server = Server::start(data.path(), &["--tls=self-signed"]).await?;
    let (code, words) = join(&server, &[]).await?;
    assert!(code == 1 && words.contains("--ca") && words.contains("--insecure"), "{words}");
    let kept: PathBuf = data.path().join("tls/self-signed.pem");
    let (code, words) = join(&server, &["--ca", &kept.to_string_lossy()]).await?;
    assert_eq!(code, 0, "{words}");
    let (code, words) = join(&server, &["--insecure"]).await?;
    assert_eq!(code, 0, "{words}");
    write_certificate(data.path())?;
    let other = data.path().join("cert.pem");
    let (code, words) = join(&server, &["--ca", &other.to_string_lossy()]).await?;
    assert!(code == 1 && words.contains("cert.pem"), "{words}");
    Ok(())
}

#[tokio::test]
async fn what_keeps_tls_from_starting_is_said_in_words() -> Result<()> {
    let data = TempDir::new()?;
    write_certificate(data.path())?;
    fs::write(data.path().join("empty.pem"), "")?;
    let path = |name: &str| data.path().join(name).to_string_lossy().into_owned();
    let (certificate, key, empty) = (path("cert.pem"), path("key.pem"), path("empty.pem"));
    for (flags, words) in [
        (vec!["--tls=files"], "tls-cert"),
        (vec!["--tls=files", "--tls-cert", "/nowhere.pem"], "/nowhere.pem"),
        (vec!["--tls=files", "--tls-cert", &empty, "--tls-key", &key], "BEGIN CERTIFICATE"),
        (vec!["--tls=files", "--tls-cert", &certificate, "--tls-key", &empty], "PRIVATE KEY"),
        (vec!["--tls=acme"], "tls-name"),
        (vec!["--tls=acme", "--tls-name=studio.local"], "--tls self-signed"),
        (vec!["--http-redirect=127.0.0.1:0"], "http-redirect"),
    ] {
        let mut command = Command::new(binary()?);
        command.arg("--listen=127.0.0.1:0").arg("--data-dir").arg(data.path()).args(&flags);
        let output = timeout(PATIENCE, command.kill_on_drop(true).output()).await??;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{flags:?}: {said}");
        assert!(said.contains(words), "{flags:?}: {said}");
    }
    Ok(())
}
