//! The signalling relay on one core: messages a second, delay at half of that load, and
//! memory of an idle socket.
//!
//! The server is a process of its own, pinned to one core where `taskset` is there; this
//! program runs on the others. Each pair of clients has a room, and each client sends
//! messages of 1 KiB to the other, alternately an offer and a candidate with padding.
//!
//!     cargo run --release -p openstudio-e2e --bin relay_bench -- [--json] [--seconds N]

use std::time::{Duration, Instant};

use openstudio_e2e::{Client, Server, TempDir, binary, number, peer_id, print};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::JoinSet;

/// Bytes of one relayed message.
const MESSAGE_BYTES: usize = 1024;

/// Pairs of clients, each in a room of its own.
const PAIRS: u32 = 8;

/// Messages that one client may have on their way in the throughput part.
const WINDOW: u32 = 64;

/// Idle sockets, for the memory part.
const IDLE: u32 = 1000;

/// Limits far above what the benchmark does: it measures the relay, not the limits.
const LIMITS: [&str; 10] = [
    "--socket-messages-per-second=4000000",
    "--socket-message-burst=4000000",
    "--socket-bytes-per-second=4000000000",
    "--socket-byte-burst=4000000000",
    "--address-messages-per-second=4000000",
    "--address-message-burst=4000000",
    "--address-sockets=1000000",
    "--address-connections=1000000",
    "--address-connects-per-second=1000000",
    "--address-connect-burst=1000000",
];

