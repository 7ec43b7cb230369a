//! Any sequence of messages, at any time, from any socket: no panic, and the books
//! balance after every step.
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

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openstudio_room::{ConnId, Output, RoomConfig, Rooms};
use openstudio_units::{Gain, PeerId, Role, RoomId, Seed, Timestamp};
use openstudio_wire::{
    ClientMessage, Description, DisplayName, NamedStrip, ServerMessage, Strip, StripChange, Token,
};
use proptest::prelude::*;
use support::{ListedTokens, peer};

/// Indices stand for sockets, peers, rooms and tokens that have been seen so far.
#[derive(Debug, Clone)]
enum Op {
    Connect,
    Disconnect(usize),
    Register(usize, u8),
    Create(usize),
    Join(usize, usize),
    JoinInvited(usize, usize, usize),
    Resume(usize, usize, bool),
    Relay(usize, u8, u8),
    Mute(usize, bool),
    /// Socket, peer, gain.
    SetStrip(usize, u8, u16),
    /// Socket, peer, revision.
    Restore(usize, u8, u64),
    Rename(usize),
    Invite(usize, bool),
    Leave(usize),
    End(usize),
    Pass(u16),
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let conn = 0..8usize;
    prop_oneof![
        4 => Just(Op::Connect),
        2 => conn.clone().prop_map(Op::Disconnect),
        4 => (conn.clone(), 0..6u8).prop_map(|(c, p)| Op::Register(c, p)),
        3 => conn.clone().prop_map(Op::Create),
        4 => (conn.clone(), 0..4usize).prop_map(|(c, r)| Op::Join(c, r)),
        2 => (conn.clone(), 0..4usize, 0..32usize).prop_map(|(c, r, t)| Op::JoinInvited(c, r, t)),
        5 => (conn.clone(), 0..32usize, any::<bool>()).prop_map(|(c, t, f)| Op::Resume(c, t, f)),
        3 => (conn.clone(), 0..6u8, 0..6u8).prop_map(|(c, a, b)| Op::Relay(c, a, b)),
        1 => (conn.clone(), any::<bool>()).prop_map(|(c, m)| Op::Mute(c, m)),
        2 => (conn.clone(), 0..6u8, 0..=200u16).prop_map(|(c, p, g)| Op::SetStrip(c, p, g)),
        1 => (conn.clone(), 0..6u8, 0..9u64).prop_map(|(c, p, r)| Op::Restore(c, p, r)),
        1 => conn.clone().prop_map(Op::Rename),
        2 => (conn.clone(), any::<bool>()).prop_map(|(c, h)| Op::Invite(c, h)),
        2 => conn.clone().prop_map(Op::Leave),
        1 => conn.prop_map(Op::End),
        3 => (0..40_000u16).prop_map(Op::Pass),
        1 => Just(Op::Restart),
    ]
}

/// The world outside the rooms, as a server's sockets would see it.
struct World {
    rooms: Rooms,
    signer: ListedTokens,
    now: Timestamp,
    open: Vec<ConnId>,
    next: u64,
    room_ids: Vec<RoomId>,
    tokens: Vec<Token>,
    /// The last sequence number that each socket was told.
    seqs: BTreeMap<ConnId, u64>,
}

impl World {
    fn new(signer: ListedTokens) -> Self {
        let config = RoomConfig {
            max_participants: 3,
            max_rooms: 3,
            max_ended_rooms: 4,
            error_burst: 8,
            ..RoomConfig::default()
        };
        let rooms =
            Rooms::new(config, Seed::from_number(5), Box::new(signer.clone()), Timestamp::ZERO);
        Self {
            rooms,
            signer,
            now: Timestamp::ZERO,
            open: Vec::new(),
            next: 0,
            room_ids: Vec::new(),
            tokens: Vec::new(),
            seqs: BTreeMap::new(),
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Connect => {
                let conn = ConnId(self.next);
                self.next += 1;
                self.open.push(conn);
                self.rooms.connected(self.now, conn);
            }
            Op::Disconnect(c) => {
                if !self.open.is_empty() {
                    let conn = self.open.remove(c % self.open.len());
                    self.rooms.disconnected(self.now, conn);
                }
            }
            Op::Pass(millis) => {
                self.now = self.now + Duration::from_millis(millis.into());
                self.rooms.handle_timeout(self.now);
            }
            Op::Restart => {
                let fresh = Self::new(self.signer.clone());
                self.rooms = fresh.rooms;
                self.open.clear();
                self.seqs.clear();
                self.now = Timestamp::ZERO;
            }
            Op::Register(c, p) => self.say(c, ClientMessage::Register { peer_id: peer(p) }),
            Op::Create(c) => self.say(c, ClientMessage::CreateRoom),
            Op::Join(c, r) => {
                if let Some(room_id) = self.room(r) {
                    self.say(c, ClientMessage::JoinRoom { room_id });
                }
            }
            Op::JoinInvited(c, r, t) => {
                let (room_id, invite_token) = (self.room(r), self.token(t));
                let message = ClientMessage::CreateOrJoinRoom {
                    room_id,
                    role: None,
                    invite_token,
                    name: None,
                };
                self.say(c, message);
            }
            Op::Resume(c, t, fresh) => {
                if let Some(token) = self.token(t) {
                    self.say(c, ClientMessage::Resume { token, fresh });
                }
            }
            Op::Relay(c, a, b) => {
                let (from, to) = (peer(a), peer(b));
                let sdp = String::new();
                let description = Description { from, to, sdp, generation: None, offer_id: None };
                self.say(c, ClientMessage::Offer(description));
            }
            Op::Mute(c, muted) => self.say(c, ClientMessage::Mute { peer_id: None, muted }),
            Op::SetStrip(c, p, percent) => {
                let change = StripChange::gain(Gain::from_percent(percent).unwrap());
                self.say(c, ClientMessage::SetStrip { peer_id: peer(p), change });
            }
            Op::Restore(c, p, revision) => {
                let strip = Strip { revision, on_air: false, ..Strip::default() };
                let strips = vec![NamedStrip { peer_id: peer(p), strip }];
                self.say(c, ClientMessage::RestoreStrips { strips });
            }
            Op::Rename(c) => {
                self.say(c, ClientMessage::Rename { name: DisplayName::new("R").unwrap() });
            }
            Op::Invite(c, host) => {
                let invite_role = if host { Role::Host } else { Role::Caller };
                self.say(c, ClientMessage::RequestInvite { invite_role });
            }
            Op::Leave(c) => self.say(c, ClientMessage::Leave),
            Op::End(c) => self.say(c, ClientMessage::EndRoom),
        }
    }

