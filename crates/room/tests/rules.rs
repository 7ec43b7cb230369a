//! The rules of rooms, one test each: ways in, roles, relays, ways out.
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

use openstudio_room::{Event, RoomConfig, RoomEnd};
use openstudio_units::{Generation, Incarnation, OfferId, PeerId, Role, RoomId};
use openstudio_wire::{
    Candidate, CandidateBatch, CandidateMessage, ClientMessage, CloseCode, Description, ErrorCode,
    LeaveReason, OfferRequest, OfferRequestKind, Participant, ServerMessage, StaleNotice, Strip,
    Token,
};
use support::{Hall, ListedTokens, name, peer};

fn offer(from: PeerId, to: PeerId) -> ClientMessage {
    ClientMessage::Offer(Description {
        from,
        to,
        sdp: "v=0".into(),
        generation: None,
        offer_id: None,
    })
}

fn seat_of(message: &ServerMessage, whose: PeerId) -> Participant {
    let (ServerMessage::Snapshot { participants, .. }
    | ServerMessage::RoomCreated { participants, .. }
    | ServerMessage::RoomJoined { participants, .. }) = message
    else {
        panic!("{message:?}")
    };
    participants.iter().find(|p| p.peer_id == whose).cloned().unwrap()
}

#[test]
fn the_creator_is_host_and_who_joins_is_caller() {
    let mut hall = Hall::new();
    let (host, room_id, seat) = hall.host(peer(9));
    assert_eq!((seat.role, seat.incarnation), (Role::Host, Incarnation(1)));
    assert_eq!(hall.events, [Event::RoomOpened { room: room_id, rebuilt: false }]);

    let caller = hall.register(peer(1));
    hall.send(caller, ClientMessage::JoinRoom { room_id });
    let answer = hall.take(caller);
    let [joined @ ServerMessage::RoomJoined { seat, seq: 2, participants, .. }] = &answer[..]
    else {
        panic!("{answer:?}")
    };
    assert_eq!((seat.role, seat.incarnation), (Role::Caller, Incarnation(2)));
    assert_eq!(participants.len(), 2);
    let participant = seat_of(joined, peer(1));
    assert_eq!(hall.take(host), [ServerMessage::PeerJoined { participant, seq: 2 }]);
}

#[test]
fn nobody_becomes_host_by_asking() {
    let mut hall = Hall::new();
    let (_, room_id, _) = hall.host(peer(9));
    let conn = hall.register(peer(1));
    let wish = ClientMessage::CreateOrJoinRoom {
        room_id: Some(room_id),
        role: Some(Role::Host),
        invite_token: None,
        name: Some(name("Mallory")),
    };
    hall.send(conn, wish);
    assert_eq!(hall.joined(conn).role, Role::Caller);
}

#[test]
fn an_invitation_gives_its_role_in_its_room_only() {
    let mut hall = Hall::new();
    let (host, room_id, seat) = hall.host(peer(9));
    let (_, other_room, _) = hall.host(peer(8));
    let invite = hall.invitation(host, Role::Ops);
    let (_, granted) = hall.invited(peer(1), room_id, invite.clone());
    assert_eq!(granted.role, Role::Ops);

    let conn = hall.register(peer(2));
    for (room, token, code) in [
        (Some(other_room), invite.clone(), ErrorCode::WrongToken),
        (Some(room_id), seat.token, ErrorCode::WrongToken),
        (Some(room_id), Token("made up".into()), ErrorCode::InvalidToken),
        (Some(room_id), Token("expired".into()), ErrorCode::ExpiredToken),
    ] {
        let message = ClientMessage::CreateOrJoinRoom {
            room_id: room,
            role: None,
            invite_token: Some(token),
            name: None,
        };
        assert_eq!(hall.refused(conn, message), code);
    }
    let by_invite_alone = ClientMessage::CreateOrJoinRoom {
        room_id: None,
        role: None,
        invite_token: Some(invite),
        name: None,
    };
    hall.send(conn, by_invite_alone);
    assert_eq!(hall.joined(conn).role, Role::Ops);
}

