//! What a server says to a client, in few bytes: well-formed messages, in an order that an
//! honest server would keep or not.

use arbitrary::Arbitrary;
use openstudio_units::{Generation, Incarnation, PeerId, Role, RoomId};
use openstudio_wire::{
    ErrorCode, IceConfig, IceServer, LeaveReason, NamedStrip, Participant, SeatGrant,
    ServerMessage, Strip, Token,
};

use crate::people::{Who, local};
use crate::said::{Said, relayed};

/// A message.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(crate) enum Says {
    Welcome { setups_in_flight: Option<u8> },
    Registered,
    Pong,
    Created(Grant, Seats),
    Joined(Grant, Seats),
    Resumed { grant: Grant, as_another: bool },
    SeatToken,
    Snapshot { complete: bool, seats: Seats },
    PeerJoined(Who, Seat),
    PeerUpdated { who: Option<Who>, seat: Seat },
    PeerLeft { who: Option<Who>, timed_out: bool },
    Relayed { from: Who, said: Said },
    Mute { who: Option<Who>, muted: bool },
    Invite,
    RoomEnded,
    GoingAway { retry_after_ms: u64 },
    Error { code: u8, request: u8 },
    Strip { from: Option<Who>, seat: Seat, who: Option<Who> },
    IceServers { grant: Grant, elsewhere: bool },
    RetrySpread { retry_spread_ms: u64 },
}

/// What comes with a seat.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(crate) struct Grant {
    incarnation: u8,
    has_relay: bool,
}

/// A seat of a room.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(crate) struct Seat {
    bits: u8,
    incarnation: u8,
}

/// All seats of a room, each of which may be empty.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(crate) struct Seats {
    mine: Option<Seat>,
    others: [Option<Seat>; 4],
}

/// What a message says besides its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) me: PeerId,
    pub(crate) seq: u64,
}

impl Says {
    /// The message. `present` is the generation of the link to a participant.
    pub(crate) fn message(
        self,
        Scene { me, seq }: Scene,
        present: impl Fn(PeerId) -> Generation,
    ) -> ServerMessage {
        let room_id = room();
        let whose = |who: Option<Who>| who.map_or(me, Who::id);
        match self {
            Self::Welcome { setups_in_flight } => {
                let (protocol, server) = (1, "fuzz".to_owned());
                ServerMessage::Welcome {
                    protocol,
                    server,
                    grace_ms: 1000,
                    setups_in_flight,
                    engine: false,
                    retry_spread_ms: None,
                }
            }
            Self::Registered => ServerMessage::Registered { peer_id: me },
            Self::Pong => ServerMessage::Pong { timestamp: 1 },
            Self::Created(grant, seats) => {
                let (seat, participants) = (grant.seat(), seats.list(me));
                ServerMessage::RoomCreated { room_id, host_id: me, seat, seq, participants }
            }
            Self::Joined(grant, seats) => {
                let (seat, participants) = (grant.seat(), seats.list(me));
                ServerMessage::RoomJoined { room_id, seat, seq, participants }
            }
            Self::Resumed { grant, as_another } => {
                let peer_id = if as_another { local() } else { me };
                ServerMessage::Resumed { peer_id, room_id, seat: grant.seat() }
            }
            Self::SeatToken => ServerMessage::SeatToken { token: token() },
            Self::Snapshot { complete, seats } => {
                ServerMessage::Snapshot { room_id, seq, complete, participants: seats.list(me) }
            }
            Self::PeerJoined(who, seat) => {
                ServerMessage::PeerJoined { participant: seat.participant(who.id()), seq }
            }
            Self::PeerUpdated { who, seat } => {
                ServerMessage::PeerUpdated { participant: seat.participant(whose(who)), seq }
            }
            Self::PeerLeft { who, timed_out: true } => left(whose(who), LeaveReason::TimedOut, seq),
            Self::PeerLeft { who, timed_out: false } => left(whose(who), LeaveReason::Left, seq),
            Self::Relayed { from, said } => relayed(from.id(), me, said.signal(present(from.id()))),
            Self::Mute { who, muted } => {
                ServerMessage::Mute { from: whose(who), peer_id: whose(who), muted, seq }
            }
            Self::Strip { from, seat, who } => {
                let strip = NamedStrip { peer_id: whose(who), strip: seat.strip() };
                ServerMessage::Strip { from: whose(from), strip, seq }
            }
            Self::Invite => {
                ServerMessage::InviteToken { invite_token: token(), room_id, role: Role::Caller }
            }
            Self::RoomEnded => ServerMessage::RoomEnded { room_id },
            Self::IceServers { grant, elsewhere } => {
                let mut ice = grant.seat().ice;
                ice.stun.extend(elsewhere.then(|| "stun:elsewhere.invalid".to_owned()));
                ServerMessage::IceServers { ice }
            }
            Self::RetrySpread { retry_spread_ms } => ServerMessage::RetrySpread { retry_spread_ms },
            Self::GoingAway { retry_after_ms } => ServerMessage::GoingAway { retry_after_ms },
            Self::Error { code, request } => error(code, request),
        }
    }
}

