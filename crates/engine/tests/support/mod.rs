//! A studio with an engine, and people in it.

pub(crate) mod sound;

use std::path::PathBuf;
use std::time::Duration;

use openstudio_engine::{Engine, EngineConfig};
use openstudio_peer::session::wire::{DisplayName, EngineState, Line};
use openstudio_peer::session::{Input, Order};
use openstudio_peer::{Link, Options, Participant, Snapshot, Source, Trust};
use openstudio_record::{Library, Summary};
use openstudio_server::{EngineLine, Server, ServerConfig};
use openstudio_units::RoomId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(20);

/// A studio with an engine, and a data folder of its own.
pub(crate) struct Studio {
    pub(crate) link: Link,
    pub(crate) line: EngineLine,
    engine: Engine,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
    data: PathBuf,
}

impl Studio {
    pub(crate) async fn open(name: &str) -> Self {
        let data =
            std::env::temp_dir().join(format!("openstudio-engine-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&data));
        Self::on(data, 0, Duration::from_secs(300)).await
    }

    /// Opens a studio whose engine has so much patience with a room that all have left.
    pub(crate) async fn on(data: PathBuf, port: u16, patience: Duration) -> Self {
        let mut config = ServerConfig::new(data.clone());
        config.listen.set_port(port);
        config.has_engine = true;
        let mut server = Server::bind(config).await.unwrap();
        let port = server.engine().unwrap();
        let line = port.line.clone();
        let config = EngineConfig { patience, ..EngineConfig::new(&data) };
        let engine = Engine::start(config, port).unwrap();
        let server = server.with_routes(engine.routes());
        let link = format!("http://{}/", server.local_addr()).parse().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            drop(stopped.await);
        }));
        Self { link, line, engine, stop, running, data }
    }

    /// Stops the studio, as a restart does. Returns what the next one needs.
    pub(crate) async fn shut(self) -> (PathBuf, u16) {
        self.engine.stop().await;
        drop(self.stop);
        self.running.await.unwrap();
        (self.data, self.line.address().port())
    }

    pub(crate) async fn close(self) {
        let (data, _) = self.shut().await;
        std::fs::remove_dir_all(data).unwrap();
    }

    pub(crate) fn library(&self) -> Library {
        Library::new(self.data.join("recordings"))
    }

    /// Asks for a page. Returns the whole answer, head and body.
    pub(crate) async fn get(&self, path: &str) -> Vec<u8> {
        let mut socket = self.ask(path).await;
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.unwrap().unwrap();
        answer
    }

    async fn ask(&self, path: &str) -> TcpStream {
        let mut socket = TcpStream::connect(self.line.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        socket
    }
}

pub(crate) fn hertz(index: u32) -> u32 {
    600 + 350 * index
}

async fn join(link: &Link, index: u32) -> Participant {
    let options = Options {
        link: link.clone(),
        trust: Trust::default(),
        name: Some(DisplayName::new(&format!("Native {index}")).unwrap()),
        source: Source::tone(hertz(index)),
        listens_only: false,
        sends_redundancy: true,
        relay_only: false,
        lose: 0,
        record: None,
    };
    Participant::start(options).await.unwrap()
}

pub(crate) async fn until(
    participant: &Participant,
    what: &str,
    holds: impl Fn(&Snapshot) -> bool,
) -> Snapshot {
    let mut snapshot = participant.snapshot();
    match tokio::time::timeout(PATIENCE, snapshot.wait_for(|now| holds(now))).await {
        Ok(reached) => reached.unwrap().clone(),
        Err(_) => panic!("{what} was not reached: {:#?}", participant.snapshot().borrow()),
    }
}

/// A host and callers who hear each other.
pub(crate) async fn room(studio: &Studio, count: u32) -> (RoomId, Vec<Participant>) {
    let host = join(&studio.link, 0).await;
    let (room, ..) = until(&host, "a seat", |now| now.seat.is_some()).await.seat.unwrap();
    let mut all = vec![host];
    for index in 1..count {
        all.push(join(&studio.link.to_room(room), index).await);
    }
    for participant in &all {
        until(participant, "everybody is heard", |now| {
            now.others.len() + 1 == usize::try_from(count).unwrap()
                && now.others.iter().all(|other| other.heard.is_audible())
        })
        .await;
    }
    (room, all)
}

pub(crate) fn order(host: &Participant, order: Order) {
    host.tell(Input::Order(order));
}

pub(crate) fn air(on: bool, title: &str) -> Order {
    Order::Air { on, title: Line::new(title).ok() }
}

/// Waits until a participant was told such a state of the engine.
pub(crate) async fn told(
    participant: &Participant,
    what: &str,
    holds: impl Fn(&EngineState) -> bool,
) -> EngineState {
    let reached = until(participant, what, |now| now.engine.as_ref().is_some_and(&holds)).await;
    reached.engine.unwrap()
}

/// Listens for so many seconds of sound, beginning now.
pub(crate) async fn listen(studio: &Studio, room: RoomId, seconds: usize) -> Vec<f32> {
    let mut socket = studio.ask(&format!("/listen/{room}.ogg")).await;
    let mut answer = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let read = tokio::time::timeout(PATIENCE, socket.read(&mut piece)).await.unwrap().unwrap();
        assert!(read > 0, "the stream ended: {}", text(&answer));
        answer.extend_from_slice(&piece[..read]);
        let samples = sound::decode(&sound::unchunked(&answer));
        if samples.len() >= seconds * 48_000 {
            return samples;
        }
    }
}

pub(crate) fn text(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).into_owned()
}

pub(crate) async fn leave(all: Vec<Participant>) {
    for participant in all {
        participant.leave().await;
    }
}

/// Waits until the newest recording of a room is complete.
pub(crate) async fn finished(library: &Library, room: RoomId) -> Summary {
    let looking = async {
        loop {
            let newest = library.list(Some(room)).unwrap().into_iter().next();
            if let Some(summary) = newest.filter(|summary| summary.finished) {
                return summary;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap()
}

/// Waits until a recording is deleted.
pub(crate) async fn gone(library: &Library, id: &str) {
    let looking = async {
        while library.file(id, "session.json").is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap();
}
