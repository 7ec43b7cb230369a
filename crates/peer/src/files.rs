//! The files of a recording, on a thread of their own: a slow disk holds nobody up.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use openstudio_record::{Journal, Packet, Recording};
use openstudio_units::{PeerId, Role, RoomId};

/// Orders that wait at most: those of some seconds, for a room of fifteen. Of a disk that is so
/// far behind, parts are missing, and that is told.
const QUEUE: usize = 8_192;

/// What is written is counted anew after so much of the session: 200 ms.
const COUNTED: u64 = 9_600;

/// How long the writer before may take to let go of a recording.
const LETTING_GO: Duration = Duration::from_secs(5);

/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// A recording of this room may begin in the same second as another one, so many times.
const SAME_SECOND: u64 = 16;

/// What to write. Positions are frames since the session's zero.
#[derive(Debug)]
pub(crate) enum Order {
    /// Somebody is there, called so.
    Came(u64, PeerId, String, Role),
    /// Somebody is gone.
    Left(u64, PeerId),
    /// Somebody is muted, or no longer.
    Muted(u64, PeerId, bool),
    /// This is to be found again.
    Mark(u64, String),
    /// A packet of somebody came.
    Packet(PeerId, Packet),
    /// The programme that ends there: left and right in turn.
    Programme(u64, Vec<f32>),
    /// So far the session has come.
    Advance(u64),
    /// It ends there.
    End(u64),
}

/// What was written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    /// How far the session has come, in frames.
    pub(crate) reached: u64,
    /// What all files have together.
    pub(crate) bytes: u64,
    /// What each voice has.
    pub(crate) voices: Vec<(PeerId, u64)>,
    /// What is wrong, if anything is.
    pub(crate) trouble: Option<String>,
}

/// The way to the thread.
#[derive(Debug)]
pub(crate) struct Files {
    folder: PathBuf,
    orders: SyncSender<Order>,
    written: Arc<Mutex<Written>>,
    thread: JoinHandle<()>,
}

impl Files {
    /// Makes a folder for the recording below `parent`, and begins its files.
    pub(crate) fn begin(parent: &Path, room: RoomId, started_at: u64) -> io::Result<Self> {
        std::fs::create_dir_all(parent)?;
        let mut seconds = started_at / 1_000;
        loop {
            let folder = folder_of(parent, room, seconds);
            match Recording::begin(folder.clone(), Journal::begin(room, started_at)) {
                Ok(recording) => return Self::start(folder, 0, move || Ok(recording)),
                Err(error)
                    if error.kind() == ErrorKind::AlreadyExists
                        && seconds < started_at / 1_000 + SAME_SECOND =>
                {
                    seconds += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Goes on with the recording in `folder`, which has come as far as `reached`. That it
    /// cannot is told as its trouble.
    pub(crate) fn resume(folder: PathBuf, reached: u64) -> io::Result<Self> {
        Self::start(folder.clone(), reached, move || patiently(&folder))
    }

    fn start(
        folder: PathBuf,
        reached: u64,
        open: impl FnOnce() -> io::Result<Recording> + Send + 'static,
    ) -> io::Result<Self> {
        let (orders, receiver) = sync_channel(QUEUE);
        let written = Arc::new(Mutex::new(Written { reached, ..Written::default() }));
        let told = written.clone();
        let thread = std::thread::Builder::new().name("recording".into()).spawn(move || {
            match open() {
                Ok(recording) => Writer { recording, written: told, counted: 0 }.run(&receiver),
                Err(error) => {
                    tell(&told, &words(&error));
                    // What is ordered has to go somewhere until the end.
                    receiver.iter().for_each(drop);
                }
            }
        })?;
        Ok(Self { folder, orders, written, thread })
    }

    /// Gives an order.
    pub(crate) fn order(&self, order: Order) {
        if let Err(TrySendError::Full(_)) = self.orders.try_send(order) {
            tell(&self.written, "the disk is too slow, and parts of it are missing");
        }
    }

    /// Returns the folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns what was written.
    pub(crate) fn written(&self) -> Written {
        lock(&self.written).clone()
    }

    /// Returns what is wrong, if anything is.
    pub(crate) fn trouble(&self) -> Option<String> {
        lock(&self.written).trouble.clone()
    }

    /// Ends the recording, and waits until all is written.
    pub(crate) fn finish(self, end: u64) {
        // A thread that has ended takes no order.
        drop(self.orders.send(Order::End(end)));
        drop(self.orders);
        if self.thread.join().is_err() {
            tracing::error!("the recording ended by itself");
        }
    }
}

/// Goes on with a recording as soon as the writer before has let go of it.
fn patiently(folder: &Path) -> io::Result<Recording> {
    let until = Instant::now() + LETTING_GO;
    loop {
        match Recording::resume(folder.to_owned()) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy && Instant::now() < until => {
                std::thread::sleep(LOOK);
            }
            result => return result,
        }
    }
}

fn lock(written: &Mutex<Written>) -> MutexGuard<'_, Written> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first trouble stays: what follows comes of it.
fn tell(written: &Mutex<Written>, text: &str) {
    lock(written).trouble.get_or_insert_with(|| {
        tracing::error!("recording: {text}");
        text.to_owned()
    });
}

fn words(error: &io::Error) -> String {
    if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        return "the disk is full, and the recording has stopped; make room, then end it and \
                start a new one"
            .to_owned();
    }
    format!("the recording has stopped: {error}; end it and start a new one")
}

#[derive(Debug)]
struct Writer {
    recording: Recording,
    written: Arc<Mutex<Written>>,
    /// When it was counted what is written.
    counted: u64,
}

impl Writer {
    fn run(mut self, orders: &Receiver<Order>) {
        self.count();
        for order in orders {
            if let Order::End(end) = order {
                if let Err(error) = self.recording.end(end) {
                    tell(&self.written, &words(&error));
                }
                return;
            }
            if let Err(error) = self.take(order) {
                tell(&self.written, &words(&error));
                self.recording.stop();
            }
        }
        // Whoever gave the orders is gone without an end, and may come back.
        if let Err(error) = self.recording.pause() {
            tell(&self.written, &words(&error));
        }
    }

    fn take(&mut self, order: Order) -> io::Result<()> {
        let recording = &mut self.recording;
        match order {
            Order::Came(at, peer, name, role) => recording.came(at, peer, (&name, role)),
            Order::Left(at, peer) => recording.left(at, peer),
            Order::Muted(at, peer, muted) => recording.muted(at, peer, muted),
            Order::Mark(at, text) => recording.mark(at, &text),
            Order::Packet(peer, packet) => return recording.packet(peer, packet),
            Order::Programme(end, block) => return recording.programme(end, &block),
            Order::Advance(now) => return self.advance(now),
            Order::End(_) => {}
        }
        Ok(())
    }

    fn advance(&mut self, now: u64) -> io::Result<()> {
        self.recording.advance(now)?;
        if now >= self.counted + COUNTED {
            self.counted = now;
            self.count();
        }
        Ok(())
    }

    fn count(&self) {
        // What was written before it stopped is still there.
        if self.recording.is_stopped() {
            return;
        }
        let mut written = lock(&self.written);
        written.reached = self.recording.reached();
        written.bytes = self.recording.bytes();
        written.voices.clear();
        written.voices.extend(self.recording.voices());
    }
}

/// Returns the folder of a recording: of the room, and of the moment it began.
fn folder_of(parent: &Path, room: RoomId, seconds: u64) -> PathBuf {
    parent.join(openstudio_record::RecordingId { seconds, room }.to_string())
}
