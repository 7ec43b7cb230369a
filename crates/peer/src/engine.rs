//! The task behind a participant: it owns a session, its socket and its peer connections.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use openstudio_session::mesh::{self, PcId};
use openstudio_session::{EndReason, Input, Session, SessionConfig, SignallingState};
use openstudio_units::{PeerId, Seed, Timestamp};
use tokio::sync::{mpsc, watch};

use crate::connection::Connection;
use crate::interruptions::{Arrivals, Outages};
use crate::network::{Arrival, Datagram, Network};
use crate::participant::{Options, ProgrammeSink, Wish};
use crate::programme::Programme;
use crate::recorder::Recorder;
use crate::signalling::{Place, Socket};
use crate::snapshot::Snapshot;
use crate::voice::Voice;
use crate::{PACKET_FRAMES, SAMPLE_RATE};

mod performing;
mod telling;
mod working;

/// How long a packet of sound takes.
const TICK: Duration = Duration::from_millis(20);

/// Every how many of them the snapshot is renewed.
const TICKS_PER_SNAPSHOT: u64 = 5;

/// A pause of the machine that is longer than this is not made up for.
const LATEST: Duration = Duration::from_millis(200);

/// Addresses of others that are remembered at most: a dozen of each of 40 people.
const ROUTES: usize = 512;

/// What is taken at once at most: sound must go out in time, whatever comes in.
const BATCH: usize = 64;

/// How long the farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where the programme goes, if anywhere.
struct Sink(Option<ProgrammeSink>);

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sink({})", self.0.is_some())
    }
}

/// Both ends of a datagram's way: this participant's, and the sender's.
type Route = (SocketAddr, SocketAddr);

/// What the task owns.
#[derive(Debug)]
pub(crate) struct Engine {
    begun: Instant,
    /// The same in frames since 1970, by the machine's clock.
    begun_at: u64,
    session: Session,
    network: Network,
    voice: Voice,
    place: Place,
    socket: Option<Socket>,
    connections: BTreeMap<PcId, Connection>,
    /// Which connection a sender's packets belong to, by the address that they came to: a NAT
    /// may show two senders as one, but not to the same address.
    routes: BTreeMap<Route, PcId>,
    /// Of everybody who was heard and is still in the room.
    arrivals: BTreeMap<PeerId, Arrivals>,
    relay_only: bool,
    muted: bool,
    listens_only: bool,
    sends_redundancy: bool,
    /// Where to record, until it has begun.
    record: Option<PathBuf>,
    recorder: Option<Recorder>,
    /// The mix, while somebody wants it.
    programme: Option<Programme>,
    sink: Sink,
    /// Ticks since the beginning.
    ticks: u64,
    reports: mpsc::Sender<Input>,
    shown: watch::Sender<Snapshot>,
    signalling: SignallingState,
    outages: Outages,
    refusal: Option<String>,
    /// Why there is no recording, though one is wanted.
    alarm: Option<String>,
    /// Ends of operations that had failed at once.
    completed: Vec<mesh::Input>,
    ended: Option<EndReason>,
}

impl Engine {
    /// Makes what a task is to own.
    pub(crate) fn new(
        (options, place): (&Options, Place),
        seed: Seed,
        (network, voice): (Network, Voice),
        reports: mpsc::Sender<Input>,
        shown: watch::Sender<Snapshot>,
    ) -> Self {
        Self {
            begun: Instant::now(),
            begun_at: frames_since_1970(),
            session: Session::new(SessionConfig::default(), seed, Timestamp::ZERO),
            network,
            voice,
            place,
            socket: None,
            connections: BTreeMap::new(),
            routes: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            relay_only: options.relay_only,
            muted: false,
            listens_only: options.listens_only,
            sends_redundancy: options.sends_redundancy,
            record: options.record.clone(),
            recorder: None,
            programme: None,
            sink: Sink(None),
            ticks: 0,
            reports,
            shown,
            signalling: SignallingState::Idle,
            outages: Outages::default(),
            refusal: None,
            alarm: None,
            completed: Vec::new(),
            ended: None,
        }
    }

