//! Thousands of participants lose their server at the same moment: how soon all are back, how
//! evenly they come, and what that costs the server.
//!
//! Each participant is the session that a page has, on a WebSocket of its own; only its peer
//! connections are pretended. They are in rooms of eight. All are on this machine.
//!
//!     cargo xtask bench storm [--sockets 5000] [--json]

mod links;
mod participant;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use openstudio_e2e::{Server, TempDir, free_port, number, print};
use openstudio_units::RoomId;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use self::participant::{Participant, Place, Standing, Told};

/// Seats of a room that are taken.
const ROOM: usize = 8;

/// Rooms that fill at the same time in the beginning.
const FILLING: usize = 16;

/// What a participant may take to get its seat, and all to come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long everything is left alone before each storm, and after it.
const CALM: Duration = Duration::from_secs(5);

/// How often the server's memory is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Windows in which returns are counted.
const WINDOW: Duration = Duration::from_millis(100);

/// How long a server stays away that does not come back at once.
const AWAY: Duration = Duration::from_secs(5);

/// Files that this process and the server need besides one for each socket.
const OTHER_FILES: u64 = 200;

/// All come from one address, and by the thousand.
const LIMITS: [&str; 8] = [
    "--address-messages-per-second=4000000",
    "--address-message-burst=4000000",
    "--address-sockets=1000000",
    "--address-connections=1000000",
    "--address-connects-per-second=1000000",
    "--address-connect-burst=1000000",
    "--connections=1000000",
    "--max-rooms=100000",
];

/// How all sockets are lost at once.
#[derive(Debug, Clone, Copy)]
enum Storm {
    /// The server is killed, and started again after a while.
    Killed(Duration),
    /// Every connection breaks; the server goes on.
    Cut,
    /// The server is asked to stop, and started again.
    Stopped,
}

impl Storm {
    fn words(self) -> &'static str {
        match self {
            Self::Killed(Duration::ZERO) => "SIGKILL, started again at once",
            Self::Killed(_) => "SIGKILL, started again after 5 s",
            Self::Cut => "all connections cut, the server lives",
            Self::Stopped => "SIGTERM, started again",
        }
    }
}

fn main() -> anyhow::Result<()> {
    let sockets = number("--sockets", 5_000)?;
    ensure!(sockets >= ROOM && sockets % ROOM == 0, "--sockets needs a multiple of {ROOM}");
    raise_file_limit(u64::try_from(sockets)?)?;
    let report = tokio::runtime::Runtime::new()?.block_on(measure(sockets))?;
    print(&report, as_text);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is its output")]
fn as_text(report: &Value) {
    println!("{} sockets in rooms of {ROOM}, lost at the same moment", report["sockets"]);
    for storm in report["storms"].as_array().into_iter().flatten() {
        println!("{}", storm["what"].as_str().unwrap_or_default());
        println!(
            "  all back after        {:>7} ms (half {} ms, 95 % {} ms), from when the server answered",
            storm["allBackMs"], storm["p50Ms"], storm["p95Ms"]
        );
        println!("  from the loss         {:>7} ms", storm["fromLossMs"]);
        println!(
            "  busiest 100 ms        {:>7} returns, {} times the mean",
            storm["busiest"], storm["busiestOverMean"]
        );
        println!(
            "  server's memory       {:>7} MiB before, {} at most, {} after",
            storm["memory"]["beforeMiB"], storm["memory"]["mostMiB"], storm["memory"]["afterMiB"]
        );
        println!("  server's CPU          {:>7} s", storm["cpuSeconds"]);
    }
}

#[cfg(unix)]
fn raise_file_limit(sockets: u64) -> anyhow::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    ensure!(
        limit.maximum.is_none_or(|most| most >= sockets + OTHER_FILES),
        "too few open files are allowed for {sockets} sockets; see `ulimit -Hn`"
    );
    Ok(())
}

#[cfg(not(unix))]
fn raise_file_limit(_: u64) -> anyhow::Result<()> {
    Ok(())
}

async fn measure(sockets: usize) -> anyhow::Result<Value> {
    let data = TempDir::new()?;
    let port = free_port()?;
    let server = Server::start_on(port, data.path(), &LIMITS).await?;
    let (cut, cuts) = watch::channel(0);
    let (sender, told) = mpsc::unbounded_channel();
    let place = Place { port, told: sender, cuts };
    let mut crowd = Crowd { told, standings: Vec::new() };
    crowd.gather(sockets / ROOM, &place).await?;
    let storms = [Storm::Killed(Duration::ZERO), Storm::Cut, Storm::Killed(AWAY), Storm::Stopped];
    let mut server = Some(server);
    let mut results = Vec::new();
    for storm in storms {
        tokio::time::sleep(CALM).await;
        let before = server.take().context("there is no server")?;
        let (after, result) = weather(storm, before, data.path(), &mut crowd, &cut).await?;
        results.push(result);
        server = Some(after);
    }
    Ok(json!({ "sockets": sockets, "storms": results }))
}

