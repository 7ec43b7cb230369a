//! The session: what the person wants, what the server says, and the mesh behind it.

mod messages;
mod sockets;

use std::collections::{BTreeSet, VecDeque};

use openstudio_mesh::{self as mesh, LinkSnapshot, Mesh};
use openstudio_units::{Incarnation, PeerId, Role, RoomId, Seed, Timestamp};
use openstudio_wire::{
    ClientMessage, DisplayName, EngineState, LeaveReason, NamedStrip, Participant, Strip, Token,
};

use crate::config::SessionConfig;
use crate::convert;
use crate::deadline::{Deadline, DeadlineReason};
use crate::input::Input;
use crate::mixer::Mixer;
use crate::output::{EndReason, Event, Output, SignallingState};
use crate::roster::Roster;
use crate::socket::Socket;

/// What the person asked for, until there is a seat.
#[derive(Debug, Clone, PartialEq)]
enum Intent {
    Nothing,
    Start { name: Option<DisplayName> },
    Join { room: RoomId, invite: Option<Token>, name: Option<DisplayName> },
    Resume { token: Token },
}

/// The seat that the server gave.
#[derive(Debug, Clone)]
struct Seat {
    room: RoomId,
    role: Role,
    token: Token,
}

/// The client side of a room. See the crate's documentation for how to drive it.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    seed: Seed,
    me: PeerId,
    intent: Intent,
    signalling: SignallingState,
    socket: Socket,
    seat: Option<Seat>,
    /// Of the servers for ICE that were named last.
    ice_urls: BTreeSet<String>,
    /// Of the seat that was held last.
    incarnation: Option<Incarnation>,
    roster: Roster,
    mixer: Mixer,
    /// Whether the server has an engine.
    has_engine: bool,
    /// What it does here.
    engine: EngineState,
    /// Strips that a restarted server is to be told.
    forgotten: Vec<NamedStrip>,
    mesh: Option<Mesh>,
    /// Whether nobody is heard who was.
    cut_off: bool,
    has_microphone: bool,
    muted: bool,
    /// A room that is not there may be one that a restarted server has not heard of yet.
    lookups: u32,
    lookup_at: Option<Timestamp>,
    /// Until when a restarted server may wait for the others to return.
    rebuild_due: Option<Timestamp>,
    ended: bool,
    out: VecDeque<Output>,
}

impl Session {
    /// Makes a session that has not begun. Nothing happens before
    /// [`Input::Start`], [`Input::Join`] or [`Input::Resume`].
    pub fn new(config: SessionConfig, seed: Seed, _now: Timestamp) -> Self {
        let mut bytes = [0; 16];
        seed.fork("peer id").rng().fill(&mut bytes);
        Self {
            config,
            seed,
            me: PeerId::from_random_bytes(bytes),
            intent: Intent::Nothing,
            signalling: SignallingState::Idle,
            socket: Socket::new(seed.fork("socket").rng()),
            seat: None,
            ice_urls: BTreeSet::new(),
            incarnation: None,
            roster: Roster::default(),
            mixer: Mixer::default(),
            has_engine: false,
            engine: EngineState::default(),
            forgotten: Vec::new(),
            mesh: None,
            cut_off: false,
            has_microphone: false,
            muted: false,
            lookups: 0,
            lookup_at: None,
            rebuild_due: None,
            ended: false,
            out: VecDeque::new(),
        }
    }

    /// Returns this participant's id, once there is a seat.
    pub fn me(&self) -> Option<PeerId> {
        self.seat.as_ref().map(|_| self.me)
    }

    /// Returns the room, once there is a seat.
    pub fn room(&self) -> Option<RoomId> {
        self.seat.as_ref().map(|seat| seat.room)
    }

    /// Returns what this participant may do, once there is a seat.
    pub fn role(&self) -> Option<Role> {
        self.seat.as_ref().map(|seat| seat.role)
    }

    /// Returns everybody in the room, this participant too, in the order of ids.
    pub fn participants(&self) -> impl Iterator<Item = &Participant> {
        self.roster.iter()
    }

    /// Returns how the desk treats a participant; what this one changed and the server has not
    /// confirmed is in it. The default for whoever is not in the room.
    pub fn strip(&self, peer: PeerId) -> Strip {
        let confirmed = self.roster.get(peer).map(|seat| seat.strip).unwrap_or_default();
        confirmed.with(self.mixer.unconfirmed(peer))
    }

    /// Returns what the studio's engine does for the room; none where there is no engine.
    pub fn engine(&self) -> Option<&EngineState> {
        self.has_engine.then_some(&self.engine)
    }

    /// Describes every link, in the order of ids.
    pub fn links(&self) -> Vec<LinkSnapshot> {
        self.mesh.as_ref().map(Mesh::snapshot).unwrap_or_default()
    }

    /// Returns what the connection manager dropped by rule.
    pub fn counters(&self) -> mesh::Counters {
        self.mesh.as_ref().map(Mesh::counters).unwrap_or_default()
    }

