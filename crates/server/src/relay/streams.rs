//! Clients by TCP and by TLS.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openstudio_tls::{Accepted, Acceptor};
use openstudio_turn::{Client, Transport, length_in_stream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::driver::Driver;
use super::udp::plain;
use crate::address::AddressKey;

/// Messages that may wait for a slow stream; what comes then is lost. 2 s of 5 voices.
const QUEUE: usize = 512;

/// How long a stream has in all until its client has an allocation, and how long it may be
/// silent after that: longer than an allocation that is not refreshed lives.
const STRANGER: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(660);

/// How long one write may take before the stream counts as dead.
const WRITE: Duration = Duration::from_secs(10);

/// How long to wait after an accept that failed, usually for too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The places of streams: as many as there may be, of all ways to come together.
#[derive(Debug)]
pub(super) struct Places {
    limit: usize,
    limit_of_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: BTreeMap<AddressKey, usize>,
}

impl Places {
    pub(super) fn new(limit: usize, limit_of_address: usize) -> Self {
        Self { limit, limit_of_address, taken: Mutex::default() }
    }

    fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let key = AddressKey::from(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.by_address.get(&key).copied().unwrap_or_default();
        if taken.all >= self.limit || count >= self.limit_of_address {
            return None;
        }
        taken.all += 1;
        taken.by_address.insert(key, count + 1);
        Some(Place(Arc::clone(self), key))
    }
}

/// A stream's place.
struct Place(Arc<Places>, AddressKey);

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(count) = taken.by_address.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&self.1);
            }
        }
    }
}

/// Where streams come.
#[derive(Debug)]
pub(super) struct Door {
    listener: TcpListener,
    /// With the real port.
    pub(super) local: SocketAddr,
    /// Does the handshakes; without it, there are none.
    tls: Option<Acceptor>,
}

impl Door {
    /// Opens the port.
    pub(super) fn open(address: SocketAddr, tls: Option<Acceptor>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        Ok(Self { local: listener.local_addr()?, listener, tls })
    }
}

/// Accepts connections, for ever; they end with it.
pub(super) async fn accept(driver: Arc<Driver>, door: Door, places: Arc<Places>) {
    let mut streams = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            Some(_) = streams.join_next() => continue,
            accepted = door.listener.accept() => accepted,
        };
        let Ok((stream, address)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Some(place) = places.take(address.ip()) else { continue };
        let _ = stream.set_nodelay(true);
        let transport = if door.tls.is_some() { Transport::Tls } else { Transport::Tcp };
        let client = Client { transport, address: plain(address), local: door.local };
        let (driver, tls) = (Arc::clone(&driver), door.tls.clone());
        let deadline = Instant::now() + STRANGER;
        streams.spawn(async move {
            receive(&driver, (stream, tls), client, deadline).await;
            drop(place);
        });
    }
}

/// Serves a connection, after the handshake if there is to be one.
async fn receive(
    driver: &Arc<Driver>,
    (stream, tls): (TcpStream, Option<Acceptor>),
    client: Client,
    deadline: Instant,
) {
    let Some(tls) = tls else { return serve(driver, stream, client, deadline).await };
    match tls.accept(stream).await {
        Ok(Accepted::Tls(stream)) => serve(driver, stream, client, deadline).await,
        // Who speaks without TLS here has taken the port for another.
        Ok(Accepted::Plain(_) | Accepted::Proven) => {}
        Err(error) => tracing::debug!(%error, "handshake with the relay"),
    }
}

/// Reports the stream as closed, also when its task is ended.
struct Registered<'a>(&'a Arc<Driver>, Client);

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.0.stream_closed(self.1);
    }
}

/// Serves a stream until it ends, or until `deadline` if its client has no allocation by then.
pub(super) async fn serve<S: AsyncRead + AsyncWrite>(
    driver: &Arc<Driver>,
    stream: S,
    client: Client,
    deadline: Instant,
) {
    let (reader, writer) = tokio::io::split(stream);
    let (queue, messages) = mpsc::channel(QUEUE);
    driver.stream_opened(client, queue);
    let registered = Registered(driver, client);
    tokio::select! {
        _ = read(driver, reader, client, deadline) => {}
        _ = write(writer, messages) => {}
    }
    drop(registered);
}

async fn read(
    driver: &Arc<Driver>,
    reader: impl AsyncRead,
    client: Client,
    deadline: Instant,
) -> io::Result<()> {
    let mut reader = std::pin::pin!(reader);
    let mut bytes = Vec::new();
    let arrival = async {
        while !driver.has_allocation(client) {
            take(driver, reader.as_mut(), client, &mut bytes).await?;
        }
        Ok::<_, io::Error>(())
    };
    timeout_at(deadline, arrival).await??;
    loop {
        timeout(SILENCE, take(driver, reader.as_mut(), client, &mut bytes)).await??;
    }
}

/// Reads once, and hands on the messages that are whole with it. `bytes` is what was read of the
/// next one. The end of the stream is an error.
async fn take(
    driver: &Arc<Driver>,
    mut reader: Pin<&mut impl AsyncRead>,
    client: Client,
    bytes: &mut Vec<u8>,
) -> io::Result<()> {
    // One message is whole at 65,555 bytes at most, so this does not grow beyond two reads.
    let mut piece = [0; 4096];
    let length = reader.read(&mut piece).await?;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.extend_from_slice(piece.get(..length).unwrap_or_default());
    let mut done = 0;
    while let Some(rest) = bytes.get(done..)
        && let Some(length) = length_in_stream(rest).map_err(io::Error::other)?
        && let Some(message) = rest.get(..length)
    {
        driver.handle(client, message);
        done += length;
    }
    bytes.drain(..done);
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, binding};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stranger_is_sent_away_however_much_it_says() {
        let bench = Bench::new();
        for pause in [Duration::from_secs(10), Duration::from_millis(1)] {
            let mut stranger = bench.connect(1);
            let opened = Instant::now();
            // Messages of a channel that is not there, byte by byte.
            for byte in b"\x40\x00\x00\x00".iter().cycle() {
                if stranger.write(&[*byte]).await.is_err() || opened.elapsed() > STRANGER * 2 {
                    break;
                }
                tokio::time::sleep(pause).await;
            }
            let lasted = opened.elapsed();
            assert!(lasted >= STRANGER && lasted <= STRANGER + pause * 2, "{lasted:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_an_allocation_may_be_silent_for_as_long_as_it_may_live() {
        let bench = Bench::new();
        let mut client = bench.connect(1);
        tokio::time::sleep(STRANGER - Duration::from_secs(1)).await;
        bench.allocate(&mut client).await;
        let silent = Instant::now();
        tokio::time::sleep(SILENCE - Duration::from_secs(1)).await;
        client.write(&binding()).await.unwrap();
        assert!(client.answers().await);
        assert!(!client.answers().await, "nothing more was asked, so this is the end");
        assert_eq!(silent.elapsed().as_secs(), 2 * SILENCE.as_secs() - 1);
    }
}
