//! Anything that several sockets may say, in any order and at any time, into `Rooms`, which
//! may restart with the same key meanwhile.
//!
//! Invariants checked: the books balance; nothing is sent to a closed socket; nobody has a
//! role but from making a room, from an invitation, or as a caller; what is relayed names its
//! true sender and reaches whom it is for; hosts and ops alone mix; outputs per input are bounded; what is due is done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arbitrary::Arbitrary;
use openstudio_room::{Claims, ConnId, Event, Output, Refusal, RoomConfig, Rooms, Tokens};
use openstudio_units::{Gain, Generation, PeerId, Role, RoomId, Seed, Timestamp};
use openstudio_wire::{
    ClientMessage, DisplayName, NamedStrip, Participant, ServerMessage, Strip, StripChange, Token,
};

use crate::people::Who;
use crate::said::{Said, relayed};
use crate::tokens::ListedTokens;

const MAX_STEPS: usize = 300;
const MAX_PARTICIPANTS: usize = 3;

#[derive(Arbitrary, Debug, Clone)]
enum Step {
    Connect,
    Disconnect(u8),
    Says {
        conn: u8,
        says: Says,
    },
    Text {
        conn: u8,
        text: String,
    },
    /// Time passes, milliseconds.
    Pass(u16),
    ToDeadline,
    Restart,
    Shutdown,
}

/// Numbers stand for what was seen so far, newest first; those beyond stand for nothing.
#[derive(Arbitrary, Debug, Clone, Copy)]
enum Says {
    Register(Who),
    Create,
    Join { room: u8 },
    JoinInvited { room: Option<u8>, token: Option<u8>, wish: bool },
    Resume { token: u8, fresh: bool },
    Relay { from: Option<Who>, to: Who, said: Said },
    Mute { who: Option<Who>, muted: bool },
    Microphone(bool),
    Rename(u8),
    Invite { role: u8 },
    Leave,
    End,
    Ping,
    SetStrip { who: Who, gain: u8, muted: Option<bool> },
    RestoreStrip { who: Who, revision: u8 },
}

/// Feeds the rooms of a server.
///
/// # Panics
/// A rule of the module's list is broken.
pub fn room_input(data: &[u8]) {
    let mut world = World::new(ListedTokens::default());
    for step in crate::steps::<Step>(data, MAX_STEPS) {
        world.apply(step);
    }
    let open: Vec<ConnId> = world.lines.keys().copied().collect();
    for conn in open {
        world.lines.remove(&conn);
        world.rooms.disconnected(world.now, conn);
        world.drain();
    }
    world.pass(Duration::from_secs(61));
    let stats = world.rooms.stats();
    assert_eq!((stats.connections, stats.rooms, stats.peers), (0, 0, 0), "something is left");
    assert_eq!(world.rooms.poll_timeout(), None);
}

/// What an open socket was told of itself.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    peer: Option<PeerId>,
    seat: Option<(RoomId, Role)>,
}

struct World {
    rooms: Rooms,
    signer: ListedTokens,
    now: Timestamp,
    lines: BTreeMap<ConnId, Line>,
    next: u64,
    room_ids: Vec<RoomId>,
    tokens: Vec<Token>,
    /// Which roles a participant could have come by.
    entitled: BTreeMap<(RoomId, PeerId), BTreeSet<Role>>,
    /// The revisions of strips that were told last.
    revisions: BTreeMap<(RoomId, PeerId), u64>,
    /// Whose message is being handled.
    asker: Option<ConnId>,
}

