//! One participant of a storm: the session that a page has, on a real socket.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use openstudio_session::mesh::{ConnectionState, MeshConfig};
use openstudio_session::{Event, Input, Output, Session, SessionConfig, SignallingState, SocketId};
use openstudio_units::{RoomId, Seed, Timestamp};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::links::Links;

/// Of each socket, bytes: thousands share this machine with their server.
const BUFFER: usize = 4096;

/// Looks at the pretended links, which are always sound, cost the machine of both sides.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(10);

/// What a participant tells.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Told {
    /// It has its seat, for the first time or again, in this room.
    Entered { room: RoomId, at: Instant },
    /// It has lost its socket.
    Lost,
    /// It takes part no more.
    Ended,
}

/// How it stands, for everybody to read.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// How many of its room are there.
    pub(crate) present: AtomicUsize,
    /// To how many of them it is connected.
    pub(crate) connected: AtomicUsize,
}

/// What all participants share.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) port: u16,
    pub(crate) told: mpsc::UnboundedSender<(usize, Told)>,
    /// Rises when all sockets are to break at once.
    pub(crate) cuts: watch::Receiver<u32>,
}

type Socket = WebSocketStream<TcpStream>;

/// The way to the server.
enum Line {
    Closed,
    Opening(SocketId, Pin<Box<dyn Future<Output = Option<Socket>> + Send>>),
    Open(SocketId, Box<Socket>),
}

impl Line {
    /// Waits for what happens on it next.
    async fn next(&mut self) -> Input {
        loop {
            let (id, code) = match self {
                Self::Closed => return std::future::pending().await,
                Self::Opening(id, opening) => {
                    let id = *id;
                    if let Some(socket) = opening.await {
                        *self = Self::Open(id, Box::new(socket));
                        return Input::SocketOpened(id);
                    }
                    (id, None)
                }
                Self::Open(id, socket) => match socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let text = text.as_str().to_owned();
                        return Input::MessageReceived { socket: *id, text };
                    }
                    Some(Ok(Message::Close(frame))) => (*id, frame.map(|frame| frame.code.into())),
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => (*id, None),
                },
            };
            *self = Self::Closed;
            return Input::SocketClosed { socket: id, code };
        }
    }

    /// Breaks it, as a network does.
    fn cut(&mut self) -> Option<Input> {
        let id = match std::mem::replace(self, Self::Closed) {
            Self::Closed => return None,
            Self::Opening(id, _) => id,
            Self::Open(id, socket) => {
                // The server is told at once and without a word.
                drop(socket.get_ref().set_zero_linger());
                id
            }
        };
        Some(Input::SocketClosed { socket: id, code: None })
    }
}

/// A participant at work.
pub(crate) struct Participant {
    number: usize,
    session: Session,
    links: Links,
    line: Line,
    begun: Instant,
    standing: Arc<Standing>,
    place: Place,
}

impl Participant {
    /// Starts it: in a room, or with one of its own.
    pub(crate) fn start(
        number: usize,
        room: Option<RoomId>,
        place: Place,
    ) -> anyhow::Result<Arc<Standing>> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        let mesh = MeshConfig {
            sample_interval: SAMPLE_INTERVAL,
            silence_timeout: 3 * SAMPLE_INTERVAL,
            first_audio_timeout: 3 * SAMPLE_INTERVAL,
            ..MeshConfig::default()
        };
        let config = SessionConfig { mesh, ..SessionConfig::default() };
        let standing = Arc::new(Standing::default());
        let participant = Self {
            number,
            session: Session::new(config, Seed(seed), Timestamp::ZERO),
            links: Links::default(),
            line: Line::Closed,
            begun: Instant::now(),
            standing: Arc::clone(&standing),
            place,
        };
        tokio::spawn(participant.run(room));
        Ok(standing)
    }

    async fn run(mut self, room: Option<RoomId>) {
        self.input(Input::SetMicrophone(true));
        self.input(match room {
            Some(room) => Input::Join { room, invite: None, name: None },
            None => Input::Start { name: None },
        });
        while self.settle().await {
            let due = self
                .session
                .poll_timeout()
                .map(|due| self.begun + Duration::from_micros(due.at.as_micros()));
            let input = tokio::select! {
                input = self.line.next() => Some(input),
                changed = self.place.cuts.changed() => match changed {
                    Ok(()) => self.line.cut(),
                    Err(_) => return,
                },
                () = until(due) => None,
            };
            match input {
                Some(input) => self.input(input),
                None => self.session.handle_timeout(self.now()),
            }
        }
        self.tell(Told::Ended);
    }

    /// Does what the session wants; returns whether it goes on.
    async fn settle(&mut self) -> bool {
        loop {
            while let Some(output) = self.session.poll_output() {
                match output {
                    Output::OpenSocket(id) => {
                        self.line = Line::Opening(id, Box::pin(open(self.place.port)));
                    }
                    Output::SendText { socket: id, text } => {
                        if let Line::Open(open, socket) = &mut self.line
                            && *open == id
                        {
                            // One that breaks is noticed where it is read.
                            drop(socket.send(Message::text(text)).await);
                        }
                    }
                    Output::CloseSocket(_) => self.line = Line::Closed,
                    Output::Mesh(command) => self.links.perform(command),
                    Output::Event(Event::Ended(_)) => return false,
                    Output::Event(event) => self.event(&event),
                }
            }
            let Some(report) = self.links.next_report() else { break };
            self.input(Input::Mesh(report));
        }
        let links = self.session.links();
        let connected = links.iter().filter(|link| link.state == ConnectionState::Connected);
        self.standing.connected.store(connected.count(), Ordering::Relaxed);
        let present = self.session.participants().filter(|participant| participant.present);
        self.standing.present.store(present.count(), Ordering::Relaxed);
        true
    }

    fn event(&self, event: &Event) {
        if let Event::Entered { room, .. } = event {
            self.tell(Told::Entered { room: *room, at: Instant::now() });
        }
        if matches!(event, Event::SignallingChanged(SignallingState::Reconnecting)) {
            self.tell(Told::Lost);
        }
    }

    fn tell(&self, told: Told) {
        // Nobody listens when the benchmark is over.
        let _ = self.place.told.send((self.number, told));
    }

    fn input(&mut self, input: Input) {
        self.session.handle_input(self.now(), input);
    }

    fn now(&self) -> Timestamp {
        let elapsed = self.begun.elapsed().as_micros();
        Timestamp::from_micros(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}

async fn open(port: u16) -> Option<Socket> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    drop(stream.set_nodelay(true));
    let config = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(0);
    let url = format!("ws://127.0.0.1:{port}/ws");
    let (socket, _) = client_async_with_config(url, stream, Some(config)).await.ok()?;
    Some(socket)
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
