//! The studio's engine: who may give it orders, and what everybody is told.
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

use openstudio_room::{ConnId, EngineOrder, Event, RoomConfig};
use openstudio_units::{Role, RoomId};
use openstudio_wire::{
    AirState, ClientMessage, Destination, DestinationState, EngineState, ErrorCode, Line,
    RecordingState, ServerMessage, Token,
};
use support::{Hall, ListedTokens, peer};

const RECORD: ClientMessage = ClientMessage::Record { on: true };

fn hall() -> Hall {
    let config = RoomConfig { has_engine: true, max_participants: 2, ..RoomConfig::default() };
    Hall::with(config, ListedTokens::default())
}

fn busy() -> EngineState {
    let recording = RecordingState { id: "r".into(), length_ms: 1, bytes: 2, stalled: Vec::new() };
    let destination = Destination {
        name: "Icecast".into(),
        state: DestinationState::Failed,
        words: "The password of Icecast is wrong.".into(),
    };
    let air = AirState { length_ms: 1, listeners: 3, title: None, destinations: vec![destination] };
    EngineState { recording: Some(recording), air: Some(air), alarm: Some("alarm".into()) }
}

fn told(hall: &mut Hall, conn: ConnId) -> Vec<EngineState> {
    let state = |message| match message {
        ServerMessage::Engine { state } => Some(state),
        _ => None,
    };
    hall.take(conn).into_iter().filter_map(state).collect()
}

fn join(hall: &mut Hall, number: u8, room: RoomId, invite: Option<Token>) -> ConnId {
    let conn = hall.register(peer(number));
    let room_id = Some(room);
    hall.send(
        conn,
        ClientMessage::CreateOrJoinRoom { room_id, role: None, invite_token: invite, name: None },
    );
    conn
}

#[test]
fn hosts_give_orders_and_callers_do_not() {
    let mut hall = hall();
    let (host, room, _) = hall.host(peer(9));
    let (caller, _) = hall.caller(peer(1), room);
    hall.send(host, RECORD);
    let mark = Line::new("the jingle").unwrap();
    hall.send(host, ClientMessage::Mark { text: mark.clone() });
    let orders: Vec<Event> = hall
        .events
        .iter()
        .filter(|event| matches!(event, Event::EngineOrdered { .. }))
        .cloned()
        .collect();
    let ordered = |order| Event::EngineOrdered { room, conn: host, order };
    let expected = [ordered(EngineOrder::Record(true)), ordered(EngineOrder::Mark(mark))];
    assert_eq!(orders, expected);
    for order in [
        RECORD,
        ClientMessage::Air { on: true, title: None },
        ClientMessage::ListRecordings,
        ClientMessage::DeleteRecording { id: "r".into() },
    ] {
        assert_eq!(hall.refused(caller, order), ErrorCode::Forbidden);
    }
}

#[test]
fn operators_record_but_delete_nothing() {
    let mut hall = hall();
    let (host, room, _) = hall.host(peer(9));
    let invite = hall.invitation(host, Role::Ops);
    let (ops, _) = hall.invited(peer(2), room, invite);
    hall.send(ops, RECORD);
    assert!(matches!(hall.events.last(), Some(Event::EngineOrdered { .. })));
    let delete = ClientMessage::DeleteRecording { id: "r".into() };
    assert_eq!(hall.refused(ops, delete), ErrorCode::Forbidden);
}

#[test]
fn a_server_without_an_engine_says_so_and_never_speaks_of_it() {
    let mut hall = Hall::new();
    let (host, ..) = hall.host(peer(9));
    assert_eq!(hall.refused(host, RECORD), ErrorCode::NoEngine);
    assert_eq!(told(&mut hall, host), []);
}

#[test]
fn whoever_is_there_or_comes_knows_that_they_are_recorded() {
    let mut hall = hall();
    let (host, room, _) = hall.host(peer(9));
    hall.take(host);
    hall.rooms.engine_changed(room, busy());
    assert_eq!(told(&mut hall, host), [busy()]);
    let caller = join(&mut hall, 1, room, None);
    assert_eq!(told(&mut hall, caller), [busy().for_callers()]);
    assert!(busy().for_callers().recording.is_some());
    hall.rooms.engine_changed(room, EngineState::default());
    assert_eq!(told(&mut hall, caller), [EngineState::default()]);
}

#[test]
fn whoever_resumes_is_told_again() {
    let mut hall = hall();
    let (host, room, seat) = hall.host(peer(9));
    hall.rooms.engine_changed(room, busy());
    hall.disconnect(host);
    let conn = hall.connect();
    hall.send(conn, ClientMessage::Resume { token: seat.token, fresh: true });
    assert_eq!(told(&mut hall, conn), [busy()]);
}

#[test]
fn callers_are_told_nothing_of_destinations_and_alarms() {
    let state = busy().for_callers();
    assert_eq!(state.air.as_ref().map(|air| air.listeners), Some(3));
    assert_eq!(state.air.map(|air| air.destinations), Some(Vec::new()));
    assert_eq!(state.alarm, None);
}

#[test]
fn the_engines_seat_is_given_by_the_server_alone_and_takes_nobodys() {
    let mut hall = hall();
    let (host, room, _) = hall.host(peer(9));
    let (caller, _) = hall.caller(peer(1), room);
    let invite = ClientMessage::RequestInvite { invite_role: Role::Engine };
    assert_eq!(hall.refused(host, invite.clone()), ErrorCode::Forbidden);
    assert_eq!(hall.refused(caller, invite), ErrorCode::Forbidden);
    // Two people fill this room.
    let invite = hall.rooms.invite_engine(room).unwrap();
    let engine = join(&mut hall, 7, room, Some(invite));
    assert_eq!(hall.joined(engine).role, Role::Engine);
    assert_eq!(hall.refused(engine, RECORD), ErrorCode::Forbidden);
    hall.send(caller, ClientMessage::Leave);
    let another = hall.register(peer(2));
    hall.send(another, ClientMessage::JoinRoom { room_id: room });
    assert_eq!(hall.joined(another).role, Role::Caller);
}

#[test]
fn a_token_for_downloads_is_for_one_room_and_for_nothing_else() {
    let mut hall = hall();
    let (host, room, seat) = hall.host(peer(9));
    let token = hall.rooms.sign_download(room).unwrap();
    assert_eq!(hall.rooms.open_download(&token), Some(room));
    assert_eq!(hall.rooms.open_download(&seat.token), None);
    let invite = hall.invitation(host, Role::Host);
    assert_eq!(hall.rooms.open_download(&invite), None);
    let socket = hall.connect();
    let resume = ClientMessage::Resume { token: token.clone(), fresh: true };
    assert_eq!(hall.refused(socket, resume), ErrorCode::WrongToken);
    let other = hall.register(peer(3));
    let join = ClientMessage::CreateOrJoinRoom {
        room_id: Some(room),
        role: None,
        invite_token: Some(token),
        name: None,
    };
    assert_eq!(hall.refused(other, join), ErrorCode::WrongToken);
}
