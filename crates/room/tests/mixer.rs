//! The shared desk: who may touch it, what everybody is told, what a restart leaves of it.
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

use openstudio_room::{ConnId, RoomConfig};
use openstudio_units::{Gain, PeerId, Role};
use openstudio_wire::{
    ClientMessage, ErrorCode, NamedStrip, Participant, ServerMessage, Strip, StripChange,
};
use support::{Hall, ListedTokens, peer};

fn gain(percent: u16) -> StripChange {
    StripChange::gain(Gain::from_percent(percent).unwrap())
}

fn set(peer_id: PeerId, change: StripChange) -> ClientMessage {
    ClientMessage::SetStrip { peer_id, change }
}

fn restore(peer_id: PeerId, strip: Strip) -> ClientMessage {
    ClientMessage::RestoreStrips { strips: vec![NamedStrip { peer_id, strip }] }
}

/// The strips that a socket was told since the last time.
fn strips(hall: &mut Hall, conn: ConnId) -> Vec<(PeerId, Strip)> {
    let strip = |message| match message {
        ServerMessage::Strip { strip, .. } => Some((strip.peer_id, strip.strip)),
        _ => None,
    };
    hall.take(conn).into_iter().filter_map(strip).collect()
}

fn listed(snapshot: &ServerMessage) -> Vec<Participant> {
    match snapshot {
        ServerMessage::Snapshot { participants, .. } => participants.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_moved_fader_is_told_to_everybody_and_to_who_comes_later() {
    let mut hall = Hall::new();
    let (host, room_id, _) = hall.host(peer(9));
    let (caller, _) = hall.caller(peer(1), room_id);
    hall.take(host);
    hall.send(host, set(peer(1), gain(150)));
    hall.send(host, set(peer(1), StripChange::on_air(false)));
    let first = Strip { gain: Gain::from_percent(150).unwrap(), revision: 1, ..Strip::default() };
    let second = Strip { on_air: false, revision: 2, ..first };
    let told = vec![(peer(1), first), (peer(1), second)];
    assert_eq!(strips(&mut hall, host), told);
    assert_eq!(strips(&mut hall, caller), told);
    let late = hall.register(peer(2));
    hall.send(late, ClientMessage::JoinRoom { room_id });
    let got = hall.take(late);
    let [ServerMessage::RoomJoined { participants, .. }] = &got[..] else { panic!("{got:?}") };
    let strip_of = |id| participants.iter().find(|p| p.peer_id == id).unwrap().strip;
    assert_eq!((strip_of(peer(1)), strip_of(peer(9))), (second, Strip::default()));
}

#[test]
fn callers_change_no_strip_not_even_their_own() {
    let mut hall = Hall::new();
    let (host, room_id, _) = hall.host(peer(9));
    let (caller, _) = hall.caller(peer(1), room_id);
    for message in [
        set(peer(1), gain(200)),
        set(peer(9), StripChange::muted(true)),
        ClientMessage::Mute { peer_id: Some(peer(9)), muted: true },
        restore(peer(9), Strip { revision: 3, ..Strip::default() }),
    ] {
        let kind = message.kind();
        assert_eq!(hall.refused(caller, message), ErrorCode::Forbidden, "{kind}");
    }
    let told = strips(&mut hall, host);
    assert_eq!(told, []);
    let invite = hall.invitation(host, Role::Ops);
    let (ops, _) = hall.invited(peer(2), room_id, invite);
    hall.send(ops, set(peer(1), gain(10)));
    assert_eq!(strips(&mut hall, caller).len(), 1, "operators mix");
}

#[test]
fn a_host_mutes_anybody_and_both_kinds_of_clients_are_told() {
    let mut hall = Hall::new();
    let (host, room_id, _) = hall.host(peer(9));
    let (caller, _) = hall.caller(peer(1), room_id);
    hall.send(host, ClientMessage::Mute { peer_id: Some(peer(1)), muted: true });
    let got = hall.take(caller);
    let [ServerMessage::Strip { from, strip, seq }, mute] = &got[..] else { panic!("{got:?}") };
    assert!(strip.strip.muted && strip.peer_id == peer(1) && *from == peer(9));
    let same = ServerMessage::Mute { from: peer(9), peer_id: peer(1), muted: true, seq: *seq + 1 };
    assert_eq!(*mute, same);
}

#[test]
fn a_host_does_not_open_a_microphone_that_its_owner_closed_nor_the_owner_a_hosts_mute() {
    let mut hall = Hall::new();
    let (host, room_id, host_seat) = hall.host(peer(9));
    let (caller, _) = hall.caller(peer(1), room_id);
    hall.send(caller, ClientMessage::Mute { peer_id: None, muted: true });
    hall.send(host, set(peer(1), StripChange::muted(true)));
    let of_caller = |hall: &mut Hall| {
        let (_, _, snapshot) = hall.resume(&host_seat.token, false);
        let seat = listed(&snapshot).into_iter().find(|p| p.peer_id == peer(1)).unwrap();
        (seat.muted, seat.strip.muted)
    };
    assert_eq!(of_caller(&mut hall), (true, true));
    hall.send(caller, ClientMessage::Mute { peer_id: None, muted: false });
    assert_eq!(of_caller(&mut hall), (false, true), "the host's mute stands");
    hall.send(caller, ClientMessage::Mute { peer_id: None, muted: true });
    let (host, ..) = hall.resume(&host_seat.token, false);
    hall.send(host, set(peer(1), StripChange::muted(false)));
    assert_eq!(of_caller(&mut hall), (true, false), "the owner's mute stands");
}

#[test]
fn a_strip_of_nobody_in_the_room_is_refused() {
    let mut hall = Hall::new();
    let (host, ..) = hall.host(peer(9));
    assert_eq!(hall.refused(host, set(peer(1), gain(50))), ErrorCode::PeerNotFound);
}

#[test]
fn a_restarted_server_takes_the_newer_of_two_revisions() {
    let mut before = Hall::new();
    let (host, room_id, host_seat) = before.host(peer(9));
    let (_, caller_seat) = before.caller(peer(1), room_id);
    before.send(host, set(peer(1), gain(30)));
    before.send(host, set(peer(1), StripChange::muted(true)));
    let kept = Strip::default().changed(gain(30)).changed(StripChange::muted(true));

    let mut hall = before.restarted();
    let (host, ..) = hall.resume(&host_seat.token, false);
    hall.send(host, restore(peer(1), kept));
    assert_eq!(strips(&mut hall, host), [], "the caller is not back, so nobody needs to know");
    let (_, _, snapshot) = hall.resume(&caller_seat.token, false);
    let strip = listed(&snapshot).iter().find(|p| p.peer_id == peer(1)).unwrap().strip;
    assert_eq!(strip, kept, "a muted caller comes back muted");
    hall.take(host);
    hall.send(host, restore(peer(1), Strip { revision: 1, ..Strip::default() }));
    assert_eq!(strips(&mut hall, host), []);
    hall.send(host, set(peer(1), gain(31)));
    assert_eq!(strips(&mut hall, host), [(peer(1), kept.changed(gain(31)))]);
}

#[test]
fn who_comes_back_after_the_grace_period_is_still_muted() {
    let mut hall = Hall::new();
    let (host, room_id, _) = hall.host(peer(9));
    let (caller, seat) = hall.caller(peer(1), room_id);
    hall.send(host, set(peer(1), StripChange::muted(true)));
    hall.disconnect(caller);
    hall.pass(Duration::from_secs(31));
    let (_, _, snapshot) = hall.resume(&seat.token, false);
    assert!(listed(&snapshot).iter().any(|p| p.peer_id == peer(1) && p.strip.muted));
}

#[test]
fn strips_of_people_who_left_do_not_pile_up_and_those_who_stay_keep_theirs() {
    let config = RoomConfig { max_participants: 2, ..RoomConfig::default() };
    let mut hall = Hall::with(config, ListedTokens::default());
    let (host, ..) = hall.host(peer(9));
    let mine = Strip { gain: Gain::SILENCE, revision: 1, ..Strip::default() };
    hall.send(host, restore(peer(9), mine));
    for round in 1..=8u64 {
        let named = (1..=60u8).filter(|n| *n != 9).map(|n| NamedStrip {
            peer_id: peer(n.wrapping_add(60 * u8::try_from(round % 4).unwrap())),
            strip: Strip { revision: round + 1, ..Strip::default() },
        });
        let strips = named.filter(|named| named.peer_id != peer(9)).collect();
        hall.send(host, ClientMessage::RestoreStrips { strips });
    }
    assert!(hall.rooms.remembered_strips() <= 64);
    hall.take(host);
    hall.send(host, set(peer(9), gain(1)));
    assert_eq!(strips(&mut hall, host), [(peer(9), mine.changed(gain(1)))]);
}
