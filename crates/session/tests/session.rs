//! The session against a server that says what the test wants it to say.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a broken test stops"
)]

mod support;

use std::time::Duration;

use openstudio_session::mesh::{
    Command, Completion, Input as MeshInput, PcId, PeerConnectionState,
};
use openstudio_session::wire::{
    ClientMessage, CloseCode, Description, ErrorCode, IceConfig, IceServer, LeaveReason,
    Participant, SeatGrant, ServerMessage, Token,
};
use openstudio_session::{EndReason, Event, Input, Session, SessionConfig, SignallingState};
use openstudio_units::{Incarnation, Role, Seed, Timestamp};
use support::{Client, grant, peer, room, seat};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn joining_registers_asks_for_the_seat_and_enters() {
    let mut client = Client::in_room(&[1]);
    assert_eq!(client.take_sent(), ["register", "create-or-join-room"]);
    assert_eq!(client.signalling(), Some(SignallingState::Ready));
    assert_eq!(client.session.role(), Some(Role::Caller));
    assert!(client.events.contains(&Event::SeatToken(Token("first".into()))));
    let entered = |event: &Event| matches!(event, Event::Entered { room: of, .. } if *of == room());
    assert!(client.events.iter().any(entered));
    assert_eq!(client.session.links().len(), 1, "a link to the other, none to oneself");
}

#[test]
fn starting_makes_a_room() {
    let mut client = Client::new(Input::Start { name: None });
    client.open();
    let asked = ClientMessage::CreateOrJoinRoom {
        room_id: None,
        role: None,
        invite_token: None,
        name: None,
    };
    assert_eq!(client.sent.last(), Some(&asked));
    let me = client.registered();
    client.says(ServerMessage::RoomCreated {
        room_id: room(),
        host_id: me,
        seat: grant(Role::Host, "t"),
        seq: 1,
        participants: vec![Participant { peer_id: me, role: Role::Host, ..seat(1) }],
    });
    assert_eq!(client.session.role(), Some(Role::Host));
    assert_eq!(client.session.room(), Some(room()));
}

#[test]
fn a_microphone_and_a_mute_from_before_the_seat_are_announced_with_it() {
    let mut client = Client::joining();
    client.input(Input::SetMicrophone(true));
    client.input(Input::SetMuted(true));
    client.open();
    let me = client.registered();
    client.take_sent();
    client.says(ServerMessage::RoomJoined {
        room_id: room(),
        seat: grant(Role::Caller, "t"),
        seq: 1,
        participants: vec![Participant { peer_id: me, microphone: false, ..seat(1) }],
    });
    assert_eq!(client.take_sent(), ["microphone", "mute"]);
}

#[test]
fn a_broken_socket_resumes_with_the_newest_token_and_touches_no_peer_connection() {
    let mut client = Client::in_room(&[1, 250]);
    client.says(ServerMessage::SeatToken { token: Token("second".into()) });
    client.input(Input::SetMicrophone(true));
    client.take_sent();
    client.commands.clear();
    client.loses_socket(Some(1006));
    assert_eq!(client.signalling(), Some(SignallingState::Reconnecting));
    while client.socket.is_none() {
        client.wait();
    }
    client.open();
    let resume = ClientMessage::Resume { token: Token("second".into()), fresh: false };
    assert_eq!(client.sent, [resume]);
    client.sent.clear();
    let me = client.session.me().unwrap();
    client.says(ServerMessage::Resumed {
        peer_id: me,
        room_id: room(),
        seat: grant(Role::Caller, "third"),
    });
    let mine = Participant { peer_id: me, microphone: false, ..seat(200) };
    client.says(ServerMessage::Snapshot {
        room_id: room(),
        seq: 3,
        complete: true,
        participants: vec![seat(1), seat(250), mine],
    });
    assert_eq!(client.signalling(), Some(SignallingState::Ready));
    assert!(client.take_sent().contains(&"microphone"), "it is announced again");
    let closes = |command: &Command| matches!(command, Command::ClosePeerConnection { .. });
    assert!(!client.commands.iter().any(closes));
}

#[test]
fn a_restarted_server_that_knows_few_drops_nobody_until_it_says_so() {
    let mut client = Client::in_room(&[1, 2]);
    client.loses_socket(None);
    while client.socket.is_none() {
        client.wait();
    }
    client.open();
    let me = client.session.me().unwrap();
    let mine = Participant { peer_id: me, ..seat(200) };
    client.says(ServerMessage::Resumed {
        peer_id: me,
        room_id: room(),
        seat: grant(Role::Caller, "t"),
    });
    let snapshot = |complete, participants| ServerMessage::Snapshot {
        room_id: room(),
        seq: 1,
        complete,
        participants,
    };
    client.says(snapshot(false, vec![mine.clone()]));
    assert_eq!(client.session.links().len(), 2);
    client.says(ServerMessage::PeerJoined { participant: seat(1), seq: 2 });
    client.says(snapshot(true, vec![mine, seat(1)]));
    assert_eq!(client.session.links().len(), 1);
    let left = Event::ParticipantLeft { peer: peer(2), reason: LeaveReason::TimedOut };
    assert!(client.events.contains(&left));
}

