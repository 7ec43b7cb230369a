//! What the room tells a session that is in it, and what becomes of that.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken test stops")]

use std::time::Duration;

use openstudio_session::mesh::ConnectionState;
use openstudio_session::wire::{
    ClientMessage, IceConfig, IceServer, LeaveReason, OfferRequest, Participant, SeatGrant,
    ServerMessage, Strip, Token,
};
use openstudio_session::{Event, Input, Output, Session, SessionConfig, SocketId};
use openstudio_units::{Incarnation, PeerId, Role, RoomId, Seed, Timestamp};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The sequence number at which the client entered.
const ENTERED: u64 = 10;

struct Client {
    session: Session,
    now: Timestamp,
    socket: SocketId,
    me: PeerId,
    sent: Vec<ClientMessage>,
    events: Vec<Event>,
}

fn peer(n: u8) -> PeerId {
    PeerId::from_random_bytes([n; 16])
}

fn seat(peer_id: PeerId) -> Participant {
    Participant {
        peer_id,
        role: Role::Caller,
        name: None,
        incarnation: Incarnation(1),
        present: true,
        muted: false,
        microphone: true,
        strip: Strip::default(),
    }
}

impl Client {
    /// A client that has just entered a room with the given others.
    fn among(others: &[u8], ice: IceConfig) -> Self {
        let now = Timestamp::from_millis(5);
        let room_id = RoomId::from_random_bytes([9; 16]);
        let session = Session::new(SessionConfig::default(), Seed::from_number(4), now);
        let (sent, events) = (Vec::new(), Vec::new());
        let mut client = Self { session, now, socket: SocketId(1), me: peer(0), sent, events };
        client.input(Input::Join { room: room_id, invite: None, name: None });
        client.input(Input::SocketOpened(client.socket));
        let Some(ClientMessage::Register { peer_id: me }) = client.sent.first() else {
            panic!("{:?}", client.sent)
        };
        client.me = *me;
        let mut participants: Vec<_> = others.iter().map(|n| seat(peer(*n))).collect();
        participants.push(Participant { microphone: false, ..seat(client.me) });
        let token = Token("token".into());
        let incarnation = Incarnation(1);
        let grant = SeatGrant { role: Role::Caller, token, incarnation, ice };
        client.says(ServerMessage::RoomJoined { room_id, seat: grant, seq: ENTERED, participants });
        client.sent.clear();
        client.events.clear();
        client
    }

    fn input(&mut self, input: Input) {
        self.session.handle_input(self.now, input);
        self.drain();
    }

    fn says(&mut self, message: ServerMessage) {
        let (socket, text) = (self.socket, message.to_json());
        self.input(Input::MessageReceived { socket, text });
    }

    /// Goes to the next deadline. The server answers when it is pinged.
    fn wait(&mut self) {
        self.now = self.now.max(self.session.poll_timeout().unwrap().at);
        let before = self.sent.len();
        self.session.handle_timeout(self.now);
        self.drain();
        if self.sent.iter().skip(before).any(|message| *message == ClientMessage::Ping) {
            self.says(ServerMessage::Pong { timestamp: 0 });
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::SendText { text, .. } => {
                    self.sent.push(ClientMessage::parse(&text).unwrap());
                }
                Output::Event(event) => self.events.push(event),
                Output::OpenSocket(_) | Output::CloseSocket(_) | Output::Mesh(_) => {}
            }
        }
    }

    fn listed(&self) -> Vec<PeerId> {
        self.session.participants().map(|participant| participant.peer_id).collect()
    }

    fn left(&self) -> Vec<PeerId> {
        let who = |event: &Event| {
            if let Event::ParticipantLeft { peer, .. } = event { Some(*peer) } else { None }
        };
        self.events.iter().filter_map(who).collect()
    }
}

#[test]
fn an_older_socket_that_opens_late_is_told_nothing() {
    let mut client = Client::among(&[], IceConfig::default());
    let old = client.socket;
    client.input(Input::SocketClosed { socket: old, code: None });
    client.input(Input::Online);
    client.input(Input::SocketOpened(old));
    assert_eq!(client.sent, []);
    client.input(Input::SocketOpened(SocketId(old.0 + 1)));
    assert!(matches!(client.sent[..], [ClientMessage::Resume { .. }]), "{:?}", client.sent);
}

#[test]
fn everybody_is_listed_in_the_order_of_ids() {
    let client = Client::among(&[250, 1], IceConfig::default());
    let mut expected = vec![peer(1), client.me, peer(250)];
    expected.sort();
    assert_eq!(client.listed(), expected);
}

