//! The program around the server: settings, pages, headers, failures to start.
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
use std::path::Path;
use std::process::Output;

use anyhow::Result;
use openstudio_e2e::{Client, Server, TempDir, binary, get, peer_id};
use serde_json::json;
use tokio::process::Command;

/// Runs the program to its end, with no settings but these.
async fn run(args: &[&str], env: &[(&str, &str)]) -> Result<(i32, String)> {
    let mut command = Command::new(binary()?);
    let Output { status, stderr, .. } =
        command.args(args).envs(env.iter().copied()).kill_on_drop(true).output().await?;
    Ok((status.code().unwrap_or(-1), String::from_utf8_lossy(&stderr).into_owned()))
}

/// Starts a server whose command is built by `with`, and returns its seats per room.
async fn seats(data: &Path, with: impl FnOnce(&mut Command)) -> Result<u64> {
    let mut command = Command::new(binary()?);
    command.arg("--listen=127.0.0.1:0");
    with(&mut command);
    let server = Server::spawn(command, data).await?;
    let mut host = Client::register(&server, &peer_id(0)).await?;
    host.send(json!({"type": "create-room"})).await?;
    let room = host.expect("room-created").await?["roomId"].clone();
    let mut seats = 1;
    loop {
        let mut client = Client::register(&server, &peer_id(seats)).await?;
        client.send(json!({"type": "join-room", "roomId": room})).await?;
        if client.next().await?["type"] == "error" {
            return Ok(seats.into());
        }
        seats += 1;
        // The seat is kept by the grace period.
        drop(client);
    }
}

#[tokio::test]
async fn a_flag_wins_over_the_environment_over_the_file_over_the_default() -> Result<()> {
    let data = TempDir::new()?;
    assert_eq!(seats(data.path(), |_| {}).await?, 15);
    fs::write(data.path().join("openstudio.toml"), "max-participants = 2\n")?;
    assert_eq!(seats(data.path(), |_| {}).await?, 2);
    let variable = |command: &mut Command| {
        command.env("OPENSTUDIO_MAX_PARTICIPANTS", "3");
    };
    assert_eq!(seats(data.path(), variable).await?, 3);
    let flag = |command: &mut Command| {
        command.env("OPENSTUDIO_MAX_PARTICIPANTS", "3").arg("--max-participants=4");
    };
    assert_eq!(seats(data.path(), flag).await?, 4);
    let other = data.path().join("other.toml");
    fs::write(&other, "max-participants = 5\n")?;
    let file = |command: &mut Command| {
        command.arg("--config").arg(&other);
    };
    assert_eq!(seats(data.path(), file).await?, 5);
    Ok(())
}

#[tokio::test]
async fn what_keeps_the_program_from_starting_is_said_in_words() -> Result<()> {
    let data = TempDir::new()?;
    let dir = data.path().to_string_lossy().into_owned();
    let server = Server::start(data.path(), &[]).await?;
    let taken = format!("127.0.0.1:{}", server.port());
    let (code, words) = run(&["--data-dir", &dir, "--listen", &taken], &[]).await?;
    assert!(code == 1 && words.contains("in use") && words.contains("--listen"), "{words}");

    let (code, words) = run(&["--data-dir", "/dev/null/x"], &[]).await?;
    assert!(code == 1 && words.contains("/dev/null/x") && words.contains("--data-dir"), "{words}");

    fs::write(data.path().join("openstudio.toml"), "max-participant = 2\n")?;
    let (code, words) = run(&["--data-dir", &dir], &[]).await?;
    assert!(code == 1 && words.contains("max-participant") && words.contains("unknown"), "{words}");
    fs::remove_file(data.path().join("openstudio.toml"))?;

    let (code, words) = run(&["--config", "/nowhere.toml"], &[]).await?;
    assert!(code == 1 && words.contains("/nowhere.toml"), "{words}");

    let (code, words) = run(&[], &[("OPENSTUDIO_LISTEN", "nowhere")]).await?;
    assert!(code != 0 && words.contains("nowhere"), "{words}");

    fs::write(data.path().join("secret"), "tooshort")?;
    let (code, words) = run(&["--data-dir", &dir, "--listen=127.0.0.1:0"], &[]).await?;
    assert!(code == 1 && words.contains("secret") && words.contains("damaged"), "{words}");
    Ok(())
}

#[tokio::test]
async fn a_page_of_another_origin_gets_no_socket() -> Result<()> {
    let data = TempDir::new()?;
    let server = Server::start(data.path(), &["--allowed-origin=https://radio.example"]).await?;
    let own = format!("http://127.0.0.1:{}", server.port());
    for origin in [None, Some(own.as_str()), Some("https://radio.example")] {
        Client::open(&server.ws(), origin).await?.expect("welcome").await?;
    }
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let refused = Client::open(&server.ws(), Some(origin)).await.unwrap_err();
        assert!(format!("{refused:#}").contains("403"), "{origin}: {refused:#}");
    }
    Ok(())
}