#[test]
fn a_server_that_never_completes_its_snapshot_does_not_keep_ghosts_for_ever() {
    let mut client = Client::in_room(&[1]);
    let me = client.session.me().unwrap();
    let participants = vec![Participant { peer_id: me, ..seat(200) }];
    client.says(ServerMessage::Snapshot { room_id: room(), seq: 1, complete: false, participants });
    let start = client.now;
    while client.now.since(start) < Duration::from_secs(61) {
        client.wait();
        if client.sent.last() == Some(&ClientMessage::Ping) {
            client.says(ServerMessage::Pong { timestamp: 0 });
        }
    }
    assert!(client.session.links().is_empty());
}

/// Opens the next socket and resumes with this incarnation and these seats.
fn come_back(client: &mut Client, incarnation: u32, others: &[u8]) {
    while client.socket.is_none() {
        client.wait();
    }
    client.open();
    client.take_sent();
    let me = client.session.me().unwrap();
    client.says(ServerMessage::Resumed {
        peer_id: me,
        room_id: room(),
        seat: SeatGrant { incarnation: Incarnation(incarnation), ..grant(Role::Caller, "t") },
    });
    let mut participants: Vec<_> = others.iter().map(|n| seat(*n)).collect();
    participants.push(Participant { peer_id: me, microphone: true, muted: true, ..seat(200) });
    client.says(ServerMessage::Snapshot { room_id: room(), seq: 90, complete: true, participants });
}

#[test]
fn regression_a_seat_with_another_incarnation_begins_its_links_anew() {
    let mut client = Client::in_room(&[1]);
    let before = client.session.links()[0].generation;
    client.loses_socket(None);
    come_back(&mut client, 9, &[1]);
    assert!(client.session.links()[0].generation > before);
}

#[test]
fn regression_what_changed_while_there_was_no_socket_is_told_both_ways() {
    let mut client = Client::in_room(&[1]);
    client.input(Input::SetMicrophone(true));
    client.input(Input::SetMuted(true));
    client.loses_socket(None);
    client.input(Input::SetMicrophone(false));
    client.input(Input::SetMuted(false));
    come_back(&mut client, 1, &[1]);
    let told = [
        ClientMessage::Microphone { available: false },
        ClientMessage::Mute { peer_id: None, muted: false },
    ];
    assert_eq!(client.sent, told);
}

#[test]
fn regression_a_lost_socket_stops_the_clock_that_drops_the_missing() {
    let mut client = Client::in_room(&[1]);
    let me = client.session.me().unwrap();
    let participants = vec![Participant { peer_id: me, ..seat(200) }];
    client.says(ServerMessage::Snapshot { room_id: room(), seq: 1, complete: false, participants });
    client.loses_socket(None);
    client.now = client.now + Duration::from_secs(120);
    client.session.handle_timeout(client.now);
    client.drain();
    assert_eq!(client.session.links().len(), 1, "the link may be sound");
}

#[test]
fn another_network_gets_another_socket_at_once_and_keeps_the_peer_connections() {
    for input in [Input::Online, Input::Mesh(MeshInput::NetworkChanged)] {
        let (mut client, _) = connected(&[1]);
        let old = client.socket.unwrap();
        client.commands.clear();
        client.input(input);
        assert_eq!(client.closed, [old]);
        assert_ne!(client.socket, Some(old), "the next one is opened without waiting");
        assert_eq!(client.signalling(), Some(SignallingState::Reconnecting));
        client.open();
        assert_eq!(client.take_sent(), ["resume"]);
        assert_eq!(client.commands, []);
    }
}

#[test]
fn a_session_that_has_not_begun_opens_no_socket_for_a_network() {
    let (seed, now) = (Seed::from_number(1), Timestamp::ZERO);
    let mut session = Session::new(SessionConfig::default(), seed, now);
    session.handle_input(now, Input::Online);
    assert_eq!(session.poll_output(), None);
}

