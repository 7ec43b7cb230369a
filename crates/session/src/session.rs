//! The session: what the person wants, what the server says, and the mesh behind it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use openstudio_mesh::{self as mesh, LinkSnapshot, Mesh};
use openstudio_units::{Incarnation, PeerId, Role, RoomId, Seed, Timestamp};
use openstudio_wire::{
    ClientMessage, CloseCode, DisplayName, EngineState, ErrorCode, IceConfig, LeaveReason,
    NamedStrip, Participant, SeatGrant, ServerMessage, Strip, Token, limits,
};

use crate::config::SessionConfig;
use crate::convert;
use crate::deadline::{Deadline, DeadlineReason};
use crate::input::Input;
use crate::mixer::Mixer;
use crate::output::{EndReason, Event, Output, SignallingState, SocketId};
use crate::roster::{Difference, Roster};
use crate::socket::{Action, Socket};

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

    // ----- the socket

    fn perform(&mut self, now: Timestamp, action: Option<Action>) {
        match action {
            Some(Action::Open(socket)) => self.out.push_back(Output::OpenSocket(socket)),
            Some(Action::Ping(socket)) => {
                let text = ClientMessage::Ping.to_json();
                self.out.push_back(Output::SendText { socket, text });
            }
            Some(Action::Abandon(socket)) => {
                self.out.push_back(Output::CloseSocket(socket));
                self.on_lost(now);
            }
            None => {}
        }
    }

    /// The network is another one, and a socket of the old one says nothing and does not close:
    /// to ask whether it lives takes longer than to open the next.
    fn open_anew(&mut self, now: Timestamp) {
        if !self.socket.is_wanted() {
            return;
        }
        if let Some(socket) = self.socket.close() {
            self.perform(now, Some(Action::Abandon(socket)));
        }
        let action = self.socket.open(now, &self.config);
        self.perform(now, Some(action));
    }

    /// When everybody falls silent at once, the socket is likely to be as dead as the links.
    fn look_at_links(&mut self, now: Timestamp) {
        let cut_off = self.mesh.as_ref().is_some_and(Mesh::is_cut_off);
        if std::mem::replace(&mut self.cut_off, cut_off) != cut_off {
            let action = self.socket.on_cut_off(now, &self.config, cut_off);
            self.perform(now, action);
        }
    }

    fn on_opened(&mut self, now: Timestamp, socket: SocketId) {
        if !self.socket.on_opened(now, &self.config, socket) {
            return;
        }
        if let Some(seat) = &self.seat {
            let message = ClientMessage::Resume { token: seat.token.clone(), fresh: false };
            return self.send_on(socket, &message);
        }
        if let Intent::Resume { token } = &self.intent {
            let message = ClientMessage::Resume { token: token.clone(), fresh: true };
            return self.send_on(socket, &message);
        }
        self.send_on(socket, &ClientMessage::Register { peer_id: self.me });
        self.ask_for_seat();
    }

    fn ask_for_seat(&mut self) {
        let (room_id, invite_token, name) = match &self.intent {
            Intent::Start { name } => (None, None, name.clone()),
            Intent::Join { room, invite, name } => (Some(*room), invite.clone(), name.clone()),
            Intent::Nothing | Intent::Resume { .. } => return,
        };
        let message = ClientMessage::CreateOrJoinRoom { room_id, role: None, invite_token, name };
        if let Some(socket) = self.socket.open_id() {
            self.send_on(socket, &message);
        }
    }

    fn on_closed(&mut self, now: Timestamp, socket: SocketId, code: Option<u16>) {
        if !self.socket.on_closed(now, &self.config, socket) {
            return;
        }
        match code.and_then(CloseCode::from_u16) {
            Some(CloseCode::TakenOver) => self.end(now, EndReason::TakenOver),
            Some(CloseCode::RoomEnded) => self.end(now, EndReason::RoomEnded),
            Some(CloseCode::Policy) => {
                let message = "The server refuses this browser: too many errors.".to_owned();
                self.end(now, EndReason::Refused { code: ErrorCode::RateLimited, message });
            }
            Some(CloseCode::GoingAway | CloseCode::TooSlow) | None => self.on_lost(now),
        }
    }

    fn on_lost(&mut self, now: Timestamp) {
        self.lookup_at = None;
        // Who is missing may be there all the same: the next snapshot tells.
        self.rebuild_due = None;
        self.mixer.on_lost();
        self.set_signalling(SignallingState::Reconnecting);
        self.feed_mesh(now, mesh::Input::SignallingChanged { up: false });
    }

    /// Sends once there is a seat; what is said before is announced with the seat.
    fn send(&mut self, message: &ClientMessage) {
        if let Some(socket) = self.socket.open_id().filter(|_| self.socket.is_ready()) {
            self.send_on(socket, message);
        }
    }

    fn send_on(&mut self, socket: SocketId, message: &ClientMessage) {
        self.out.push_back(Output::SendText { socket, text: message.to_json() });
    }

    // ----- the server

    fn on_text(&mut self, now: Timestamp, socket: SocketId, text: &str) {
        if self.socket.open_id() != Some(socket) {
            return;
        }
        self.socket.on_heard(now, &self.config);
        match ServerMessage::parse(text) {
            Ok(message) => self.on_message(now, message),
            Err(error) => tracing::debug!(%error, "message of another protocol version"),
        }
    }

    fn on_message(&mut self, now: Timestamp, message: ServerMessage) {
        match message {
            ServerMessage::RoomCreated { room_id, seat, seq, participants, .. }
            | ServerMessage::RoomJoined { room_id, seat, seq, participants } => {
                self.on_seat(now, self.me, room_id, seat);
                self.on_snapshot(now, seq, true, participants);
                self.on_entered(now);
            }
            ServerMessage::Resumed { peer_id, room_id, seat } => {
                self.on_seat(now, peer_id, room_id, seat);
            }
            ServerMessage::Snapshot { seq, complete, participants, .. } => {
                self.on_snapshot(now, seq, complete, participants);
                self.on_entered(now);
            }
            ServerMessage::SeatToken { token } => self.on_token(token),
            ServerMessage::IceServers { ice } => self.on_renewed_ice(now, ice),
            ServerMessage::PeerJoined { participant, seq }
            | ServerMessage::PeerUpdated { participant, seq } => {
                let changed = self.roster.apply(seq, participant);
                self.on_changed(now, changed);
            }
            ServerMessage::Strip { from, strip, seq } => self.on_strip(now, from, strip, seq),
            // By a host: the `strip` before it has said so.
            ServerMessage::Mute { from, peer_id, seq, .. } if from != peer_id => {
                self.roster.note(seq);
            }
            ServerMessage::Mute { peer_id, muted, seq, .. } => {
                let changed = self.roster.apply_mute(seq, peer_id, muted);
                self.on_changed(now, changed);
            }
            ServerMessage::PeerLeft { peer_id, reason, seq } => {
                if peer_id != self.me && self.roster.remove(seq, peer_id) {
                    self.on_gone(now, peer_id, reason);
                }
            }
            ServerMessage::InviteToken { invite_token: token, role, .. } => {
                self.event(Event::Invite { role, token });
            }
            ServerMessage::Engine { state } => {
                self.engine = state;
                self.event(Event::EngineChanged);
            }
            ServerMessage::Recordings { recordings, token } => {
                self.event(Event::Recordings { recordings, token });
            }
            ServerMessage::RoomEnded { .. } => self.end(now, EndReason::RoomEnded),
            ServerMessage::RetrySpread { retry_spread_ms } => {
                self.socket.on_spread(Duration::from_millis(retry_spread_ms));
            }
            ServerMessage::GoingAway { retry_after_ms } => {
                self.socket.on_going_away(Duration::from_millis(retry_after_ms));
            }
            ServerMessage::Error { code, message, request, to } => {
                if let Some(peer) = to.filter(|_| request.as_deref() == Some("set-strip"))
                    && self.mixer.forget(peer)
                {
                    self.event(Event::StripChanged { peer });
                }
                self.on_error(now, code, message, request.as_deref());
            }
            ServerMessage::Welcome { setups_in_flight, engine, retry_spread_ms, .. } => {
                self.has_engine = engine;
                let spread = retry_spread_ms.unwrap_or_default();
                self.socket.on_spread(Duration::from_millis(spread));
                if let Some(setups) = setups_in_flight {
                    self.config.mesh.setups_in_flight = usize::from(setups);
                }
            }
            ServerMessage::Registered { .. } | ServerMessage::Pong { .. } => {}
            relayed @ (ServerMessage::Offer(_)
            | ServerMessage::Answer(_)
            | ServerMessage::IceCandidate(_)
            | ServerMessage::IceCandidates(_)
            | ServerMessage::RequestOffer(_)
            | ServerMessage::Stale(_)) => {
                if let Some((from, signal)) = convert::to_signal(relayed) {
                    self.feed_mesh(now, mesh::Input::SignalReceived { from, signal });
                }
            }
        }
    }

    fn on_seat(&mut self, now: Timestamp, me: PeerId, room: RoomId, grant: SeatGrant) {
        let SeatGrant { role, token, incarnation, ice } = grant;
        self.me = me;
        // If it does something after all, that is told next.
        self.engine = EngineState::default();
        self.event(Event::EngineChanged);
        let renewed = self.incarnation.replace(incarnation) != Some(incarnation);
        self.seat = Some(Seat { room, role, token: token.clone() });
        self.event(Event::SeatToken(token));
        if renewed {
            self.feed_mesh(now, mesh::Input::IncarnationChanged { incarnation });
        }
        self.ensure_mesh(now, incarnation);
        self.on_ice(now, ice);
    }

    fn ensure_mesh(&mut self, now: Timestamp, incarnation: Incarnation) {
        if self.mesh.is_none() {
            let (config, seed) = (self.config.mesh.clone(), self.seed.fork("mesh"));
            self.mesh = Some(Mesh::new(config, self.me, incarnation, seed, now));
        }
    }

    fn on_ice(&mut self, now: Timestamp, ice: IceConfig) {
        let has_relay = !ice.turn.is_empty();
        self.ice_urls = urls(&ice);
        self.event(Event::IceServers(ice));
        self.feed_mesh(now, mesh::Input::IceServersChanged { has_relay });
    }

    /// Newer credentials of the same servers are for the application alone: to the mesh, whose
    /// links would begin anew, nothing has changed.
    fn on_renewed_ice(&mut self, now: Timestamp, ice: IceConfig) {
        if self.seat.is_none() {
            return;
        }
        if urls(&ice) == self.ice_urls {
            self.event(Event::IceServers(ice));
        } else {
            self.on_ice(now, ice);
        }
    }

    fn on_token(&mut self, token: Token) {
        if let Some(seat) = &mut self.seat {
            seat.token = token.clone();
            self.event(Event::SeatToken(token));
        }
    }

    /// The seat and everybody else's are known: signals can flow.
    fn on_entered(&mut self, now: Timestamp) {
        if self.socket.is_ready() {
            return;
        }
        let Some(Seat { room, role, .. }) = self.seat.clone() else {
            return;
        };
        self.socket.on_ready(now, &self.config);
        self.set_signalling(SignallingState::Ready);
        self.event(Event::Entered { room, me: self.me, role });
        self.announce();
        self.restore_strips(role);
        self.send_strips(now);
        self.feed_mesh(now, mesh::Input::SignallingChanged { up: true });
    }

    /// Tells what the room does not know of this participant, or knows wrongly: it may
    /// have changed while there was no socket.
    fn announce(&mut self) {
        let told = self.roster.iter().find(|participant| participant.peer_id == self.me);
        let told = told.map(|me| (me.microphone, me.muted));
        let (available, muted) = (self.has_microphone, self.muted);
        if told.is_none_or(|(told, _)| told != available) {
            self.send(&ClientMessage::Microphone { available });
        }
        if told.is_none_or(|(_, told)| told != muted) {
            self.send(&ClientMessage::Mute { peer_id: None, muted });
        }
    }

    /// A restarted server learns from the hosts what it has forgotten.
    fn restore_strips(&mut self, role: Role) {
        let forgotten = std::mem::take(&mut self.forgotten);
        if role.may_mix() {
            for strips in forgotten.chunks(limits::MAX_STRIPS) {
                self.send(&ClientMessage::RestoreStrips { strips: strips.to_vec() });
            }
        }
    }

    fn on_strip(&mut self, now: Timestamp, from: PeerId, strip: NamedStrip, seq: u64) {
        let peer = strip.peer_id;
        let changed = self.roster.apply_strip(seq, strip);
        if from == self.me {
            self.mixer.on_confirmed(peer, strip.strip);
            self.send_strips(now);
        }
        if changed {
            self.event(Event::StripChanged { peer });
        }
    }

    fn on_error(
        &mut self,
        now: Timestamp,
        code: ErrorCode,
        message: String,
        request: Option<&str>,
    ) {
        if self.socket.is_ready() {
            let of_the_person = matches!(
                request,
                Some(
                    "rename"
                        | "request-invite"
                        | "end-room"
                        | "mute"
                        | "microphone"
                        | "set-strip"
                        | "record"
                        | "air"
                        | "mark"
                        | "list-recordings"
                        | "delete-recording"
                )
            ) && code != ErrorCode::PeerNotFound;
            if of_the_person {
                self.event(Event::Refused { code, message });
            }
            return;
        }
        let may_come = code == ErrorCode::RoomNotBack && self.seat.is_none();
        if may_come && self.lookups < self.config.room_lookups {
            self.lookups = self.lookups.saturating_add(1);
            self.lookup_at = Some(now + self.config.room_lookup_interval);
            self.socket.extend(now, &self.config);
            return;
        }
        if matches!(code, ErrorCode::RateLimited | ErrorCode::Internal) {
            if let Some(socket) = self.socket.current() {
                self.out.push_back(Output::CloseSocket(socket));
                self.socket.on_closed(now, &self.config, socket);
                self.on_lost(now);
            }
            return;
        }
        self.end(now, EndReason::Refused { code, message });
    }

    // ----- the room

    fn on_snapshot(
        &mut self,
        now: Timestamp,
        seq: u64,
        complete: bool,
        participants: Vec<Participant>,
    ) {
        let Difference { changed, gone, forgotten } =
            self.roster.apply_snapshot(seq, complete, participants);
        self.forgotten = forgotten;
        for peer in gone {
            self.on_gone(now, peer, LeaveReason::TimedOut);
        }
        for participant in changed {
            self.on_changed(now, Some(participant));
        }
        self.rebuild_due = if complete { None } else { Some(now + self.config.rebuild_timeout) };
    }

    fn on_changed(&mut self, now: Timestamp, changed: Option<Participant>) {
        let Some(participant) = changed else { return };
        let (peer, info) = (participant.peer_id, convert::to_peer_info(&participant));
        self.event(Event::ParticipantChanged(participant));
        self.feed_mesh(now, mesh::Input::PeerSeen { peer, info });
    }

    fn on_gone(&mut self, now: Timestamp, peer: PeerId, reason: LeaveReason) {
        self.feed_mesh(now, mesh::Input::PeerLeft { peer });
        self.mixer.forget(peer);
        self.drain_mesh();
        self.event(Event::ParticipantLeft { peer, reason });
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

fn urls(ice: &IceConfig) -> BTreeSet<String> {
    let turn = ice.turn.iter().flat_map(|server| &server.urls);
    ice.stun.iter().chain(turn).cloned().collect()
}

fn take_if_due(due: &mut Option<Timestamp>, now: Timestamp) -> bool {
    let is_due = due.is_some_and(|at| now >= at);
    if is_due {
        *due = None;
    }
    is_due
}
