//! The studio's engine with eleven people in the room, recording and on air; then with a
//! thousand listeners: processor time and memory of the server's process, and whether anybody's
//! stream ran dry.
//!
//!     cargo xtask bench engine [--json]

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use openstudio_e2e::{Client, Server, TempDir, binary, peer_id, print};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

/// Voices in the room.
const VOICES: u32 = 11;

/// Those who listen at last.
const LISTENERS: usize = 1_000;

/// For how long each part is measured.
const PART: Duration = Duration::from_secs(20);

/// Pages have 200 ms. Who has got no sound for this long, though 1.6 s came at once at the
/// beginning, has heard a gap.
const DRY: Duration = Duration::from_millis(1_600);

/// The limits for one address are not what is measured.
const LIMITS: [&str; 3] =
    ["--address-connections=4000", "--address-sockets=100", "--address-connects-per-second=1000"];

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(measure())?;
    print(&report, as_text);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is its output")]
fn as_text(report: &Value) {
    println!("engine with {VOICES} voices, {} s each", PART.as_secs());
    for (name, part) in [
        ("nobody wants anything", "idle"),
        ("recording", "recording"),
        ("recording and on air", "onAir"),
        ("and with 1,000 listeners", "listeners"),
    ] {
        let part = &report[part];
        println!("  {name:26} {:>6} % of a core {:>8} MiB", part["cpuPercent"], part["mebibytes"]);
    }
    println!(
        "  listeners: {} streams ran dry, the longest wait was {} ms",
        report["dry"], report["longestWaitMs"]
    );
}

async fn measure() -> anyhow::Result<Value> {
    let data = TempDir::new()?;
    let mut command = Command::new(binary()?);
    command.args(["serve", "--listen=127.0.0.1:0", "--log-level=warn"]).args(LIMITS);
    let server = Server::spawn(command, data.path()).await?;
    let mut host = Client::register(&server, &peer_id(0)).await?;
    host.send(json!({"type": "create-room"})).await?;
    let room = host.expect("room-created").await?["roomId"].as_str().context("no room")?.to_owned();
    let _voices = voices(&server, &room)?;
    wait(&mut host, "everybody is there", {
        let mut there = 0;
        move |message| {
            there += u32::from(message["type"] == "peer-joined");
            there == VOICES
        }
    })
    .await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle = part(&server).await?;
    host.send(json!({"type": "record", "on": true})).await?;
    wait(&mut host, "it records", |message| !message["recording"].is_null()).await?;
    let (recording, mut host) = beside(&server, host).await?;
    host.send(json!({"type": "air", "on": true, "title": "Bench"})).await?;
    wait(&mut host, "it is on air", |message| !message["air"].is_null()).await?;
    let (on_air, host) = beside(&server, host).await?;
    let mut streams = JoinSet::new();
    let until = Instant::now() + Duration::from_secs(4) + PART;
    for _ in 0..LISTENERS {
        streams.spawn(listen(server.port(), room.clone(), until));
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (listeners, _host) = beside(&server, host).await?;
    let mut waits = Vec::new();
    while let Some(longest) = streams.join_next().await {
        waits.push(longest??);
    }
    let longest = waits.iter().max().copied().unwrap_or_default();
    Ok(json!({
        "voices": VOICES,
        "idle": idle,
        "recording": recording,
        "onAir": on_air,
        "listeners": listeners,
        "listening": waits.len(),
        "dry": waits.iter().filter(|wait| **wait > DRY).count(),
        "longestWaitMs": longest.as_millis(),
    }))
}

/// Starts the voices, in a process of their own.
fn voices(server: &Server, room: &str) -> anyhow::Result<Child> {
    let link = format!("http://127.0.0.1:{}/#{room}", server.port());
    let mut command = Command::new(binary()?);
    command.args(["join", &link, "--count", &VOICES.to_string(), "--tone", "600"]);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    Ok(command.kill_on_drop(true).spawn()?)
}

/// Reads until a message is as it should be.
async fn wait(
    client: &mut Client,
    what: &str,
    mut holds: impl FnMut(&Value) -> bool,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < openstudio_e2e::PATIENCE {
        if holds(&client.next().await?) {
            return Ok(());
        }
    }
    bail!("{what}: not reached")
}

/// Measures a part, while a client goes on reading.
async fn beside(server: &Server, mut client: Client) -> anyhow::Result<(Value, Client)> {
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let reading = tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = &mut stopped => return client,
                text = client.next_text() => if text.is_err() { return client },
            }
        }
    });
    let measured = part(server).await;
    drop(stop);
    Ok((measured?, reading.await?))
}

async fn part(server: &Server) -> anyhow::Result<Value> {
    let (begun, before) = (Instant::now(), server.cpu_seconds()?);
    tokio::time::sleep(PART).await;
    let share = (server.cpu_seconds()? - before) / begun.elapsed().as_secs_f64();
    let tenth = |value: f64| (value * 10.0).round() / 10.0;
    let mebibytes = server.resident_bytes()? as f64 / f64::from(1 << 20);
    Ok(json!({ "cpuPercent": tenth(share * 100.0), "mebibytes": tenth(mebibytes) }))
}

/// Listens. Returns the longest time for which nothing came.
async fn listen(port: u16, room: String, until: Instant) -> anyhow::Result<Duration> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET /listen/{room}.ogg HTTP/1.1\r\nHost: x\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut piece = vec![0; 16 * 1_024];
    let (mut longest, mut last, mut first) = (Duration::ZERO, Instant::now(), true);
    while Instant::now() < until {
        let read = socket.read(&mut piece).await?;
        if read == 0 {
            bail!("a stream ended");
        }
        if first && !piece.starts_with(b"HTTP/1.1 200") {
            bail!("a listener was refused");
        }
        if !first {
            longest = longest.max(last.elapsed());
        }
        (last, first) = (Instant::now(), false);
    }
    Ok(longest)
}
