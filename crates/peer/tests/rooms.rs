//! Native participants in a real room: a real server, real sockets on this machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop at the first thing that is wrong"
)]

use std::time::Duration;

use openstudio_peer::session::mesh::ConnectionState;
use openstudio_peer::session::wire::DisplayName;
use openstudio_peer::session::{EndReason, Input, mesh};
use openstudio_peer::{Link, Options, Participant, Snapshot, Source, Trust};
use openstudio_server::{Server, ServerConfig};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(20);

/// What is torn by a busy machine is a little off; tones are 350 Hz apart.
const NEAREST_HZ: f32 = 100.0;

/// Packets of 100 ms: as much as a busy machine may take. Without a path for a moment it would
/// be seconds.
const GAP_PACKETS: u64 = 5;

/// A server with a data folder of its own.
struct Studio {
    link: Link,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
    data: std::path::PathBuf,
}

impl Studio {
    async fn open(name: &str) -> Self {
        let data =
            std::env::temp_dir().join(format!("openstudio-peer-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&data).unwrap();
        let mut config = ServerConfig::new(data.clone());
        config.listen.set_port(0);
        let server = Server::bind(config).await.unwrap();
        let link = format!("http://{}/", server.local_addr()).parse().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            drop(stopped.await);
        }));
        Self { link, stop: Some(stop), running, data }
    }

    async fn close(mut self) {
        drop(self.stop.take());
        self.running.await.unwrap();
        std::fs::remove_dir_all(&self.data).unwrap();
    }
}

fn hertz(index: u32) -> u32 {
    600 + 350 * index
}

async fn join(link: &Link, index: u32) -> Participant {
    let name = DisplayName::new(&format!("Native {index}")).unwrap();
    let options = Options {
        link: link.clone(),
        trust: Trust::default(),
        name: Some(name),
        source: Source::tone(hertz(index)),
        listens_only: false,
        sends_redundancy: true,
        lose: 0,
        record: None,
    };
    Participant::start(options).await.unwrap()
}

/// Waits until a participant is as it should be.
async fn until(
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
async fn room(studio: &Studio, count: u32) -> Vec<Participant> {
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
fn tones(snapshot: &Snapshot) -> Vec<u32> {
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

async fn all_hear_all(all: &[Participant]) {
    for (index, participant) in (0..).zip(all) {
        let others: Vec<u32> =
            (0..).map(hertz).take(all.len()).filter(|tone| *tone != hertz(index)).collect();
        until(participant, &format!("Native {index} hears {others:?}"), |now| tones(now) == others)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_hear_each_other() {
    let studio = Studio::open("eight").await;
    let all = room(&studio, 8).await;
    all_hear_all(&all).await;
    for participant in all {
        participant.leave().await;
    }
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_is_gone_and_who_comes_back_is_heard() {
    let studio = Studio::open("leaving").await;
    let mut all = room(&studio, 3).await;
    all_hear_all(&all).await;
    let room = all[0].snapshot().borrow().seat.unwrap().0;
    all.pop().unwrap().leave().await;
    until(&all[0], "one is left", |now| now.others.len() == 1).await;
    all.push(join(&studio.link.to_room(room), 2).await);
    all_hear_all(&all).await;
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_mutes_themselves_is_silent_and_still_connected() {
    let studio = Studio::open("mute").await;
    let all = room(&studio, 2).await;
    all_hear_all(&all).await;
    all[1].tell(Input::SetMuted(true));
    let silent = until(&all[0], "silence", |now| !now.others[0].heard.is_audible()).await;
    assert_eq!(silent.others[0].state, Some(ConnectionState::Connected));
    all[1].tell(Input::SetMuted(false));
    all_hear_all(&all).await;
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_network_is_an_ice_restart_and_the_sound_goes_on() {
    let studio = Studio::open("network").await;
    let all = room(&studio, 2).await;
    all_hear_all(&all).await;
    for participant in [&all[0], &all[1]] {
        let before = participant.snapshot().borrow().others[0].packets;
        participant.tell(Input::Mesh(mesh::Input::NetworkChanged));
        let after = until(participant, "another second of sound, connected", |now| {
            let other = &now.others[0];
            other.packets.received > before.received + 50
                && other.state == Some(ConnectionState::Connected)
        })
        .await;
        let lost = after.others[0].packets.lost - before.lost;
        assert!(lost <= GAP_PACKETS, "{lost} packets were lost");
    }
    all_hear_all(&all).await;
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_is_not_there_ends_the_session_with_words() {
    let studio = Studio::open("nowhere").await;
    let nowhere = "00000000-0000-4000-8000-000000000001".parse().unwrap();
    let lost = join(&studio.link.to_room(nowhere), 0).await;
    let ended = until(&lost, "the end", |now| now.ended.is_some()).await.ended.unwrap();
    let EndReason::Refused { message, .. } = ended else { panic!("{ended:?}") };
    assert!(!message.is_empty());
    studio.close().await;
}