    fn say(&mut self, c: usize, message: ClientMessage) {
        if !self.open.is_empty() {
            let conn = self.open[c % self.open.len()];
            self.rooms.message(self.now, conn, message);
        }
    }

    fn room(&self, r: usize) -> Option<RoomId> {
        self.room_ids.iter().rev().nth(r).copied()
    }

    fn token(&self, t: usize) -> Option<Token> {
        self.tokens.iter().rev().nth(t).cloned()
    }

    /// Takes the outputs; every one must make sense to an open socket.
    fn drain(&mut self) {
        let mut closed = BTreeSet::new();
        while let Some(output) = self.rooms.poll_output() {
            match output {
                Output::Send { conn, message } => {
                    assert!(self.open.contains(&conn) && !closed.contains(&conn), "{message:?}");
                    self.note(conn, &message);
                    assert_eq!(ServerMessage::parse(&message.to_json()).unwrap(), message);
                }
                Output::Close { conn, .. } => {
                    assert!(closed.insert(conn), "closed twice");
                }
                Output::Event(_) => {}
            }
        }
        self.open.retain(|conn| !closed.contains(conn));
        assert!(self.rooms.is_consistent());
        let due = self.rooms.poll_timeout().is_some_and(|deadline| deadline.at < self.now);
        assert!(!due, "what was due has been done");
    }

    fn note(&mut self, conn: ConnId, message: &ServerMessage) {
        match message {
            ServerMessage::RoomCreated { room_id, seat, seq, participants, .. }
            | ServerMessage::RoomJoined { room_id, seat, seq, participants } => {
                self.room_ids.push(*room_id);
                self.tokens.push(seat.token.clone());
                self.seqs.insert(conn, *seq);
                assert!(participants.len() <= 3);
            }
            ServerMessage::Resumed { seat, .. } => {
                self.tokens.push(seat.token.clone());
                self.seqs.remove(&conn);
            }
            ServerMessage::Snapshot { seq, participants, .. } => {
                let before = self.seqs.insert(conn, *seq);
                assert!(before.is_none_or(|before| *seq == before + 1));
                assert!(participants.len() <= 3);
                let ids: BTreeSet<PeerId> = participants.iter().map(|p| p.peer_id).collect();
                assert_eq!(ids.len(), participants.len());
            }
            ServerMessage::PeerJoined { seq, .. }
            | ServerMessage::PeerUpdated { seq, .. }
            | ServerMessage::PeerLeft { seq, .. }
            | ServerMessage::Strip { seq, .. }
            | ServerMessage::Mute { seq, .. } => {
                let before = self.seqs.insert(conn, *seq);
                assert_eq!(before, Some(*seq - 1), "no change goes untold: {message:?}");
            }
            ServerMessage::InviteToken { invite_token: token, .. }
            | ServerMessage::SeatToken { token } => self.tokens.push(token.clone()),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_leaves_the_books_balanced(ops in proptest::collection::vec(op(), 1..120)) {
        let mut world = World::new(ListedTokens::default());
        for op in ops {
            world.apply(op);
            world.drain();
        }
        for conn in std::mem::take(&mut world.open) {
            world.rooms.disconnected(world.now, conn);
        }
        while world.rooms.poll_output().is_some() {}
        world.now = world.now + Duration::from_secs(61);
        world.rooms.handle_timeout(world.now);
        let stats = world.rooms.stats();
        prop_assert_eq!((stats.connections, stats.rooms, stats.peers), (0, 0, 0));
        prop_assert!(world.rooms.poll_timeout().is_none());
    }
}
