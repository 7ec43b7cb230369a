//! Mix-minus for many: each participant gets the sum of all others. For one mixer that
//! serves all; a participant's own desk is `desk`.

use crate::strip::remove_faults;

/// Sums for each of its inputs the other ones, one channel.
///
/// # Invariants
/// Output *i* is the sum of the inputs but *i*, added in their order, bit for bit. It is
/// never a difference of sums: a subtraction leaves residues of the own voice, and what is
/// not finite would poison everybody. Nothing allocates after [`Self::prepare`].
#[derive(Debug)]
pub struct MixMinus {
    inputs: Vec<Box<[f32]>>,
    outputs: Vec<Box<[f32]>>,
    /// Sum of the inputs before the present one.
    before: Box<[f32]>,
    max_frames: usize,
    frames: usize,
    non_finite: u64,
}

impl MixMinus {
    /// Makes a mixer: all of its memory is taken here.
    pub fn prepare(inputs: usize, max_frames: usize) -> Self {
        let block = || vec![0.0; max_frames].into_boxed_slice();
        Self {
            inputs: (0..inputs).map(|_| block()).collect(),
            outputs: (0..inputs).map(|_| block()).collect(),
            before: block(),
            max_frames,
            frames: 0,
            non_finite: 0,
        }
    }

    /// Returns where to write an input's next block, `max_frames` long. It is kept until it
    /// is written again: fill it with 0 for silence.
    pub fn input_mut(&mut self, input: usize) -> Option<&mut [f32]> {
        self.inputs.get_mut(input).map(|block| &mut **block)
    }

    /// Sums a block of `frames` (`max_frames` at most).
    pub fn process(&mut self, frames: usize) {
        let frames = frames.min(self.max_frames);
        self.frames = frames;
        for input in &mut self.inputs {
            let faults = remove_faults(input.get_mut(..frames).unwrap_or_default());
            self.non_finite = self.non_finite.saturating_add(faults);
        }
        self.before.fill(0.0);
        for (index, output) in self.outputs.iter_mut().enumerate() {
            let sums = output.get_mut(..frames).unwrap_or_default();
            for (sum, before) in sums.iter_mut().zip(&self.before) {
                *sum = *before;
            }
            for input in self.inputs.iter().skip(index).skip(1) {
                add(sums, input);
            }
            if let Some(own) = self.inputs.get(index) {
                add(&mut self.before, own.get(..frames).unwrap_or_default());
            }
        }
    }

    /// Returns the last block of what participant `input` hears.
    pub fn output(&self, input: usize) -> Option<&[f32]> {
        self.outputs.get(input).and_then(|block| block.get(..self.frames))
    }

    /// Returns how many input samples were NaN, infinite or beyond +60 dBFS. They were made
    /// silence.
    pub fn non_finite(&self) -> u64 {
        self.non_finite
    }
}

fn add(sums: &mut [f32], samples: &[f32]) {
    for (sum, sample) in sums.iter_mut().zip(samples) {
        *sum += sample;
    }
}
