//! One running programme.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::air::Air;
use crate::chain::Chain;
use crate::encoder::Encoder;
use crate::hls::Hls;
use crate::icecast::{Icecast, Introduction, Patience};
use crate::status::{Board, Kind};
use crate::{CastConfig, CastError};

/// How long the end is waited for at each destination.
const END: Duration = Duration::from_secs(5);

/// A programme that is cast. Dropping it ends it.
#[derive(Debug)]
pub struct Cast {
    encoder: Encoder,
    chain: Chain,
    air: Air,
    ended: bool,
    icecast: Option<JoinHandle<()>>,
    hls: Option<Hls>,
    /// Tells when the last of the HLS folder is written.
    hls_done: Option<oneshot::Receiver<()>>,
}

impl Cast {
    /// Begins to cast. Wants to be called on a tokio runtime, with IO and time enabled.
    ///
    /// That a destination cannot be reached is no error: it is tried again, and
    /// [`Air::status`] tells.
    ///
    /// # Errors
    /// The configuration is wrong, or the system lacks something.
    pub fn start(config: CastConfig) -> Result<Self, CastError> {
        let CastConfig { station, description, title, bitrate, icecast, hls } = config;
        if !CastConfig::BITRATES.contains(&bitrate) {
            return Err(CastError::Bitrate(bitrate));
        }
        let runtime = Handle::try_current().map_err(|_| CastError::NoRuntime)?;
        let encoder = Encoder::new(bitrate).map_err(CastError::Encoder)?;
        let (chain, begun) = Chain::begin(&station, &description, &title)?;
        let icecast = icecast.map(|server| {
            let words = Icecast::first_words(&server);
            (Arc::new(Board::new(Kind::Icecast, server.address(), words)), server)
        });
        let hls = hls.map(|folder| {
            let place = folder.display().to_string();
            (Arc::new(Board::new(Kind::Hls, place, Hls::FIRST_WORDS.to_owned())), folder)
        });
        let boards = icecast
            .iter()
            .map(|(board, _)| board)
            .chain(hls.iter().map(|(board, _)| board))
            .cloned()
            .collect();
        let air = Air::new(begun.clone(), boards);
        let (hls, hls_done) = match hls {
            None => (None, None),
            Some((board, folder)) => {
                let (hls, done) =
                    Hls::begin(folder, begun.title, board).map_err(CastError::System)?;
                (Some(hls), Some(done))
            }
        };
        let icecast = icecast.map(|(board, server)| {
            let introduction = Introduction { station, description, bitrate };
            let patience = Patience::default();
            let air = air.clone();
            runtime.spawn(Icecast { server, introduction, air, board, patience }.run())
        });
        Ok(Self { encoder, chain, air, ended: false, icecast, hls, hls_done })
    }

    /// Takes the next 20 ms of the programme: [`crate::BLOCK_FRAMES`] frames at 48 kHz, left and
    /// right. It never waits for a listener, a server or a disk.
    ///
    /// Frames beyond that are left out; missing ones, and what is no number, are silence.
    pub fn push(&mut self, block: [&[f32]; 2]) {
        let packet = self.encoder.encode(block);
        let step = self.chain.push(&packet);
        if let Some(hls) = &mut self.hls {
            if let Some(begun) = &step.begun {
                hls.set_title(&begun.title);
            }
            hls.push(packet);
        }
        self.air.publish(step);
    }

    /// Says what is on: one line of 200 characters at most, the rest is left out. Players show
    /// it with the next block that is pushed, but one second after the title before at the
    /// earliest.
    pub fn set_title(&mut self, title: &str) {
        self.chain.set_title(title);
    }

    /// Returns the programme for others.
    pub fn air(&self) -> Air {
        self.air.clone()
    }

    /// Ends the programme, and waits until all destinations have its end, for some seconds at
    /// most.
    pub async fn finish(mut self) {
        self.end();
        if let Some(task) = self.icecast.take()
            && timeout(END, task).await.is_err()
        {
            tracing::warn!("the Icecast server did not take the end of the programme");
        }
        if let Some(done) = self.hls_done.take()
            && timeout(END, done).await.is_err()
        {
            tracing::warn!("the end of the programme could not be written to the HLS folder");
        }
    }

    fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let tail = self.encoder.encode([&[], &[]]);
        self.air.end(self.chain.end(&tail));
        // Its thread ends by itself.
        self.hls = None;
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        self.end();
    }
}
