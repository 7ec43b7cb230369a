//! The rooms, the sockets' queues and the clock, behind one mutex.
//!
//! Nothing is awaited under the lock, and what is sent is put into queues in the order
//! in which it was decided. Messages become text here, so that a broadcast's order is
//! the same for everybody.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use openstudio_room::{ConnId, Event, Output, Refusal, RoomEnd, Rooms, Stats};
use openstudio_units::{RoomId, Timestamp};
use openstudio_wire::{ClientMessage, EngineState, ParseError, ServerMessage, Token};
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, UnboundedSender};

use crate::clock::reached;
use crate::config::Limits;
use crate::engine::EngineRequest;
use crate::outbox::{Inbox, Outbox, queue};
use crate::relay::{Line, Offer};

/// The heart of a server.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    started: Instant,
    limits: Limits,
    /// Told when the earliest deadline moved forward.
    timer_moved: Notify,
    /// Told when a socket is gone.
    socket_gone: Notify,
}

#[derive(Debug)]
struct State {
    rooms: Rooms,
    outboxes: BTreeMap<ConnId, (Outbox, Line)>,
    /// Added to what goes with a seat.
    offer: Offer,
    /// Sockets whose task still runs, told to close or not.
    sockets: usize,
    next_conn: u64,
    /// When the timer task will look again.
    armed: Option<Timestamp>,
    counts: Counts,
    ended: UnboundedSender<RoomId>,
    /// None where there is no engine.
    engine: Option<mpsc::Sender<EngineRequest>>,
}

/// What happened since the start, for metrics.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) sockets_opened: u64,
    pub(crate) messages_in: u64,
    pub(crate) messages_out: u64,
    pub(crate) refused: u64,
    pub(crate) rooms_opened: u64,
}