    /// Takes part until the session ends.
    pub(crate) async fn run(
        mut self,
        Options { link, name, .. }: Options,
        mut wishes: mpsc::UnboundedReceiver<Wish>,
        mut arrivals: mpsc::Receiver<Arrival>,
        mut reports: mpsc::Receiver<Input>,
    ) {
        self.input(Input::SetMicrophone(!self.listens_only));
        self.input(match link.room {
            Some(room) => Input::Join { room, invite: link.invite, name },
            None => Input::Start { name },
        });
        let mut farewell = None;
        while self.ended.is_none() {
            farewell = self.settle().or(farewell);
            let due = self.due();
            tokio::select! {
                Some(wish) = wishes.recv() => match wish {
                    Wish::Session(input) => self.input(input),
                    Wish::Work(work) => self.work(work),
                },
                Some(input) = reports.recv() => {
                    self.input(input);
                    for input in std::iter::from_fn(|| reports.try_recv().ok()).take(BATCH) {
                        self.input(input);
                    }
                }
                Some(arrival) = arrivals.recv() => {
                    self.take(arrival);
                    for arrival in std::iter::from_fn(|| arrivals.try_recv().ok()).take(BATCH) {
                        self.take(arrival);
                    }
                }
                () = tokio::time::sleep_until(due.into()) => {}
            }
            self.wake();
        }
        self.show();
        for connection in self.connections.values_mut() {
            connection.close(&mut self.network);
        }
        self.give_back(&mut arrivals).await;
        if let Some(recorder) = self.recorder.take() {
            // The disk may take its time.
            drop(tokio::task::spawn_blocking(move || recorder.finish()).await);
        }
        if let Some(farewell) = farewell {
            // Late is as good as never: the server notices by itself.
            drop(tokio::time::timeout(FAREWELL, farewell).await);
        }
    }

    /// Gives relays back, as far as their servers answer in time.
    async fn give_back(&mut self, arrivals: &mut mpsc::Receiver<Arrival>) {
        self.network.end(Instant::now());
        let given_back = async {
            while self.network.holds() {
                let Some(arrival) = arrivals.recv().await else { return };
                self.network.take(Instant::now(), arrival);
            }
        };
        // Late is as good as never: the server gives them up by itself.
        drop(tokio::time::timeout(FAREWELL, given_back).await);
    }

