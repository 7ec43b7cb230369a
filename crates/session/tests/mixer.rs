//! The shared desk as a client sees it: what it changes, what others change, a server that
//! forgets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a broken test stops"
)]

mod support;

use openstudio_session::wire::{
    ClientMessage, ErrorCode, NamedStrip, Participant, SeatGrant, ServerMessage, Strip, StripChange,
};
use openstudio_session::{Event, Input};
use openstudio_units::{Gain, PeerId, Role};
use support::{Client, grant, peer, room, seat};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn gain(percent: u16) -> StripChange {
    StripChange::gain(Gain::from_percent(percent).unwrap())
}

/// A host in the room with a caller, and the caller's id. The room is at number 10.
fn host_with_caller() -> (Client, PeerId) {
    let mut client = Client::joining();
    client.open();
    let me = client.registered();
    client.says(ServerMessage::RoomJoined {
        room_id: room(),
        seat: grant(Role::Host, "first"),
        seq: 10,
        participants: vec![seat(1), Participant { peer_id: me, ..seat(200) }],
    });
    client.input(Input::SetMicrophone(true));
    client.sent.clear();
    (client, peer(1))
}

fn strips_sent(client: &mut Client) -> Vec<StripChange> {
    let change = |message| match message {
        ClientMessage::SetStrip { change, .. } => Some(change),
        _ => None,
    };
    client.sent.drain(..).filter_map(change).collect()
}

fn told(from: PeerId, peer_id: PeerId, strip: Strip, seq: u64) -> ServerMessage {
    ServerMessage::Strip { from, strip: NamedStrip { peer_id, strip }, seq }
}

#[test]
fn a_moved_fader_shows_at_once_and_stays_when_the_server_confirms() {
    let (mut client, caller) = host_with_caller();
    let me = client.session.me().unwrap();
    client.input(Input::SetStrip { peer: caller, change: gain(150) });
    assert_eq!(client.session.strip(caller).gain.percent(), 150);
    assert!(client.events.contains(&Event::StripChanged { peer: caller }));
    client.input(Input::SetStrip { peer: caller, change: gain(160) });
    assert_eq!(strips_sent(&mut client), [gain(150)], "one at a time");
    let confirmed = Strip::default().changed(gain(150));
    client.says(told(me, caller, confirmed, 11));
    assert_eq!(strips_sent(&mut client), [gain(160)]);
    assert_eq!(client.session.strip(caller).gain.percent(), 160, "the hand is ahead");
    client.says(told(me, caller, confirmed.changed(gain(160)), 12));
    assert_eq!(client.session.strip(caller), confirmed.changed(gain(160)));
}

#[test]
fn of_two_hosts_at_one_fader_the_servers_order_decides() {
    let (mut client, caller) = host_with_caller();
    let me = client.session.me().unwrap();
    client.input(Input::SetStrip { peer: caller, change: gain(20) });
    let mine = Strip::default().changed(gain(20));
    let theirs = mine.changed(gain(90));
    client.says(told(me, caller, mine, 11));
    client.events.clear();
    client.says(told(peer(2), caller, theirs, 12));
    assert_eq!(client.session.strip(caller), theirs);
    assert_eq!(client.events, [Event::StripChanged { peer: caller }]);
}

#[test]
fn a_caller_changes_nothing() {
    let mut client = Client::in_room(&[1]);
    client.sent.clear();
    client.input(Input::SetStrip { peer: peer(1), change: StripChange::muted(true) });
    assert_eq!(client.sent, []);
    assert_eq!(client.session.strip(peer(1)), Strip::default());
}

#[test]
fn a_refused_change_is_taken_back() {
    let (mut client, caller) = host_with_caller();
    client.input(Input::SetStrip { peer: caller, change: gain(0) });
    client.events.clear();
    client.says(ServerMessage::Error {
        code: ErrorCode::Forbidden,
        message: "no".into(),
        request: Some("set-strip".into()),
        to: Some(caller),
    });
    assert_eq!(client.session.strip(caller), Strip::default());
    assert!(client.events.contains(&Event::StripChanged { peer: caller }));
    let refused = |event: &Event| matches!(event, Event::Refused { .. });
    assert!(client.events.iter().any(refused), "a person is told");
}

