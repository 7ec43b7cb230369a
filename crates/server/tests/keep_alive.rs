//! Sockets that are silent: asked with a ping, and dropped when they do not answer.
//! Requests that are too large: refused, and no trouble to others.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::time::Duration;

use openstudio_server::{Server, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// The first byte of a final ping frame (RFC 6455 §5.2).
const PING: u8 = 0x89;

fn config(name: &str) -> (ServerConfig, PathBuf) {
    let dir = std::env::temp_dir().join(format!("openstudio-{name}-{}", std::process::id()));
    let mut config = ServerConfig::new(dir.clone());
    config.listen = "127.0.0.1:0".parse().unwrap();
    (config, dir)
}

#[tokio::test]
async fn a_socket_that_answers_no_ping_is_dropped() {
    let (mut config, dir) = config("silent");
    config.ping_interval = Duration::from_millis(50);
    config.silence_timeout = Duration::from_millis(200);
    let server = Server::bind(config).await.unwrap();
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move { drop(stopped.await) }));

    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut received)).await.unwrap().unwrap();
    assert!(received.starts_with(b"HTTP/1.1 101"));
    // An empty ping is its first byte and a zero.
    assert!(received.windows(2).any(|frame| frame == [PING, 0]), "it was asked first");

    stop.send(()).unwrap();
    timeout(PATIENCE, running).await.unwrap().unwrap();
    let _ = std::fs::remove_dir_all(dir);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_and_others_are_served() {
    let (config, dir) = config("head");
    let server = Server::bind(config).await.unwrap();
    let address = server.local_addr();
    let running = tokio::spawn(server.run(std::future::pending()));
    for (padding, status) in [(20 * 1024, "431"), (1024, "200")] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let padding = "x".repeat(padding);
        let request =
            format!("GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: {padding}\r\n\r\n");
        let _ = stream.write_all(request.as_bytes()).await;
        let mut received = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut received)).await.unwrap();
        let head = String::from_utf8_lossy(&received);
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head:.100}");
    }
    running.abort();
    let _ = std::fs::remove_dir_all(dir);
}
