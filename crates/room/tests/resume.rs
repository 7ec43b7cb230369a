//! Coming back: grace, takeover, reload, and a server that forgot everything but its key.
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

use openstudio_room::Event;
use openstudio_units::{Incarnation, Role};
use openstudio_wire::{
    ClientMessage, CloseCode, ErrorCode, LeaveReason, Participant, ServerMessage, Token,
};
use support::{Hall, name, peer};

fn participants(snapshot: &ServerMessage) -> (bool, Vec<Participant>) {
    match snapshot {
        ServerMessage::Snapshot { complete, participants, .. } => (*complete, participants.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_socket_that_comes_back_has_its_seat_as_it_was() {
    let mut hall = Hall::new();
    let (host, room_id, _) = hall.host(peer(9));
    let (caller, seat) = hall.caller(peer(1), room_id);
    hall.send(caller, ClientMessage::Microphone { available: true });
    hall.disconnect(caller);
    hall.take(host);
    hall.pass(Duration::from_secs(29));
    let (_, granted, snapshot) = hall.resume(&seat.token, false);
    assert_eq!((granted.role, granted.incarnation), (Role::Caller, seat.incarnation));
    let (complete, list) = participants(&snapshot);
    assert!(complete && list.iter().all(|p| p.present));
    let got = hall.take(host);
    let [ServerMessage::PeerUpdated { participant, .. }] = &got[..] else { panic!("{got:?}") };
    assert!(participant.present && participant.microphone);
    hall.pass(Duration::from_secs(60));
    assert_eq!(hall.take(host), [], "the grace period is over and forgotten");
}

#[test]
fn a_reloaded_page_is_a_new_incarnation_without_a_microphone() {
    let mut hall = Hall::new();
    let (host, room_id, seat) = hall.host(peer(9));
    let (caller, _) = hall.caller(peer(1), room_id);
    hall.send(host, ClientMessage::Microphone { available: true });
    hall.take(caller);
    let (_, granted, _) = hall.resume(&seat.token, true);
    assert_eq!(granted.role, Role::Host);
    assert_eq!(granted.incarnation, Incarnation(3));
    assert_eq!(hall.closed(host), Some(CloseCode::TakenOver));
    let got = hall.take(caller);
    let [ServerMessage::PeerUpdated { participant, .. }] = &got[..] else { panic!("{got:?}") };
    assert_eq!((participant.incarnation, participant.microphone), (Incarnation(3), false));
}

#[test]
fn the_newest_socket_wins_and_the_older_one_is_dumb() {
    let mut hall = Hall::new();
    let (first, _, seat) = hall.host(peer(9));
    let (second, ..) = hall.resume(&seat.token, true);
    assert_eq!(hall.closed(first), Some(CloseCode::TakenOver));
    hall.send(first, ClientMessage::EndRoom);
    hall.disconnect(first);
    assert_eq!(hall.take(second), []);
    assert_eq!(hall.closed(second), None);
}

#[test]
fn an_older_tab_that_is_chosen_again_starts_afresh() {
    let mut hall = Hall::new();
    let (_, _, seat) = hall.host(peer(9));
    let (second, newer, _) = hall.resume(&seat.token, true);
    let (_, granted, _) = hall.resume(&seat.token, true);
    assert!(granted.incarnation > newer.incarnation, "its links are not those that others know");
    assert_eq!(hall.closed(second), Some(CloseCode::TakenOver));
}

/// Scenario everything, 15 clients, seed 1515: the page was reloaded while its words were
/// under way, on a socket that the server still held for open.
#[test]
fn regression_an_older_page_that_resumes_by_itself_does_not_displace_the_newer_one() {
    let mut hall = Hall::new();
    let (_, _, seat) = hall.host(peer(9));
    let (second, _, _) = hall.resume(&seat.token, true);
    let late = hall.connect();
    hall.send(late, ClientMessage::Resume { token: seat.token, fresh: false });
    assert_eq!(hall.closed(late), Some(CloseCode::TakenOver));
    assert_eq!(hall.closed(second), None);
    assert!(hall.rooms.is_consistent());
}

#[test]
fn resuming_twice_on_one_socket_is_harmless() {
    let mut hall = Hall::new();
    let (host, _, seat) = hall.host(peer(9));
    let resume = ClientMessage::Resume { token: seat.token, fresh: false };
    hall.send(host, resume.clone());
    hall.send(host, resume);
    assert_eq!(hall.take(host).len(), 4);
    assert_eq!(hall.closed(host), None);
}

/// Found by `any_sequence_leaves_the_books_balanced`: the seat's own socket was closed as
/// if a newer page sat on it, and the seat pointed at a socket that was gone.
#[test]
fn regression_an_older_token_on_the_socket_of_the_seat_keeps_both() {
    let mut hall = Hall::new();
    let (_, _, seat) = hall.host(peer(9));
    let (second, newer, _) = hall.resume(&seat.token, true);
    hall.send(second, ClientMessage::Resume { token: seat.token, fresh: false });
    assert_eq!(hall.closed(second), None);
    assert!(hall.rooms.is_consistent());
    let got = hall.take(second);
    let [ServerMessage::Resumed { seat, .. }, ServerMessage::Snapshot { .. }] = &got[..] else {
        panic!("{got:?}")
    };
    assert!(seat.incarnation > newer.incarnation, "links of the older token are not its own");
}

#[test]
fn a_registered_socket_may_resume_as_itself_only() {
    let mut hall = Hall::new();
    let (_, _, seat) = hall.host(peer(9));
    let resume = ClientMessage::Resume { token: seat.token, fresh: false };
    let other = hall.register(peer(1));
    assert_eq!(hall.refused(other, resume), ErrorCode::AlreadyRegistered);
}

#[test]
fn a_seat_in_another_room_is_not_given_up_by_an_old_token() {
    let mut hall = Hall::new();
    let (conn, _, seat) = hall.host(peer(9));
    hall.send(conn, ClientMessage::Leave);
    hall.send(conn, ClientMessage::CreateRoom);
    let late = hall.connect();
    let resume = ClientMessage::Resume { token: seat.token, fresh: false };
    assert_eq!(hall.refused(late, resume), ErrorCode::AlreadyInRoom);
    assert_eq!(hall.closed(conn), None);
}

#[test]
fn what_is_no_seat_token_is_refused() {
    let mut hall = Hall::new();
    let (host, ..) = hall.host(peer(9));
    let invite = hall.invitation(host, Role::Host);
    let conn = hall.connect();
    for (token, code) in [
        (invite, ErrorCode::WrongToken),
        (Token("expired".into()), ErrorCode::ExpiredToken),
        (Token("x".into()), ErrorCode::InvalidToken),
    ] {
        assert_eq!(hall.refused(conn, ClientMessage::Resume { token, fresh: false }), code);
    }
}

#[test]
fn a_seat_that_timed_out_comes_back_as_a_new_one() {
    let mut hall = Hall::new();
    let (host, room_id, _) = hall.host(peer(9));
    let (caller, seat) = hall.caller(peer(1), room_id);
    hall.disconnect(caller);
    hall.pass(Duration::from_secs(31));
    hall.take(host);
    let (_, granted, _) = hall.resume(&seat.token, false);
    assert_eq!(granted.incarnation, Incarnation(3), "the others have dropped its links");
    assert!(matches!(hall.take(host)[..], [ServerMessage::PeerJoined { .. }]));
}

#[test]
fn a_restarted_server_rebuilds_the_room_from_those_who_return() {
    let mut before = Hall::new();
    let (host, room_id, host_seat) = before.host(peer(9));
    let invite = before.invitation(host, Role::Host);
    let (_, cohost_seat) = before.invited(peer(5), room_id, invite);
    let (_, lost_seat) = before.caller(peer(3), room_id);
    let (_, caller_seat) = before.caller(peer(1), room_id);

    let mut hall = before.restarted();
    let (first, granted, snapshot) = hall.resume(&caller_seat.token, false);
    assert_eq!(hall.events, [Event::RoomOpened { room: room_id, rebuilt: true }]);
    assert_eq!((granted.role, granted.incarnation), (Role::Caller, caller_seat.incarnation));
    let (complete, list) = participants(&snapshot);
    assert_eq!((complete, list.len()), (false, 1));

    let (_, granted, _) = hall.resume(&cohost_seat.token, false);
    assert_eq!((granted.role, granted.incarnation), (Role::Host, cohost_seat.incarnation));
    let (_, granted, _) = hall.resume(&host_seat.token, true);
    assert!(granted.incarnation > caller_seat.incarnation);
    let (_, seat) = hall.caller(peer(77), room_id);
    assert!(seat.incarnation > granted.incarnation);

    hall.take(first);
    hall.pass(Duration::from_secs(30));
    let got = hall.take(first);
    let [snapshot] = &got[..] else { panic!("{got:?}") };
    let (complete, list) = participants(snapshot);
    assert!(complete);
    let names: Vec<_> = list.iter().map(|p| (p.peer_id, p.role, p.name.clone())).collect();
    let mut expected = vec![
        (peer(9), Role::Host, None),
        (peer(5), Role::Host, Some(name("Invited"))),
        (peer(1), Role::Caller, None),
        (peer(77), Role::Caller, None),
    ];
    expected.sort();
    assert_eq!(names, expected);

    let (_, granted, _) = hall.resume(&lost_seat.token, false);
    assert!(granted.incarnation > seat.incarnation, "it is late, so it is new");
}

#[test]
fn a_rebuilt_room_that_empties_again_leaves_nothing_behind() {
    let mut before = Hall::new();
    let (_, _, seat) = before.host(peer(9));
    let mut hall = before.restarted();
    let (conn, ..) = hall.resume(&seat.token, false);
    hall.send(conn, ClientMessage::Leave);
    assert_eq!(hall.rooms.stats().rooms, 0);
    assert_eq!(hall.rooms.poll_timeout(), None);
    let (_, granted, _) = hall.resume(&seat.token, false);
    assert_eq!(granted.role, Role::Host);
}

#[test]
fn all_sockets_lost_for_too_long_still_come_back_together() {
    let mut hall = Hall::new();
    let (host, room_id, host_seat) = hall.host(peer(9));
    let (caller, seat) = hall.caller(peer(1), room_id);
    hall.disconnect(host);
    hall.disconnect(caller);
    hall.pass(Duration::from_secs(120));
    assert_eq!(hall.rooms.stats().peers, 0);
    let (_, granted, _) = hall.resume(&seat.token, false);
    assert_eq!(granted.incarnation, seat.incarnation, "nobody dropped anybody's link");
    let (_, granted, _) = hall.resume(&host_seat.token, false);
    assert_eq!(granted.incarnation, host_seat.incarnation);
}

#[test]
fn a_grace_period_that_ends_says_so() {
    let mut hall = Hall::new();
    let (host, room_id, _) = hall.host(peer(9));
    let (caller, seat) = hall.caller(peer(1), room_id);
    hall.disconnect(caller);
    let (back, ..) = hall.resume(&seat.token, false);
    hall.pass(Duration::from_secs(20));
    hall.disconnect(back);
    hall.pass(Duration::from_secs(29));
    hall.take(host);
    hall.pass(Duration::from_secs(1));
    let (peer_id, reason) = (peer(1), LeaveReason::TimedOut);
    assert!(matches!(hall.take(host)[..], [ServerMessage::PeerLeft { peer_id: p, reason: r, .. }]
            if p == peer_id && r == reason));
}
