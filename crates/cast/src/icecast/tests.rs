//! Servers that behave badly, with less patience than usual.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::chain::{Chain, Step};
use crate::status::{Destination, Kind};

/// A stream to a server, with pauses of some milliseconds.
struct Stream {
    air: Air,
    board: Arc<Board>,
    task: JoinHandle<()>,
}

impl Stream {
    fn to(address: SocketAddr) -> Self {
        let url = format!("http://{address}/live");
        let server = IcecastConfig::new(&url, IcecastConfig::USER, "geheim").unwrap();
        let board = Board::new(Kind::Icecast, server.address(), Icecast::first_words(&server));
        let board = Arc::new(board);
        let (_, begun) = Chain::begin("", "", "").unwrap();
        let air = Air::new(begun, vec![board.clone()]);
        let introduction =
            Introduction { station: String::new(), description: String::new(), bitrate: 64_000 };
        let short = Duration::from_millis(20);
        let patience = Patience {
            first_pause: short,
            longest_pause: short,
            refused_pause: short,
            connect: Duration::from_secs(10),
            answer: Duration::from_millis(200),
            write: Duration::from_millis(200),
            ..Patience::default()
        };
        let icecast =
            Icecast { server, introduction, air: air.clone(), board: board.clone(), patience };
        Self { air, board, task: tokio::spawn(icecast.run()) }
    }

    /// Waits until something is so.
    async fn until(&self, so: impl Fn(&Destination) -> bool) -> Destination {
        let wait = async {
            loop {
                let destination = self.board.read();
                if so(&destination) {
                    return destination;
                }
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(20), wait).await.expect("it did not come to be")
    }

    /// Ends the programme, and waits for the task.
    async fn end(self) {
        self.air.end(Bytes::new());
        timeout(Duration::from_secs(20), self.task).await.expect("it goes on").unwrap();
        assert_eq!(self.board.read().state, State::Ended);
    }
}

/// A port where nobody listens until the test does, on which little is buffered.
fn listener() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16_384).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket.listen(16).unwrap()
}

/// Takes a connection and the request on it.
async fn accept(listener: &TcpListener) -> TcpStream {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(socket.read_u8().await.unwrap());
    }
    socket
}

#[tokio::test]
async fn a_wrong_password_is_tried_again() {
    let listener = listener();
    let stream = Stream::to(listener.local_addr().unwrap());
    for _ in 0..5 {
        let mut socket = accept(&listener).await;
        socket.write_all(b"HTTP/1.0 401 Authentication Required\r\n\r\n").await.unwrap();
    }
    let told = stream.until(|told| told.state == State::Failed).await;
    assert!(told.words.contains("refuses user or password: correct them"), "{}", told.words);
    let mut socket = accept(&listener).await;
    socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
    stream.until(|told| told.state == State::OnAir).await;
    stream.end().await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_told() {
    let listener = listener();
    let stream = Stream::to(listener.local_addr().unwrap());
    let silent = accept(&listener).await;
    let told = stream.until(|told| told.state == State::Retrying).await;
    assert!(told.words.contains("does not answer"), "{}", told.words);
    drop(silent);
    stream.end().await;
}

#[tokio::test]
async fn what_is_no_icecast_is_told() {
    for strange in
        [&b"SSH-2.0-OpenSSH\r\n\r\n"[..], &[0xff; 100_000], b"HTTP/1.1 0x64 Continue\r\n\r\n"]
    {
        let listener = listener();
        let stream = Stream::to(listener.local_addr().unwrap());
        let mut socket = accept(&listener).await;
        // It hangs up on what is too long.
        drop(socket.write_all(strange).await);
        let told = stream.until(|told| told.state == State::Failed).await;
        assert!(told.words.contains("no Icecast server"), "{}", told.words);
        stream.end().await;
    }
}

#[tokio::test]
async fn a_refusal_without_end_is_cut() {
    let listener = listener();
    let stream = Stream::to(listener.local_addr().unwrap());
    let mut socket = accept(&listener).await;
    socket.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.unwrap();
    drop(socket.write_all(&b"no ".repeat(100_000)).await);
    let told = stream.until(|told| told.state == State::Failed).await;
    assert!(told.words.contains("status 403, “no no"), "{}", told.words);
    assert!(told.words.chars().count() < 500);
    stream.end().await;
}

#[tokio::test]
async fn a_server_that_takes_nothing_any_more_is_left() {
    let listener = listener();
    let stream = Stream::to(listener.local_addr().unwrap());
    let mut socket = accept(&listener).await;
    socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
    stream.until(|told| told.state == State::OnAir).await;
    // As much as is taken, and a little more.
    let page = Bytes::from(vec![0; 16_384]);
    let told = loop {
        stream.air.publish(Step { page: Some(page.clone()), begun: None });
        sleep(Duration::from_millis(2)).await;
        let told = stream.board.read();
        if told.state != State::OnAir {
            break told;
        }
        assert!(told.bytes < 10_000_000, "it is taken all the time");
    };
    assert_eq!(told.state, State::Retrying);
    assert!(told.words.contains("too slowly or not at all"), "{}", told.words);
    // Another connection is made, and it begins with the headers.
    let mut socket = accept(&listener).await;
    socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
    let mut head = [0; 4];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"OggS");
    stream.end().await;
}

#[tokio::test]
async fn the_end_is_not_held_up_by_a_pause_or_an_attempt() {
    let listener = listener();
    let mut stream = Stream::to(listener.local_addr().unwrap());
    // In the middle of an attempt.
    let silent = accept(&listener).await;
    stream.end().await;
    drop(silent);
    // In the middle of a pause.
    let address = listener.local_addr().unwrap();
    drop(listener);
    stream = Stream::to(address);
    let told = stream.until(|told| told.state == State::Retrying).await;
    assert!(told.words.contains("Nothing answers at 127.0.0.1"), "{}", told.words);
    stream.end().await;
}

#[test]
fn pauses_grow_up_to_a_limit() {
    let patience = Patience::default();
    let pauses: Vec<_> =
        [1, 2, 3, 4, 100, u32::MAX].map(|failures| patience.pause(failures).as_millis()).into();
    assert_eq!(pauses, [500, 1_000, 1_500, 1_500, 1_500, 1_500]);
}