#[test]
fn who_may_invite_whom() {
    let mut hall = Hall::new();
    let (host, room_id, _) = hall.host(peer(9));
    let invite = hall.invitation(host, Role::Ops);
    let (ops, _) = hall.invited(peer(1), room_id, invite);
    let (caller, _) = hall.caller(peer(2), room_id);
    hall.invitation(host, Role::Host);
    hall.invitation(ops, Role::Ops);
    hall.invitation(ops, Role::Caller);
    let ask = |invite_role| ClientMessage::RequestInvite { invite_role };
    assert_eq!(hall.refused(ops, ask(Role::Host)), ErrorCode::Forbidden);
    assert_eq!(hall.refused(caller, ask(Role::Caller)), ErrorCode::Forbidden);
}

#[test]
fn only_a_host_ends_the_session_and_it_stays_ended() {
    let mut hall = Hall::new();
    let (host, room_id, seat) = hall.host(peer(9));
    let (caller, _) = hall.caller(peer(1), room_id);
    assert_eq!(hall.refused(caller, ClientMessage::EndRoom), ErrorCode::Forbidden);
    hall.take(host);
    hall.send(host, ClientMessage::EndRoom);
    for conn in [host, caller] {
        assert_eq!(hall.take(conn), [ServerMessage::RoomEnded { room_id }]);
        assert_eq!(hall.closed(conn), Some(CloseCode::RoomEnded));
    }
    assert_eq!(
        hall.events.last(),
        Some(&Event::RoomClosed { room: room_id, reason: RoomEnd::Ended })
    );
    let conn = hall.register(peer(3));
    assert_eq!(hall.refused(conn, ClientMessage::JoinRoom { room_id }), ErrorCode::RoomEnded);
    let mut restarted = hall.restarted();
    restarted.rooms.remember_ended(room_id);
    let conn = restarted.connect();
    let resume = ClientMessage::Resume { token: seat.token, fresh: false };
    assert_eq!(restarted.refused(conn, resume), ErrorCode::RoomEnded);
}

#[test]
fn one_socket_is_one_peer_in_one_room() {
    let mut hall = Hall::new();
    let conn = hall.connect();
    let room_id = RoomId::from_random_bytes([0; 16]);
    let join = ClientMessage::JoinRoom { room_id };
    assert_eq!(hall.refused(conn, ClientMessage::CreateRoom), ErrorCode::NotRegistered);
    assert_eq!(hall.refused(conn, offer(peer(1), peer(2))), ErrorCode::NotRegistered);
    hall.send(conn, ClientMessage::Register { peer_id: peer(1) });
    let again = ClientMessage::Register { peer_id: peer(2) };
    assert_eq!(hall.refused(conn, again), ErrorCode::AlreadyRegistered);
    let other = hall.connect();
    let same = ClientMessage::Register { peer_id: peer(1) };
    assert_eq!(hall.refused(other, same), ErrorCode::PeerIdTaken);
    assert_eq!(hall.refused(conn, join.clone()), ErrorCode::RoomNotBack);
    for message in [
        ClientMessage::Leave,
        ClientMessage::EndRoom,
        ClientMessage::Mute { peer_id: None, muted: true },
        ClientMessage::Microphone { available: true },
        ClientMessage::Rename { name: name("A") },
        ClientMessage::RequestInvite { invite_role: Role::Caller },
        offer(peer(1), peer(2)),
    ] {
        assert_eq!(hall.refused(conn, message), ErrorCode::NotInRoom);
    }
    hall.send(conn, ClientMessage::CreateRoom);
    assert_eq!(hall.refused(conn, ClientMessage::CreateRoom), ErrorCode::AlreadyInRoom);
    assert_eq!(hall.refused(conn, join), ErrorCode::AlreadyInRoom);
}

