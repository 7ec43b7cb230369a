//! The TURN server against coturn: packets relayed for each second of processor time, and
//! packets lost at half load.
//!
//! Both servers run on loopback, and one program loads them in turn: clients send packets by
//! channels to peers, which send them back. What counts is the processor time of the server's
//! process, so that what the clients take has no part in it. Without coturn, ours is measured
//! alone.
//!
//!     cargo xtask bench turn [--json] [--rounds N] [--minutes N]

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::bail;
use openstudio_e2e::{Allocation, TurnServer, coturn_version, free_port, number, print};
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{MissedTickBehavior, timeout};

/// Bytes of one packet: 20 ms of Opus at 64 kbit/s, encrypted.
const PAYLOAD: usize = 172;

/// Allocations, and peers that they speak with.
const CLIENTS: u64 = 20;
const PEERS: usize = 4;

/// Packets that a client has on their way under full load.
const WINDOW: usize = 16;

/// How long one measurement takes, after a beginning that does not count.
const PART: Duration = Duration::from_secs(5);
const WARM_UP: Duration = Duration::from_secs(1);

/// How long is waited for the last packets.
const DRAIN: Duration = Duration::from_secs(1);

/// Clients at half load send this often.
const TICK: Duration = Duration::from_millis(5);

/// What the system is asked to keep for the clients: what they lose is not the server's loss.
const RECEIVE_BUFFER: usize = 4 << 20;

fn main() -> anyhow::Result<()> {
    let (rounds, minutes) = (number("--rounds", 5)?.max(1_u64), number("--minutes", 1)?);
    // One thread, so that the servers have the other cores.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = LocalSet::new().block_on(&runtime, measure(rounds, minutes))?;
    print(&report, as_text);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is its output")]
fn as_text(report: &Value) {
    println!("relayed packets of {PAYLOAD} bytes, {CLIENTS} allocations, by UDP");
    for (name, key) in [("ours", "ours"), ("coturn", "coturn")] {
        let part = &report[key];
        if part.is_null() {
            println!(
                "  coturn is not installed (Debian: apt-get install coturn), so there is nothing to compare with"
            );
            continue;
        }
        println!(
            "  {name:8} {:>9} packets for a second of processor time, {:>9} packets/s",
            part["perCpuSecond"], part["perSecond"]
        );
    }
    if let Some(ratio) = report["ratio"].as_f64() {
        println!("  ours / coturn {ratio:.2}");
    }
    let half = &report["halfLoad"];
    println!(
        "  ours at half load, {} min: {} packets/s, {} packets, {} lost",
        half["minutes"], half["perSecond"], half["packets"], half["lost"]
    );
}

async fn measure(rounds: u64, minutes: u64) -> anyhow::Result<Value> {
    let own =
        TurnServer::own(loopback()?, &["--turn-allow=127.0.0.0/8", "--turn-allocations=1000"])
            .await?;
    let coturn = TurnServer::coturn(loopback()?, &["--allow-loopback-peers"]).await?;
    let peers = Peers::open().await?;
    let mut of_own = Load::new(&own, &peers).await?;
    let mut of_coturn = match &coturn {
        Some(coturn) => Some(Load::new(coturn, &peers).await?),
        None => None,
    };
    let (mut own_figures, mut coturn_figures) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        own_figures.push(of_own.flood(&own, &peers).await?);
        if let Some((load, coturn)) = of_coturn.as_mut().zip(coturn.as_ref()) {
            coturn_figures.push(load.flood(coturn, &peers).await?);
        }
    }
    drop((of_coturn, coturn));
    let (per_cpu_second, per_second) = medians(&own_figures);
    let half = of_own.paced(&peers, per_second / 2.0, Duration::from_secs(60 * minutes)).await?;
    let theirs = (!coturn_figures.is_empty()).then(|| medians(&coturn_figures).0);
    Ok(json!({
        "payloadBytes": PAYLOAD,
        "allocations": CLIENTS,
        "rounds": rounds,
        "coturnVersion": coturn_version().await,
        "ours": figures(&own_figures),
        "coturn": (!coturn_figures.is_empty()).then(|| figures(&coturn_figures)),
        "ratio": theirs.map(|theirs| (per_cpu_second / theirs * 100.0).round() / 100.0),
        "halfLoad": {
            "minutes": minutes,
            "perSecond": (half.relayed as f64 / half.elapsed.as_secs_f64()).round(),
            "packets": half.relayed + half.lost,
            "lost": half.lost,
        },
    }))
}

