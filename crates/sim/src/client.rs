//! One simulated client: a page with its session, its peer connections and its person.
//!
//! Holds state only; what happens to it is in `driver`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openstudio_model::Credentials;
use openstudio_session::mesh::{ConnectionState, PcId, PeerConnectionState};
use openstudio_session::{Session, SocketId};
use openstudio_units::{PeerId, Role, RoomId, Timestamp};
use openstudio_wire::Token;

use crate::network::{CandidateType, Site};
use crate::peer::SimPc;
use crate::server::Conn;
use crate::world::Happening;

/// What reaches a page's event loop, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ToClient {
    SocketOpened(SocketId),
    Message {
        socket: SocketId,
        text: String,
    },
    SocketClosed {
        socket: SocketId,
        code: Option<u16>,
    },
    /// The operation under way ends.
    Finish(PcId),
    /// No more candidates follow.
    GatheringEnds(PcId),
    /// A server was asked for a candidate.
    Gather {
        pc: PcId,
        kind: CandidateType,
        of: Credentials,
        tries: u32,
    },
    /// The transports of a peer connection are due.
    Transport(PcId),
    /// What a peer connection fires by itself.
    Pump(PcId),
    /// The host wants a link for other hosts.
    AskForInvite,
    /// `connectionstatechange` fires.
    State {
        pc: PcId,
        state: PeerConnectionState,
    },
    /// The microphone was granted or lost.
    Microphone(bool),
    /// The person presses *Retry* for everybody who was given up.
    Retry,
    Online,
    NetworkChanged,
    /// The deadline of the session.
    Alarm,
}

/// The page's socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Socket {
    pub(crate) id: SocketId,
    /// The server's end, once it is there.
    pub(crate) conn: Option<Conn>,
    /// When the newest message arrives at the server: none overtakes it.
    pub(crate) up_after: Timestamp,
}

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) role: Role,
    pub(crate) site: Site,
    /// Rises with every page: what was meant for an older one is lost.
    pub(crate) life: u32,
    /// The page, while there is one.
    pub(crate) session: Option<Session>,
    pub(crate) pcs: BTreeMap<PcId, SimPc>,
    /// The peer connection to each other participant.
    pub(crate) by_peer: BTreeMap<PeerId, PcId>,
    pub(crate) socket: Option<Socket>,
    pub(crate) room: Option<RoomId>,
    pub(crate) token: Option<Token>,
    pub(crate) me: Option<PeerId>,
    pub(crate) microphone: bool,
    /// How far the page's clock is ahead.
    pub(crate) ahead: Duration,
    /// Timers are clamped to whole seconds.
    pub(crate) throttled: bool,
    /// The longest time that an operation takes; zero for a machine that keeps up.
    pub(crate) slowness: Duration,
    /// The machine sleeps: what arrives waits.
    pub(crate) asleep: bool,
    pub(crate) waiting: Vec<ToClient>,
    /// The time of the next alarm.
    pub(crate) armed: Option<Timestamp>,
    /// How many of the next peer connections never begin.
    pub(crate) stuck_next: u32,
    /// What waits for the network to come back.
    pub(crate) held: Vec<Happening>,
    /// Until when it waits, once the network is back.
    pub(crate) holds_until: Option<Timestamp>,
    /// Who left the room: nothing may name them.
    pub(crate) gone: BTreeSet<PeerId>,
    /// The public states of the links, as the events told them.
    pub(crate) states: BTreeMap<PeerId, ConnectionState>,
}

impl Client {
    pub(crate) fn new(role: Role, site: Site) -> Self {
        Self {
            role,
            site,
            life: 0,
            session: None,
            pcs: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            socket: None,
            room: None,
            token: None,
            me: None,
            microphone: true,
            ahead: Duration::ZERO,
            throttled: false,
            slowness: Duration::ZERO,
            asleep: false,
            waiting: Vec::new(),
            armed: None,
            stuck_next: 0,
            held: Vec::new(),
            holds_until: None,
            gone: BTreeSet::new(),
            states: BTreeMap::new(),
        }
    }

    /// Whether there is a page, awake or not.
    pub(crate) fn is_open(&self) -> bool {
        self.session.is_some()
    }

    /// Whether the page is there and has been given a seat.
    pub(crate) fn is_inside(&self) -> bool {
        self.me.is_some() && self.session.as_ref().is_some_and(|session| session.me().is_some())
    }

    /// The page's own time.
    pub(crate) fn local(&self, now: Timestamp) -> Timestamp {
        now + self.ahead
    }

    /// Takes the page away, with everything that was in it.
    pub(crate) fn forget_page(&mut self) {
        self.life += 1;
        self.session = None;
        self.pcs.clear();
        self.by_peer.clear();
        self.socket = None;
        self.waiting.clear();
        self.armed = None;
        self.asleep = false;
        self.stuck_next = 0;
        self.gone.clear();
        self.states.clear();
        self.me = None;
    }
}
