//! TURN servers as processes, and allocations on them, for benchmarks.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use openstudio_turn::{
    ClientConfig, ClientError, ClientEvent, ClientOutput, Credentials, Family, SharedSecret,
    Transport, TurnClient,
};
use openstudio_units::{Seed, Timestamp};
use serde_json::json;
use tokio::net::UdpSocket;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::process::cpu_seconds_of;
use crate::{Client, PATIENCE, Server, TempDir, binary, peer_id};

/// What credentials for coturn are computed with.
const SECRET: &str = "north";

/// How long they are good. coturn takes what is further away than 68 years for the past.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug)]
enum Process {
    /// A studio, and a socket by which the seat is kept whose credentials are used.
    Own(Server, #[expect(dead_code, reason = "held, not read")] Box<Client>),
    Coturn(Child),
}

/// A TURN server; killed when dropped.
#[derive(Debug)]
pub struct TurnServer {
    process: Process,
    address: SocketAddr,
    credentials: Credentials,
    #[expect(dead_code, reason = "removed with the server")]
    folder: TempDir,
}

impl TurnServer {
    /// Starts the studio's. `args` are further flags of `openstudio serve`.
    ///
    /// # Errors
    /// It does not start, or gives no credentials.
    pub async fn own(address: SocketAddr, args: &[&str]) -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let mut command = Command::new(binary()?);
        command.args(["serve", "--listen=127.0.0.1:0", "--log-level=warn", "--engine=false"]);
        command.args(["--turn-server=true", &format!("--turn-listen={address}")]).args(args);
        let server = Server::spawn(command, folder.path()).await?;
        let mut host = Client::register(&server, &peer_id(0)).await?;
        host.send(json!({"type": "create-room"})).await?;
        let created = host.expect("room-created").await?;
        let turn = &created["ice"]["turn"][0];
        let text = |key: &str| Some(turn[key].as_str()?.to_owned());
        let credentials = text("username").zip(text("credential"));
        let (username, password) = credentials.with_context(|| format!("no relay: {created}"))?;
        let credentials = Credentials { username, password };
        let process = Process::Own(server, Box::new(host));
        Ok(Self { process, address, credentials, folder })
    }

    /// Starts coturn as it is by default, with `use-auth-secret` and further flags; none if it
    /// is not installed.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn coturn(address: SocketAddr, args: &[&str]) -> anyhow::Result<Option<Self>> {
        if coturn_version().await.is_none() {
            return Ok(None);
        }
        let folder = TempDir::new()?;
        let (ip, port) = (address.ip(), address.port());
        let place = |name: &str| folder.path().join(name).display().to_string();
        let child = Command::new("turnserver")
            .args(["-n", &format!("--listening-ip={ip}"), &format!("--listening-port={port}")])
            .args([&format!("--relay-ip={ip}"), "--realm=os", "--use-auth-secret"])
            .args([&format!("--static-auth-secret={SECRET}"), "--no-tls", "--no-dtls"])
            .args(["--no-cli", "--log-file=/dev/null", "--simple-log"])
            .args([format!("--pidfile={}", place("pid")), format!("--userdb={}", place("db"))])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start coturn")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let expiry = now.saturating_add(LIFETIME).as_secs();
        let credentials = SharedSecret::new(SECRET).credentials("bench", expiry);
        Ok(Some(Self { process: Process::Coturn(child), address, credentials, folder }))
    }

    /// Returns the processor time that it has used, seconds.
    ///
    /// # Errors
    /// It is gone, or this is not Linux.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        match &self.process {
            Process::Own(server, _) => server.cpu_seconds(),
            Process::Coturn(child) => cpu_seconds_of(child.id().context("coturn is gone")?),
        }
    }

    /// Returns where it listens, by UDP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns credentials that it accepts.
    pub fn credentials(&self) -> Credentials {
        self.credentials.clone()
    }

    /// Makes an allocation by UDP. `number` is one that no other has.
    ///
    /// # Errors
    /// The server is silent, or refuses.
    pub async fn allocate(&self, number: u64) -> anyhow::Result<Allocation> {
        Allocation::new(self, number).await
    }
}

/// Returns what coturn says of its version; none if it is not installed.
pub async fn coturn_version() -> Option<String> {
    let mut command = Command::new("turnserver");
    // It writes a log of its own, and begins to serve, unless it is told to say its version.
    let output = command.arg("--version").kill_on_drop(true).output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.lines().last()?.trim().to_owned();
    Some(version)
}

/// An allocation by UDP.
#[derive(Debug)]
pub struct Allocation {
    client: TurnClient,
    socket: UdpSocket,
    begun: Instant,
}

impl Allocation {
    async fn new(server: &TurnServer, number: u64) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((server.address.ip(), 0)).await?;
        socket.connect(server.address).await?;
        let config = ClientConfig {
            transport: Transport::Udp,
            credentials: server.credentials(),
            family: Family::V4,
        };
        let client = TurnClient::new(config, Seed::from_number(number), Timestamp::ZERO);
        let mut made = Self { client, socket, begun: Instant::now() };
        let event = made.next().await?;
        if !matches!(event, ClientEvent::Allocated { .. }) {
            bail!("no allocation: {event:?}");
        }
        Ok(made)
    }

    /// Binds a channel to a peer; returns the refusal if there is one.
    ///
    /// # Errors
    /// The server is gone.
    pub async fn bind(&mut self, peer: SocketAddr) -> anyhow::Result<Option<ClientError>> {
        self.client.permit(self.now(), peer, true);
        let event = self.next().await?;
        if let ClientEvent::PeerRefused { error, .. } = event {
            return Ok(Some(error));
        }
        if !matches!(event, ClientEvent::Permitted { .. }) {
            bail!("no answer: {event:?}");
        }
        Ok(None)
    }

    /// Returns what to send to the server so that `bytes` go to a peer.
    ///
    /// # Errors
    /// The peer is not permitted.
    pub fn wrapped(&mut self, peer: SocketAddr, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.client.send(peer, bytes).context("the peer is not permitted")
    }

    /// Returns its socket, which is connected to the server.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Does what is due. To be called now and then where an allocation lives for long.
    ///
    /// # Errors
    /// The socket is gone.
    pub async fn keep(&mut self) -> anyhow::Result<()> {
        self.client.on_timeout(self.now());
        while let Some(output) = self.client.poll_output() {
            if let ClientOutput::Transmit(bytes) = output {
                self.socket.send(&bytes).await?;
            }
        }
        Ok(())
    }

    /// Takes what came from the server and is no channel data.
    pub fn take(&mut self, bytes: &[u8]) {
        self.client.handle(self.now(), bytes);
    }

    fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.begun.elapsed()
    }

    async fn next(&mut self) -> anyhow::Result<ClientEvent> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            while let Some(output) = self.client.poll_output() {
                match output {
                    // A server that is not there yet is asked again.
                    ClientOutput::Transmit(bytes) => drop(self.socket.send(&bytes).await),
                    ClientOutput::Event(event) => return Ok(event),
                }
            }
            let due = self.client.poll_timeout().map(|at| at.since(self.now()));
            let mut buffer = [0; 2_048];
            match timeout(due.unwrap_or(PATIENCE), self.socket.recv(&mut buffer)).await {
                Ok(Ok(length)) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    self.client.handle(self.now(), bytes);
                }
                Ok(Err(_)) => {}
                Err(_) => self.client.on_timeout(self.now()),
            }
        }
        bail!("the TURN server does not answer")
    }
}
