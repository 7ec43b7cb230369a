//! How it goes, in figures and in words for a host.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// How a programme is doing.
#[derive(Debug, Clone)]
pub struct Status {
    /// Since when it is cast.
    pub since: SystemTime,
    /// Whether it is over.
    pub ended: bool,
    /// What is on, as listeners' players show it.
    pub title: String,
    /// Listeners over HTTP.
    pub listeners: usize,
    /// How many of those have taken nothing for the last seconds: they are paused, or gone
    /// without a word.
    pub stalled: usize,
    /// Bytes that all listeners over HTTP were given.
    pub bytes: u64,
    /// Pages, of 200 ms each, that listeners over HTTP missed, as they were too slow.
    pub skipped: u64,
    /// Where the programme goes besides.
    pub destinations: Vec<Destination>,
}

/// A place that the programme is brought to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// What it is.
    pub kind: Kind,
    /// Its address or folder.
    pub place: String,
    /// How it is doing.
    pub state: State,
    /// Since when it is doing so.
    pub since: SystemTime,
    /// The same in a sentence for a host, with what to do about it.
    pub words: String,
    /// Bytes that it got.
    pub bytes: u64,
}

/// What a destination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An Icecast server.
    Icecast,
    /// A folder for HLS.
    Hls,
}

/// How a destination is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is being reached for the first time.
    Connecting,
    /// It gets the programme.
    OnAir,
    /// It does not get the programme, and is tried again: that may pass by itself.
    Retrying,
    /// It does not get the programme until a host does something; it is tried again as well.
    Failed,
    /// The programme is over.
    Ended,
}

/// Where a destination tells how it is doing.
#[derive(Debug)]
pub(crate) struct Board(Mutex<Destination>);

impl Board {
    pub(crate) fn new(kind: Kind, place: String, words: String) -> Self {
        let state = State::Connecting;
        let since = SystemTime::now();
        Self(Mutex::new(Destination { kind, place, state, since, words, bytes: 0 }))
    }

    /// Tells something, and logs it if it is new.
    pub(crate) fn tell(&self, state: State, words: &str) {
        let mut board = self.lock();
        if board.state == state && board.words == words {
            return;
        }
        if board.state != state {
            board.since = SystemTime::now();
        }
        board.state = state;
        words.clone_into(&mut board.words);
        let place = board.place.clone();
        drop(board);
        match state {
            State::Retrying | State::Failed => tracing::warn!("{place}: {words}"),
            State::Connecting | State::OnAir | State::Ended => tracing::info!("{place}: {words}"),
        }
    }

    pub(crate) fn sent(&self, bytes: usize) {
        let mut board = self.lock();
        board.bytes = board.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    pub(crate) fn read(&self) -> Destination {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Destination> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
