//! Between the sockets and the server: one mutex, nothing awaited under it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use openstudio_turn::{Client, Output, RelayError, RelayId, TurnConfig, TurnServer};
use openstudio_units::{Seed, Timestamp};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use super::udp::{self, Sockets};
use crate::clock::reached;

/// A relay's socket, and the task that reads it.
#[derive(Debug)]
struct Open {
    socket: Arc<UdpSocket>,
    task: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct State {
    server: TurnServer,
    sockets: Sockets,
    relays: BTreeMap<RelayId, Open>,
    streams: BTreeMap<Client, Sender<Vec<u8>>>,
    armed: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) struct Driver {
    state: Mutex<State>,
    /// Where clients come by datagrams.
    pub(super) listener: UdpSocket,
    started: Instant,
    timer_moved: Notify,
}

impl Driver {
    pub(super) fn new(
        config: TurnConfig,
        seed: Seed,
        sockets: Sockets,
        listener: UdpSocket,
    ) -> Self {
        let state = State {
            server: TurnServer::new(config, seed),
            sockets,
            relays: BTreeMap::new(),
            streams: BTreeMap::new(),
            armed: None,
        };
        let (started, timer_moved) = (Instant::now(), Notify::new());
        Self { state: Mutex::new(state), listener, started, timer_moved }
    }

    /// Closes the relays, whose readers hold on to this.
    pub(super) fn shut_down(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.relays.clear();
        state.streams.clear();
    }

    /// A message came from a client.
    pub(super) fn handle(self: &Arc<Self>, client: Client, bytes: &[u8]) {
        self.with(|server, now| server.handle(now, client, bytes));
    }

    /// A packet came from a peer.
    pub(super) fn relayed(self: &Arc<Self>, id: RelayId, peer: SocketAddr, bytes: &[u8]) {
        self.with(|server, now| server.relayed(now, id, peer, bytes));
    }

    pub(super) fn stream_opened(&self, client: Client, writer: Sender<Vec<u8>>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.streams.insert(client, writer);
    }

    pub(super) fn stream_closed(self: &Arc<Self>, client: Client) {
        self.with(|server, _| server.stream_closed(client));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.streams.remove(&client);
    }

    /// Ends what has expired, for ever.
    pub(super) async fn run_timers(self: &Arc<Self>) {
        loop {
            let moved = self.timer_moved.notified();
            let due = {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.armed = state.server.poll_timeout();
                state.armed
            };
            tokio::select! {
                () = moved => {}
                () = reached(self.started, due) => self.with(TurnServer::on_timeout),
            }
        }
    }

    /// Runs `change` on the server, then carries out what it led to.
    fn with(self: &Arc<Self>, change: impl FnOnce(&mut TurnServer, Timestamp)) {
        let now = Timestamp::ZERO + self.started.elapsed();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state.server, now);
        while let Some(output) = state.server.poll_output() {
            self.perform(&mut state, now, output);
        }
        let sooner = match (state.server.poll_timeout(), state.armed) {
            (Some(next), Some(armed)) => next < armed,
            (next, None) => next.is_some(),
            (None, Some(_)) => false,
        };
        drop(state);
        if sooner {
            self.timer_moved.notify_one();
        }
    }

    fn perform(self: &Arc<Self>, state: &mut State, now: Timestamp, output: Output) {
        match output {
            // What finds no room is lost: late sound is of no use.
            Output::Reply { client, bytes } => {
                if let Some(stream) = state.streams.get(&client) {
                    let _ = stream.try_send(bytes);
                } else if !client.transport.is_stream() {
                    udp::send(&self.listener, client.address, &bytes);
                }
            }
            Output::SendFromRelay { id, peer, bytes } => {
                if let Some(relay) = state.relays.get(&id) {
                    udp::send(&relay.socket, peer, &bytes);
                }
            }
            Output::OpenRelay { id, family } => {
                let outcome = state.sockets.open(family).map(|(socket, address)| {
                    let socket = Arc::new(socket);
                    let reader = udp::receive_at(Arc::clone(self), id, Arc::clone(&socket));
                    state.relays.insert(id, Open { socket, task: tokio::spawn(reader) });
                    address
                });
                if outcome.is_none() {
                    tracing::warn!("the relay has no free port; give it more with --turn-ports");
                }
                state.server.relay_opened(now, id, outcome.ok_or(RelayError));
            }
            Output::CloseRelay { id } => {
                state.relays.remove(&id);
            }
        }
    }
}