fn loopback() -> anyhow::Result<SocketAddr> {
    Ok(SocketAddr::from(([127, 0, 0, 1], free_port()?)))
}

/// Packets for a second of processor time, and packets a second.
type Figures = (f64, f64);

fn figures(all: &[Figures]) -> Value {
    let (per_cpu_second, per_second) = medians(all);
    let each: Vec<f64> = all.iter().map(|(figure, _)| figure.round()).collect();
    json!({
        "perCpuSecond": per_cpu_second.round(),
        "perSecond": per_second.round(),
        "rounds": each,
    })
}

fn medians(all: &[Figures]) -> Figures {
    let median = |of: fn(&Figures) -> f64| {
        let mut sorted: Vec<f64> = all.iter().map(of).collect();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    };
    (median(|figures| figures.0), median(|figures| figures.1))
}

/// Those who send back what they get.
struct Peers {
    addresses: Vec<SocketAddr>,
    /// Packets that came.
    heard: Rc<Cell<u64>>,
    #[expect(dead_code, reason = "ends with its owner")]
    tasks: JoinSet<()>,
}

impl Peers {
    async fn open() -> anyhow::Result<Self> {
        let heard = Rc::new(Cell::new(0));
        let (mut addresses, mut tasks) = (Vec::new(), JoinSet::new());
        for _ in 0..PEERS {
            let socket = UdpSocket::bind("127.0.0.1:0").await?;
            SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER)?;
            addresses.push(socket.local_addr()?);
            tasks.spawn_local(send_back(socket, Rc::clone(&heard)));
        }
        Ok(Self { addresses, heard, tasks })
    }
}

async fn send_back(socket: UdpSocket, heard: Rc<Cell<u64>>) {
    let mut buffer = [0; 2_048];
    while socket.readable().await.is_ok() {
        while let Ok((length, from)) = socket.try_recv_from(&mut buffer) {
            heard.set(heard.get() + 1);
            let _ = socket.try_send_to(buffer.get(..length).unwrap_or_default(), from);
        }
    }
}

/// An allocation with one peer.
struct Speaker {
    allocation: Allocation,
    /// What it sends.
    message: Vec<u8>,
}

/// What has been sent and come back.
#[derive(Debug, Clone, Copy, Default)]
struct Outcome {
    sent: u64,
    returned: u64,
}

/// What was relayed and lost, of both ways.
struct Relayed {
    relayed: u64,
    lost: u64,
    elapsed: Duration,
}

/// All allocations on one server.
struct Load {
    speakers: Vec<Speaker>,
}

impl Load {
    async fn new(server: &TurnServer, peers: &Peers) -> anyhow::Result<Self> {
        let mut speakers = Vec::new();
        for (number, peer) in (0..CLIENTS).zip(peers.addresses.iter().cycle()) {
            let mut allocation = server.allocate(number).await?;
            SockRef::from(allocation.socket()).set_recv_buffer_size(RECEIVE_BUFFER)?;
            if let Some(refusal) = allocation.bind(*peer).await? {
                bail!("{}: {refusal}", server.address());
            }
            let message = allocation.wrapped(*peer, &[7; PAYLOAD])?;
            speakers.push(Speaker { allocation, message });
        }
        Ok(Self { speakers })
    }

    /// Loads the server as much as it takes.
    async fn flood(&mut self, server: &TurnServer, peers: &Peers) -> anyhow::Result<Figures> {
        self.run(|speaker| speaker.flood(WARM_UP)).await?;
        let (cpu, heard) = (server.cpu_seconds()?, peers.heard.get());
        let outcome = self.run(|speaker| speaker.flood(PART)).await?;
        let cpu = server.cpu_seconds()? - cpu;
        let relayed = (peers.heard.get() - heard + outcome.returned) as f64;
        Ok((relayed / cpu, relayed / PART.as_secs_f64()))
    }

