//! A value that glides to its target instead of jumping there, so that no gain clicks.
//! It knows frames only, neither time nor what it is multiplied with.

/// A value on its way to a target, in a straight line.
///
/// # Invariants
/// What it is at a frame depends on when it was retargeted alone, not on how the frames
/// are cut into blocks. When it has arrived it *is* the target, bit for bit.
#[derive(Debug, Clone, Copy)]
pub struct Ramp {
    from: f32,
    to: f32,
    /// Frames since the target was set, up to `frames`.
    done: u16,
    /// Frames from any value to its target; at least 1.
    frames: u16,
}

impl Ramp {
    /// Makes a ramp that rests at `value` and takes `frames` to any target (0 counts as 1).
    pub fn new(value: f32, frames: u16) -> Self {
        let frames = frames.max(1);
        Self { from: value, to: value, done: frames, frames }
    }

    /// Sets out for another target from where it is. The same target again changes nothing.
    pub fn retarget(&mut self, to: f32) {
        if to.to_bits() != self.to.to_bits() {
            *self = Self { from: self.value(), to, done: 0, frames: self.frames };
        }
    }

    /// Is at `to` at once.
    pub fn jump(&mut self, to: f32) {
        *self = Self::new(to, self.frames);
    }

    /// Returns where it is.
    pub fn value(&self) -> f32 {
        if self.done >= self.frames {
            return self.to;
        }
        self.from + (self.to - self.from) * (f32::from(self.done) / f32::from(self.frames))
    }

    /// Goes on by one frame, and returns where it is then.
    pub fn step(&mut self) -> f32 {
        self.advance(1);
        self.value()
    }

    /// Goes on by `frames`.
    pub fn advance(&mut self, frames: usize) {
        let frames = u16::try_from(frames).unwrap_or(u16::MAX);
        self.done = self.done.saturating_add(frames).min(self.frames);
    }

    /// Returns the value if it stays there: the ramp has arrived.
    pub fn steady(&self) -> Option<f32> {
        (self.done >= self.frames).then_some(self.to)
    }

    /// Multiplies each sample with the value at its frame, without going on: every
    /// channel starts from the same place.
    pub fn apply(&self, samples: &mut [f32]) {
        if let Some(value) = self.steady() {
            for sample in samples {
                *sample *= value;
            }
            return;
        }
        let mut ramp = *self;
        for sample in samples {
            *sample *= ramp.step();
        }
    }

    /// Adds the samples, multiplied with the value at their frames, without going on.
    pub fn add(&self, samples: &[f32], to: &mut [f32]) {
        let sums = to.iter_mut().zip(samples);
        match self.steady() {
            // The sum stays what it is: a sum that began with +0.0 is never −0.0.
            Some(value) if value.to_bits() == 0 => {}
            Some(value) => {
                for (sum, sample) in sums {
                    *sum += sample * value;
                }
            }
            None => {
                let mut ramp = *self;
                for (sum, sample) in sums {
                    *sum += sample * ramp.step();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn values(ramp: &mut Ramp, count: usize) -> Vec<f32> {
        (0..count).map(|_| ramp.step()).collect()
    }

    #[test]
    fn it_goes_straight_and_arrives_exactly() {
        let mut ramp = Ramp::new(0.0, 4);
        ramp.retarget(0.3);
        assert_eq!(values(&mut ramp, 5), [0.3 * 0.25, 0.3 * 0.5, 0.3 * 0.75, 0.3, 0.3]);
        assert_eq!(ramp.steady(), Some(0.3));
    }

    #[test]
    fn a_new_target_on_the_way_makes_no_jump() {
        let mut ramp = Ramp::new(0.0, 960);
        ramp.retarget(1.0);
        let mut last = 0.0;
        for frame in 0..3000 {
            match frame {
                300 => ramp.retarget(0.0),
                500 => ramp.retarget(2.0),
                _ => {}
            }
            let value = ramp.step();
            assert!((value - last).abs() <= 2.0 / 960.0 + 1e-6, "frame {frame}");
            last = value;
        }
        assert_eq!(ramp.steady(), Some(2.0));
    }

    #[test]
    fn the_same_target_again_does_not_begin_anew() {
        let (mut once, mut again) = (Ramp::new(0.0, 8), Ramp::new(0.0, 8));
        once.retarget(1.0);
        again.retarget(1.0);
        values(&mut again, 3);
        values(&mut once, 3);
        again.retarget(1.0);
        assert_eq!(values(&mut once, 8), values(&mut again, 8));
    }

    #[test]
    fn advancing_is_stepping() {
        let mut stepped = Ramp::new(1.0, 960);
        stepped.retarget(0.1);
        let mut advanced = stepped;
        for count in [1, 64, 128, 480, 1000] {
            values(&mut stepped, count);
            advanced.advance(count);
            assert_eq!(stepped.value().to_bits(), advanced.value().to_bits());
        }
    }

    #[test]
    fn a_ramp_without_frames_is_there_with_the_next_one() {
        let mut ramp = Ramp::new(0.0, 0);
        ramp.retarget(1.0);
        assert_eq!(values(&mut ramp, 1), [1.0]);
    }
}