#[test]
fn every_kind_of_relay_arrives_as_it_was_sent() {
    let mut hall = Hall::new();
    let (host, room_id, _) = hall.host(peer(9));
    let (caller, _) = hall.caller(peer(1), room_id);
    let (from, to) = (peer(9), peer(1));
    let (generation, offer_id) = (Generation(65_537), OfferId(1));
    let candidate = Candidate {
        candidate: "candidate:1".into(),
        sdp_mid: Some("0".into()),
        sdp_m_line_index: Some(0),
        username_fragment: None,
    };
    let description = Description {
        from,
        to,
        sdp: "v=0".into(),
        generation: Some(generation),
        offer_id: Some(offer_id),
    };
    let single = CandidateMessage {
        from,
        to,
        candidate: candidate.clone(),
        generation: None,
        offer_id: None,
    };
    let batch = CandidateBatch { from, to, candidates: vec![candidate], generation, offer_id };
    let request =
        OfferRequest { from, to, generation, kind: OfferRequestKind::IceRestart, relay_only: true };
    let stale = StaleNotice { from, to, generation };
    for (sent, arrives) in [
        (ClientMessage::Offer(description.clone()), ServerMessage::Offer(description.clone())),
        (ClientMessage::Answer(description.clone()), ServerMessage::Answer(description)),
        (ClientMessage::IceCandidate(single.clone()), ServerMessage::IceCandidate(single)),
        (ClientMessage::IceCandidates(batch.clone()), ServerMessage::IceCandidates(batch)),
        (ClientMessage::RequestOffer(request.clone()), ServerMessage::RequestOffer(request)),
        (ClientMessage::Stale(stale.clone()), ServerMessage::Stale(stale)),
    ] {
        hall.take(host);
        hall.take(caller);
        hall.send(host, sent);
        assert_eq!(hall.take(caller), [arrives]);
        assert_eq!(hall.take(host), []);
    }
}

#[test]
fn a_relay_never_leaves_the_room_or_lies_about_its_sender() {
    let mut hall = Hall::new();
    let (host, room_id, _) = hall.host(peer(9));
    let (stranger, ..) = hall.host(peer(8));
    let (caller, _) = hall.caller(peer(1), room_id);
    assert_eq!(hall.refused(host, offer(peer(1), peer(9))), ErrorCode::ForgedSender);
    assert_eq!(hall.refused(host, offer(peer(9), peer(8))), ErrorCode::PeerNotFound);
    assert_eq!(hall.refused(host, offer(peer(9), peer(5))), ErrorCode::PeerNotFound);
    assert_eq!(hall.take(stranger), []);
    hall.disconnect(caller);
    hall.take(host);
    hall.send(host, offer(peer(9), peer(1)));
    let answer = hall.take(host);
    let [ServerMessage::Error { code, to, .. }] = &answer[..] else { panic!("{answer:?}") };
    assert_eq!((*code, *to), (ErrorCode::PeerNotFound, Some(peer(1))));
}

#[test]
fn a_change_of_a_seat_is_told_to_everybody_with_its_number() {
    let mut hall = Hall::new();
    let (host, room_id, _) = hall.host(peer(9));
    let (caller, seat) = hall.caller(peer(1), room_id);
    hall.take(host);
    hall.send(caller, ClientMessage::Mute { peer_id: None, muted: true });
    let (from, peer_id) = (peer(1), peer(1));
    let muted = ServerMessage::Mute { from, peer_id, muted: true, seq: 3 };
    assert_eq!((hall.take(host), hall.take(caller)), (vec![muted.clone()], vec![muted]));

    hall.send(caller, ClientMessage::Microphone { available: true });
    hall.send(caller, ClientMessage::Rename { name: name("Ada") });
    let got = hall.take(caller);
    let [
        ServerMessage::PeerUpdated { seq: 4, .. },
        ServerMessage::PeerUpdated { seq: 5, participant },
        ServerMessage::SeatToken { token },
    ] = &got[..]
    else {
        panic!("{got:?}")
    };
    assert_eq!(hall.take(host).len(), 2);
    let expected = Participant {
        peer_id: peer(1),
        role: Role::Caller,
        name: Some(name("Ada")),
        incarnation: seat.incarnation,
        present: true,
        muted: true,
        microphone: true,
        strip: Strip::default(),
    };
    assert_eq!(*participant, expected);

    let mut restarted = hall.restarted();
    let (_, _, snapshot) = restarted.resume(token, false);
    assert_eq!(seat_of(&snapshot, peer(1)).name, Some(name("Ada")), "the token has the new name");

    let other = ClientMessage::Mute { peer_id: Some(peer(9)), muted: true };
    assert_eq!(hall.refused(caller, other), ErrorCode::Forbidden);
}

