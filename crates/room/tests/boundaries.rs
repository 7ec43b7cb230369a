//! Where one rule of rooms ends and the next begins: tokens that are older than their seat,
//! the end of a grace period, what a refusal says and counts.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use openstudio_room::{ConnId, Refusal, RoomConfig, Stats};
use openstudio_units::{Incarnation, PeerId, Role, RoomId};
use openstudio_wire::{
    ClientMessage, CloseCode, ErrorCode, Participant, SeatGrant, ServerMessage, Token,
};
use support::{Hall, ListedTokens, name, peer};

fn seat_of(snapshot: &ServerMessage, whose: PeerId) -> Participant {
    let ServerMessage::Snapshot { participants, .. } = snapshot else { panic!("{snapshot:?}") };
    participants.iter().find(|p| p.peer_id == whose).cloned().unwrap()
}

/// Sends, and returns the sentence for people in the refusal.
fn refusal(hall: &mut Hall, conn: ConnId, message: ClientMessage) -> String {
    hall.take(conn);
    hall.send(conn, message);
    match hall.take(conn).pop() {
        Some(ServerMessage::Error { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

/// Leaves on `conn` and joins again with an invitation as `role`.
fn join_again(hall: &mut Hall, conn: ConnId, room_id: RoomId, invite: Option<Token>) -> SeatGrant {
    hall.send(conn, ClientMessage::Leave);
    hall.take(conn);
    let (room_id, role) = (Some(room_id), None);
    let join = ClientMessage::CreateOrJoinRoom { room_id, role, invite_token: invite, name: None };
    hall.send(conn, join);
    hall.joined(conn)
}

#[test]
fn a_page_comes_back_while_the_server_still_takes_its_old_socket_for_open() {
    let mut hall = Hall::new();
    let (old, _, seat) = hall.host(peer(9));
    let (new, granted, _) = hall.resume(&seat.token, false);
    assert_eq!(granted.incarnation, seat.incarnation, "its links are those that others know");
    assert_eq!((hall.closed(old), hall.closed(new)), (Some(CloseCode::TakenOver), None));
}

#[test]
fn a_page_that_was_reloaded_during_a_restart_of_the_server_is_a_new_incarnation() {
    let mut before = Hall::new();
    let (_, room_id, _) = before.host(peer(9));
    let (_, seat) = before.caller(peer(1), room_id);
    let mut hall = before.restarted();
    let (_, granted, snapshot) = hall.resume(&seat.token, true);
    assert_eq!(granted.incarnation, Incarnation(seat.incarnation.0 + 1));
    assert_eq!(seat_of(&snapshot, peer(1)).incarnation, granted.incarnation);
}

#[test]
fn an_old_token_brings_back_neither_an_old_role_nor_an_old_name() {
    let mut hall = Hall::new();
    let (host, room_id, _) = hall.host(peer(9));
    let invite = hall.invitation(host, Role::Ops);
    let (ops, seat) = hall.invited(peer(1), room_id, invite);
    assert_eq!(join_again(&mut hall, ops, room_id, None).role, Role::Caller);
    hall.send(ops, ClientMessage::Rename { name: name("New") });
    hall.disconnect(ops);
    let (_, granted, snapshot) = hall.resume(&seat.token, true);
    assert_eq!(granted.role, Role::Caller, "the seat was given up with its role");
    let (_, _, rebuilt) = hall.restarted().resume(&granted.token, false);
    for list in [snapshot, rebuilt] {
        let seat = seat_of(&list, peer(1));
        assert_eq!((seat.role, seat.name), (Role::Caller, Some(name("New"))));
    }
}

#[test]
fn a_room_that_is_not_there_may_come_back_only_while_the_server_is_young() {
    let mut hall = Hall::new();
    let conn = hall.register(peer(1));
    let join = ClientMessage::JoinRoom { room_id: RoomId::from_random_bytes([7; 16]) };
    let grace = RoomConfig::default().grace;
    hall.pass(grace.saturating_sub(Duration::from_millis(1)));
    assert_eq!(hall.refused(conn, join.clone()), ErrorCode::RoomNotBack);
    hall.pass(Duration::from_millis(1));
    assert_eq!(hall.refused(conn, join), ErrorCode::RoomNotFound);
}

#[test]
fn who_may_not_invite_is_told_who_may() {
    let mut hall = Hall::new();
    let (host, room_id, _) = hall.host(peer(9));
    let invite = hall.invitation(host, Role::Ops);
    let (ops, _) = hall.invited(peer(1), room_id, invite);
    let (caller, _) = hall.caller(peer(2), room_id);
    let ask = ClientMessage::RequestInvite { invite_role: Role::Host };
    assert_eq!(refusal(&mut hall, ops, ask.clone()), "only a host can invite a host");
    assert_eq!(refusal(&mut hall, caller, ask), "only hosts and ops can invite");
}

#[test]
fn what_the_driver_refuses_is_answered_and_counts_as_an_error() {
    let config = RoomConfig { error_burst: 2, ..RoomConfig::default() };
    let mut hall = Hall::with(config, ListedTokens::default());
    let conn = hall.connect();
    let garbage = || Refusal::new(ErrorCode::MalformedJson, "this is no message");
    for _ in 0..2 {
        hall.rooms.refuse(hall.now, conn, garbage());
        let got = hall.take(conn);
        let [ServerMessage::Error { code, request: None, .. }] = &got[..] else {
            panic!("{got:?}")
        };
        assert_eq!(*code, ErrorCode::MalformedJson);
    }
    assert_eq!(hall.closed(conn), None);
    hall.rooms.refuse(hall.now, conn, garbage());
    hall.take(conn);
    assert_eq!(hall.closed(conn), Some(CloseCode::Policy));
    hall.rooms.refuse(hall.now, conn, garbage());
    assert_eq!(hall.take(conn), [], "a closed socket is told nothing");
}

#[test]
fn the_figures_count_sockets_rooms_and_peers() {
    let mut hall = Hall::new();
    assert_eq!(hall.rooms.stats(), Stats::default());
    hall.connect();
    hall.register(peer(3));
    let (_, room_id, _) = hall.host(peer(9));
    let (caller, _) = hall.caller(peer(1), room_id);
    assert_eq!(hall.rooms.stats(), Stats { connections: 4, rooms: 1, peers: 3 });
    hall.disconnect(caller);
    let kept = Stats { connections: 3, rooms: 1, peers: 3 };
    assert_eq!(hall.rooms.stats(), kept, "the seat is kept without a socket");
}