impl World {
    fn new(signer: ListedTokens) -> Self {
        let config = RoomConfig {
            max_participants: MAX_PARTICIPANTS,
            max_rooms: 3,
            max_ended_rooms: 4,
            error_burst: 8,
            ..RoomConfig::default()
        };
        // Another seed for each life of the server, as from the system's source.
        let seed = Seed::from_number(u64::try_from(signer.len()).unwrap_or(0));
        Self {
            rooms: Rooms::new(config, seed, Box::new(signer.clone()), Timestamp::ZERO),
            signer,
            now: Timestamp::ZERO,
            lines: BTreeMap::new(),
            next: 0,
            room_ids: Vec::new(),
            tokens: Vec::new(),
            entitled: BTreeMap::new(),
            revisions: BTreeMap::new(),
            asker: None,
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Connect => {
                let conn = ConnId(self.next);
                self.next += 1;
                self.lines.insert(conn, Line::default());
                self.rooms.connected(self.now, conn);
            }
            Step::Disconnect(n) => {
                if let Some(conn) = self.conn(n) {
                    self.lines.remove(&conn);
                    self.rooms.disconnected(self.now, conn);
                }
            }
            Step::Says { conn, says } => {
                if let Some(conn) = self.conn(conn) {
                    let message = self.message(conn, says);
                    // As it would come over a socket.
                    self.hear(conn, &message.to_json());
                }
            }
            Step::Text { conn, text } => {
                if let Some(conn) = self.conn(conn) {
                    self.hear(conn, &text);
                }
            }
            Step::Pass(millis) => return self.pass(Duration::from_millis(u64::from(millis) * 4)),
            Step::ToDeadline => {
                let due = self.rooms.poll_timeout().map(|due| due.at.since(self.now));
                return self.pass(due.unwrap_or_default());
            }
            Step::Restart => {
                let fresh = Self::new(self.signer.clone());
                (self.rooms, self.now) = (fresh.rooms, fresh.now);
                self.lines.clear();
                self.revisions.clear();
            }
            Step::Shutdown => self.rooms.shutdown(),
        }
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.rooms.handle_timeout(self.now);
        self.drain();
        let due = self.rooms.poll_timeout();
        assert!(due.is_none_or(|due| due.at > self.now), "what was due was not done: {due:?}");
    }

    fn hear(&mut self, conn: ConnId, text: &str) {
        self.asker = Some(conn);
        match ClientMessage::parse(text) {
            Ok(message) => {
                self.entitle(conn, &message);
                self.rooms.message(self.now, conn, message);
            }
            Err(error) => self.rooms.refuse(self.now, conn, Refusal::from(error)),
        }
        self.drain();
        self.asker = None;
    }

    /// Notes which role `message` may lead to, by what the sender can prove.
    fn entitle(&mut self, conn: ConnId, message: &ClientMessage) {
        let Some(peer) = self.lines.get(&conn).and_then(|line| line.peer) else {
            return;
        };
        let mut entitle = |room: RoomId, role: Role| {
            self.entitled.entry((room, peer)).or_default().insert(role);
        };
        if let ClientMessage::JoinRoom { room_id }
        | ClientMessage::CreateOrJoinRoom {
            room_id: Some(room_id), invite_token: None, ..
        } = message
        {
            entitle(*room_id, Role::Caller);
        }
        if let ClientMessage::CreateOrJoinRoom { invite_token: Some(token), .. } = message
            && let Ok(Claims::Invite(invite)) = self.signer.verify(token)
        {
            entitle(invite.room, invite.role);
        }
    }

    fn conn(&self, n: u8) -> Option<ConnId> {
        let index = usize::from(n).checked_rem(self.lines.len())?;
        self.lines.keys().nth(index).copied()
    }

    fn message(&self, conn: ConnId, says: Says) -> ClientMessage {
        let room = |n: u8| {
            let known = self.room_ids.iter().rev().nth(usize::from(n)).copied();
            known.unwrap_or_else(|| RoomId::from_random_bytes([n; 16]))
        };
        let token = |n: u8| {
            let known = self.tokens.iter().rev().nth(usize::from(n)).cloned();
            let strange = if n.is_multiple_of(2) { "expired" } else { "forged" };
            known.unwrap_or_else(|| Token(strange.to_owned()))
        };
        match says {
            Says::Register(who) => ClientMessage::Register { peer_id: who.id() },
            Says::Create => ClientMessage::CreateRoom,
            Says::Join { room: n } => ClientMessage::JoinRoom { room_id: room(n) },
            Says::JoinInvited { room: n, token: t, wish } => ClientMessage::CreateOrJoinRoom {
                room_id: n.map(room),
                role: wish.then_some(Role::Host),
                invite_token: t.map(token),
                name: None,
            },
            Says::Resume { token: n, fresh } => ClientMessage::Resume { token: token(n), fresh },
            Says::Relay { from, to, said } => {
                let own = self.lines.get(&conn).and_then(|line| line.peer);
                let from = from.map(Who::id).or(own).unwrap_or_else(|| to.id());
                as_client(relayed(from, to.id(), said.signal(Generation(1))))
            }
            Says::Mute { who, muted } => ClientMessage::Mute { peer_id: who.map(Who::id), muted },
            Says::Microphone(available) => ClientMessage::Microphone { available },
            Says::Rename(n) => match DisplayName::new(&"é".repeat(usize::from(n % 65))) {
                Ok(name) => ClientMessage::Rename { name },
                Err(_) => ClientMessage::Ping,
            },
            Says::Invite { role } => {
                let role = [Role::Host, Role::Ops, Role::Caller].get(usize::from(role % 3));
                ClientMessage::RequestInvite { invite_role: role.copied().unwrap_or(Role::Host) }
            }
            Says::Leave => ClientMessage::Leave,
            Says::End => ClientMessage::EndRoom,
            Says::Ping => ClientMessage::Ping,
            Says::SetStrip { who, gain, muted } => {
                let gain = Gain::from_percent(gain.into()).ok();
                let change = StripChange { gain, muted, on_air: None };
                ClientMessage::SetStrip { peer_id: who.id(), change }
            }
            Says::RestoreStrip { who, revision } => {
                let strip = Strip { revision: revision.into(), muted: true, ..Strip::default() };
                let strips = vec![NamedStrip { peer_id: who.id(), strip }];
                ClientMessage::RestoreStrips { strips }
            }
        }
    }

