//! The programme to a stand-in for an Icecast server.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Tone, assert_tone, hear};
use openstudio_cast::{Cast, CastConfig, Destination, IcecastConfig, Kind, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// No test waits for longer.
const LIMIT: Duration = Duration::from_secs(20);

fn cast(url: &str) -> Cast {
    let mut config = CastConfig::new("Radio\r\nProbe");
    config.title = "First".to_owned();
    config.icecast = Some(IcecastConfig::new(url, "source", "hackme").unwrap());
    Cast::start(config).unwrap()
}

fn cast_to(address: SocketAddr) -> Cast {
    cast(&format!("http://{address}/live"))
}

fn told(cast: &Cast) -> Destination {
    cast.air().status().destinations.remove(0)
}

/// Takes a connection and the request on it, and answers.
async fn accept(listener: &TcpListener, answer: &[u8]) -> (TcpStream, String) {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(socket.read_u8().await.unwrap());
    }
    socket.write_all(answer).await.unwrap();
    (socket, String::from_utf8(request).unwrap())
}

#[tokio::test]
async fn a_server_gets_the_programme_from_its_headers_to_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut cast = cast_to(listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, request) = accept(&listener, CONTINUE).await;
        let mut all = Vec::new();
        socket.read_to_end(&mut all).await.unwrap();
        (request, all)
    });
    let mut sound = Tone::new();
    let air = cast.air();
    let on_air = || air.status().destinations[0].state == State::OnAir;
    sound.until(&mut cast, LIMIT, on_air).await;
    sound.play(&mut cast, Duration::from_millis(1_500)).await;
    cast.set_title("Second");
    sound.play(&mut cast, Duration::from_secs(2)).await;
    assert_eq!(told(&cast).kind, Kind::Icecast);
    // It is no listener of ours.
    assert_eq!(cast.air().status().listeners, 0);
    cast.finish().await;

    let (request, all) = server.await.unwrap();
    assert!(request.starts_with("PUT /live HTTP/1.1\r\n"));
    assert!(request.contains("\r\nAuthorization: Basic c291cmNlOmhhY2ttZQ==\r\n"));
    assert!(request.contains("\r\nIce-Name: Radio Probe\r\n"));
    assert!(request.contains("\r\nExpect: 100-continue\r\n"));
    let status = air.status();
    assert_eq!(status.destinations[0].bytes as usize, all.len());
    assert_eq!(status.destinations[0].state, State::Ended);
    let streams = hear(&all);
    let titles: Vec<_> = streams.iter().map(|heard| heard.title()).collect();
    assert_eq!(titles, ["First", "Second"]);
    assert!(streams.iter().all(|heard| heard.ended));
    assert_tone(&streams[1].sound);
}

#[tokio::test]
async fn a_wrong_password_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut cast = cast_to(listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        accept(&listener, b"HTTP/1.0 401 Authentication Required\r\n\r\n").await;
        listener
    });
    let air = cast.air();
    let failed = || air.status().destinations[0].state == State::Failed;
    Tone::new().until(&mut cast, LIMIT, failed).await;
    assert!(told(&cast).words.contains("refuses user or password"), "{}", told(&cast).words);
    drop(server.await.unwrap());
}

#[tokio::test]
async fn a_mount_in_use_is_told_and_taken_when_it_is_free() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut cast = cast_to(listener.local_addr().unwrap());
    let air = cast.air();
    let server = tokio::spawn(async move {
        let refusal = b"HTTP/1.0 403 Forbidden\r\nContent-Type: text/html\r\n\r\n\
                        <html><body>Mountpoint in use</body></html>";
        drop(accept(&listener, refusal).await);
        let second = accept(&listener, b"").await.0;
        let words = air.status().destinations[0].words.clone();
        let mut socket = second;
        socket.write_all(CONTINUE).await.unwrap();
        let mut head = [0; 4];
        socket.read_exact(&mut head).await.unwrap();
        (words, head)
    });
    Tone::new().until(&mut cast, LIMIT, || server.is_finished()).await;
    let (words, head) = server.await.unwrap();
    assert!(words.contains("Somebody else streams to /live"), "{words}");
    assert_eq!(&head, b"OggS");
}

#[tokio::test]
async fn a_server_that_was_away_is_found_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut cast = cast_to(address);
    let air = cast.air();
    let state = || air.status().destinations[0].state;
    let mut sound = Tone::new();
    let server = tokio::spawn(async move {
        let socket = accept(&listener, CONTINUE).await.0;
        (listener, socket)
    });
    sound.until(&mut cast, LIMIT, || state() == State::OnAir).await;
    sound.play(&mut cast, Duration::from_millis(500)).await;

    // It goes, and the connection with it: that is noticed at once.
    drop(server.await.unwrap());
    sound.until(&mut cast, LIMIT, || state() == State::Retrying).await;
    let refused = || air.status().destinations[0].words.contains("Nothing answers");
    sound.until(&mut cast, LIMIT, refused).await;
    sound.play(&mut cast, Duration::from_secs(4)).await;

    let listener = TcpListener::bind(address).await.unwrap();
    let server = tokio::spawn(async move {
        let mut socket = accept(&listener, CONTINUE).await.0;
        let mut all = vec![0; 16_000];
        socket.read_exact(&mut all).await.unwrap();
        all
    });
    sound.until(&mut cast, LIMIT, || state() == State::OnAir).await;
    sound.until(&mut cast, LIMIT, || server.is_finished()).await;
    // What it gets begins with the headers, and goes on where the programme is.
    let all = server.await.unwrap();
    assert_eq!(&all[..4], b"OggS");
    assert!(all.windows(8).any(|at| at == b"OpusTags"));
}

#[tokio::test]
async fn an_unknown_host_is_told() {
    let mut cast = cast("http://nowhere.invalid:8000/live");
    let air = cast.air();
    let retrying = || air.status().destinations[0].state == State::Retrying;
    Tone::new().until(&mut cast, LIMIT, retrying).await;
    let words = told(&cast).words;
    // A network without an answer to names is not told from a server without one.
    assert!(
        words.contains("no Icecast server called nowhere.invalid")
            || words.contains("cannot be reached"),
        "{words}"
    );
}
