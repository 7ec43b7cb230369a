//! The mixing desk as the WebAssembly module of an AudioWorklet.
//!
//! It puts an [`openstudio_mix::Desk`] behind exports that a few lines of JavaScript can call,
//! and decides nothing. wasm-bindgen is left out: its glue needs what a worklet does not have. The
//! module has no imports, and no call into it traps or allocates but [`prepare`].
//!
//! # The contract with `desk-worklet.js`
//! There is one desk in a module. Numbers out of range are brought into it or ignored;
//! where an address cannot be given it is 0. Before [`prepare`] nothing but it has effect.
//!
//! | export | what |
//! |---|---|
//! | `prepare(sample_rate: f32, strips: u32) -> u32` | makes the desk anew; 1 is success |
//! | `input(strip: u32, channel: u32) -> *mut f32` | where to write: room for [`MAX_FRAMES`] |
//! | `process(frames: u32, connected: u32)` | mixes; bit *i*: strip *i* was written |
//! | `output(bus: u32, channel: u32) -> *const f32` | where to read; bus 0 monitor, 1 programme |
//! | `set_strip(strip: u32, gain_percent: i32, flags: u32)` | 1 muted, 2 on air, 4 solo, 8 own |
//! | `clear_strip(strip: u32)` | the strip is somebody else's |
//! | `set_monitor(volume_percent: i32, source: u32)` | 0 conversation, 1 programme |
//! | `levels() -> *const f32` | peak and RMS of each strip, then of the programme, linear |
//! | `loudness() -> *const f32` | [`LOUDNESS_VALUES`] numbers, see [`loudness`] |
//! | `reset_loudness()` | measures loudness anew |
//!
//! Addresses of inputs and outputs stay the same until the next [`prepare`]. What `levels`
//! and `loudness` return is overwritten by their next call.
#![warn(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(
    target_arch = "wasm32",
    expect(unsafe_code, reason = "JavaScript finds exports by their plain names")
)]

mod settings;
mod studio;

use std::cell::RefCell;
use std::ptr;
use studio::Studio;

pub use studio::{LOUDNESS_VALUES, MAX_FRAMES};

thread_local! {
    /// The desk of this module. An audio thread runs alone, so that it is never borrowed twice.
    static STUDIO: RefCell<Option<Studio>> = const { RefCell::new(None) };
}

/// Does something with the desk, if there is one.
fn with<T>(work: impl FnOnce(&mut Studio) -> T) -> Option<T> {
    STUDIO.with(|studio| studio.try_borrow_mut().ok()?.as_mut().map(work))
}

/// Makes the desk; one that there was is gone. Returns 1, or 0 if it cannot be made so.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn prepare(sample_rate: f32, strips: u32) -> u32 {
    let made = Studio::prepare(sample_rate, strips);
    let success = u32::from(made.is_some());
    STUDIO.with(|studio| {
        if let Ok(mut studio) = studio.try_borrow_mut() {
            *studio = made;
        }
    });
    success
}

/// Returns where to write a channel (0 or 1) of a strip's next block.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn input(strip: u32, channel: u32) -> *mut f32 {
    with(|studio| studio.input(strip, channel)).flatten().unwrap_or(ptr::null_mut())
}

/// Mixes a block of [`MAX_FRAMES`] frames at most.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn process(frames: u32, connected: u32) {
    with(|studio| studio.process(frames, connected));
}

/// Returns where to read a channel (0 or 1) of the last block.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn output(bus: u32, channel: u32) -> *const f32 {
    with(|studio| studio.output(bus, channel)).flatten().unwrap_or(ptr::null())
}

/// Sets a strip.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn set_strip(strip: u32, gain_percent: i32, flags: u32) {
    with(|studio| studio.set_strip(strip, settings::strip(gain_percent, flags)));
}

/// Sets a strip to its defaults, for somebody else.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn clear_strip(strip: u32) {
    with(|studio| studio.clear_strip(strip));
}

/// Sets what the participant hears.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn set_monitor(volume_percent: i32, source: u32) {
    with(|studio| studio.set_monitor(settings::monitor(volume_percent, source)));
}

/// Returns peak and RMS of every strip and then of the programme, linear, and begins to
/// look for the next peaks.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn levels() -> *const f32 {
    with(|studio| studio.levels().as_ptr()).unwrap_or(ptr::null())
}

/// Returns momentary, short-term and integrated loudness in LUFS, loudness range in LU,
/// true peak in dBTP (−∞ where there is none); then clipped samples, limited frames, and
/// samples that were not finite. To be called ten times a second at most.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn loudness() -> *const f32 {
    with(|studio| studio.loudness().as_ptr()).unwrap_or(ptr::null())
}

/// Begins to measure loudness anew.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn reset_loudness() {
    with(Studio::reset_loudness);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_desk_nothing_happens() {
        process(128, 1);
        set_strip(0, 100, 0);
        clear_strip(0);
        set_monitor(100, 0);
        reset_loudness();
        assert!(input(0, 0).is_null() && output(0, 0).is_null());
        assert!(levels().is_null() && loudness().is_null());
    }

    #[test]
    fn addresses_are_given_for_what_there_is_and_stay() {
        assert_eq!(prepare(48_000.0, 8), 1);
        let inputs: Vec<_> = (0..8).flat_map(|strip| [input(strip, 0), input(strip, 1)]).collect();
        assert!(inputs.iter().all(|address| !address.is_null()));
        process(128, 0xff);
        assert_eq!(inputs.first(), Some(&input(0, 0)));
        let outputs = [output(0, 0), output(0, 1), output(1, 0), output(1, 1)];
        process(64, 0xff);
        assert_eq!(outputs, [output(0, 0), output(0, 1), output(1, 0), output(1, 1)]);
        assert!(input(8, 0).is_null() && input(0, 2).is_null());
        assert!(output(2, 0).is_null() && output(0, 2).is_null());
        assert_eq!(levels(), levels());
    }

    #[test]
    fn a_desk_that_cannot_be_made_leaves_none() {
        for (rate, strips) in [(48_000.0, 0), (48_000.0, 33), (f32::NAN, 8), (-1.0, 8)] {
            assert_eq!(prepare(48_000.0, 1), 1);
            assert_eq!(prepare(rate, strips), 0, "{rate} {strips}");
            assert!(input(0, 0).is_null());
        }
        assert_eq!(prepare(44_100.0, 15), 1);
    }
}