    /// Takes the outputs; every one must make sense to an open socket.
    fn drain(&mut self) {
        let limit = 16 + 8 * self.lines.len();
        let mut count = 0;
        while let Some(output) = self.rooms.poll_output() {
            count += 1;
            assert!(count <= limit, "{count} outputs of one input");
            match output {
                Output::Send { conn, message } => {
                    assert!(self.lines.contains_key(&conn), "to a closed socket: {message:?}");
                    self.note(conn, message);
                }
                Output::Close { conn, .. } => {
                    assert!(self.lines.remove(&conn).is_some(), "a closed socket is closed");
                }
                Output::Event(Event::RoomOpened { room, .. }) => self.room_ids.push(room),
                Output::Event(Event::RoomClosed { room, .. }) => {
                    self.revisions.retain(|(of, _), _| *of != room);
                }
                Output::Event(Event::EngineOrdered { order, .. }) => {
                    assert_eq!(Some(order), None, "an order for an engine that there is not");
                }
            }
        }
        assert!(self.rooms.is_consistent(), "the books do not balance");
    }

    fn note(&mut self, conn: ConnId, message: ServerMessage) {
        let mut line = self.lines.get(&conn).copied().unwrap_or_default();
        match message {
            ServerMessage::Registered { peer_id } => line.peer = Some(peer_id),
            ServerMessage::RoomCreated { room_id, host_id, seat, participants, .. } => {
                assert_eq!((line.peer, seat.role), (Some(host_id), Role::Host));
                assert_eq!(self.asker, Some(conn));
                self.entitled.entry((room_id, host_id)).or_default().insert(Role::Host);
                line.seat = Some((room_id, seat.role));
                self.tokens.push(seat.token);
                self.check_seats(room_id, &participants);
            }
            ServerMessage::RoomJoined { room_id, seat, participants, .. } => {
                assert_eq!(self.asker, Some(conn));
                line.seat = Some((room_id, seat.role));
                self.tokens.push(seat.token);
                self.check_seats(room_id, &participants);
            }
            ServerMessage::Resumed { peer_id, room_id, seat } => {
                assert_eq!(self.asker, Some(conn));
                line = Line { peer: Some(peer_id), seat: Some((room_id, seat.role)) };
                self.check_role(room_id, peer_id, seat.role);
                self.tokens.push(seat.token);
            }
            ServerMessage::Snapshot { room_id, participants, .. } => {
                assert_eq!(line.seat.map(|(room, _)| room), Some(room_id));
                self.check_seats(room_id, &participants);
            }
            ServerMessage::PeerJoined { participant, .. }
            | ServerMessage::PeerUpdated { participant, .. } => {
                assert!(line.seat.is_some(), "told of a room that it is not in");
                if let Some((room, _)) = line.seat {
                    self.check_role(room, participant.peer_id, participant.role);
                }
            }
            ServerMessage::InviteToken { invite_token, room_id, role } => {
                assert!(line.seat.is_some_and(|(room, own)| room == room_id && invites(own, role)));
                self.tokens.push(invite_token);
            }
            ServerMessage::Strip { from, strip, .. } => {
                self.check_mixed(line, from);
                if let Some((room, _)) = line.seat {
                    let known = self.revisions.entry((room, strip.peer_id)).or_default();
                    assert!(strip.strip.revision >= *known, "a strip falls back");
                    *known = strip.strip.revision;
                }
            }
            ServerMessage::Mute { from, peer_id, .. } if from != peer_id => {
                self.check_mixed(line, from);
            }
            ServerMessage::SeatToken { token } => self.tokens.push(token),
            ServerMessage::IceServers { .. } => {
                assert!(line.seat.is_some(), "credentials without a seat");
            }
            ServerMessage::RoomEnded { room_id } => {
                let asker = self.asker.and_then(|asker| self.lines.get(&asker));
                let seat = asker.and_then(|asker| asker.seat);
                assert_eq!(seat, Some((room_id, Role::Host)), "ended by somebody else");
            }
            relayed @ (ServerMessage::Offer(_)
            | ServerMessage::Answer(_)
            | ServerMessage::IceCandidate(_)
            | ServerMessage::IceCandidates(_)
            | ServerMessage::RequestOffer(_)
            | ServerMessage::Stale(_)) => self.check_relayed(line, as_client(relayed)),
            ServerMessage::Welcome { .. }
            | ServerMessage::Pong { .. }
            | ServerMessage::Engine { .. }
            | ServerMessage::Recordings { .. }
            | ServerMessage::PeerLeft { .. }
            | ServerMessage::Mute { .. }
            | ServerMessage::RetrySpread { .. }
            | ServerMessage::GoingAway { .. }
            | ServerMessage::Error { .. } => {}
        }
        self.lines.insert(conn, line);
    }