    /// So many packets a second, of both ways together.
    async fn paced(
        &mut self,
        peers: &Peers,
        per_second: f64,
        duration: Duration,
    ) -> anyhow::Result<Relayed> {
        let each = per_second / 2.0 / CLIENTS as f64;
        let (begun, before) = (Instant::now(), peers.heard.get());
        let outcome = self.run(|speaker| speaker.paced(each, duration)).await?;
        let heard = peers.heard.get() - before;
        let lost = outcome.sent.saturating_sub(heard) + heard.saturating_sub(outcome.returned);
        let elapsed = begun.elapsed().saturating_sub(DRAIN);
        Ok(Relayed { relayed: heard + outcome.returned, lost, elapsed })
    }

    /// Has all of them speak at once.
    async fn run<F: Future<Output = anyhow::Result<(Speaker, Outcome)>> + 'static>(
        &mut self,
        speak: impl Fn(Speaker) -> F,
    ) -> anyhow::Result<Outcome> {
        let mut tasks = JoinSet::new();
        for speaker in self.speakers.drain(..) {
            tasks.spawn_local(speak(speaker));
        }
        let mut total = Outcome::default();
        while let Some(done) = tasks.join_next().await {
            let (speaker, outcome) = done??;
            total.sent += outcome.sent;
            total.returned += outcome.returned;
            self.speakers.push(speaker);
        }
        Ok(total)
    }
}

impl Speaker {
    /// Keeps [`WINDOW`] packets on their way.
    async fn flood(mut self, duration: Duration) -> anyhow::Result<(Self, Outcome)> {
        let (begun, mut outcome, mut under_way) = (Instant::now(), Outcome::default(), 0);
        while begun.elapsed() < duration {
            while under_way < WINDOW && self.allocation.socket().try_send(&self.message).is_ok() {
                under_way += 1;
                outcome.sent += 1;
            }
            match timeout(DRAIN, self.allocation.socket().readable()).await {
                Ok(readable) => readable?,
                // All of them were lost.
                Err(_) => under_way = 0,
            }
            let returned = self.receive();
            outcome.returned += returned;
            under_way = under_way.saturating_sub(usize::try_from(returned)?);
        }
        self.allocation.keep().await?;
        // What is still under way is not for the next part.
        outcome.returned += self.drain().await?;
        Ok((self, outcome))
    }

    /// Sends so many packets a second, whatever comes back.
    async fn paced(
        mut self,
        per_second: f64,
        duration: Duration,
    ) -> anyhow::Result<(Self, Outcome)> {
        let (begun, mut outcome) = (Instant::now(), Outcome::default());
        let mut tick = tokio::time::interval(TICK);
        // Who comes late sends no more for it: a volley is not the server's fault.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due = 0.0;
        while begun.elapsed() < duration {
            tokio::select! {
                readable = self.allocation.socket().readable() => {
                    readable?;
                    outcome.returned += self.receive();
                }
                _ = tick.tick() => {
                    due += TICK.as_secs_f64() * per_second;
                    while due >= 1.0 {
                        self.allocation.socket().send(&self.message).await?;
                        outcome.sent += 1;
                        due -= 1.0;
                    }
                    self.allocation.keep().await?;
                }
            }
        }
        outcome.returned += self.drain().await?;
        Ok((self, outcome))
    }

    /// Receives until nothing comes for a while; returns how many packets came.
    async fn drain(&mut self) -> anyhow::Result<u64> {
        let mut returned = 0;
        while let Ok(readable) = timeout(DRAIN, self.allocation.socket().readable()).await {
            readable?;
            returned += self.receive();
        }
        Ok(returned)
    }

    /// Receives what is there; returns how many packets from the peer there were.
    fn receive(&mut self) -> u64 {
        let (mut buffer, mut returned) = ([0; 2_048], 0);
        while let Ok(length) = self.allocation.socket().try_recv(&mut buffer) {
            let bytes = buffer.get(..length).unwrap_or_default();
            if bytes == self.message {
                returned += 1;
            } else {
                self.allocation.take(bytes);
            }
        }
        returned
    }
}
