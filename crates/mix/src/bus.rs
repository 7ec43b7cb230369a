//! Memory of a stereo signal, one block long. No sound is made here.

/// A planar stereo block.
#[derive(Debug)]
pub(crate) struct Bus {
    channels: [Box<[f32]>; 2],
}

impl Bus {
    pub(crate) fn new(max_frames: usize) -> Self {
        Self { channels: [vec![0.0; max_frames].into(), vec![0.0; max_frames].into()] }
    }

    pub(crate) fn all_mut(&mut self) -> [&mut [f32]; 2] {
        self.channels.each_mut().map(|channel| &mut **channel)
    }

    /// Returns the first frames, as far as there are any.
    pub(crate) fn first(&self, frames: usize) -> [&[f32]; 2] {
        self.channels.each_ref().map(|channel| channel.get(..frames).unwrap_or(channel))
    }

    /// Returns the first frames, as far as there are any.
    pub(crate) fn first_mut(&mut self, frames: usize) -> [&mut [f32]; 2] {
        self.channels.each_mut().map(|channel| {
            let frames = frames.min(channel.len());
            channel.split_at_mut(frames).0
        })
    }

    /// Makes silence of the first frames.
    pub(crate) fn silence(&mut self, frames: usize) {
        for channel in self.first_mut(frames) {
            channel.fill(0.0);
        }
    }
}
