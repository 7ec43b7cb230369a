//! [`Engine`]: the rooms that it takes part in, and the orders of their hosts.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use openstudio_cast::{Air, CastConfig};
use openstudio_record::Library;
use openstudio_server::{ConnId, EngineLine, EngineOrder, EnginePort, EngineRequest};
use openstudio_units::RoomId;
use openstudio_wire::{EngineState, ErrorCode};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::answers::{self, Question, refusal};
use crate::config::EngineConfig;
use crate::http;
use crate::memory::{Memory, UnderWay};
use crate::show::{Fate, Show};

/// How often it is looked whether something is to be told.
const LOOK: Duration = Duration::from_millis(200);

/// What is under way is kept anew this often, so that its age says when the program ended.
const KEEP: Duration = Duration::from_secs(30);

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder cannot be made.
    #[error("cannot use the folder {}; choose another with --data-dir", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What the engine's pages need.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) station: String,
    pub(crate) library: Library,
    pub(crate) line: EngineLine,
    on_air: Mutex<BTreeMap<RoomId, Air>>,
}

impl Shared {
    /// Returns the way to listen to a room, while it is on air.
    pub(crate) fn air(&self, room: RoomId) -> Option<Air> {
        self.airs().get(&room).cloned()
    }

    fn airs(&self) -> MutexGuard<'_, BTreeMap<RoomId, Air>> {
        self.on_air.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine at work.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Engine {
    /// Starts an engine, which first takes up what was under way.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(config: EngineConfig, port: EnginePort) -> Result<Self, StartError> {
        let in_folder = |path: &PathBuf, source| StartError::Folder { path: path.clone(), source };
        std::fs::create_dir_all(&config.recordings)
            .map_err(|error| in_folder(&config.recordings, error))?;
        let memory =
            Memory::open(&config.state).map_err(|error| in_folder(&config.state, error))?;
        let EnginePort { requests, line } = port;
        let shared = Arc::new(Shared {
            station: config.cast.station.clone(),
            library: Library::new(config.recordings.clone()),
            line,
            on_air: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let rooms = Rooms {
            config,
            memory,
            shared: shared.clone(),
            shows: BTreeMap::new(),
            kept_at: Instant::now(),
        };
        let task = tokio::spawn(rooms.run(requests, stopped));
        Ok(Self { shared, stop, task })
    }

    /// Returns the engine's pages, for [`openstudio_server::Server::with_routes`].
    pub fn routes(&self) -> Router {
        http::routes(self.shared.clone())
    }

    /// Stops. What is under way is taken up again by the next start.
    pub async fn stop(self) {
        // A task that has ended needs no telling.
        let _ = self.stop.send(());
        drop(self.task.await);
    }
}

/// What the task owns.
struct Rooms {
    config: EngineConfig,
    memory: Memory,
    shared: Arc<Shared>,
    shows: BTreeMap<RoomId, Show>,
    kept_at: Instant,
}

impl Rooms {
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<EngineRequest>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        for (room, under_way) in self.memory.recall(self.config.memory) {
            self.take_up(room, under_way).await;
        }
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                request = requests.recv() => match request {
                    Some(EngineRequest::Ordered { room, conn, order }) => {
                        self.follow(room, conn, order).await;
                    }
                    Some(EngineRequest::Closed { room }) => self.end(room, None),
                    None => return,
                },
                _ = look.tick() => {}
                _ = &mut stopped => return,
            }
            self.look();
        }
    }

    /// Goes on with what was under way when the last program ended.
    async fn take_up(&mut self, room: RoomId, UnderWay { recording, air }: UnderWay) {
        tracing::info!(%room, "going on with what was under way");
        let parent = self.config.recordings.clone();
        if let Some(id) = recording
            && let Some(show) = self.show(room).await
        {
            show.record(&parent, Some(&id));
        }
        if let Some(title) = air {
            self.go_on_air(room, &title).await;
        }
    }

    async fn follow(&mut self, room: RoomId, conn: ConnId, order: EngineOrder) {
        let parts = (self.shared.line.clone(), self.shared.library.clone());
        match order {
            EngineOrder::Record(true) => {
                let parent = self.config.recordings.clone();
                if let Some(show) = self.show(room).await {
                    show.record(&parent, None);
                }
            }
            EngineOrder::Record(false) => {
                if let Some(show) = self.shows.get_mut(&room) {
                    show.stop_recording();
                }
            }
            EngineOrder::Air { on: true, title } => {
                let title = title.map(String::from).unwrap_or_default();
                self.go_on_air(room, &title).await;
            }
            EngineOrder::Air { on: false, .. } => {
                if let Some(show) = self.shows.get_mut(&room) {
                    show.go_off_air();
                }
            }
            EngineOrder::Mark(text) => {
                if let Some(show) = self.shows.get(&room) {
                    show.mark(&text);
                }
            }
            EngineOrder::ListRecordings => answers::answer(parts, room, conn, Question::List),
            EngineOrder::DeleteRecording(id)
                if self.shows.get(&room).is_some_and(|show| show.is_recording(&id)) =>
            {
                let words = "this recording is under way; stop it first".to_owned();
                let request = "delete-recording";
                let code = ErrorCode::RecordingNotFound;
                self.shared.line.answer(conn, refusal(code, words, request));
            }
            EngineOrder::DeleteRecording(id) => {
                answers::answer(parts, room, conn, Question::Delete(id));
            }
        }
    }

    /// Returns the show of a room, which begins if there is none. What fails is told.
    async fn show(&mut self, room: RoomId) -> Option<&mut Show> {
        if !self.shows.contains_key(&room) && self.shows.len() >= self.config.rooms {
            let limit = self.config.rooms;
            self.alarm(room, format!("the studio's engine is busy in {limit} other rooms"));
        } else if !self.shows.contains_key(&room) {
            match Show::begin(room, &self.shared.line).await {
                Ok(show) => drop(self.shows.insert(room, show)),
                Err(error) => {
                    tracing::error!(%error, "the engine cannot take part in a room");
                    self.alarm(room, format!("the studio's engine cannot take part: {error}"));
                }
            }
        }
        self.shows.get_mut(&room)
    }

    /// Tells hosts what is wrong, where nothing is done for their room.
    fn alarm(&self, room: RoomId, words: String) {
        let state = EngineState { alarm: Some(words), ..EngineState::default() };
        self.shared.line.report(room, state);
    }

    async fn go_on_air(&mut self, room: RoomId, title: &str) {
        let config = CastConfig {
            title: title.to_owned(),
            hls: self.config.cast.hls.as_ref().map(|folder| folder.join(room.to_string())),
            ..self.config.cast.clone()
        };
        if let Some(show) = self.show(room).await
            && let Err(error) = show.go_on_air(config)
        {
            tracing::error!(%error, "the programme cannot be sent");
        }
    }

    /// Tells what there is to tell, and ends what is over.
    fn look(&mut self) {
        let now = Instant::now();
        let mut over = Vec::new();
        let mut airs = BTreeMap::new();
        let again = now.saturating_duration_since(self.kept_at) > KEEP;
        if again {
            self.kept_at = now;
        }
        for (room, show) in &mut self.shows {
            match show.fate(now, self.config.patience) {
                Fate::GoesOn => {}
                Fate::Done => over.push((*room, None)),
                Fate::Ended(words) => over.push((*room, Some(words))),
            }
            if let Some(state) = show.news(now) {
                self.shared.line.report(*room, state);
            }
            if let Some(under_way) = show.newly_under_way() {
                self.memory.keep(*room, &under_way);
            } else if again {
                self.memory.keep(*room, show.under_way());
            }
            airs.extend(show.air().map(|air| (*room, air)));
        }
        *self.shared.airs() = airs;
        for (room, words) in over {
            self.end(room, words.flatten());
        }
    }

    /// Ends the show of a room. `words` are told to its hosts.
    fn end(&mut self, room: RoomId, words: Option<String>) {
        let Some(show) = self.shows.remove(&room) else { return };
        self.shared.airs().remove(&room);
        self.memory.forget(room);
        let alarm = words.map(|words| format!("the studio's engine is out of the room: {words}"));
        self.shared.line.report(room, EngineState { alarm, ..EngineState::default() });
        // The disk may take its time.
        tokio::spawn(show.end());
    }
}