    /// Feeds one input. Never fails: what fits nothing is ignored.
    pub fn handle_input(&mut self, now: Timestamp, input: Input) {
        if self.ended {
            return;
        }
        match input {
            Input::Start { name } => self.begin(now, Intent::Start { name }),
            Input::Join { room, invite, name } => {
                self.begin(now, Intent::Join { room, invite, name });
            }
            Input::Resume { token } => self.begin(now, Intent::Resume { token }),
            Input::Leave => {
                self.send(&ClientMessage::Leave);
                self.end(now, EndReason::Left);
            }
            Input::EndRoom => self.send(&ClientMessage::EndRoom),
            Input::SetMuted(muted) => self.set_muted(muted),
            Input::SetMicrophone(available) => self.set_microphone(available),
            Input::SetStrip { peer, change } => {
                if self.role().is_some_and(Role::may_mix) && self.roster.get(peer).is_some() {
                    self.mixer.want(peer, change);
                    self.send_strips(now);
                    self.event(Event::StripChanged { peer });
                }
            }
            Input::Rename(name) => self.send(&ClientMessage::Rename { name }),
            Input::RequestInvite(invite_role) => {
                self.send(&ClientMessage::RequestInvite { invite_role });
            }
            Input::Order(order) => self.send(&order.into_message()),
            Input::SocketOpened(socket) => self.on_opened(now, socket),
            Input::MessageReceived { socket, text } => self.on_text(now, socket, &text),
            Input::SocketClosed { socket, code } => self.on_closed(now, socket, code),
            Input::Online => {
                self.open_anew(now);
                // A network that was gone comes back with any addresses.
                self.feed_mesh(now, mesh::Input::NetworkChanged);
            }
            Input::Mesh(input) => {
                if input == mesh::Input::NetworkChanged {
                    self.open_anew(now);
                }
                self.feed_mesh(now, input);
            }
        }
        self.drain_mesh();
        self.look_at_links(now);
    }

    /// Advances timers. Calling early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if self.ended {
            return;
        }
        let action = self.socket.on_timeout(now, &self.config);
        self.perform(now, action);
        if take_if_due(&mut self.lookup_at, now) {
            self.ask_for_seat();
        }
        if take_if_due(&mut self.rebuild_due, now) {
            for peer in self.roster.drop_absent() {
                self.on_gone(now, peer, LeaveReason::TimedOut);
            }
        }
        if self.mixer.on_timeout(now) {
            self.send_strips(now);
        }
        if let Some(mesh) = &mut self.mesh {
            mesh.handle_timeout(now);
        }
        self.drain_mesh();
        self.look_at_links(now);
    }

    /// Returns the next thing to do or to know; `None` means drained.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Returns when to call [`Session::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        if self.ended {
            return None;
        }
        let own = |at: Option<Timestamp>, reason| at.map(|at| Deadline { at, reason });
        let mesh = self.mesh.as_ref().and_then(Mesh::poll_timeout);
        [
            own(self.socket.deadline(), DeadlineReason::Socket),
            own(self.lookup_at, DeadlineReason::RoomLookup),
            own(self.rebuild_due, DeadlineReason::Rebuild),
            own(self.mixer.deadline(), DeadlineReason::Mixer),
            mesh.map(|due| Deadline { at: due.at, reason: DeadlineReason::Mesh(due.reason) }),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|due| due.at)
    }

    // ----- the person

    fn begin(&mut self, now: Timestamp, intent: Intent) {
        if self.intent != Intent::Nothing {
            return;
        }
        self.intent = intent;
        self.set_signalling(SignallingState::Connecting);
        let action = self.socket.open(now, &self.config);
        self.perform(now, Some(action));
    }

    fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
        self.send(&ClientMessage::Mute { peer_id: None, muted });
    }

    fn set_microphone(&mut self, available: bool) {
        self.has_microphone = available;
        self.send(&ClientMessage::Microphone { available });
    }

    fn send_strips(&mut self, now: Timestamp) {
        if self.socket.is_ready() {
            for message in self.mixer.take_messages(now) {
                self.send(&message);
            }
        }
    }

    // ----- the mesh

    fn feed_mesh(&mut self, now: Timestamp, input: mesh::Input) {
        if let Some(mesh) = &mut self.mesh {
            mesh.handle_input(now, input);
        }
    }

    fn drain_mesh(&mut self) {
        while let Some(output) = self.mesh.as_mut().and_then(Mesh::poll_output) {
            match output {
                mesh::Output::Command(mesh::Command::SendSignal { to, signal }) => {
                    let message = convert::to_message(self.me, to, signal);
                    self.send(&message);
                }
                mesh::Output::Command(command) => self.out.push_back(Output::Mesh(command)),
                mesh::Output::Event(event) => self.event(Event::Mesh(event)),
            }
        }
    }

    // ----- the end

    fn end(&mut self, now: Timestamp, reason: EndReason) {
        self.feed_mesh(now, mesh::Input::CloseAll);
        self.drain_mesh();
        if let Some(socket) = self.socket.close() {
            self.out.push_back(Output::CloseSocket(socket));
        }
        self.set_signalling(SignallingState::Idle);
        self.seat = None;
        self.mesh = None;
        self.roster = Roster::default();
        self.ended = true;
        self.event(Event::Ended(reason));
    }

    fn set_signalling(&mut self, state: SignallingState) {
        if self.signalling != state {
            self.signalling = state;
            self.event(Event::SignallingChanged(state));
        }
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }
}

fn take_if_due(due: &mut Option<Timestamp>, now: Timestamp) -> bool {
    let is_due = due.is_some_and(|at| now >= at);
    if is_due {
        *due = None;
    }
    is_due
}