#[test]
fn a_mute_of_somebody_else_is_shown_once() {
    let mut client = Client::among(&[1], IceConfig::default());
    let from = peer(1);
    let mute = |seq| ServerMessage::Mute { from, peer_id: from, muted: true, seq };
    client.says(mute(ENTERED));
    assert_eq!(client.events, [], "the list of entering is as new");
    client.says(mute(ENTERED + 1));
    let muted = Participant { muted: true, ..seat(from) };
    assert_eq!(client.events, [Event::ParticipantChanged(muted.clone())]);
    assert!(client.session.participants().any(|participant| *participant == muted));
    client.says(mute(ENTERED + 2));
    assert_eq!(client.events.len(), 1, "nothing is different");
}

#[test]
fn who_leaves_is_gone_with_their_link() {
    let mut client = Client::among(&[1, 2], IceConfig::default());
    let (peer_id, reason) = (peer(1), LeaveReason::Left);
    client.says(ServerMessage::PeerLeft { peer_id, reason, seq: ENTERED + 1 });
    assert!(client.events.contains(&Event::ParticipantLeft { peer: peer_id, reason }));
    assert!(!client.listed().contains(&peer_id));
    let links: Vec<_> = client.session.links().iter().map(|link| link.peer).collect();
    assert_eq!(links, [peer(2)]);
}

#[test]
fn a_farewell_of_somebody_unknown_or_of_oneself_is_no_news() {
    let mut client = Client::among(&[1], IceConfig::default());
    let reason = LeaveReason::TimedOut;
    for (peer_id, seq) in [(peer(77), ENTERED + 1), (client.me, ENTERED + 2)] {
        client.says(ServerMessage::PeerLeft { peer_id, reason, seq });
    }
    assert_eq!(client.left(), []);
    assert!(client.listed().contains(&client.me));
}

/// A relay, as a server says it is reached.
fn relay(url: &str, credential: &str) -> IceConfig {
    let (urls, username) = (vec![url.to_owned()], "u".to_owned());
    let turn = IceServer { urls, username, credential: credential.to_owned() };
    IceConfig { stun: Vec::new(), turn: vec![turn] }
}

/// The state of the only link.
fn state(client: &Client) -> Option<ConnectionState> {
    client.session.links().first().map(|link| link.state)
}

/// Lets the only link fail for good.
fn give_up(client: &mut Client) {
    assert!(client.me < peer(250), "this side asks, the other never offers");
    while state(client) != Some(ConnectionState::FailedPermanent) {
        client.wait();
        assert!(client.now < Timestamp::ZERO + Duration::from_secs(300));
    }
}

#[test]
fn newer_credentials_are_told_to_the_application_and_change_no_link() {
    let mut client = Client::among(&[250], relay("turn:x", "old"));
    give_up(&mut client);
    client.events.clear();
    let renewed = relay("turn:x", "new");
    client.says(ServerMessage::IceServers { ice: renewed.clone() });
    assert_eq!(client.events, [Event::IceServers(renewed)]);
    assert_eq!(state(&client), Some(ConnectionState::FailedPermanent));

    let another = relay("turn:y", "new");
    client.says(ServerMessage::IceServers { ice: another.clone() });
    assert!(client.events.contains(&Event::IceServers(another)));
    assert_ne!(state(&client), Some(ConnectionState::FailedPermanent), "another relay may do");
}

#[test]
fn credentials_without_a_seat_are_for_nobody() {
    let now = Timestamp::from_millis(5);
    let mut session = Session::new(SessionConfig::default(), Seed::from_number(4), now);
    session.handle_input(now, Input::Start { name: None });
    session.handle_input(now, Input::SocketOpened(SocketId(1)));
    while session.poll_output().is_some() {}
    let text = ServerMessage::IceServers { ice: relay("turn:x", "c") }.to_json();
    session.handle_input(now, Input::MessageReceived { socket: SocketId(1), text });
    assert_eq!(session.poll_output(), None);
}

#[test]
fn a_relay_is_asked_for_at_last_if_the_server_has_one() {
    for (ice, wanted) in [(relay("turn:x", "c"), true), (IceConfig::default(), false)] {
        let mut client = Client::among(&[250], ice);
        give_up(&mut client);
        let relayed = |message: &ClientMessage| {
            matches!(message, ClientMessage::RequestOffer(OfferRequest { relay_only: true, .. }))
        };
        assert_eq!(client.sent.iter().any(relayed), wanted);
    }
}