/// The links of a client whose peer connections are all connected.
fn connected(others: &[u8]) -> (Client, Vec<PcId>) {
    let mut client = Client::in_room(others);
    let made = |command: &Command| match command {
        Command::CreatePeerConnection { pc, .. } => Some(*pc),
        _ => None,
    };
    let links: Vec<_> = client.commands.iter().filter_map(made).collect();
    assert_eq!(links.len(), others.len());
    for pc in &links {
        tell(&mut client, *pc, PeerConnectionState::Connected);
    }
    client.take_sent();
    (client, links)
}

fn tell(client: &mut Client, pc: PcId, state: PeerConnectionState) {
    client.input(Input::Mesh(MeshInput::ConnectionStateChanged { pc, state }));
}

#[test]
fn who_hears_nobody_any_more_looks_at_the_socket_at_once() {
    let (mut client, links) = connected(&[1, 2]);
    tell(&mut client, links[0], PeerConnectionState::Disconnected);
    assert!(!client.take_sent().contains(&"ping"), "the other one is heard");
    tell(&mut client, links[1], PeerConnectionState::Disconnected);
    assert!(client.take_sent().contains(&"ping"));
    let silent = client.now;
    while client.signalling() == Some(SignallingState::Ready) {
        client.wait();
    }
    let config = SessionConfig::default();
    assert!(client.now.since(silent) <= config.probe_timeout);
}

#[test]
fn a_reloaded_page_resumes_fresh() {
    let mut client = Client::new(Input::Resume { token: Token("kept".into()) });
    client.open();
    assert_eq!(client.sent, [ClientMessage::Resume { token: Token("kept".into()), fresh: true }]);
    client.says(ServerMessage::Resumed {
        peer_id: peer(7),
        room_id: room(),
        seat: grant(Role::Host, "t"),
    });
    assert_eq!(client.session.me(), Some(peer(7)));
    assert_eq!(client.session.role(), Some(Role::Host));
    assert_ne!(client.signalling(), Some(SignallingState::Ready), "the snapshot has not come");
}

#[test]
fn refusals_that_nothing_can_mend_end_the_session_with_their_reason() {
    for code in [
        ErrorCode::RoomEnded,
        ErrorCode::RoomFull,
        ErrorCode::InvalidToken,
        ErrorCode::ExpiredToken,
        ErrorCode::WrongToken,
        ErrorCode::InvalidName,
    ] {
        let mut client = Client::joining();
        client.open();
        client.refuses(code);
        let reason = EndReason::Refused { code, message: "no".into() };
        assert_eq!(client.end_reason(), Some(&reason));
        assert_eq!(client.closed.len(), 1);
        assert_eq!(client.session.poll_timeout(), None);
    }
}

#[test]
fn regression_a_room_that_is_not_back_is_looked_for_until_its_people_had_time_to_return() {
    let mut client = Client::joining();
    client.open();
    client.take_sent();
    for _ in 0..SessionConfig::default().room_lookups {
        client.refuses(ErrorCode::RoomNotBack);
        assert_eq!(client.end_reason(), None);
        assert_eq!(client.wait(), Duration::from_secs(1));
        assert_eq!(client.take_sent(), ["create-or-join-room"]);
    }
    client.refuses(ErrorCode::RoomNotBack);
    assert!(client.end_reason().is_some());
}

#[test]
fn a_refusal_in_the_room_is_told_and_the_session_goes_on() {
    let mut client = Client::in_room(&[1]);
    client.says(ServerMessage::Error {
        code: ErrorCode::Forbidden,
        message: "ask a host".into(),
        request: Some("request-invite".into()),
        to: None,
    });
    let told = Event::Refused { code: ErrorCode::Forbidden, message: "ask a host".into() };
    assert!(client.events.contains(&told));
    assert_eq!(client.end_reason(), None);
}

#[test]
fn another_tab_takes_over_and_this_one_lets_go() {
    let mut client = Client::in_room(&[1]);
    client.loses_socket(Some(CloseCode::TakenOver.as_u16()));
    assert_eq!(client.end_reason(), Some(&EndReason::TakenOver));
    assert_eq!(client.session.poll_timeout(), None, "it does not come back by itself");
}

#[test]
fn leaving_says_so_and_closes_everything() {
    let mut client = Client::in_room(&[1]);
    client.take_sent();
    client.input(Input::Leave);
    assert_eq!(client.take_sent(), ["leave"]);
    assert_eq!(client.end_reason(), Some(&EndReason::Left));
    assert_eq!(client.closed, [client.socket.unwrap()]);
    client.input(Input::Online);
    assert!(client.sent.is_empty());
}