#[test]
fn what_is_moved_while_the_socket_is_gone_is_sent_when_it_is_back() {
    let (mut client, caller) = host_with_caller();
    client.loses_socket(None);
    client.input(Input::SetStrip { peer: caller, change: gain(80) });
    client.input(Input::SetStrip { peer: caller, change: gain(70) });
    assert_eq!(client.session.strip(caller).gain.percent(), 70);
    resume(&mut client, true, 11, Strip::default());
    assert_eq!(strips_sent(&mut client), [gain(70)]);
}

#[test]
fn a_change_that_the_server_dropped_is_sent_again() {
    let (mut client, caller) = host_with_caller();
    client.input(Input::SetStrip { peer: caller, change: gain(80) });
    assert_eq!(strips_sent(&mut client), [gain(80)]);
    let sent_at = client.now;
    while client.sent.iter().all(|message| message.kind() != "set-strip") {
        client.wait();
    }
    assert_eq!(strips_sent(&mut client), [gain(80)]);
    assert_eq!(client.now.since(sent_at), std::time::Duration::from_secs(2));
}

#[test]
fn a_restarted_server_learns_the_strips_from_a_host() {
    let (mut client, caller) = host_with_caller();
    let strip = Strip::default().changed(StripChange::muted(true)).changed(gain(40));
    client.says(told(peer(2), caller, strip, 11));
    client.loses_socket(None);
    resume(&mut client, false, 1, Strip::default());
    let restored =
        ClientMessage::RestoreStrips { strips: vec![NamedStrip { peer_id: caller, strip }] };
    assert!(client.sent.contains(&restored), "{:?}", client.sent);
    assert_eq!(client.session.strip(caller), strip, "nothing is heard of it meanwhile");
}

#[test]
fn a_server_that_knows_better_is_believed() {
    let (mut client, caller) = host_with_caller();
    client.says(told(peer(2), caller, Strip::default().changed(gain(40)), 11));
    client.loses_socket(None);
    let newer = Strip::default().changed(gain(40)).changed(gain(60));
    resume(&mut client, false, 5, newer);
    assert!(client.sent.iter().all(|message| message.kind() != "restore-strips"));
    assert_eq!(client.session.strip(caller), newer);
}

#[test]
fn a_mute_by_a_host_is_not_taken_for_the_callers_own() {
    let (mut client, caller) = host_with_caller();
    let me = client.session.me().unwrap();
    let strip = Strip::default().changed(StripChange::muted(true));
    client.says(told(me, caller, strip, 11));
    client.says(ServerMessage::Mute { from: me, peer_id: caller, muted: true, seq: 12 });
    let known = client.session.participants().find(|seat| seat.peer_id == caller).unwrap();
    assert!(known.strip.muted && !known.muted);
    client.says(ServerMessage::Mute { from: caller, peer_id: caller, muted: true, seq: 13 });
    let known = client.session.participants().find(|seat| seat.peer_id == caller).unwrap();
    assert!(known.strip.muted && known.muted);
}

/// Opens the next socket and takes the seat again, with the caller's strip as it is there.
fn resume(client: &mut Client, complete: bool, seq: u64, strip: Strip) {
    let me = client.session.me().unwrap();
    while client.socket.is_none() {
        client.wait();
    }
    client.open();
    client.sent.clear();
    let seat_again = SeatGrant { ..grant(Role::Host, "second") };
    client.says(ServerMessage::Resumed { peer_id: me, room_id: room(), seat: seat_again });
    client.says(ServerMessage::Snapshot {
        room_id: room(),
        seq,
        complete,
        participants: vec![
            Participant { strip, ..seat(1) },
            Participant { peer_id: me, ..seat(200) },
        ],
    });
}
