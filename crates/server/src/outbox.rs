//! The queue of what one socket is to be sent: bounded in messages and bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::ws::Utf8Bytes;
use openstudio_wire::CloseCode;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::config::Limits;

/// One thing to do on a socket.
#[derive(Debug)]
pub(crate) enum Frame {
    /// Send this text.
    Text(Utf8Bytes),
    /// Close; nothing follows.
    Close(CloseCode),
}

/// What waits in the queue. The channel itself has no bound; this is its bound.
#[derive(Debug)]
struct Load {
    messages: AtomicUsize,
    bytes: AtomicUsize,
    overflow: Notify,
}

/// The end that fills.
#[derive(Debug)]
pub(crate) struct Outbox {
    sender: UnboundedSender<Frame>,
    load: Arc<Load>,
    max_messages: usize,
    max_bytes: usize,
}

/// The end that the socket's task empties.
#[derive(Debug)]
pub(crate) struct Inbox {
    receiver: UnboundedReceiver<Frame>,
    load: Arc<Load>,
}

/// Makes the two ends of a queue.
pub(crate) fn queue(limits: &Limits) -> (Outbox, Inbox) {
    let (sender, receiver) = unbounded_channel();
    let load = Arc::new(Load {
        messages: AtomicUsize::new(0),
        bytes: AtomicUsize::new(0),
        overflow: Notify::new(),
    });
    let outbox = Outbox {
        sender,
        load: Arc::clone(&load),
        max_messages: usize::try_from(limits.queued_messages).unwrap_or(usize::MAX),
        max_bytes: usize::try_from(limits.queued_bytes).unwrap_or(usize::MAX),
    };
    (outbox, Inbox { receiver, load })
}

impl Outbox {
    /// Adds a text. Above the bound nothing is added and the socket's task is told.
    pub(crate) fn push(&self, text: String) {
        let bytes = text.len();
        let messages = self.load.messages.fetch_add(1, Ordering::Relaxed);
        let queued = self.load.bytes.fetch_add(bytes, Ordering::Relaxed);
        if messages >= self.max_messages || queued.saturating_add(bytes) > self.max_bytes {
            self.load.overflow.notify_one();
            return;
        }
        // The task may be gone already; then there is nobody to tell.
        let _ = self.sender.send(Frame::Text(text.into()));
    }

    /// Asks for a close after what is queued.
    pub(crate) fn close(&self, code: CloseCode) {
        let _ = self.sender.send(Frame::Close(code));
    }
}

impl Inbox {
    /// Waits for frames and moves them to `batch`; 0 when there will be no more.
    pub(crate) async fn next(&mut self, batch: &mut Vec<Frame>, most: usize) -> usize {
        let count = self.receiver.recv_many(batch, most).await;
        let (mut messages, mut bytes) = (0, 0);
        for frame in batch.iter() {
            if let Frame::Text(text) = frame {
                messages += 1;
                bytes += text.len();
            }
        }
        self.load.messages.fetch_sub(messages, Ordering::Relaxed);
        self.load.bytes.fetch_sub(bytes, Ordering::Relaxed);
        count
    }

    /// Returns something to wait on for the queue's overflow, beside [`Self::next`].
    pub(crate) fn overflow(&self) -> Overflow {
        Overflow(Arc::clone(&self.load))
    }
}

/// The news that a queue was too full.
#[derive(Debug)]
pub(crate) struct Overflow(Arc<Load>);

impl Overflow {
    pub(crate) async fn wait(&self) {
        self.0.overflow.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_reported_and_grows_no_further() {
        let limits = Limits { queued_messages: 3, queued_bytes: 10, ..Limits::default() };
        let (outbox, mut inbox) = queue(&limits);
        let overflow = inbox.overflow();
        for _ in 0..3 {
            outbox.push("abc".into());
        }
        outbox.push("d".into());
        overflow.wait().await;
        let mut batch = Vec::new();
        assert_eq!(inbox.next(&mut batch, 100).await, 3);
    }

    #[tokio::test]
    async fn what_is_taken_out_makes_room() {
        let limits = Limits { queued_messages: 100, queued_bytes: 10, ..Limits::default() };
        let (outbox, mut inbox) = queue(&limits);
        let mut batch = Vec::new();
        for _ in 0..10 {
            outbox.push("0123456789".into());
            assert_eq!(inbox.next(&mut batch, 100).await, 1);
            batch.clear();
        }
        outbox.close(CloseCode::Policy);
        assert_eq!(inbox.next(&mut batch, 100).await, 1);
        assert!(matches!(batch[..], [Frame::Close(CloseCode::Policy)]));
    }
}