fn main() -> anyhow::Result<()> {
    let seconds = number("--seconds", 5)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(measure(Duration::from_secs(seconds)))?;
    print(&report, as_text);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is its output")]
fn as_text(report: &Value) {
    println!(
        "relayed messages of {MESSAGE_BYTES} bytes, server on one core ({})",
        report["pinned"]
    );
    println!("  throughput        {:>10} messages/s", report["messagesPerSecond"]);
    println!("  server CPU        {:>10} % of one core", report["serverCpuPercent"]);
    println!("  at half load      {:>10} messages/s", report["halfLoadMessagesPerSecond"]);
    println!("    median delay    {:>10} ms", report["p50Ms"]);
    println!("    p99 delay       {:>10} ms", report["p99Ms"]);
    println!("  idle socket       {:>10} bytes of resident memory", report["bytesPerIdleSocket"]);
}

async fn measure(duration: Duration) -> anyhow::Result<Value> {
    let data = TempDir::new()?;
    let (server, pinned) = start(&data).await?;
    let idle = idle_memory(&server).await?;
    // A fresh process: the memory part leaves its arenas behind.
    drop(server);
    let (server, _) = start(&data).await?;
    let mut pairs = Vec::new();
    for n in 0..PAIRS {
        pairs.push(pair(&server, n).await?);
    }
    let (pairs, _) = run(pairs, Duration::from_secs(1), Pace::Flood).await?;
    let cpu_before = server.cpu_seconds()?;
    let started = Instant::now();
    let (pairs, flood) = run(pairs, duration, Pace::Flood).await?;
    let cpu = (server.cpu_seconds()? - cpu_before) / started.elapsed().as_secs_f64();
    let per_second = flood.count as f64 / flood.elapsed.as_secs_f64();
    let (_, half) = run(pairs, duration, Pace::PerSecond(per_second / 2.0)).await?;
    let mut delays = half.delays;
    delays.sort_unstable();
    Ok(json!({
        "messageBytes": MESSAGE_BYTES,
        "pinned": pinned,
        "clients": PAIRS * 2,
        "messagesPerSecond": per_second.round(),
        "serverCpuPercent": (cpu * 100.0).round(),
        "halfLoadMessagesPerSecond": (half.count as f64 / half.elapsed.as_secs_f64()).round(),
        "p50Ms": quantile(&delays, 0.5),
        "p99Ms": quantile(&delays, 0.99),
        "idleSockets": IDLE,
        "bytesPerIdleSocket": idle,
    }))
}

/// Starts the server on one core, if that can be had; says how.
async fn start(data: &TempDir) -> anyhow::Result<(Server, &'static str)> {
    let has_taskset = Command::new("taskset").arg("--version").output().await.is_ok();
    let (mut command, pinned) = if has_taskset {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(binary()?);
        (command, "pinned with taskset")
    } else {
        (Command::new(binary()?), "not pinned: there is no taskset")
    };
    command.args(["--listen=127.0.0.1:0", "--log-level=warn"]).args(LIMITS);
    Ok((Server::spawn(command, data.path()).await?, pinned))
}

/// Two clients in one room.
#[derive(Debug)]
struct Pair {
    clients: [(Client, String); 2],
}

async fn pair(server: &Server, n: u32) -> anyhow::Result<Pair> {
    let ids = [peer_id(2 * n), peer_id(2 * n + 1)];
    let mut host = Client::register(server, &ids[0]).await?;
    host.send(json!({"type": "create-room"})).await?;
    let room = host.expect("room-created").await?["roomId"].clone();
    let mut caller = Client::register(server, &ids[1]).await?;
    caller.send(json!({"type": "join-room", "roomId": room})).await?;
    caller.expect("room-joined").await?;
    host.expect("peer-joined").await?;
    let messages = [message(&ids[0], &ids[1], 0), message(&ids[1], &ids[0], 1)];
    let [first, second] = messages;
    Ok(Pair { clients: [(host, first), (caller, second)] })
}

/// A message of [`MESSAGE_BYTES`] with a number at its end that can be set in place.
fn message(from: &str, to: &str, kind: u32) -> String {
    let build = |padding: usize| {
        let padding = "a=x\\r\\n".repeat(padding.div_ceil(7));
        if kind == 0 {
            format!(
                r#"{{"type":"offer","from":"{from}","to":"{to}","sdp":"{padding}","generation":65537,"offerId":1}}"#
            )
        } else {
            let lines = r#"{"candidate":"candidate:1 1 udp 2122260223 192.0.2.1 56143 typ host generation 0 ufrag abcd network-id 1","sdpMid":"0","sdpMLineIndex":0},"#;
            let lines = lines.repeat(padding.len().div_ceil(lines.len()));
            let lines = lines.trim_end_matches(',');
            format!(
                r#"{{"type":"ice-candidates","from":"{from}","to":"{to}","generation":65537,"offerId":1,"candidates":[{lines}]}}"#
            )
        }
    };
    let mut text = build(0);
    let mut padding = 0;
    while text.len() < MESSAGE_BYTES {
        padding += 7;
        text = build(padding);
    }
    text
}

/// How fast the clients send.
#[derive(Debug, Clone, Copy)]
enum Pace {
    /// As fast as answers come: each message that arrives lets the next one go.
    Flood,
    /// So many a second, all clients together.
    PerSecond(f64),
}

#[derive(Debug, Default)]
struct Outcome {
    count: u64,
    elapsed: Duration,
    /// Microseconds from send to arrival.
    delays: Vec<u64>,
}

async fn run(
    pairs: Vec<Pair>,
    duration: Duration,
    pace: Pace,
) -> anyhow::Result<(Vec<Pair>, Outcome)> {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for pair in pairs {
        tasks.spawn(async move {
            match pace {
                Pace::Flood => flood(pair, duration).await,
                Pace::PerSecond(rate) => paced(pair, duration, rate / f64::from(PAIRS)).await,
            }
        });
    }
    let mut pairs = Vec::new();
    let mut total = Outcome::default();
    while let Some(result) = tasks.join_next().await {
        let (pair, outcome) = result??;
        pairs.push(pair);
        total.count += outcome.count;
        total.delays.extend(outcome.delays);
    }
    total.elapsed = started.elapsed();
    Ok((pairs, total))
}

/// Both clients keep [`WINDOW`] messages on their way, in half-window bursts.
async fn flood(mut pair: Pair, duration: Duration) -> anyhow::Result<(Pair, Outcome)> {
    let mut outcome = Outcome::default();
    let started = Instant::now();
    let [(a, to_b), (b, to_a)] = &mut pair.clients;
    for _ in 0..WINDOW {
        a.feed(to_b).await?;
        b.feed(to_a).await?;
    }
    a.flush().await?;
    b.flush().await?;
    let burst = WINDOW / 2;
    loop {
        for _ in 0..burst {
            b.next_text().await.map_err(closed)?;
            a.next_text().await.map_err(closed)?;
        }
        outcome.count += u64::from(2 * burst);
        if started.elapsed() >= duration {
            break;
        }
        for _ in 0..burst {
            a.feed(to_b).await?;
            b.feed(to_a).await?;
        }
        a.flush().await?;
        b.flush().await?;
    }
    for _ in 0..WINDOW - burst {
        b.next_text().await.map_err(closed)?;
        a.next_text().await.map_err(closed)?;
    }
    outcome.count += u64::from(2 * (WINDOW - burst));
    Ok((pair, outcome))
}

/// Small volleys on a fixed schedule, so that a slow answer does not slow the sender.
async fn paced(mut pair: Pair, duration: Duration, rate: f64) -> anyhow::Result<(Pair, Outcome)> {
    const VOLLEY: u32 = 4;
    let mut outcome = Outcome::default();
    let step = Duration::from_secs_f64(f64::from(2 * VOLLEY) / rate);
    let started = Instant::now();
    let mut due = started;
    let [(a, to_b), (b, to_a)] = &mut pair.clients;
    while started.elapsed() < duration {
        tokio::time::sleep_until(due.into()).await;
        // The delay counts from when a volley was due, or waiting would hide it; a
        // sleep that ends late is this program's and not the server's.
        let sent = Instant::now();
        due = (due + step).max(sent - step);
        for _ in 0..VOLLEY {
            a.feed(to_b).await?;
            b.feed(to_a).await?;
        }
        a.flush().await?;
        b.flush().await?;
        for _ in 0..VOLLEY {
            b.next_text().await.map_err(closed)?;
            outcome.delays.push(micros(sent.elapsed()));
            a.next_text().await.map_err(closed)?;
            outcome.delays.push(micros(sent.elapsed()));
        }
        outcome.count += u64::from(2 * VOLLEY);
    }
    Ok((pair, outcome))
}

fn closed(closed: openstudio_e2e::Closed) -> anyhow::Error {
    anyhow::anyhow!("the server closed a socket: {closed:?}")
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Returns a quantile of sorted microseconds, in milliseconds.
fn quantile(sorted: &[u64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * q).round() as usize;
    sorted.get(at).map_or(0.0, |micros| *micros as f64 / 1000.0)
}

/// Returns how much resident memory one more registered socket takes.
async fn idle_memory(server: &Server) -> anyhow::Result<u64> {
    // The first few pay for what all share.
    let mut sockets = Vec::new();
    for n in 0..50 {
        sockets.push(Client::register(server, &peer_id(1_000_000 + n)).await?);
    }
    let before = server.resident_bytes()?;
    for n in 0..IDLE {
        sockets.push(Client::register(server, &peer_id(2_000_000 + n)).await?);
    }
    let after = server.resident_bytes()?;
    Ok(after.saturating_sub(before) / u64::from(IDLE))
}