    fn at(&self, instant: Instant) -> Timestamp {
        let elapsed = instant.saturating_duration_since(self.begun);
        Timestamp::from_micros(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
    }

    fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    fn input(&mut self, input: Input) {
        if let Input::SetMuted(muted) = input {
            self.muted = muted;
        }
        let now = self.now();
        self.session.handle_input(now, input);
    }

    /// Returns when something is due next.
    fn due(&self) -> Instant {
        let tick = self.tick_due();
        let connections = self.connections.values().map(|connection| connection.due);
        let session = self.session.poll_timeout();
        let session =
            session.map(|deadline| self.begun + Duration::from_micros(deadline.at.as_micros()));
        connections.chain(session).chain(self.network.due()).fold(tick, Instant::min)
    }

    fn tick_due(&self) -> Instant {
        self.begun + TICK.saturating_mul(u32::try_from(self.ticks).unwrap_or(u32::MAX))
    }

    /// Does what is due.
    fn wake(&mut self) {
        let now = Instant::now();
        for connection in self.connections.values_mut().filter(|connection| connection.due <= now) {
            connection.wake(now);
        }
        self.network.wake(now);
        let at = self.at(now);
        if self.session.poll_timeout().is_some_and(|deadline| deadline.at <= at) {
            self.session.handle_timeout(at);
        }
        if now.saturating_duration_since(self.tick_due()) > LATEST {
            let missed = now.saturating_duration_since(self.begun).as_millis() / TICK.as_millis();
            self.ticks = u64::try_from(missed).unwrap_or(u64::MAX);
        }
        while self.tick_due() <= now {
            self.tick(now);
        }
    }

    /// Says and hears 20 ms of sound.
    fn tick(&mut self, now: Instant) {
        let time = self.ticks.saturating_mul(PACKET_FRAMES as u64);
        let due = self.tick_due();
        self.ticks += 1;
        if !self.listens_only {
            self.say(now, time);
        }
        self.hear(due);
        if self.ticks.is_multiple_of(TICKS_PER_SNAPSHOT) {
            self.show();
        }
    }

    /// Says 20 ms of sound that begin at `time`, in frames.
    fn say(&mut self, now: Instant, time: u64) {
        self.voice.seek(self.begun_at.saturating_add(time));
        let closed_by_host = self.session.me().is_some_and(|me| self.session.strip(me).muted);
        match self.voice.next_packet(self.muted || closed_by_host) {
            Ok(packet) => {
                let begun = self.begun;
                for connection in self.connections.values_mut() {
                    connection.send(now, time, &packet);
                    connection.settle(&mut self.network, |instant| since(begun, instant));
                }
            }
            Err(error) => tracing::warn!(%error, "a packet could not be encoded"),
        }
    }

    /// Hears 20 ms of sound, which were due then.
    fn hear(&mut self, due: Instant) {
        for connection in self.connections.values_mut() {
            let peer = connection.peer;
            let piece = connection.ear.play();
            if let Some(programme) = &mut self.programme {
                programme.sound(peer, self.session.strip(peer), piece);
            }
            if let Some(recorder) = &self.recorder {
                let tap = connection.tap.get_or_insert_default();
                tap.drain(..).for_each(|tapped| recorder.packet(peer, tapped));
            } else {
                connection.tap = None;
            }
        }
        let Some(programme) = &mut self.programme else { return };
        let block = programme.mix();
        if let Some(recorder) = &mut self.recorder {
            recorder.mixed(due, block);
        }
        if let Some(sink) = &mut self.sink.0 {
            sink(block);
        }
    }

    fn take(&mut self, arrival: Arrival) {
        let now = Instant::now();
        if let Some(datagram) = self.network.take(now, arrival) {
            self.receive(now, &datagram);
        }
    }

    fn receive(&mut self, now: Instant, datagram: &Datagram) {
        let Some(pc) = self.route(now, datagram) else {
            tracing::debug!(source = %datagram.source, "a datagram belongs to no connection");
            return;
        };
        // Whoever is in the room can send from many addresses.
        let route = (datagram.destination, datagram.source);
        if self.routes.len() < ROUTES || self.routes.contains_key(&route) {
            self.routes.insert(route, pc);
        }
        if let Some(connection) = self.connections.get_mut(&pc) {
            connection.receive(now, datagram);
            let begun = self.begun;
            connection.settle(&mut self.network, |instant| since(begun, instant));
            if let Some(heard) = connection.heard {
                self.arrivals.entry(connection.peer).or_default().note(heard);
            }
        }
    }

    /// Returns which connection a datagram is for. STUN names it; the rest comes from where
    /// STUN came from, and may come before ICE has settled on that pair: the first flight of
    /// DTLS would cost a second.
    fn route(&self, now: Instant, datagram: &Datagram) -> Option<PcId> {
        let known = self.routes.get(&(datagram.destination, datagram.source));
        let known = known.and_then(|pc| self.connections.get(pc));
        let mut candidates = known.into_iter().chain(self.connections.values());
        let accepting = candidates.find(|connection| connection.accepts(now, datagram));
        let found = accepting.or(known.filter(|_| !datagram.is_stun()));
        found.map(|connection| connection.pc)
    }
}

fn frames_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let frames = since.as_micros().saturating_mul(u128::from(SAMPLE_RATE)) / 1_000_000;
    u64::try_from(frames).unwrap_or_default()
}

fn since(begun: Instant, instant: Instant) -> Timestamp {
    let elapsed = instant.saturating_duration_since(begun);
    Timestamp::from_micros(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
}
