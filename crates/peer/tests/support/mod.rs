//! Native participants at a real server, over real sockets on this machine.
#![allow(dead_code, unreachable_pub, reason = "each test needs a part")]

use std::time::Duration;

use openstudio_peer::session::wire::DisplayName;
use openstudio_peer::{Link, Options, Participant, Snapshot, Source, Trust};
use openstudio_server::{Server, ServerConfig};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(20);

/// What is torn by a busy machine is a little off; tones are 350 Hz apart.
const NEAREST_HZ: f32 = 100.0;

/// A server with a data folder of its own.
pub struct Studio {
    pub link: Link,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
    data: std::path::PathBuf,
}

impl Studio {
    pub async fn open(name: &str) -> Self {
        Self::with(name, |_| {}).await
    }

    pub async fn with(name: &str, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let data =
            std::env::temp_dir().join(format!("openstudio-peer-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&data).unwrap();
        let mut config = ServerConfig::new(data.clone());
        config.listen.set_port(0);
        change(&mut config);
        let server = Server::bind(config).await.unwrap();
        let link = format!("http://{}/", server.local_addr()).parse().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            drop(stopped.await);
        }));
        Self { link, stop: Some(stop), running, data }
    }

    pub async fn close(mut self) {
        drop(self.stop.take());
        self.running.await.unwrap();
        std::fs::remove_dir_all(&self.data).unwrap();
    }
}

pub fn hertz(index: u32) -> u32 {
    600 + 350 * index
}

pub async fn join(link: &Link, index: u32) -> Participant {
    Participant::start(options(link, index)).await.unwrap()
}

/// What a participant is started with.
pub fn options(link: &Link, index: u32) -> Options {
    let name = DisplayName::new(&format!("Native {index}")).unwrap();
    Options {
        link: link.clone(),
        trust: Trust::default(),
        name: Some(name),
        source: Source::tone(hertz(index)),
        listens_only: false,
        sends_redundancy: true,
        relay_only: false,
        lose: 0,
        record: None,
    }
}

/// Waits until a participant is as it should be.
pub async fn until(
    participant: &Participant,
    what: &str,
    holds: impl Fn(&Snapshot) -> bool,
) -> Snapshot {
    let mut snapshot: watch::Receiver<Snapshot> = participant.snapshot();
    let waited = tokio::time::timeout(PATIENCE, snapshot.wait_for(|now| holds(now))).await;
    match waited {
        Ok(reached) => reached.unwrap().clone(),
        Err(_) => panic!("{what} was not reached: {:#?}", participant.snapshot().borrow()),
    }
}

/// Starts a room of `count`.
pub async fn room(studio: &Studio, count: u32) -> Vec<Participant> {
    let host = join(&studio.link, 0).await;
    let seated = until(&host, "a seat", |now| now.seat.is_some()).await;
    let link = studio.link.to_room(seated.seat.unwrap().0);
    let mut all = vec![host];
    for index in 1..count {
        all.push(join(&link, index).await);
    }
    all
}

/// Which tones a snapshot hears, in order: of whoever is audible, the latest that was steady. A
/// busy machine tears tones.
pub fn tones(snapshot: &Snapshot) -> Vec<u32> {
    let mut tones: Vec<u32> = snapshot
        .others
        .iter()
        .filter(|other| other.heard.is_audible())
        .filter_map(|other| other.tone)
        .filter_map(|found| {
            (0..16).map(hertz).find(|tone| (found - *tone as f32).abs() < NEAREST_HZ)
        })
        .collect();
    tones.sort_unstable();
    tones
}

pub async fn all_hear_all(all: &[Participant]) {
    for (index, participant) in (0..).zip(all) {
        let others: Vec<u32> =
            (0..).map(hertz).take(all.len()).filter(|tone| *tone != hertz(index)).collect();
        until(participant, &format!("Native {index} hears {others:?}"), |now| tones(now) == others)
            .await;
    }
}
