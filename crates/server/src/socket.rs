//! One WebSocket, from its upgrade to its end, in one task.

use std::sync::Arc;
use std::time::Duration;

use axum::Error;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::SinkExt as _;
use openstudio_room::{ConnId, Refusal};
use openstudio_wire::{CloseCode, ErrorCode, limits};
use tokio::time::{Instant, sleep_until, timeout};
use tungstenite::error::CapacityError;

use crate::hub::Hub;
use crate::limits::{AddressLease, SocketLimit};
use crate::outbox::{Frame, Inbox, Overflow};

/// How long one write may take before the socket counts as dead.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the other side has to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Frames written before what comes in is looked at again.
const BATCH: usize = 64;

/// How long a socket may be silent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeepAlive {
    pub(crate) interval: Duration,
    pub(crate) silence: Duration,
}

/// Why the task stops.
enum End {
    /// The other side closed, or the connection broke.
    Gone,
    /// We close, with this code and reason.
    Close(u16, &'static str),
}

impl From<CloseCode> for End {
    fn from(code: CloseCode) -> Self {
        Self::Close(code.as_u16(), code.reason())
    }
}

/// Reports the socket as closed, also when its task panics.
struct Open {
    hub: Arc<Hub>,
    conn: ConnId,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.hub.closed(self.conn);
    }
}

/// Serves a socket until it ends.
pub(crate) async fn serve(
    mut socket: WebSocket,
    (hub, host): (Arc<Hub>, Option<String>),
    lease: AddressLease,
    (keep_alive, limit): (KeepAlive, crate::config::Limits),
) {
    let (conn, inbox) = hub.open(host);
    let open = Open { hub, conn };
    let now = open.hub.now();
    let mut task = Task {
        hub: &open.hub,
        conn,
        overflow: inbox.overflow(),
        inbox,
        limit: SocketLimit::new(&limit, lease, now),
        keep_alive,
    };
    let end = task.run(&mut socket).await;
    drop(open);
    let _ = timeout(CLOSE_TIMEOUT, part(&mut socket, end)).await;
}

/// Closes a socket as RFC 6455 §7 wants it, as far as the other side joins in.
async fn part(socket: &mut WebSocket, end: End) -> Result<(), Error> {
    let End::Close(code, reason) = end else {
        // The answer to a close that came in may still wait to be written.
        return socket.flush().await;
    };
    let reason = reason.into();
    socket.send(Message::Close(Some(CloseFrame { code, reason }))).await?;
    if code == MESSAGE_TOO_BIG {
        // The rest of the message is not read; this gives the other side time to see why.
        return std::future::pending().await;
    }
    while socket.recv().await.is_some_and(|message| message.is_ok()) {}
    Ok(())
}

/// Close code for a message above the limit (RFC 6455 §7.4.1).
const MESSAGE_TOO_BIG: u16 = 1009;

/// Close code for a broken frame (RFC 6455 §7.4.1).
const PROTOCOL_ERROR: u16 = 1002;

/// A socket while it is open.
struct Task<'a> {
    hub: &'a Hub,
    conn: ConnId,
    inbox: Inbox,
    overflow: Overflow,
    limit: SocketLimit,
    keep_alive: KeepAlive,
}

impl Task<'_> {
    async fn run(&mut self, socket: &mut WebSocket) -> End {
        let mut batch = Vec::new();
        let mut heard = Instant::now();
        let mut look = heard + self.keep_alive.interval;
        loop {
            tokio::select! {
                () = self.overflow.wait() => return CloseCode::TooSlow.into(),
                count = self.inbox.next(&mut batch, BATCH) => {
                    if count == 0 {
                        return End::Gone;
                    }
                    if let Some(end) = self.write(socket, &mut batch).await {
                        return end;
                    }
                }
                incoming = socket.recv() => {
                    heard = Instant::now();
                    match incoming {
                        Some(Ok(message)) => {
                            if let Some(end) = self.read(&message) {
                                return end;
                            }
                        }
                        Some(Err(error)) => return self.broken(socket, error).await,
                        None => return End::Gone,
                    }
                }
                () = sleep_until(look) => {
                    if heard.elapsed() >= self.keep_alive.silence {
                        return End::Gone;
                    }
                    if heard.elapsed() >= self.keep_alive.interval
                        && let Some(end) = self.ping(socket).await
                    {
                        return end;
                    }
                    look = Instant::now() + self.keep_alive.interval;
                }
            }
        }
    }

    /// Takes in what came.
    fn read(&mut self, message: &Message) -> Option<End> {
        let now = self.hub.now();
        let bytes = match message {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
            Message::Close(_) => return Some(End::Gone),
        };
        if !self.limit.admit(now, bytes) {
            self.hub.refuse(now, self.conn, too_fast());
            return None;
        }
        match message {
            Message::Text(text) => self.hub.receive(now, self.conn, text),
            Message::Binary(_) => {
                let refusal = Refusal::new(ErrorCode::NotText, "only text messages are understood");
                self.hub.refuse(now, self.conn, refusal);
            }
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => {}
        }
        None
    }

    async fn write(&self, socket: &mut WebSocket, batch: &mut Vec<Frame>) -> Option<End> {
        let mut end = None;
        let writing = async {
            for frame in batch.drain(..) {
                match frame {
                    Frame::Text(text) => socket.feed(Message::Text(text)).await?,
                    Frame::Close(code) => end = Some(End::from(code)),
                }
            }
            socket.flush().await
        };
        match self.in_time(writing).await {
            Ok(()) => end,
            Err(end) => Some(end),
        }
    }

    async fn ping(&self, socket: &mut WebSocket) -> Option<End> {
        self.in_time(socket.send(Message::Ping("".into()))).await.err()
    }

    /// Waits for a write, but not for one whose reader has stopped reading.
    async fn in_time(&self, writing: impl Future<Output = Result<(), Error>>) -> Result<(), End> {
        tokio::select! {
            () = self.overflow.wait() => Err(CloseCode::TooSlow.into()),
            result = timeout(WRITE_TIMEOUT, writing) => match result {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(End::Gone),
            },
        }
    }

    /// What came in is no WebSocket message, or too long a one.
    async fn broken(&mut self, socket: &mut WebSocket, error: Error) -> End {
        let error = error.into_inner();
        match error.downcast_ref::<tungstenite::Error>() {
            Some(tungstenite::Error::Capacity(CapacityError::MessageTooLong { .. })) => {
                let limit = limits::MAX_MESSAGE_BYTES;
                let sentence = format!("a message may have {limit} bytes at most");
                let refusal = Refusal::new(ErrorCode::TooLarge, sentence);
                self.hub.refuse(self.hub.now(), self.conn, refusal);
                let mut batch = Vec::new();
                self.inbox.next(&mut batch, BATCH).await;
                if let Some(end) = self.write(socket, &mut batch).await {
                    return end;
                }
                End::Close(MESSAGE_TOO_BIG, "message too long")
            }
            Some(tungstenite::Error::Utf8(_)) => End::Close(1007, "not UTF-8"),
            Some(tungstenite::Error::Protocol(_)) => End::Close(PROTOCOL_ERROR, "protocol error"),
            Some(_) | None => End::Gone,
        }
    }
}

fn too_fast() -> Refusal {
    Refusal::new(ErrorCode::RateLimited, "too many messages; wait a moment and go on more slowly")
}
