//! The way to a relay by TCP or TLS.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use openstudio_tls::ClientTls;
use openstudio_turn::{Transport, length_in_stream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::relay::{RelayId, Target};
use super::{Arrival, Arrived};

/// How long opening a stream may take.
const OPENING: Duration = Duration::from_secs(10);

/// Messages that wait to be sent at most: half a second of a full room. What comes on top is
/// lost, as in a network.
const QUEUE: usize = 512;

/// What is read at once at most, bytes.
const CHUNK: usize = 4_096;

/// What a stream tells.
#[derive(Debug)]
pub(super) enum Said {
    /// It is open, from this address of the machine.
    Opened(SocketAddr),
    /// A message came.
    Message(Vec<u8>),
    /// It could not be opened, or is closed.
    Closed,
}

/// A stream. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Stream {
    outgoing: mpsc::Sender<Vec<u8>>,
    task: JoinHandle<()>,
}

impl Stream {
    /// Begins to open a stream.
    pub(super) fn open(
        id: RelayId,
        target: Target,
        tls: Option<ClientTls>,
        arrivals: mpsc::Sender<Arrival>,
    ) -> Self {
        let (outgoing, queue) = mpsc::channel(QUEUE);
        let task = tokio::spawn(async move {
            let told = Told { id, arrivals };
            if let Err(error) = carry(&target, tls, queue, &told).await {
                tracing::debug!(%error, server = %target.server, "no stream to a relay");
            }
            told.tell(Said::Closed).await;
        });
        Self { outgoing, task }
    }

    /// Sends a message, or loses it where too many wait.
    pub(super) fn send(&self, message: Vec<u8>) {
        drop(self.outgoing.try_send(message));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where a stream tells what comes.
struct Told {
    id: RelayId,
    arrivals: mpsc::Sender<Arrival>,
}

impl Told {
    /// Returns whether somebody listens.
    async fn tell(&self, said: Said) -> bool {
        self.arrivals.send(Arrival(Arrived::Stream(self.id, said))).await.is_ok()
    }
}

async fn carry(
    target: &Target,
    tls: Option<ClientTls>,
    queue: mpsc::Receiver<Vec<u8>>,
    told: &Told,
) -> io::Result<()> {
    match (target.transport, tls) {
        (Transport::Tls, Some(tls)) => {
            let authority = target.authority();
            let opening = tokio::time::timeout(OPENING, tls.connect(&authority));
            let stream = opening.await?.map_err(io::Error::other)?;
            let (tcp, _) = stream.get_ref();
            tcp.set_nodelay(true)?;
            let local = tcp.local_addr()?;
            exchange(stream, local, queue, told).await
        }
        (Transport::Tls, None) => Err(io::Error::other("there is nobody to be believed by TLS")),
        (Transport::Udp | Transport::Tcp, _) => {
            let opening = TcpStream::connect(target.server);
            let stream = tokio::time::timeout(OPENING, opening).await??;
            stream.set_nodelay(true)?;
            let local = stream.local_addr()?;
            exchange(stream, local, queue, told).await
        }
    }
}

/// Carries messages both ways until the stream ends. Neither waits for the other.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite,
    local: SocketAddr,
    mut queue: mpsc::Receiver<Vec<u8>>,
    told: &Told,
) -> io::Result<()> {
    told.tell(Said::Opened(local)).await;
    let (reading, mut writing) = tokio::io::split(stream);
    let write = async {
        while let Some(message) = queue.recv().await {
            writing.write_all(&message).await?;
            writing.flush().await?;
        }
        Ok(())
    };
    tokio::select! {
        read = read(reading, told) => read,
        written = write => written,
    }
}

async fn read(mut stream: impl AsyncRead + Unpin, told: &Told) -> io::Result<()> {
    let mut waiting = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = stream.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        waiting.extend_from_slice(chunk.get(..length).unwrap_or_default());
        while let Some(end) = length_in_stream(&waiting).map_err(io::Error::other)? {
            if waiting.len() < end {
                break;
            }
            let rest = waiting.split_off(end);
            let message = std::mem::replace(&mut waiting, rest);
            if !told.tell(Said::Message(message)).await {
                return Ok(());
            }
        }
    }
}