#[tokio::test]
async fn every_answer_is_hardened() -> Result<()> {
    let data = TempDir::new()?;
    let server = Server::start(data.path(), &[]).await?;
    for path in ["/", "/health", "/metrics", "/nowhere", "/ws"] {
        let reply = get(&server, path, &[]).await?;
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"));
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-inline"));
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        assert_eq!(reply.header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(reply.header("cross-origin-resource-policy"), "same-origin");
        let permissions = reply.header("permissions-policy");
        assert!(permissions.contains("microphone=(self)") && permissions.contains("camera=()"));
    }
    let health = get(&server, "/health", &[]).await?;
    let health: serde_json::Value = serde_json::from_slice(&health.body)?;
    assert_eq!(health["status"], "ok");
    assert_eq!(get(&server, "/nowhere", &[]).await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn the_client_is_compressed_and_kept_by_its_hash() -> Result<()> {
    let data = TempDir::new()?;
    let web = data.path().join("web");
    fs::create_dir(&web)?;
    fs::write(web.join("index.html"), "<p>page</p>")?;
    fs::write(web.join("app-0123456789abcdef.js"), "plain")?;
    fs::write(web.join("app-0123456789abcdef.js.br"), "brotli")?;
    fs::write(web.join("app-0123456789abcdef.js.gz"), "gzip")?;
    fs::write(web.join("app-0123456789abcdef.wasm"), "wasm")?;
    let web = web.to_string_lossy().into_owned();
    let server = Server::start(data.path(), &["--web-dir", &web]).await?;
    let script = "/app-0123456789abcdef.js";
    for (accept, encoding, body) in [
        ("Accept-Encoding: gzip, deflate, br", "br", "brotli"),
        ("Accept-Encoding: gzip", "gzip", "gzip"),
        ("Accept-Encoding: br;q=0, gzip;q=0", "", "plain"),
        ("Accept: */*", "", "plain"),
    ] {
        let reply = get(&server, script, &[accept]).await?;
        assert_eq!(reply.header("content-encoding"), encoding, "{accept}");
        assert_eq!(reply.body, body.as_bytes());
        assert_eq!(reply.header("vary"), "accept-encoding");
        assert_eq!(reply.header("cache-control"), "public, max-age=31536000, immutable");
        assert!(reply.header("content-type").starts_with("text/javascript"));
    }
    let wasm = get(&server, "/app-0123456789abcdef.wasm", &[]).await?;
    assert_eq!(wasm.header("content-type"), "application/wasm");
    let page = get(&server, "/", &[]).await?;
    assert_eq!(page.header("cache-control"), "no-cache");
    let known = format!("If-None-Match: {}", page.header("etag"));
    assert_eq!(get(&server, "/", &[&known]).await?.status, 304);
    for path in ["/../secret", "/%2e%2e/secret", "/..", "//"] {
        assert_eq!(get(&server, path, &[]).await?.status, 404, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn stun_and_turn_servers_reach_the_participants() -> Result<()> {
    let data = TempDir::new()?;
    fs::write(
        data.path().join("openstudio.toml"),
        "[[turn]]\nurls = ['turn:t.example:3478']\nusername = 'u'\ncredential = 'c'\n",
    )?;
    let server = Server::start(data.path(), &["--stun=stun:s.example:3478"]).await?;
    let mut host = Client::register(&server, &peer_id(0)).await?;
    host.send(json!({"type": "create-room"})).await?;
    let ice = json!({
        "stun": ["stun:s.example:3478"],
        "turn": [{"urls": ["turn:t.example:3478"], "username": "u", "credential": "c"}],
    });
    assert_eq!(host.expect("room-created").await?["ice"], ice);
    Ok(())
}

#[tokio::test]
async fn the_log_names_nobody() -> Result<()> {
    let data = TempDir::new()?;
    let log = data.path().join("log");
    let mut command = Command::new(binary()?);
    command.args(["--listen=127.0.0.1:0", "--log-format=json"]).stderr(fs::File::create(&log)?);
    let server = Server::spawn(command, data.path()).await?;
    let mut host = Client::register(&server, &peer_id(0)).await?;
    host.send(json!({"type": "create-or-join-room", "name": "Ada Lovelace"})).await?;
    let created = host.expect("room-created").await?;
    host.send(json!({"type": "end-room"})).await?;
    host.closed().await?;
    server.terminate().await?;
    assert_eq!(server.wait().await?, Some(0));
    let log = fs::read_to_string(log)?;
    assert!(log.lines().count() > 1);
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line)?;
    }
    let [room, token] = ["roomId", "token"].map(|key| created[key].as_str().unwrap().to_owned());
    for private in ["Ada", "127.0.0.1", &peer_id(0), &room, &token] {
        assert!(!log.contains(private), "{private} in {log}");
    }
    Ok(())
}
