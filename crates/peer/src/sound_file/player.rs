//! A file at play: the thread that decodes it, and the queue in between.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use super::decode::decoder;
use super::rate::Rate;
use super::{Format, SoundFile, SoundFileProblem, open};
use crate::PACKET_FRAMES;

/// How many pieces of 20 ms are there before the file begins: one second.
const AHEAD: usize = 50;

/// As many again wait in the queue.
const QUEUE: usize = 50;

/// 20 ms of a file, channels in turn.
type Piece = Box<[f32]>;

/// Plays one file.
#[derive(Debug)]
pub(crate) struct Player {
    sound: SoundFile,
    pieces: Receiver<Piece>,
    ahead: VecDeque<Piece>,
    /// Waiting for the first second, or for the next after the thread fell behind.
    filling: bool,
    /// No more will come.
    ended: bool,
}

impl Player {
    /// Begins to decode.
    pub(crate) fn new(sound: SoundFile) -> Self {
        let (sender, pieces) = sync_channel(QUEUE);
        let decoded = sound.clone();
        let thread = std::thread::Builder::new().name("sound file".to_owned());
        if let Err(error) = thread.spawn(move || tell(&decoded, decode(&decoded, &sender))) {
            tracing::error!(%error, "the system gives no thread to decode a sound file");
        }
        Self { sound, pieces, ahead: VecDeque::new(), filling: true, ended: false }
    }

    /// Fills 20 ms: the file, or silence before it, behind it and where it comes too late.
    pub(crate) fn fill(&mut self, block: &mut [f32]) {
        block.fill(0.0);
        while self.ahead.len() < AHEAD && !self.ended {
            match self.pieces.try_recv() {
                Ok(piece) => self.ahead.push_back(piece),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => self.ended = true,
            }
        }
        self.filling &= self.ahead.len() < AHEAD && !self.ended;
        if self.filling || self.sound.cue.as_ref().is_some_and(|cue| !cue.is_given()) {
            return;
        }
        match self.ahead.pop_front() {
            Some(piece) => block.iter_mut().zip(piece).for_each(|(out, sample)| *out = sample),
            None if self.ended => {}
            None => {
                let file = self.sound.path.display();
                tracing::warn!(%file, "a sound file is decoded too slowly, and has a gap");
                self.filling = true;
            }
        }
    }

    /// Waits until as much is there as there ever will be, so that [`Player::fill`] does not
    /// depend on how fast the thread is.
    #[cfg(test)]
    pub(crate) fn settle(&mut self) {
        while self.ahead.len() < AHEAD && !self.ended {
            match self.pieces.recv() {
                Ok(piece) => self.ahead.push_back(piece),
                Err(_) => self.ended = true,
            }
        }
    }
}

fn tell(sound: &SoundFile, outcome: Result<(), SoundFileProblem>) {
    if let Err(error) = outcome {
        let file = sound.path.display();
        tracing::error!(%file, "a sound file cannot be played any more: {error}");
    }
}

/// Decodes until the end, or until nobody takes the sound.
fn decode(sound: &SoundFile, pieces: &SyncSender<Piece>) -> Result<(), SoundFileProblem> {
    let file = open(&sound.path)?;
    let mut rate = Rate::new(sound.format).ok_or(SoundFileProblem::Rate(sound.format.rate))?;
    let size = PACKET_FRAMES * sound.format.channels;
    let (mut samples, mut ready) = (Vec::new(), Vec::new());
    loop {
        // A file that was written over in the meantime would play at a wrong speed.
        let mut decoder = restarted(&file, sound.format)?;
        while decoder.next(&mut samples) {
            rate.push(&samples, &mut ready);
            let whole = ready.chunks_exact(size);
            let rest = whole.remainder().len();
            for piece in whole {
                if pieces.send(piece.into()).is_err() {
                    return Ok(());
                }
            }
            ready.drain(..ready.len() - rest);
        }
        if sound.once {
            break;
        }
    }
    rate.finish(&mut ready);
    for piece in ready.chunks(size) {
        let mut last = vec![0.0; size];
        last.iter_mut().zip(piece).for_each(|(out, sample)| *out = *sample);
        if pieces.send(last.into()).is_err() {
            break;
        }
    }
    Ok(())
}

fn restarted(file: &File, format: Format) -> Result<super::decode::Decoder, SoundFileProblem> {
    let (now, decoder) = decoder(file.try_clone()?)?;
    if now == format { Ok(decoder) } else { Err(SoundFileProblem::Kind) }
}