#[test]
fn what_an_older_socket_still_says_is_ignored() {
    let mut client = Client::in_room(&[1]);
    let old = client.socket.unwrap();
    client.loses_socket(None);
    while client.socket.is_none() {
        client.wait();
    }
    let text = ServerMessage::RoomEnded { room_id: room() }.to_json();
    client.input(Input::MessageReceived { socket: old, text });
    client.input(Input::SocketClosed { socket: old, code: Some(4002) });
    assert_eq!(client.end_reason(), None);
}

#[test]
fn garbage_from_the_server_changes_nothing() {
    let mut client = Client::in_room(&[1]);
    let before = client.events.len();
    for text in ["", "{", "[]", r#"{"type":"offer"}"#, r#"{"type":"new-thing","x":1}"#] {
        let socket = client.socket.unwrap();
        client.input(Input::MessageReceived { socket, text: text.to_owned() });
    }
    assert_eq!(client.events.len(), before);
}

#[test]
fn a_server_that_goes_away_spreads_the_return_over_what_it_asked_for() {
    let mut client = Client::in_room(&[]);
    client.says(ServerMessage::GoingAway { retry_after_ms: 60_000 });
    client.loses_socket(Some(1001));
    let due = client.session.poll_timeout().unwrap().at.since(client.now);
    assert!(due > Duration::from_millis(500) && due <= Duration::from_secs(60), "{due:?}");
}

#[test]
fn a_crowd_is_spread_as_its_server_said_last() {
    let wait = |says: &[ServerMessage]| {
        let mut client = Client::in_room(&[]);
        says.iter().for_each(|message| client.says(message.clone()));
        client.loses_socket(None);
        client.session.poll_timeout().unwrap().at.since(client.now)
    };
    let spread = |retry_spread_ms| ServerMessage::RetrySpread { retry_spread_ms };
    let usual = wait(&[]);
    assert!(usual <= Duration::from_millis(500), "{usual:?}");
    // The same draw, of a wider range.
    assert_eq!(wait(&[spread(5_000)]).as_millis() / 10, usual.as_millis());
    assert_eq!(wait(&[spread(5_000), spread(0)]), usual);
    let welcome = |retry_spread_ms| ServerMessage::Welcome {
        protocol: 1,
        server: "another".to_owned(),
        grace_ms: 30_000,
        setups_in_flight: None,
        engine: false,
        retry_spread_ms,
    };
    assert!(wait(&[welcome(Some(5_000))]) > usual);
    assert_eq!(wait(&[spread(5_000), welcome(None)]), usual);
    assert!(wait(&[spread(u64::MAX)]) <= Duration::from_secs(5 * 60));
}

#[test]
fn offers_reach_the_mesh_and_answers_go_out_under_ones_own_id() {
    let mut client = Client::in_room(&[250]);
    let me = client.session.me().unwrap();
    assert!(me < peer(250), "this side is polite");
    let (from, to) = (peer(250), me);
    client.says(ServerMessage::Offer(Description {
        from,
        to,
        sdp: "v=0".into(),
        generation: None,
        offer_id: None,
    }));
    let mut answered = false;
    for _ in 0..10 {
        for command in std::mem::take(&mut client.commands) {
            let (op, completion) = match command {
                Command::CreatePeerConnection { op, .. }
                | Command::SetRemoteDescription { op, .. } => (op, Completion::Done),
                Command::SetLocalDescription { op, .. } => {
                    let kind = openstudio_session::mesh::DescriptionKind::Answer;
                    (op, Completion::LocalDescriptionSet { kind, sdp: "answer".into() })
                }
                other => panic!("{other:?}"),
            };
            let result = Ok(completion);
            client.input(Input::Mesh(MeshInput::Completed { op, result }));
        }
        answered |= client.sent.iter().any(
            |m| matches!(m, ClientMessage::Answer(answer) if answer.from == me && answer.to == from),
        );
    }
    assert!(answered);
}

#[test]
fn new_relay_servers_are_told_to_the_application() {
    let mut client = Client::in_room(&[]);
    client.loses_socket(None);
    while client.socket.is_none() {
        client.wait();
    }
    client.open();
    let turn =
        IceServer { urls: vec!["turn:x".into()], username: "u".into(), credential: "c".into() };
    let ice = IceConfig { stun: Vec::new(), turn: vec![turn] };
    let me = client.session.me().unwrap();
    client.says(ServerMessage::Resumed {
        peer_id: me,
        room_id: room(),
        seat: SeatGrant { ice: ice.clone(), ..grant(Role::Caller, "t") },
    });
    assert!(client.events.contains(&Event::IceServers(ice)));
    let state = PeerConnectionState::Connected;
    let pc = PcId(77);
    client.input(Input::Mesh(MeshInput::ConnectionStateChanged { pc, state }));
    assert_eq!(client.session.counters().late_reports, 1);
}