/// Brings a storm over everybody. Returns the server that they have then.
async fn weather(
    storm: Storm,
    server: Server,
    data: &std::path::Path,
    crowd: &mut Crowd,
    cut: &watch::Sender<u32>,
) -> anyhow::Result<(Server, Value)> {
    let before = server.resident_bytes()?;
    let port = server.port();
    crowd.told_so_far();
    let lost = Instant::now();
    let server = match storm {
        Storm::Killed(away) => {
            server.kill().await?;
            tokio::time::sleep(away).await;
            Server::start_on(port, data, &LIMITS).await?
        }
        Storm::Cut => {
            cut.send_modify(|cuts| *cuts += 1);
            server
        }
        Storm::Stopped => {
            server.terminate().await?;
            server.wait().await?;
            Server::start_on(port, data, &LIMITS).await?
        }
    };
    let answers = if matches!(storm, Storm::Cut) { lost } else { Instant::now() };
    let cpu = if matches!(storm, Storm::Cut) { server.cpu_seconds()? } else { 0.0 };
    let (returns, most) = crowd.all_back(&server).await?;
    let cpu = server.cpu_seconds()? - cpu;
    tokio::time::sleep(CALM).await;
    crowd.check()?;
    let after = server.resident_bytes()?;
    let mut report = figures(&returns, lost, answers);
    report["what"] = json!(storm.words());
    report["memory"] =
        json!({ "beforeMiB": mib(before), "mostMiB": mib(most), "afterMiB": mib(after) });
    report["cpuSeconds"] = json!(round(cpu, 10.0));
    Ok((server, report))
}

/// Counts returns.
fn figures(returns: &[Instant], lost: Instant, answers: Instant) -> Value {
    let mut delays: Vec<Duration> =
        returns.iter().map(|at| at.saturating_duration_since(answers)).collect();
    delays.sort_unstable();
    let first = delays.first().copied().unwrap_or_default();
    let mut windows: BTreeMap<u128, usize> = BTreeMap::new();
    for delay in &delays {
        *windows.entry((*delay - first).as_millis() / WINDOW.as_millis()).or_default() += 1;
    }
    let busiest = windows.values().copied().max().unwrap_or_default();
    let length = windows.keys().last().map_or(1, |last| last + 1);
    let mean = delays.len() as f64 / length as f64;
    let quantile = |q: f64| {
        let at = (delays.len().saturating_sub(1) as f64 * q).round() as usize;
        delays.get(at).map_or(0, Duration::as_millis)
    };
    json!({
        "allBackMs": quantile(1.0),
        "fromLossMs": quantile(1.0) + answers.duration_since(lost).as_millis(),
        "p50Ms": quantile(0.5),
        "p95Ms": quantile(0.95),
        "busiest": busiest,
        "mean": round(mean, 1.0),
        "busiestOverMean": round(busiest as f64 / mean, 100.0),
    })
}

/// Everybody.
struct Crowd {
    told: mpsc::UnboundedReceiver<(usize, Told)>,
    standings: Vec<Arc<Standing>>,
}

impl Crowd {
    /// Fills so many rooms, some at a time, until all are connected.
    async fn gather(&mut self, rooms: usize, place: &Place) -> anyhow::Result<()> {
        let mut hosts = BTreeSet::new();
        let mut begun = 0;
        let mut seated = 0;
        while seated < rooms * ROOM {
            while begun < rooms && hosts.len() < FILLING {
                hosts.insert(self.start(None, place)?);
                begun += 1;
            }
            match timeout(PATIENCE, self.told.recv()).await.context("a seat is not given")? {
                Some((number, Told::Entered { room, .. })) => {
                    seated += 1;
                    if hosts.remove(&number) {
                        for _ in 1..ROOM {
                            self.start(Some(room), place)?;
                        }
                    }
                }
                Some((_, Told::Lost)) => {}
                Some((_, Told::Ended)) | None => bail!("a participant was put out"),
            }
        }
        tokio::time::sleep(CALM).await;
        self.check()
    }

    fn start(&mut self, room: Option<RoomId>, place: &Place) -> anyhow::Result<usize> {
        let number = self.standings.len();
        self.standings.push(Participant::start(number, room, place.clone())?);
        Ok(number)
    }

    /// Everybody sees a full room, and is connected to all in it.
    fn check(&self) -> anyhow::Result<()> {
        let count = |right: &dyn Fn(&Standing) -> bool| {
            self.standings.iter().filter(|standing| right(standing)).count()
        };
        let full = count(&|standing| standing.present.load(Ordering::Relaxed) == ROOM);
        let connected = count(&|standing| standing.connected.load(Ordering::Relaxed) == ROOM - 1);
        let all = self.standings.len();
        ensure!(
            full == all && connected == all,
            "of {all} participants, {full} see a full room, and {connected} are connected to it"
        );
        Ok(())
    }

    /// Forgets what was told.
    fn told_so_far(&mut self) {
        while self.told.try_recv().is_ok() {}
    }

    /// Waits until everybody has lost the socket and is back for good. Returns when each of
    /// them came, and the most memory that the server took meanwhile.
    async fn all_back(&mut self, server: &Server) -> anyhow::Result<(Vec<Instant>, u64)> {
        let mut back: BTreeMap<usize, Instant> = BTreeMap::new();
        let mut most = server.resident_bytes()?;
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        let due = tokio::time::Instant::now() + PATIENCE;
        while back.len() < self.standings.len() {
            tokio::select! {
                told = self.told.recv() => match told {
                    Some((number, Told::Entered { at, .. })) => drop(back.insert(number, at)),
                    Some((number, Told::Lost)) => drop(back.remove(&number)),
                    Some((_, Told::Ended)) | None => bail!("a participant was put out"),
                },
                _ = look.tick() => most = most.max(server.resident_bytes()?),
                () = tokio::time::sleep_until(due) => {
                    bail!("{} of {} are back", back.len(), self.standings.len())
                }
            }
        }
        Ok((back.into_values().collect(), most))
    }
}

fn mib(bytes: u64) -> f64 {
    round(bytes as f64 / f64::from(1 << 20), 10.0)
}

fn round(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}