#[test]
fn leaving_is_immediate_and_coming_back_is_possible() {
    let mut hall = Hall::new();
    let (host, room_id, _) = hall.host(peer(9));
    let (caller, _) = hall.caller(peer(1), room_id);
    hall.take(host);
    hall.send(caller, ClientMessage::Leave);
    let (peer_id, reason) = (peer(1), LeaveReason::Left);
    assert_eq!(hall.take(host), [ServerMessage::PeerLeft { peer_id, reason, seq: 3 }]);
    assert_eq!(hall.take(caller), []);
    hall.send(caller, ClientMessage::JoinRoom { room_id });
    assert_eq!(hall.joined(caller).incarnation, Incarnation(3));
    hall.send(caller, ClientMessage::Leave);
    hall.send(host, ClientMessage::Leave);
    let (room, reason) = (room_id, RoomEnd::Empty);
    assert_eq!(hall.events.last(), Some(&Event::RoomClosed { room, reason }));
    assert_eq!(hall.refused(caller, ClientMessage::JoinRoom { room_id }), ErrorCode::RoomNotBack);
}

#[test]
fn a_lost_socket_keeps_its_seat_for_the_grace_period() {
    let mut hall = Hall::new();
    let (host, room_id, _) = hall.host(peer(9));
    let (caller, _) = hall.caller(peer(1), room_id);
    hall.take(host);
    hall.disconnect(caller);
    let got = hall.take(host);
    let [ServerMessage::PeerUpdated { participant, seq: 3 }] = &got[..] else { panic!("{got:?}") };
    assert!(!participant.present);
    let conn = hall.connect();
    let register = ClientMessage::Register { peer_id: peer(1) };
    assert_eq!(hall.refused(conn, register.clone()), ErrorCode::PeerIdTaken);
    hall.pass(Duration::from_millis(29_999));
    assert_eq!(hall.take(host), []);
    hall.pass(Duration::from_millis(1));
    let (peer_id, reason) = (peer(1), LeaveReason::TimedOut);
    assert_eq!(hall.take(host), [ServerMessage::PeerLeft { peer_id, reason, seq: 4 }]);
    hall.send(conn, register);
    assert_eq!(hall.take(conn), [ServerMessage::Registered { peer_id }]);
}

#[test]
fn a_room_has_so_many_seats_and_the_server_so_many_rooms() {
    let config = RoomConfig { max_participants: 2, max_rooms: 1, ..RoomConfig::default() };
    let mut hall = Hall::with(config, ListedTokens::default());
    let (_, room_id, _) = hall.host(peer(9));
    let (caller, seat) = hall.caller(peer(1), room_id);
    let third = hall.register(peer(2));
    assert_eq!(hall.refused(third, ClientMessage::CreateRoom), ErrorCode::ServerFull);
    hall.disconnect(caller);
    assert_eq!(hall.refused(third, ClientMessage::JoinRoom { room_id }), ErrorCode::RoomFull);
    hall.resume(&seat.token, false);
}

#[test]
fn too_many_errors_close_the_socket_and_no_other() {
    let mut hall = Hall::new();
    let (host, room_id, _) = hall.host(peer(9));
    let (caller, _) = hall.caller(peer(1), room_id);
    hall.take(host);
    for _ in 0..200 {
        // Messages to somebody who is not there do not count.
        hall.send(caller, offer(peer(1), peer(77)));
    }
    assert_eq!(hall.closed(caller), None);
    for _ in 0..33 {
        hall.send(caller, offer(peer(9), peer(1)));
    }
    assert_eq!(hall.closed(caller), Some(CloseCode::Policy));
    assert_eq!(hall.closed(host), None);
    assert!(matches!(hall.take(host)[..], [ServerMessage::PeerUpdated { .. }]));
}

#[test]
fn a_newer_token_comes_at_half_of_the_lifetime() {
    let mut hall = Hall::new();
    let (host, ..) = hall.host(peer(9));
    hall.pass(Duration::from_secs(3599));
    assert_eq!(hall.take(host), []);
    hall.pass(Duration::from_secs(1));
    assert!(matches!(hall.take(host)[..], [ServerMessage::SeatToken { .. }]));
    hall.pass(Duration::from_secs(3600));
    assert!(matches!(hall.take(host)[..], [ServerMessage::SeatToken { .. }]));
}