fn left(peer_id: PeerId, reason: LeaveReason, seq: u64) -> ServerMessage {
    ServerMessage::PeerLeft { peer_id, reason, seq }
}

fn error(code: u8, request: u8) -> ServerMessage {
    let code = match code % 6 {
        0 => ErrorCode::RoomNotFound,
        1 => ErrorCode::RateLimited,
        2 => ErrorCode::Internal,
        3 => ErrorCode::Forbidden,
        4 => ErrorCode::RoomFull,
        _ => ErrorCode::PeerNotFound,
    };
    let to = (request % 5 == 4).then(|| Who::all().next().map(Who::id)).flatten();
    let request = match request % 5 {
        0 => None,
        4 => Some("set-strip".to_owned()),
        1 => Some("rename".to_owned()),
        2 => Some("create-or-join-room".to_owned()),
        _ => Some("resume".to_owned()),
    };
    ServerMessage::Error { code, message: "refused".to_owned(), request, to }
}

/// The room of every message.
pub(crate) fn room() -> RoomId {
    RoomId::from_random_bytes([7; 16])
}

pub(crate) fn token() -> Token {
    Token("token".to_owned())
}

impl Grant {
    /// The first seat of a page.
    pub(crate) fn first() -> Self {
        Self { incarnation: 1, has_relay: true }
    }

    fn seat(self) -> SeatGrant {
        let server = IceServer {
            urls: vec!["turn:relay.example".to_owned()],
            username: String::new(),
            credential: String::new(),
        };
        SeatGrant {
            role: Role::Host,
            token: token(),
            incarnation: Incarnation(u32::from(self.incarnation % 8)),
            ice: IceConfig {
                stun: Vec::new(),
                turn: if self.has_relay { vec![server] } else { Vec::new() },
            },
        }
    }
}

impl Seat {
    /// A seat with everything in its place.
    pub(crate) fn present() -> Self {
        Self { bits: 0b0010, incarnation: 1 }
    }

    fn strip(self) -> Strip {
        let revision = u64::from(self.bits >> 4);
        Strip { muted: revision % 2 == 1, revision, ..Strip::default() }
    }

    fn participant(self, peer_id: PeerId) -> Participant {
        let has = |bit: u8| self.bits & bit != 0;
        Participant {
            peer_id,
            role: if has(1) { Role::Host } else { Role::Caller },
            name: None,
            incarnation: Incarnation(u32::from(self.incarnation % 8)),
            present: has(2),
            muted: has(4),
            microphone: has(8),
            strip: self.strip(),
        }
    }
}

impl Seats {
    /// Everybody.
    pub(crate) fn full() -> Self {
        Self { mine: Some(Seat::present()), others: [Some(Seat::present()); 4] }
    }

    fn list(self, me: PeerId) -> Vec<Participant> {
        let others = Who::all().zip(self.others).map(|(who, seat)| (who.id(), seat));
        let all = others.chain([(me, self.mine)]);
        all.filter_map(|(peer, seat)| seat.map(|seat| seat.participant(peer))).collect()
    }
}