impl Hub {
    /// `rooms` must have been made at [`Timestamp::ZERO`], just now. Rooms that a host
    /// ends are told to `ended`, orders for the engine to `engine`.
    pub(crate) fn new(
        rooms: Rooms,
        limits: Limits,
        ended: UnboundedSender<RoomId>,
        engine: Option<mpsc::Sender<EngineRequest>>,
        offer: Offer,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                rooms,
                outboxes: BTreeMap::new(),
                offer,
                sockets: 0,
                next_conn: 0,
                armed: None,
                counts: Counts::default(),
                ended,
                engine,
            }),
            started: Instant::now(),
            limits,
            timer_moved: Notify::new(),
            socket_gone: Notify::new(),
        }
    }

    /// Returns the time since the start.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.started.elapsed()
    }

    /// A socket is open: gives it a number and a queue. `host` is where it reached the server.
    pub(crate) fn open(&self, host: Option<String>) -> (ConnId, Inbox) {
        let (outbox, inbox) = queue(&self.limits);
        let now = self.now();
        let conn = self.with(|state| {
            let conn = ConnId(state.next_conn);
            state.next_conn += 1;
            state.sockets += 1;
            state.counts.sockets_opened += 1;
            state.outboxes.insert(conn, (outbox, Line::new(host)));
            state.rooms.connected(now, conn);
            conn
        });
        (conn, inbox)
    }

    /// A socket is gone.
    pub(crate) fn closed(&self, conn: ConnId) {
        let now = self.now();
        self.with(|state| {
            state.sockets -= 1;
            state.outboxes.remove(&conn);
            state.rooms.disconnected(now, conn);
        });
        self.socket_gone.notify_waiters();
    }

    /// A text came in.
    pub(crate) fn receive(&self, now: Timestamp, conn: ConnId, text: &str) {
        let parsed: Result<ClientMessage, ParseError> = ClientMessage::parse(text);
        self.with(|state| {
            state.counts.messages_in += 1;
            match parsed {
                Ok(message) => state.rooms.message(now, conn, message),
                Err(error) => {
                    state.counts.refused += 1;
                    state.rooms.refuse(now, conn, error.into());
                }
            }
        });
    }

    /// Something came in that is refused unread.
    pub(crate) fn refuse(&self, now: Timestamp, conn: ConnId, refusal: Refusal) {
        self.with(|state| {
            state.counts.refused += 1;
            state.rooms.refuse(now, conn, refusal);
        });
    }

    /// The engine does something else for a room.
    pub(crate) fn engine_changed(&self, room: RoomId, engine: EngineState) {
        self.with(|state| state.rooms.engine_changed(room, engine));
    }

    /// Answers a socket.
    pub(crate) fn answer(&self, conn: ConnId, message: ServerMessage) {
        self.with(|state| state.rooms.answer(conn, message));
    }

    pub(crate) fn invite_engine(&self, room: RoomId) -> Option<Token> {
        self.lock().rooms.invite_engine(room).ok()
    }

    pub(crate) fn sign_download(&self, room: RoomId) -> Option<Token> {
        self.lock().rooms.sign_download(room).ok()
    }

    pub(crate) fn open_download(&self, token: &Token) -> Option<RoomId> {
        self.lock().rooms.open_download(token)
    }

    /// Tells everybody that the server stops.
    pub(crate) fn shut_down(&self) {
        self.with(|state| state.rooms.shutdown());
    }

    /// Waits until no socket's task runs.
    pub(crate) async fn drained(&self) {
        loop {
            let gone = self.socket_gone.notified();
            if self.lock().sockets == 0 {
                return;
            }
            gone.await;
        }
    }

    pub(crate) fn report(&self) -> (Stats, Counts, Duration) {
        let state = self.lock();
        (state.rooms.stats(), state.counts, self.started.elapsed())
    }

    /// Does what is due when it is due, for ever.
    pub(crate) async fn run_timers(&self) {
        loop {
            let moved = self.timer_moved.notified();
            let due = {
                let mut state = self.lock();
                state.armed = state.rooms.poll_timeout().map(|deadline| deadline.at);
                state.armed
            };
            tokio::select! {
                () = moved => {}
                () = reached(self.started, due) => {
                    let now = self.now();
                    self.with(|state| state.rooms.handle_timeout(now));
                }
            }
        }
    }

    /// Runs `change` on the state, then carries out what it led to.
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        state.perform();
        let next = state.rooms.poll_timeout().map(|deadline| deadline.at);
        let sooner = match (next, state.armed) {
            (Some(next), Some(armed)) => next < armed,
            (Some(_), None) => true,
            (None, _) => false,
        };
        drop(state);
        if sooner {
            self.timer_moved.notify_waiters();
        }
        result
    }

    /// Locks, also after a panic in another task: that socket's trouble is not ours.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn perform(&mut self) {
        while let Some(output) = self.rooms.poll_output() {
            match output {
                Output::Send { conn, mut message } => {
                    if let Some((outbox, line)) = self.outboxes.get_mut(&conn) {
                        self.offer.add_to(&mut message, line);
                        self.counts.messages_out += 1;
                        outbox.push(message.to_json());
                    }
                }
                Output::Close { conn, code } => {
                    if let Some((outbox, _)) = self.outboxes.remove(&conn) {
                        outbox.close(code);
                    }
                }
                Output::Event(event) => self.note(event),
            }
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::RoomOpened { room, rebuilt } => {
                self.counts.rooms_opened += 1;
                tracing::info!(rebuilt, "room opened");
                tracing::debug!(%room, "room opened");
            }
            Event::RoomClosed { room, reason } => {
                tracing::info!(?reason, "room closed");
                tracing::debug!(%room, "room closed");
                if reason == RoomEnd::Ended {
                    let _ = self.ended.send(room);
                }
                self.ask_engine(EngineRequest::Closed { room });
            }
            Event::EngineOrdered { room, conn, order } => {
                self.ask_engine(EngineRequest::Ordered { room, conn, order });
            }
        }
    }

    fn ask_engine(&self, request: EngineRequest) {
        if self.engine.as_ref().is_some_and(|engine| engine.try_send(request).is_err()) {
            tracing::warn!("the engine does not answer, and an order was lost");
        }
    }
}