    fn check_role(&self, room: RoomId, peer: PeerId, role: Role) {
        let entitled = self.entitled.get(&(room, peer)).is_some_and(|roles| roles.contains(&role));
        assert!(entitled, "{peer} came by the role {role} from nowhere");
    }

    /// Only hosts and ops mix, and only in their own room.
    fn check_mixed(&self, receiver: Line, from: PeerId) {
        let asker = self.asker.and_then(|asker| self.lines.get(&asker)).copied();
        let asker = asker.unwrap_or_default();
        assert_eq!(asker.peer, Some(from), "somebody else is named");
        assert!(asker.seat.is_some_and(|(_, role)| role.may_mix()), "a caller mixed");
        assert_eq!(asker.seat.map(|(room, _)| room), receiver.seat.map(|(room, _)| room));
    }

    fn check_seats(&self, room: RoomId, participants: &[Participant]) {
        assert!(participants.len() <= MAX_PARTICIPANTS);
        let ids: BTreeSet<PeerId> = participants.iter().map(|p| p.peer_id).collect();
        assert_eq!(ids.len(), participants.len(), "somebody has two seats");
        for participant in participants {
            self.check_role(room, participant.peer_id, participant.role);
        }
    }

    fn check_relayed(&self, receiver: Line, message: ClientMessage) {
        let ends = match message {
            ClientMessage::Offer(m) | ClientMessage::Answer(m) => Some((m.from, m.to)),
            ClientMessage::IceCandidate(m) => Some((m.from, m.to)),
            ClientMessage::IceCandidates(m) => Some((m.from, m.to)),
            ClientMessage::RequestOffer(m) => Some((m.from, m.to)),
            ClientMessage::Stale(m) => Some((m.from, m.to)),
            ClientMessage::Ping
            | ClientMessage::Register { .. }
            | ClientMessage::Resume { .. }
            | ClientMessage::CreateRoom
            | ClientMessage::JoinRoom { .. }
            | ClientMessage::CreateOrJoinRoom { .. }
            | ClientMessage::Mute { .. }
            | ClientMessage::Microphone { .. }
            | ClientMessage::SetStrip { .. }
            | ClientMessage::RestoreStrips { .. }
            | ClientMessage::Rename { .. }
            | ClientMessage::RequestInvite { .. }
            | ClientMessage::Record { .. }
            | ClientMessage::Air { .. }
            | ClientMessage::Mark { .. }
            | ClientMessage::ListRecordings
            | ClientMessage::DeleteRecording { .. }
            | ClientMessage::Leave
            | ClientMessage::EndRoom => None,
        };
        assert!(ends.is_some(), "what is relayed is no message of a client");
        let Some((from, to)) = ends else { return };
        let sender = self.asker.and_then(|asker| self.lines.get(&asker)).copied();
        let sender = sender.unwrap_or_default();
        assert_eq!((sender.peer, receiver.peer), (Some(from), Some(to)));
        let room = |line: Line| line.seat.map(|(room, _)| room);
        assert_eq!(room(sender), room(receiver), "from one room into another");
    }
}

/// Whether a participant with the role `own` may invite one with the role `invited`.
fn invites(own: Role, invited: Role) -> bool {
    invited.is_person() && (own == Role::Host || (own == Role::Ops && invited != Role::Host))
}

/// What is relayed is the same both ways.
fn as_client(message: ServerMessage) -> ClientMessage {
    ClientMessage::parse(&message.to_json()).unwrap_or(ClientMessage::Ping)
}
