//! Native participants in a real room: a real server, real sockets on this machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop at the first thing that is wrong"
)]

mod support;

use openstudio_peer::session::mesh::ConnectionState;
use openstudio_peer::session::{EndReason, Input, mesh};
use support::{Studio, all_hear_all, join, room, until};

/// Packets of 100 ms: as much as a busy machine may take. Without a path for a moment it would
/// be seconds.
const GAP_PACKETS: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seven_who_leave_at_once_keep_no_seat() {
    let studio = Studio::open("leave").await;
    let mut all = room(&studio, 8).await;
    for participant in &all {
        until(participant, "seven others", |now| now.others.len() == 7).await;
    }
    let mut leaving = tokio::task::JoinSet::new();
    for participant in all.drain(1..) {
        leaving.spawn(participant.leave());
    }
    leaving.join_all().await;
    until(&all[0], "nobody else", |now| now.others.is_empty()).await;
    drop(all);
    studio.close().await;
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
