//! How long a desk takes for 20 ms of stereo sound: what `cargo xtask bench mix` runs.
//! Prints microseconds, the least and the median of many seconds.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::as_conversions,
    reason = "a benchmark measures time and prints it"
)]

use openstudio_mix::{
    Desk, DeskConfig, Limiter, MixMinus, Noise, PrepareError, StripSettings, Tone,
};
use openstudio_units::{Gain, Seed};
use std::time::Instant;

const RATE: u32 = 48_000;
/// Frames of a render quantum of Web Audio.
const QUANTUM: usize = 128;
/// Frames of 20 ms.
const FRAMES: usize = 960;
/// Stretches of 50 quanta, which are 133 ms.
const STRETCHES: usize = 150;
const QUANTA: usize = 50;

/// Microseconds per 20 ms, of each stretch, in order.
fn measure(mut quantum: impl FnMut()) -> Vec<f64> {
    let mut times: Vec<f64> = (0..STRETCHES)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..QUANTA {
                quantum();
            }
            let blocks = (QUANTA * QUANTUM) as f64 / FRAMES as f64;
            begun.elapsed().as_secs_f64() * 1e6 / blocks
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

fn report(name: &str, json: bool, times: &[f64]) {
    let least = times.first().copied().unwrap_or_default();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    if json {
        println!("{{\"name\":\"{name}\",\"least_us\":{least:.1},\"median_us\":{median:.1}}}");
    } else {
        println!("{name:<44} {least:>8.1} {median:>8.1}");
    }
}

/// A desk whose strips all sound, half of them on air, with so much gain.
fn desk(strips: usize, gain: Gain) -> Result<impl FnMut(), PrepareError> {
    let config = DeskConfig { sample_rate: RATE, strips, max_frames: QUANTUM };
    let mut desk = Desk::prepare(config)?;
    for strip in 0..strips {
        let (own, on_air) = (strip == 0, strip % 2 == 0);
        desk.set_strip(strip, StripSettings { gain, on_air, own, ..StripSettings::default() });
    }
    let mut noise = Noise::new(Seed::from_number(1), 0.1);
    let mut sound = vec![0.0; QUANTUM];
    noise.fill(&mut sound);
    Ok(move || {
        for strip in 0..strips {
            for channel in desk.input_mut(strip).into_iter().flatten() {
                channel.copy_from_slice(&sound);
            }
        }
        desk.process(QUANTUM, u32::MAX);
    })
}

fn limiter(amplitude: f32) -> impl FnMut() {
    let mut limiter = Limiter::prepare(RATE);
    let mut tone = Tone::new(RATE, 440, amplitude);
    let mut sound = [0.0; QUANTUM];
    tone.fill(&mut sound);
    move || {
        let (mut left, mut right) = (sound, sound);
        limiter.process([&mut left, &mut right]);
    }
}

fn mix_minus(inputs: usize) -> impl FnMut() {
    let mut mixer = MixMinus::prepare(inputs, QUANTUM);
    let mut noise = Noise::new(Seed::from_number(1), 0.1);
    for input in 0..inputs {
        mixer.input_mut(input).into_iter().for_each(|block| noise.fill(block));
    }
    move || mixer.process(QUANTUM)
}

fn main() -> Result<(), PrepareError> {
    let json = std::env::args().any(|argument| argument == "--json");
    if !json {
        println!("{:<44} {:>8} {:>8}", "microseconds per 20 ms of stereo", "least", "median");
    }
    for strips in [8, 15] {
        let quiet = Gain::from_percent(50).unwrap_or_default();
        report(&format!("desk, {strips} strips"), json, &measure(desk(strips, quiet)?));
        let loud = measure(desk(strips, Gain::MAX)?);
        report(&format!("desk, {strips} strips, both limiters working"), json, &loud);
    }
    report("limiter, at rest", json, &measure(limiter(0.2)));
    report("limiter, working", json, &measure(limiter(2.0)));
    report("mix-minus, 12 inputs, one channel", json, &measure(mix_minus(12)));
    Ok(())
}
