//! What is logged. A process of its own: what is logged elsewhere would disturb it.

mod common;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::Tone;
use openstudio_cast::{Cast, CastConfig, IcecastConfig, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_change_is_logged_once_and_without_the_password() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = CastConfig::new("Radio");
    let url = format!("http://{}/live", listener.local_addr().unwrap());
    config.icecast = Some(IcecastConfig::new(&url, "source", "geheim").unwrap());
    tracing::info!("{config:?}");
    let mut cast = Cast::start(config).unwrap();
    let server = tokio::spawn(async move {
        let answers = [
            "HTTP/1.0 403 Forbidden\r\n\r\nMountpoint in use",
            "HTTP/1.0 403 Forbidden\r\n\r\nMountpoint in use",
            "HTTP/1.0 403 Forbidden\r\n\r\nMountpoint in use",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.0 401 Authentication Required\r\n\r\n",
        ];
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(socket.read_u8().await.unwrap());
            }
            socket.write_all(answer.as_bytes()).await.unwrap();
            if answer.contains("100") {
                socket.read_exact(&mut [0; 8_000]).await.unwrap();
            }
        }
    });
    let air = cast.air();
    let failed = || air.status().destinations[0].state == State::Failed;
    Tone::new().until(&mut cast, Duration::from_secs(30), failed).await;
    server.await.unwrap();
    cast.finish().await;

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for (words, times) in [
        ("WARN", 3),
        ("Somebody else streams to /live", 1),
        ("On air", 1),
        ("has closed the connection", 1),
        ("refuses user or password", 1),
        ("geheim", 0),
        ("c291cmNlOmdlaGVpbQ", 0),
    ] {
        assert_eq!(log.matches(words).count(), times, "{words}: {log}");
    }
}
