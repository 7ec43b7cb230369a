//! The last seconds of the programme, and all who read there.
//!
//! There is one ring of pages for all. A listener is a place in it, so that it costs nothing
//! but that, and one that does not read is overtaken by the ring's end.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::watch;

use crate::chain::{Begun, Step};
use crate::status::{Board, Status};

/// Pages that are kept: 5 s. A listener that is further behind misses some.
const KEPT: usize = 25;

/// Pages that a new listener gets at once, so that players begin at once: 1.6 s.
const BURST: u64 = 8;

/// The programme, for others: cheap to clone.
#[derive(Debug, Clone)]
pub struct Air(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    since: SystemTime,
    ring: Mutex<Ring>,
    over: watch::Sender<bool>,
    boards: Vec<Arc<Board>>,
}

#[derive(Debug)]
struct Ring {
    /// The logical stream of what comes next.
    stream: Arc<Logical>,
    pages: VecDeque<Page>,
    /// The number of the page that comes next.
    next: u64,
    seats: BTreeMap<u64, Seat>,
    next_seat: u64,
    over: bool,
    bytes: u64,
    skipped: u64,
}

#[derive(Debug)]
struct Logical {
    number: u64,
    begun: Begun,
}

#[derive(Debug)]
struct Page {
    stream: Arc<Logical>,
    bytes: Bytes,
}

/// A listener's place.
#[derive(Debug)]
struct Seat {
    next: u64,
    waker: Option<Waker>,
    /// Whether somebody hears it, and not a destination of our own.
    counted: bool,
}

impl Ring {
    /// Returns the number of the oldest page that is kept.
    fn first(&self) -> u64 {
        self.next.saturating_sub(u64::try_from(self.pages.len()).unwrap_or(u64::MAX))
    }

    fn put(&mut self, bytes: Bytes) {
        if self.pages.len() == KEPT {
            self.pages.pop_front();
        }
        self.pages.push_back(Page { stream: self.stream.clone(), bytes });
        self.next += 1;
    }

    /// All who wait, for whoever holds the lock to wake when it does so no longer.
    fn waiting(&mut self) -> Vec<Waker> {
        self.seats.values_mut().filter_map(|seat| seat.waker.take()).collect()
    }
}

impl Air {
    pub(crate) fn new(begun: Begun, boards: Vec<Arc<Board>>) -> Self {
        let ring = Ring {
            stream: Arc::new(Logical { number: 1, begun }),
            pages: VecDeque::with_capacity(KEPT),
            next: 0,
            seats: BTreeMap::new(),
            next_seat: 0,
            over: false,
            bytes: 0,
            skipped: 0,
        };
        let since = SystemTime::now();
        let (over, _) = watch::channel(false);
        Self(Arc::new(Shared { since, ring: Mutex::new(ring), over, boards }))
    }

    /// Begins to listen. The listener counts as one until it is dropped.
    pub fn listen(&self) -> Listener {
        self.seat(BURST, true)
    }

    /// Begins to listen at the live edge, without being counted.
    pub(crate) fn listen_in(&self) -> Listener {
        self.seat(0, false)
    }

    /// Returns how the programme is doing.
    pub fn status(&self) -> Status {
        let destinations = self.0.boards.iter().map(|board| board.read()).collect();
        let ring = self.0.lock();
        let first = ring.first();
        let seats = || ring.seats.values().filter(|seat| seat.counted);
        Status {
            since: self.0.since,
            ended: ring.over,
            title: ring.stream.begun.title.clone(),
            listeners: seats().count(),
            stalled: seats().filter(|seat| seat.next < first).count(),
            bytes: ring.bytes,
            skipped: ring.skipped,
            destinations,
        }
    }

    pub(crate) fn publish(&self, step: Step) {
        if step.page.is_none() && step.begun.is_none() {
            return;
        }
        let mut ring = self.0.lock();
        if let Some(page) = step.page {
            ring.put(page);
        }
        if let Some(begun) = step.begun {
            let number = ring.stream.number + 1;
            ring.stream = Arc::new(Logical { number, begun });
        }
        let waiting = ring.waiting();
        drop(ring);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Ends the programme with a last page.
    pub(crate) fn end(&self, page: Bytes) {
        let mut ring = self.0.lock();
        ring.put(page);
        ring.over = true;
        let waiting = ring.waiting();
        drop(ring);
        self.0.over.send_replace(true);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Waits until the programme is over.
    pub(crate) async fn over(&self) {
        let mut over = self.0.over.subscribe();
        // The sender lives as long as this.
        drop(over.wait_for(|over| *over).await);
    }

    fn seat(&self, burst: u64, counted: bool) -> Listener {
        let mut ring = self.0.lock();
        let number = ring.next_seat;
        ring.next_seat += 1;
        let next = ring.first().max(ring.next.saturating_sub(burst));
        ring.seats.insert(number, Seat { next, waker: None, counted });
        Listener { air: self.clone(), number, stream: 0 }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who listens: a stream of Ogg pages, which is endless until the programme is over.
///
/// The two header pages of the present logical stream come first, then the last 1.6 s at once,
/// and the rest as it is on. One that takes nothing for 5 s misses what went by, and goes on
/// close to the live edge.
#[derive(Debug)]
pub struct Listener {
    air: Air,
    number: u64,
    /// The logical stream whose headers were given; 0 is none.
    stream: u64,
}

impl Listener {
    /// Waits for the next pages: a whole number of them, or none when the programme is over.
    /// Nothing is lost if it is not waited for to the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut guard = self.air.0.lock();
        let ring = &mut *guard;
        let (first, over) = (ring.first(), ring.over);
        let Some(seat) = ring.seats.get_mut(&self.number) else { return Poll::Ready(None) };
        if seat.next < first {
            let live = first.max(ring.next.saturating_sub(BURST));
            if seat.counted {
                ring.skipped += live - seat.next;
            }
            seat.next = live;
        }
        let page = usize::try_from(seat.next - first).ok().and_then(|place| ring.pages.get(place));
        let stream = page.map_or(&ring.stream, |page| &page.stream);
        let given = if stream.number != self.stream {
            self.stream = stream.number;
            stream.begun.headers.clone()
        } else if let Some(page) = page {
            seat.next += 1;
            page.bytes.clone()
        } else if over {
            return Poll::Ready(None);
        } else {
            seat.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        if seat.counted {
            ring.bytes += u64::try_from(given.len()).unwrap_or_default();
        }
        Poll::Ready(Some(given))
    }
}

impl Stream for Listener {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.get_mut().poll(context)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.air.0.lock().seats.remove(&self.number);
    }
}
