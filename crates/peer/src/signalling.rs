//! The socket to the server: text goes out, and what comes in is reported.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use openstudio_session::{Input, SocketId};
use openstudio_tls::ClientTls;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{Connector, connect_async_tls_with_config};

/// The largest message that is taken: more than a server sends.
const MESSAGE_BYTES: usize = 4 << 20;

/// Messages that wait to be sent at most. A socket that is so far behind is closed, and the
/// session comes back on another.
const QUEUE: usize = 1_024;

/// How long a closed socket may take to end.
const LINGER: Duration = Duration::from_secs(1);

/// Where the server is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) url: String,
    /// Who is believed to be it; none without TLS.
    pub(crate) tls: Option<ClientTls>,
}

/// A socket, from being opened to being closed. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Which attempt it is.
    pub(crate) id: SocketId,
    /// None once too much was waiting.
    outgoing: Option<mpsc::Sender<String>>,
    task: Option<JoinHandle<()>>,
}

impl Socket {
    /// Begins to open a socket. Reports go to `reports`.
    pub(crate) fn open(id: SocketId, place: Place, reports: mpsc::Sender<Input>) -> Self {
        let (outgoing, queue) = mpsc::channel(QUEUE);
        let task = tokio::spawn(async move {
            let code = carry(id, &place, queue, &reports).await;
            // The participant is gone, or wants to know.
            drop(reports.send(Input::SocketClosed { socket: id, code }).await);
        });
        Self { id, outgoing: Some(outgoing), task: Some(task) }
    }

    /// Sends a text. Where too many wait, the socket closes, and that is reported.
    pub(crate) fn send(&mut self, text: String) {
        let sent = self.outgoing.as_ref().map(|outgoing| outgoing.try_send(text));
        if matches!(sent, Some(Err(mpsc::error::TrySendError::Full(_)))) {
            self.outgoing = None;
        }
    }

    /// Sends what is waiting, then closes.
    pub(crate) fn close(mut self) -> Option<JoinHandle<()>> {
        self.task.take()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Carries messages both ways, until one side ends it. Returns the code of the close frame.
async fn carry(
    id: SocketId,
    place: &Place,
    mut queue: mpsc::Receiver<String>,
    reports: &mpsc::Sender<Input>,
) -> Option<u16> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES))
        .max_frame_size(Some(MESSAGE_BYTES));
    let connector =
        place.tls.as_ref().map_or(Connector::Plain, |tls| Connector::Rustls(tls.config()));
    let connecting = connect_async_tls_with_config(&place.url, Some(config), true, Some(connector));
    let (mut socket, _) = match connecting.await {
        Ok(connected) => connected,
        Err(error) => {
            tracing::debug!(%error, "the server does not answer");
            return None;
        }
    };
    reports.send(Input::SocketOpened(id)).await.ok()?;
    loop {
        tokio::select! {
            text = queue.recv() => match text {
                Some(text) => socket.send(Message::Text(Utf8Bytes::from(text))).await.ok()?,
                None => {
                    // What matters is sent; the farewell may be lost. Whoever closes with something
                    // unread resets the connection, and with it goes what the server has not read.
                    drop(socket.close(None).await);
                    let rest = async { while let Some(Ok(_)) = socket.next().await {} };
                    drop(timeout(LINGER, rest).await);
                    return None;
                }
            },
            message = socket.next() => match message?.ok()? {
                Message::Text(text) => {
                    let text = text.as_str().to_owned();
                    // A server that says more than can be taken has to wait.
                    reports.send(Input::MessageReceived { socket: id, text }).await.ok()?;
                }
                Message::Close(frame) => return frame.map(|frame| frame.code.into()),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            },
        }
    }
}
