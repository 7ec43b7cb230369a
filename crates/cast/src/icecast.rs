//! The programme to an Icecast server (2.4 or later), for as long as it takes.
//!
//! A connection is an ordinary HTTP request whose body is the stream. Whatever goes wrong is
//! tried again: soon if it may pass by itself, later if a host has to do something first.

mod request;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, sleep, timeout};
use url::Host;

use crate::status::{Board, State};
use crate::{Air, IcecastConfig, Listener};
use request::Answer;
pub(crate) use request::Introduction;
use trouble::Trouble;

/// What the system holds for a connection, some seconds of sound: a server that is gone without
/// a word is noticed when it is full.
const SEND_BUFFER: u32 = 65_536;

/// Addresses of a host that are tried.
const ADDRESSES: usize = 8;

/// For how long things may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// The first pause before another attempt; it doubles with each.
    first_pause: Duration,
    /// The longest one.
    longest_pause: Duration,
    /// The pause if a host has to do something first.
    refused_pause: Duration,
    /// After so long on air, pauses are short again.
    settled: Duration,
    /// For a connection to be made.
    connect: Duration,
    /// For the server to answer.
    answer: Duration,
    /// For a page to be taken.
    write: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_millis(1_500),
            refused_pause: Duration::from_secs(10),
            settled: Duration::from_secs(10),
            connect: Duration::from_secs(4),
            answer: Duration::from_secs(5),
            write: Duration::from_secs(5),
        }
    }
}

impl Patience {
    /// Returns the pause after so many failures in a row.
    fn pause(&self, failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first_pause.saturating_mul(factor).min(self.longest_pause)
    }
}

/// The task that streams to one mount, until the programme is over.
#[derive(Debug)]
pub(crate) struct Icecast {
    pub(crate) server: IcecastConfig,
    pub(crate) introduction: Introduction,
    pub(crate) air: Air,
    pub(crate) board: Arc<Board>,
    pub(crate) patience: Patience,
}

impl Icecast {
    /// What is told before anything is known.
    pub(crate) fn first_words(server: &IcecastConfig) -> String {
        format!("Connecting to the Icecast server at {}:{}.", server.host, server.port)
    }

    /// Streams, and streams again, until the programme is over.
    pub(crate) async fn run(self) {
        let mut failures = 0_u32;
        loop {
            let mut on_air = None;
            let Err(trouble) = self.attempt(&mut on_air).await else { break };
            let settled = |since: Instant| since.elapsed() >= self.patience.settled;
            failures = if on_air.is_some_and(settled) { 1 } else { failures.saturating_add(1) };
            self.board.tell(trouble.state(), &trouble.words(&self.server));
            let pause = match trouble.state() {
                State::Failed => self.patience.refused_pause,
                State::Connecting | State::OnAir | State::Retrying | State::Ended => {
                    self.patience.pause(failures)
                }
            };
            let over = tokio::select! {
                () = self.air.over() => true,
                () = sleep(pause) => false,
            };
            if over {
                break;
            }
        }
        self.board.tell(State::Ended, "The programme is over, and its stream has ended.");
    }

    /// Streams until the programme is over, or something goes wrong.
    async fn attempt(&self, on_air: &mut Option<Instant>) -> Result<(), Trouble> {
        let mut socket = tokio::select! {
            () = self.air.over() => return Ok(()),
            socket = self.open() => socket?,
        };
        *on_air = Some(Instant::now());
        let address = self.server.address();
        self.board.tell(State::OnAir, &format!("On air: listeners may tune in at {address}."));
        let (reader, writer) = socket.split();
        let listener = self.air.listen_in();
        tokio::select! {
            trouble = hung_up(reader) => Err(trouble),
            sent = self.send(writer, listener) => sent,
        }
    }

    /// Makes a connection, up to where the server wants to have the stream.
    async fn open(&self) -> Result<TcpStream, Trouble> {
        let connect = timeout(self.patience.connect, connect(&self.server));
        let mut socket = connect.await.map_err(|_| Trouble::ConnectTimedOut)??;
        let request = self.introduction.request(&self.server);
        let asked = timeout(self.patience.answer, async {
            socket.write_all(&request).await.map_err(|_| Trouble::HungUp)?;
            Answer::read(&mut socket).await
        });
        let answer = asked.await.map_err(|_| Trouble::NoAnswer)??;
        if answer.goes_on() {
            return Ok(socket);
        }
        // The reason is worth having, but is not waited for for long.
        let body = timeout(self.patience.write, answer.body(&mut socket)).await;
        Err(Trouble::of(answer.status(), &body.unwrap_or_default()))
    }

    async fn send(
        &self,
        mut writer: impl AsyncWrite + Unpin,
        mut listener: Listener,
    ) -> Result<(), Trouble> {
        while let Some(pages) = listener.next().await {
            let written = timeout(self.patience.write, writer.write_all(&pages)).await;
            written.map_err(|_| Trouble::Stalled)?.map_err(|_| Trouble::HungUp)?;
            self.board.sent(pages.len());
        }
        // The programme is over, whether the server hears that or not.
        drop(timeout(self.patience.write, writer.shutdown()).await);
        Ok(())
    }
}

async fn connect(server: &IcecastConfig) -> Result<TcpStream, Trouble> {
    let addresses: Vec<_> = match &server.host {
        Host::Domain(name) => lookup_host((name.as_str(), server.port))
            .await
            .map_err(|_| Trouble::UnknownHost)?
            .take(ADDRESSES)
            .collect(),
        Host::Ipv4(address) => vec![(*address, server.port).into()],
        Host::Ipv6(address) => vec![(*address, server.port).into()],
    };
    let mut trouble = Trouble::UnknownHost;
    for address in addresses {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.map_err(|error| Trouble::Unreachable(error.kind()))?;
        // A larger buffer than this is no harm but a later notice.
        drop(socket.set_send_buffer_size(SEND_BUFFER));
        match socket.connect(address).await {
            Ok(connected) => return Ok(connected),
            Err(error) => trouble = Trouble::of_connecting(error.kind()),
        }
    }
    Err(trouble)
}

/// Waits for the server to hang up. What it says meanwhile is nothing that matters.
async fn hung_up(mut reader: impl AsyncRead + Unpin) -> Trouble {
    let mut heard = [0; 1_024];
    while let Ok(1..) = reader.read(&mut heard).await {}
    Trouble::HungUp
}

#[cfg(test)]
mod tests;
