//! Starting and ending the server. Only processes started here are ended here.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::PATIENCE;

/// A folder that is removed with its owner.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// Makes a folder.
    ///
    /// # Errors
    /// The system's folder for temporary files cannot be written.
    pub fn new() -> anyhow::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("openstudio-e2e-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Returns the server's binary: `OPENSTUDIO_BIN`, or one that is built first.
///
/// # Errors
/// It cannot be built.
pub fn binary() -> anyhow::Result<PathBuf> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BINARY.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

fn build() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("OPENSTUDIO_BIN") {
        return Ok(path.into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let release = !cfg!(debug_assertions);
    let mut command = std::process::Command::new(cargo);
    command.args(["build", "--quiet", "-p", "openstudio"]);
    if release {
        command.arg("--release");
    }
    let status = command.status().context("cannot run cargo")?;
    if !status.success() {
        bail!("cargo build -p openstudio failed");
    }
    // Tests and benchmarks lie in the folder of the profile, or in `deps` below it.
    let own = std::env::current_exe()?;
    let found = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(format!("openstudio{}", std::env::consts::EXE_SUFFIX)))
        .find(|path| path.is_file());
    found.context("cargo built no openstudio beside this program")
}

/// Where the system gives no program a port by itself: a connection that somebody opens while
/// a server is away cannot take its place, nor can it end at itself.
const PORTS: std::ops::Range<u16> = 21_000..31_000;

/// Returns a port that was free a moment ago by TCP and by UDP, for servers that must come back
/// on the same one. Tests that run at once look in different places.
///
/// # Errors
/// There is none.
pub fn free_port() -> anyhow::Result<u16> {
    static ASKED: AtomicU16 = AtomicU16::new(0);
    let asked = ASKED.fetch_add(1, Ordering::Relaxed);
    // Processes that follow each other have numbers that do.
    let own = u16::try_from(std::process::id() % 500)?.wrapping_mul(20);
    let first = own.wrapping_add(asked) % (PORTS.end - PORTS.start);
    let begin = PORTS.start + first;
    let is_free = |port: &u16| {
        let at = ("127.0.0.1", *port);
        std::net::TcpListener::bind(at).is_ok() && std::net::UdpSocket::bind(at).is_ok()
    };
    let mut ports = (begin..PORTS.end).chain(PORTS.start..begin);
    ports.find(is_free).context("no port is free")
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts a server on a free port with this data folder and more arguments.
    ///
    /// # Errors
    /// It does not say within [`PATIENCE`] that it is open.
    pub async fn start(data_dir: &Path, args: &[&str]) -> anyhow::Result<Self> {
        Self::start_on(0, data_dir, args).await
    }

    /// Starts a server on this port.
    ///
    /// # Errors
    /// It does not say within [`PATIENCE`] that it is open.
    pub async fn start_on(port: u16, data_dir: &Path, args: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(binary()?);
        command.arg("--listen").arg(format!("127.0.0.1:{port}")).args(args);
        if std::env::var_os("OPENSTUDIO_LOG_LEVEL").is_none() {
            command.env("OPENSTUDIO_LOG_LEVEL", "warn");
        }
        Self::spawn(command, data_dir).await
    }

    /// Starts a server with a command of one's own, which says where to listen.
    ///
    /// # Errors
    /// It does not say within [`PATIENCE`] that it is open.
    pub async fn spawn(mut command: Command, data_dir: &Path) -> anyhow::Result<Self> {
        // Many servers run at once, and there is one port of TURN. A flag says otherwise.
        command.env("OPENSTUDIO_TURN_SERVER", "false");
        let mut child = command
            .env("OPENSTUDIO_DATA_DIR", data_dir)
            .env_remove("OPENSTUDIO_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the server")?;
        let stdout = child.stdout.take().context("the server has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = timeout(PATIENCE, lines.next_line())
            .await
            .context("the server says nothing")??
            .context("the server ended at once")?;
        let port = line
            .trim_end_matches('/')
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .with_context(|| format!("no port in `{line}`"))?;
        Ok(Self { child, port })
    }

    /// Returns its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Returns its resident memory, bytes.
    ///
    /// # Errors
    /// It is gone, or this is not Linux.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        let pid = self.pid().context("the server is gone")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))
            .context("this part of the benchmark needs Linux")?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }

    /// Returns the processor time that it has used, seconds.
    ///
    /// # Errors
    /// It is gone, or this is not Linux.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        cpu_seconds_of(self.pid().context("the server is gone")?)
    }

    /// Returns the address of its WebSocket.
    pub fn ws(&self) -> String {
        format!("ws://127.0.0.1:{}/ws", self.port)
    }

    /// Ends it without any warning (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("cannot kill the server")
    }

    /// Asks it to stop (SIGTERM); the answer to [`Self::wait`] tells how it went.
    ///
    /// # Errors
    /// It is gone already.
    pub async fn terminate(&self) -> anyhow::Result<()> {
        let pid = self.pid().context("the server is gone")?;
        let status = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
        if !status.success() {
            bail!("cannot signal the server");
        }
        Ok(())
    }

    /// Waits for its end; returns its exit code.
    ///
    /// # Errors
    /// It is still there after [`PATIENCE`].
    pub async fn wait(mut self) -> anyhow::Result<Option<i32>> {
        let status = timeout(PATIENCE, self.child.wait()).await.context("it does not stop")??;
        Ok(status.code())
    }
}

/// Returns the processor time that a process has used, seconds.
pub(crate) fn cpu_seconds_of(pid: u32) -> anyhow::Result<f64> {
    /// `USER_HZ`, which Linux promises to user programs on all its platforms.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("no stat")?;
    // utime and stime are fields 14 and 15 of proc(5); this text begins with field 3.
    let ticks: f64 = fields.split(' ').skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum();
    Ok(ticks / TICKS_PER_SECOND)
}