#[test]
fn a_stopping_server_tells_everybody_and_takes_nobody_in() {
    let mut hall = Hall::new();
    let (host, ..) = hall.host(peer(9));
    let lobby = hall.register(peer(1));
    hall.rooms.shutdown();
    for conn in [host, lobby] {
        assert!(matches!(hall.take(conn)[..], [ServerMessage::GoingAway { .. }]));
        assert_eq!(hall.closed(conn), Some(CloseCode::GoingAway));
    }
    let late = openstudio_room::ConnId(1_000);
    hall.rooms.connected(hall.now, late);
    assert_eq!(hall.take(late), []);
    assert_eq!(hall.closed(late), Some(CloseCode::GoingAway));
    assert_eq!(hall.rooms.poll_timeout(), None);
}

/// Where two a second may come back.
fn slow_hall() -> Hall {
    let config = RoomConfig { returns_per_second: 2, ..RoomConfig::default() };
    Hall::with(config, ListedTokens::default())
}

#[test]
fn a_crowd_is_told_to_spread_its_return_and_the_few_are_not() {
    let mut hall = slow_hall();
    hall.host(peer(9));
    let lobby = hall.connect();
    assert_eq!(hall.take(lobby), [], "one may come back as it likes");
    let second = hall.connect();
    hall.send(second, ClientMessage::Register { peer_id: peer(1) });
    let told = ServerMessage::RetrySpread { retry_spread_ms: 768 };
    assert_eq!(hall.take(lobby), std::slice::from_ref(&told), "before there is a seat, too");
    assert_eq!(hall.take(second), [ServerMessage::Registered { peer_id: peer(1) }, told]);
    let late = openstudio_room::ConnId(1_000);
    hall.rooms.connected(hall.now, late);
    let welcome = hall.take(late);
    assert!(
        matches!(welcome[..], [ServerMessage::Welcome { retry_spread_ms: Some(768), .. }]),
        "{welcome:?}"
    );
    hall.rooms.disconnected(hall.now, second);
    assert_eq!(hall.take(lobby), [ServerMessage::RetrySpread { retry_spread_ms: 0 }]);
}

#[test]
fn whoever_is_away_for_a_moment_belongs_to_the_crowd() {
    let mut hall = slow_hall();
    let (host, room, _) = hall.host(peer(9));
    let second = hall.connect();
    hall.send(second, ClientMessage::Register { peer_id: peer(1) });
    hall.send(second, ClientMessage::JoinRoom { room_id: room });
    hall.rooms.disconnected(hall.now, second);
    let lowered = ServerMessage::RetrySpread { retry_spread_ms: 0 };
    assert!(!hall.take(host).contains(&lowered));
    hall.pass(Duration::from_secs(30));
    assert!(hall.take(host).contains(&lowered), "the seat is given up");
}

#[test]
fn a_stopping_server_spreads_a_crowd_wider_than_a_few() {
    let asked = |others: u8| {
        let mut hall = slow_hall();
        let (host, ..) = hall.host(peer(99));
        for n in 0..others {
            let conn = hall.connect();
            hall.send(conn, ClientMessage::Register { peer_id: peer(n) });
        }
        hall.take(host);
        hall.rooms.shutdown();
        hall.take(host)
    };
    assert_eq!(asked(0), [ServerMessage::GoingAway { retry_after_ms: 1000 }]);
    assert_eq!(asked(8), [ServerMessage::GoingAway { retry_after_ms: 4096 }]);
}

#[test]
fn pong_tells_wall_clock_time() {
    let config = RoomConfig { zero_unix_ms: 1_700_000_000_000, ..RoomConfig::default() };
    let mut hall = Hall::with(config, ListedTokens::default());
    let conn = hall.connect();
    hall.pass(Duration::from_millis(5));
    hall.send(conn, ClientMessage::Ping);
    assert_eq!(hall.take(conn), [ServerMessage::Pong { timestamp: 1_700_000_000_005 }]);
}

#[test]
fn ended_rooms_are_forgotten_oldest_first() {
    let config = RoomConfig { max_ended_rooms: 2, ..RoomConfig::default() };
    let mut hall = Hall::with(config, ListedTokens::default());
    let ids = [1, 2, 3].map(|n| RoomId::from_random_bytes([n; 16]));
    for id in ids.into_iter().chain(ids) {
        hall.rooms.remember_ended(id);
    }
    let conn = hall.register(peer(1));
    let codes = ids.map(|room_id| hall.refused(conn, ClientMessage::JoinRoom { room_id }));
    assert_eq!(codes.iter().filter(|code| **code == ErrorCode::RoomEnded).count(), 2);
}
