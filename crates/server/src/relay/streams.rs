//! Clients by TCP, and by whatever else is a stream.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openstudio_turn::{Client, Transport, length_in_stream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::driver::Driver;
use super::udp::plain;
use crate::address::AddressKey;

/// Messages that may wait for a slow stream; what comes then is lost. 2 s of 5 voices.
const QUEUE: usize = 512;

/// How long a stream may take for its first bytes, and how long it may be silent after that:
/// longer than an allocation that is not refreshed lives.
const FIRST: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(660);

/// How long one write may take before the stream counts as dead.
const WRITE: Duration = Duration::from_secs(10);

/// How long to wait after an accept that failed, usually for too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Streams that are open, by address.
type Places = Arc<Mutex<BTreeMap<AddressKey, usize>>>;

/// A stream's place among those of its address.
struct Place(Places, AddressKey);

impl Place {
    fn take(places: &Places, address: IpAddr, limit: usize) -> Option<Self> {
        let key = AddressKey::from(address);
        let mut counts = places.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_default();
        (*count < limit).then(|| {
            *count += 1;
            Self(Arc::clone(places), key)
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.1);
            }
        }
    }
}

/// Accepts TCP connections, for ever; they end with it.
pub(super) async fn accept(
    driver: Arc<Driver>,
    (listener, local): (TcpListener, SocketAddr),
    (limit, limit_of_address): (usize, usize),
) {
    let places = Places::default();
    let mut streams = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            Some(_) = streams.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, address)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let place = Place::take(&places, address.ip(), limit_of_address);
        let Some(place) = place.filter(|_| streams.len() < limit) else { continue };
        let _ = stream.set_nodelay(true);
        let client = Client { transport: Transport::Tcp, address: plain(address), local };
        let driver = Arc::clone(&driver);
        streams.spawn(async move {
            serve(&driver, stream, client).await;
            drop(place);
        });
    }
}

/// Reports the stream as closed, also when its task is ended.
struct Registered<'a>(&'a Arc<Driver>, Client);

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.0.stream_closed(self.1);
    }
}

/// Serves a stream until it ends.
async fn serve<S: AsyncRead + AsyncWrite>(driver: &Arc<Driver>, stream: S, client: Client) {
    let (reader, writer) = tokio::io::split(stream);
    let (queue, messages) = mpsc::channel(QUEUE);
    driver.stream_opened(client, queue);
    let registered = Registered(driver, client);
    tokio::select! {
        _ = read(driver, reader, client) => {}
        _ = write(writer, messages) => {}
    }
    drop(registered);
}

async fn read(driver: &Arc<Driver>, reader: impl AsyncRead, client: Client) -> io::Result<()> {
    let mut reader = std::pin::pin!(reader);
    let mut bytes = Vec::new();
    let mut patience = FIRST;
    loop {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..)
            && let Some(length) = length_in_stream(rest).map_err(io::Error::other)?
            && let Some(message) = rest.get(..length)
        {
            driver.handle(client, message);
            done += length;
        }
        bytes.drain(..done);
        // One message is whole at 65,555 bytes at most, so this does not grow beyond two reads.
        let mut piece = [0; 4096];
        let length = timeout(patience, reader.read(&mut piece)).await??;
        if length == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(piece.get(..length).unwrap_or_default());
        patience = SILENCE;
    }
}

async fn write(writer: impl AsyncWrite, mut messages: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    let mut writer = std::pin::pin!(writer);
    while let Some(message) = messages.recv().await {
        timeout(WRITE, writer.write_all(&message)).await??;
        if messages.is_empty() {
            timeout(WRITE, writer.flush()).await??;
        }
    }
    Ok(())
}
