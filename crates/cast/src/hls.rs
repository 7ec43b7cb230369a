//! The programme as HLS: segments of 3 s in a folder, and a playlist that names the latest.
//!
//! A thread of its own writes, so that a slow disk holds nobody up. Every file is written under
//! another name and then renamed, so that a reader finds it whole or not at all.

mod boxes;
mod folder;
mod playlist;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::BLOCK;
use crate::status::{Board, State};
use folder::{Folder, name_of};
use playlist::{Entry, Playlist};

/// Packets that wait for the disk at most: 20 s of sound.
const QUEUE: usize = 1_000;

/// Packets of a segment: 3 s.
const SEGMENT: usize = 150;

/// Segments that wait for a disk that takes nothing.
const READY: usize = 4;

/// A packet on its way to the disk.
#[derive(Debug)]
struct Order {
    /// Where it begins, in frames since the programme's beginning.
    at: u64,
    title: Arc<str>,
    packet: Bytes,
}

/// The way to the thread. It ends what it writes when this is dropped.
#[derive(Debug)]
pub(crate) struct Hls {
    orders: SyncSender<Order>,
    at: u64,
    title: Arc<str>,
    board: Arc<Board>,
}

impl Hls {
    /// What is told before anything is known.
    pub(crate) const FIRST_WORDS: &'static str = "The first segment is being made.";

    /// Begins the thread. Returns what tells that it has ended, too.
    pub(crate) fn begin(
        folder: PathBuf,
        title: String,
        board: Arc<Board>,
    ) -> io::Result<(Self, oneshot::Receiver<()>)> {
        let (orders, receiver) = sync_channel(QUEUE);
        let (done, ended) = oneshot::channel();
        let writer = Writer::new(Folder::new(folder), board.clone());
        std::thread::Builder::new().name("hls".into()).spawn(move || {
            writer.run(&receiver);
            drop(done);
        })?;
        Ok((Self { orders, at: 0, title: title.into(), board }, ended))
    }

    pub(crate) fn set_title(&mut self, title: &str) {
        self.title = title.into();
    }

    /// Takes a packet. One that finds no room is missing in the folder.
    pub(crate) fn push(&mut self, packet: Bytes) {
        let order = Order { at: self.at, title: self.title.clone(), packet };
        self.at += BLOCK;
        if let Err(TrySendError::Full(_)) = self.orders.try_send(order) {
            let words = "The disk of the HLS folder is too slow, and parts of the programme are \
                         missing there: choose another disk. It is tried again all the time.";
            self.board.tell(State::Retrying, words);
        }
    }
}

/// A segment that is not written yet.
#[derive(Debug)]
struct Ready {
    at: u64,
    title: Arc<str>,
    packets: Vec<Bytes>,
    /// Whether something is missing before it.
    breaks: bool,
}

#[derive(Debug)]
struct Writer {
    folder: Folder,
    board: Arc<Board>,
    playlist: Playlist,
    /// The segment that is being filled.
    open: Option<Ready>,
    /// Where the next packet is due.
    due: u64,
    /// Those that wait for the disk.
    ready: VecDeque<Ready>,
    /// Where the programme begins on the playlist's time, in frames.
    origin: u64,
    /// Whether what an earlier programme left in the folder is known.
    adopted: bool,
}

impl Writer {
    fn new(folder: Folder, board: Arc<Board>) -> Self {
        Self {
            folder,
            board,
            playlist: Playlist::default(),
            open: None,
            due: 0,
            ready: VecDeque::new(),
            origin: 0,
            adopted: false,
        }
    }

    fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            self.take(order);
        }
        self.close();
        if self.ready.is_empty() && !self.adopted {
            return;
        }
        self.playlist.ended = true;
        if self.flush() {
            self.board.tell(State::Ended, "The programme is over, and the playlist says so.");
        }
    }

    fn take(&mut self, order: Order) {
        let Order { at, title, packet } = order;
        let breaks = at != self.due;
        self.due = at + BLOCK;
        if breaks {
            self.close();
        }
        let fresh = || Ready { at, title, packets: Vec::with_capacity(SEGMENT), breaks };
        let open = self.open.get_or_insert_with(fresh);
        open.packets.push(packet);
        if open.packets.len() == SEGMENT {
            self.close();
            self.flush();
        }
    }

    fn close(&mut self) {
        let Some(segment) = self.open.take() else { return };
        if self.ready.len() == READY {
            self.ready.pop_front();
            if let Some(first) = self.ready.front_mut() {
                first.breaks = true;
            }
        }
        self.ready.push_back(segment);
    }

    /// Writes what is ready, and tells how that went. Returns whether it went well.
    fn flush(&mut self) -> bool {
        let written = self.write();
        match &written {
            Ok(()) => {
                let words = format!("On air: the playlist is {}.", self.folder.playlist());
                self.board.tell(State::OnAir, &words);
            }
            Err(error) => {
                self.folder.forget();
                self.board.tell(State::Retrying, &words(error));
            }
        }
        written.is_ok()
    }

    fn write(&mut self) -> io::Result<()> {
        self.folder.prepare()?;
        if !self.adopted {
            self.playlist = self.folder.adopt()?;
            self.adopted = true;
            // After all that was listed before: time goes on as well, for some players want it to.
            self.origin = self.playlist.next() * SEGMENT as u64 * BLOCK;
            if let Some(first) = self.ready.front_mut() {
                first.breaks = self.playlist.next() > 0;
            }
        }
        while let Some(segment) = self.ready.front() {
            let number = self.playlist.next();
            let name = name_of(self.folder.run, number);
            let bytes = boxes::segment(number, self.origin + segment.at, &segment.packets)?;
            self.folder.put(&name, &bytes)?;
            self.board.sent(bytes.len());
            let left = self.playlist.push(Entry {
                name,
                frames: segment.packets.len() as u64 * BLOCK,
                title: segment.title.to_string(),
                breaks: segment.breaks,
                map: self.folder.map(),
            });
            self.folder.leave(left, self.playlist.next());
            self.ready.pop_front();
        }
        self.folder.put(folder::PLAYLIST, self.playlist.to_string().as_bytes())?;
        self.folder.clean(self.playlist.next());
        Ok(())
    }
}

fn words(error: &io::Error) -> String {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let kind = error.kind();
    let what = if matches!(kind, StorageFull | QuotaExceeded) {
        "The disk of the HLS folder is full: free some space.".to_owned()
    } else if matches!(kind, PermissionDenied | ReadOnlyFilesystem) {
        "The HLS folder may not be written to: correct its owner or permissions.".to_owned()
    } else {
        format!("The HLS folder cannot be written to ({error}): check the folder and its disk.")
    };
    format!("{what} It is tried again every few seconds.")
}

#[cfg(test)]
mod tests;
