//! Native participants that may use nothing but the relay of a real server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop at the first thing that is wrong"
)]

mod support;

use openstudio_peer::session::mesh::ConnectionState;
use openstudio_peer::{Options, Participant, Snapshot};
use openstudio_server::{RelayConfig, ServerConfig};
use support::{Studio, all_hear_all, options, tones, until};

fn with_relay(config: &mut ServerConfig) {
    config.relay = Some(RelayConfig::new("127.0.0.1:0".parse().unwrap()));
}

/// The same, where there is no IPv4.
fn with_relay_v6(config: &mut ServerConfig) {
    config.listen = "[::1]:0".parse().unwrap();
    config.relay = Some(RelayConfig::new(config.listen));
}

fn relayed(options: &mut Options) {
    options.relay_only = true;
}

fn relayed_by_tcp(options: &mut Options) {
    options.relay_only = true;
    options.lose = 100;
}

/// Starts a room of as many as there are changes of their options.
async fn room(studio: &Studio, changes: &[fn(&mut Options)]) -> Vec<Participant> {
    let mut link = studio.link.clone();
    let mut all: Vec<Participant> = Vec::new();
    for (index, change) in (0..).zip(changes) {
        let mut options = options(&link, index);
        change(&mut options);
        let participant = Participant::start(options).await.unwrap();
        let seated = until(&participant, "a seat", |now| now.seat.is_some()).await;
        link = studio.link.to_room(seated.seat.unwrap().0);
        all.push(participant);
    }
    all
}

async fn hear_each_other(name: &str, changes: &[fn(&mut Options)]) {
    hear_each_other_at(Studio::with(name, with_relay).await, changes).await;
}

async fn hear_each_other_at(studio: Studio, changes: &[fn(&mut Options)]) {
    let all = room(&studio, changes).await;
    all_hear_all(&all).await;
    for participant in all {
        participant.leave().await;
    }
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hear_each_other_through_the_relay_alone() {
    hear_each_other("relayed", &[relayed, relayed, relayed]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_needs_the_relay_hears_one_who_does_not_and_is_heard() {
    hear_each_other("half-relayed", &[relayed, |_| {}]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_all_datagrams_reaches_the_relay_by_tcp() {
    hear_each_other("relayed-tcp", &[relayed_by_tcp, relayed]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_of_ipv6_serves_by_udp_and_by_tcp() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        // Containers often have none.
        return;
    }
    let studio = Studio::with("relayed-v6", with_relay_v6).await;
    hear_each_other_at(studio, &[relayed, relayed_by_tcp]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_relay_who_needs_one_hears_nobody() {
    let studio = Studio::open("no-relay").await;
    let all = room(&studio, &[relayed, |_| {}]).await;
    let failing = |now: &Snapshot| {
        now.others.first().is_some_and(|other| other.state == Some(ConnectionState::Failed))
    };
    let failed = until(&all[0], "the first attempt has failed", failing).await;
    assert!(tones(&failed).is_empty(), "{failed:#?}");
    studio.close().await;
}
