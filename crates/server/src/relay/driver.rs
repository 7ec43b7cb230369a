//! Between the sockets and the server: one mutex, nothing awaited under it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use openstudio_turn::{
    Client, Counts, Output, RelayError, RelayId, Transport, TurnConfig, TurnServer,
};
use openstudio_units::{Seed, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use super::addresses::Addresses;
use super::clock::RelayClock;
use super::udp::{self, Port, Sockets};
use crate::clock::reached;

/// A relay's socket, and the task that reads it.
#[derive(Debug)]
struct Open {
    port: Arc<Port>,
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
    pub(super) listener: Port,
    /// Where the relays' sockets are read.
    runtime: Handle,
    clock: RelayClock,
    timer_moved: Notify,
}

impl Driver {
    pub(super) fn new(
        (mut config, seed): (TurnConfig, Seed),
        clock: RelayClock,
        sockets: Sockets,
        (listener, runtime): (Port, Handle),
    ) -> Self {
        config.zero_unix_seconds = clock.zero_unix_seconds;
        let state = State {
            server: TurnServer::new(config, seed),
            sockets,
            relays: BTreeMap::new(),
            streams: BTreeMap::new(),
            armed: None,
        };
        let timer_moved = Notify::new();
        Self { state: Mutex::new(state), listener, runtime, clock, timer_moved }
    }

    /// Returns how many allocations there are by UDP, TCP and TLS, and what happened so far.
    pub(super) fn report(&self) -> ([usize; 3], Counts) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let transports = [Transport::Udp, Transport::Tcp, Transport::Tls];
        (transports.map(|by| state.server.allocations_by(by)), state.server.counts())
    }

    /// Opens relays at these addresses from now on, and refuses those that are the server's own.
    pub(super) fn follow(&self, addresses: &Addresses) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sockets.follow(addresses.bound);
        state.server.set_addresses(addresses.own.iter().copied(), addresses.families());
    }

    /// Returns whether a client has an allocation.
    pub(super) fn has_allocation(&self, client: Client) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.server.has_allocation(client)
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

    /// Takes datagrams from clients, `most` at most. Ends with an error where no more are there.
    pub(super) fn take_from_clients(
        self: &Arc<Self>,
        buffer: &mut [u8],
        most: usize,
    ) -> io::Result<()> {
        let local = self.listener.local();
        self.with_each(most, |server, now| {
            let (bytes, address) = self.listener.take(buffer)?;
            let client = Client { transport: Transport::Udp, address, local };
            server.handle(now, client, bytes);
            Ok(())
        })
    }

    /// Takes datagrams from the peers of a relay, `most` at most. Ends with an error where no
    /// more are there. Those that fill the buffer are lost.
    pub(super) fn take_from_peers(
        self: &Arc<Self>,
        (id, port): (RelayId, &Port),
        buffer: &mut [u8],
        most: usize,
    ) -> io::Result<()> {
        let size = buffer.len();
        self.with_each(most, |server, now| {
            let (bytes, peer) = port.take(buffer)?;
            if bytes.len() < size {
                server.relayed(now, id, peer, bytes);
            }
            Ok(())
        })
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
                () = reached(self.clock.started, due) => self.with(TurnServer::on_timeout),
            }
        }
    }

    /// Runs `change` on the server, then carries out what it led to.
    fn with(self: &Arc<Self>, mut change: impl FnMut(&mut TurnServer, Timestamp)) {
        // It never fails.
        let _ = self.with_each(1, |server, now| {
            change(server, now);
            Ok(())
        });
    }

    /// Does that `most` times, or until it fails.
    fn with_each(
        self: &Arc<Self>,
        most: usize,
        mut change: impl FnMut(&mut TurnServer, Timestamp) -> io::Result<()>,
    ) -> io::Result<()> {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut outcome = Ok(());
        for _ in 0..most {
            outcome = change(&mut state.server, now);
            if outcome.is_err() {
                break;
            }
            while let Some(output) = state.server.poll_output() {
                self.perform(&mut state, now, output);
            }
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
        outcome
    }

    fn perform(self: &Arc<Self>, state: &mut State, now: Timestamp, output: Output) {
        match output {
            // What finds no room is lost: late sound is of no use.
            Output::Reply { client, bytes } => {
                if let Some(stream) = state.streams.get(&client) {
                    let _ = stream.try_send(bytes);
                } else if !client.transport.is_stream() {
                    self.listener.send(client.address, &bytes);
                }
            }
            Output::SendFromRelay { id, peer, bytes } => {
                if let Some(relay) = state.relays.get(&id) {
                    relay.port.send(peer, &bytes);
                }
            }
            Output::OpenRelay { id, family } => {
                let entered = self.runtime.enter();
                let outcome = state.sockets.open(family).map(|(port, address)| {
                    let port = Arc::new(port);
                    let reader = udp::receive_at(Arc::clone(self), id, Arc::clone(&port));
                    state.relays.insert(id, Open { port, task: self.runtime.spawn(reader) });
                    address
                });
                drop(entered);
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
