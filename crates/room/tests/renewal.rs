//! Credentials for relays are renewed while a socket is there, in time and not all at once.
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

mod support;

use std::time::Duration;

use openstudio_room::{ConnId, DeadlineReason, RoomConfig};
use openstudio_units::PeerId;
use openstudio_wire::{ClientMessage, IceConfig, ServerMessage};
use support::{Hall, ListedTokens, name, peer};

/// How long credentials live, and by when they are renewed.
const LIFE: Duration = Duration::from_secs(300);
const LATEST: Duration = Duration::from_secs(225);

fn hall() -> Hall {
    let ice = IceConfig { stun: vec!["stun:x".to_owned()], turn: Vec::new() };
    let ice_renewal = Some(RoomConfig::ice_renewal_of(LIFE));
    Hall::with(RoomConfig { ice, ice_renewal, ..RoomConfig::default() }, ListedTokens::default())
}

/// How often a socket was told of servers since the last look.
fn told(hall: &mut Hall, conn: ConnId) -> usize {
    let messages = hall.take(conn);
    let told = messages.iter().filter(|message| match message {
        ServerMessage::IceServers { ice } => {
            assert_eq!(ice.stun, ["stun:x"], "all that goes with a seat");
            true
        }
        _ => false,
    });
    told.count()
}

/// Lets time pass until a socket is told of servers, and returns how long that took.
fn wait(hall: &mut Hall, conn: ConnId) -> Duration {
    told(hall, conn);
    let since = hall.now;
    while told(hall, conn) == 0 {
        assert!(hall.now.since(since) < LIFE, "too late");
        let due = hall.rooms.poll_timeout().unwrap();
        hall.pass(due.at.since(hall.now));
    }
    hall.now.since(since)
}

#[test]
fn everybody_has_newer_credentials_before_the_older_ones_run_out() {
    let mut hall = hall();
    let (host, room_id, _) = hall.host(peer(9));
    assert_eq!(hall.rooms.poll_timeout().unwrap().reason, DeadlineReason::IceRenewal);
    let first = wait(&mut hall, host);
    let (caller, _) = hall.caller(peer(10), room_id);
    for _ in 0..3 {
        let later = wait(&mut hall, host);
        assert_eq!(later, first, "in step");
        assert!(later <= LATEST && later >= LATEST * 7 / 8, "{later:?}");
        assert_eq!(told(&mut hall, caller), 1, "each for itself");
    }
}

#[test]
fn those_who_came_at_once_are_spread() {
    let mut hall = hall();
    let (host, room_id, _) = hall.host(PeerId::from_random_bytes([0; 16]));
    let last = PeerId::from_random_bytes([0xff; 16]);
    let (caller, _) = hall.caller(last, room_id);
    let sooner = wait(&mut hall, caller);
    assert_eq!(told(&mut hall, host), 0);
    let rest = wait(&mut hall, host);
    assert_eq!(sooner + rest, LATEST, "the latest of all");
    assert!(rest > LATEST / 9, "{rest:?}");
}

#[test]
fn a_return_brings_new_credentials_and_those_who_are_away_get_none() {
    let mut hall = hall();
    let (host, _, seat) = hall.host(peer(9));
    let usual = wait(&mut hall, host);
    hall.pass(Duration::from_secs(200));
    hall.disconnect(host);
    hall.pass(Duration::from_secs(29));
    let (back, ..) = hall.resume(&seat.token, false);
    assert_eq!(wait(&mut hall, back), usual, "counted from the return");
    // A second socket takes the seat over, and its renewals.
    let (newer, ..) = hall.resume(&seat.token, false);
    hall.pass(LIFE);
    assert_eq!((told(&mut hall, back), told(&mut hall, newer)), (0, 1));
}

#[test]
fn a_new_name_does_not_put_the_renewal_off() {
    let mut hall = hall();
    let (host, ..) = hall.host(peer(9));
    let usual = wait(&mut hall, host);
    hall.pass(Duration::from_secs(100));
    hall.send(host, ClientMessage::Rename { name: name("Ada") });
    assert_eq!(wait(&mut hall, host) + Duration::from_secs(100), usual);
}

#[test]
fn who_left_is_told_nothing_more() {
    let mut hall = hall();
    let (host, room_id, _) = hall.host(peer(9));
    let (caller, _) = hall.caller(peer(1), room_id);
    hall.send(caller, ClientMessage::Leave);
    hall.pass(LIFE);
    assert_eq!((told(&mut hall, caller), told(&mut hall, host)), (0, 1));
}

#[test]
fn where_nothing_runs_out_nothing_is_renewed() {
    let mut hall = Hall::new();
    let (host, ..) = hall.host(peer(9));
    hall.pass(Duration::from_secs(3_000));
    assert_eq!(told(&mut hall, host), 0);
}
