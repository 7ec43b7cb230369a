//! The limiter, judged by another's meter: the true peak of the `ebur128` crate.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use ebur128::{EbuR128, Mode};
use openstudio_mix::{CEILING, Limiter, Noise, Tone, amplitude, decibels, latency};
use openstudio_units::Seed;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const RATE: u32 = 48_000;

fn limited(left: &[f32], right: &[f32], size: usize) -> [Vec<f32>; 2] {
    let mut limiter = Limiter::prepare(RATE);
    let (mut left, mut right) = (left.to_vec(), right.to_vec());
    for (left, right) in left.chunks_mut(size).zip(right.chunks_mut(size)) {
        limiter.process([left, right]);
    }
    [left, right]
}

fn true_peak_db(left: &[f32], right: &[f32]) -> f32 {
    let mut meter = EbuR128::new(2, RATE, Mode::TRUE_PEAK).unwrap();
    meter.add_frames_planar_f32(&[left, right]).unwrap();
    let peak = meter.true_peak(0).unwrap().max(meter.true_peak(1).unwrap());
    decibels(peak as f32)
}

fn square(frequency: usize, amplitude: f32) -> Vec<f32> {
    let half = RATE as usize / frequency / 2;
    (0..RATE as usize)
        .map(|frame| if (frame / half).is_multiple_of(2) { amplitude } else { -amplitude })
        .collect()
}

fn tone(frequency: u32, amplitude: f32) -> Vec<f32> {
    let mut samples = vec![0.0; RATE as usize];
    Tone::new(RATE, frequency, amplitude).with_phase(0.125).fill(&mut samples);
    samples
}

fn noise(seed: u64, amplitude: f32) -> Vec<f32> {
    let mut samples = vec![0.0; RATE as usize];
    Noise::new(Seed::from_number(seed), amplitude).fill(&mut samples);
    samples
}

/// Bursts of noise, 10 ms on and 90 ms off.
fn bursts(seed: u64, amplitude: f32) -> Vec<f32> {
    let mut samples = noise(seed, amplitude);
    for (frame, sample) in samples.iter_mut().enumerate() {
        if frame % 4800 > 480 {
            *sample = 0.0;
        }
    }
    samples
}

fn single(amplitude: f32) -> Vec<f32> {
    let mut samples = vec![0.0; RATE as usize];
    samples[10_000] = amplitude;
    samples
}

#[test]
fn no_true_peak_passes_the_ceiling() {
    let signals = [
        ("square", square(100, 1.0)),
        ("square, four times", square(1000, 4.0)),
        ("square, fast", square(12_000, 4.0)),
        ("between the samples", tone(12_000, 1.0)),
        ("between the samples, four times", tone(12_000, 4.0)),
        ("low tone", tone(50, 4.0)),
        ("high tone", tone(17_000, 4.0)),
        ("very high tone", tone(21_000, 4.0)),
        ("noise", noise(1, 1.0)),
        ("noise, four times", noise(2, 4.0)),
        ("bursts", bursts(3, 1.0)),
        ("bursts, four times", bursts(4, 4.0)),
        ("bursts, a thousand times", bursts(5, 1000.0)),
        ("impulse", single(100.0)),
    ];
    for (name, signal) in &signals {
        let silence = vec![0.0; signal.len()];
        for right in [signal, &silence] {
            let [left, right] = limited(signal, right, 480);
            let (before, after) = (true_peak_db(signal, &silence), true_peak_db(&left, &right));
            println!("{name}: {before:+.2} dBTP in, {after:+.3} dBTP out");
            assert!(after <= -1.0, "{name}: {after} dBTP");
            assert!(left.iter().chain(&right).all(|sample| sample.abs() <= CEILING));
        }
    }
}

#[test]
fn what_was_too_loud_is_not_made_quieter_than_it_must_be() {
    for (name, signal) in [("square", square(100, 4.0)), ("tone", tone(997, 4.0))] {
        let [left, right] = limited(&signal, &signal, 480);
        let settled = &left[RATE as usize / 2..];
        let after = true_peak_db(settled, &right[RATE as usize / 2..]);
        assert!(after > -1.6, "{name}: {after} dBTP");
    }
}

#[test]
fn below_the_ceiling_it_is_a_delay_bit_for_bit() {
    let late = latency(RATE);
    assert_eq!(late, 240);
    for (name, signal) in [
        ("tone", tone(997, 0.88)),
        ("noise", noise(7, 0.3)),
        ("quiet", noise(8, 1e-6)),
        ("silence", vec![0.0; RATE as usize]),
        ("impulse", single(0.8)),
    ] {
        let [left, right] = limited(&signal, &signal, 128);
        for output in [left, right] {
            assert!(output[..late].iter().all(|sample| sample.to_bits() == 0), "{name}");
            let same = |(output, input): (&f32, &f32)| output.to_bits() == input.to_bits();
            assert!(output[late..].iter().zip(&signal).all(same), "{name}");
        }
    }
}

#[test]
fn after_a_bang_it_is_transparent_again() {
    let mut signal = tone(440, 0.5);
    for sample in &mut signal[1000..1100] {
        *sample = 3.0;
    }
    let two_seconds = [signal.clone(), tone(440, 0.5), tone(440, 0.5)].concat();
    let [left, _] = limited(&two_seconds, &two_seconds, 128);
    let late = latency(RATE);
    let end = two_seconds.len() - 24_000;
    let same = |(output, input): (&f32, &f32)| output.to_bits() == input.to_bits();
    assert!(left[end..].iter().zip(&two_seconds[end - late..]).all(same));
    // 300 ms after the bang the gain has all but come back.
    let [after, before] = [15_500, 15_500 - late].map(|at| (at, at + 480));
    let peak = |samples: &[f32]| samples.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
    let lost = decibels(peak(&left[after.0..after.1]) / peak(&two_seconds[before.0..before.1]));
    assert!(lost > -0.6 && lost < 0.0, "{lost} dB");
}

#[test]
fn how_frames_are_cut_does_not_matter() {
    let left = [noise(1, 0.4), bursts(2, 3.0), tone(300, 0.8), noise(3, 0.3)].concat();
    let right = [tone(100, 1.0), noise(4, 0.1), bursts(5, 0.9), single(2.0)].concat();
    let whole = limited(&left, &right, left.len());
    for size in [1, 64, 128, 129, 480] {
        assert!(limited(&left, &right, size) == whole, "blocks of {size}");
    }
}

#[test]
fn both_channels_get_the_same_gain() {
    let loud = tone(500, 3.0);
    let soft: Vec<f32> = loud.iter().map(|sample| sample * 0.25).collect();
    let [left, right] = limited(&loud, &soft, 128);
    for (left, right) in left.iter().zip(&right) {
        assert!((left * 0.25 - right).abs() < 1e-6);
    }
}

#[test]
fn the_gain_glides() {
    // A signal without change of its own shows the gain.
    let mut signal = vec![0.5; 9600];
    signal[4800] = 8.0;
    let [left, _] = limited(&signal, &signal, 128);
    let bang = 4800 + latency(RATE);
    for (frame, pair) in left.windows(2).enumerate().skip(latency(RATE)) {
        if frame != bang && frame + 1 != bang {
            let step = (pair[1] - pair[0]).abs();
            assert!(step < 0.5 / 200.0, "{step} at {frame}");
        }
    }
}

#[test]
fn the_ceiling_is_what_it_says() {
    assert!((CEILING - amplitude(-1.0)).abs() < 1e-6);
}

#[test]
fn channels_of_different_length_do_no_harm() {
    let mut limiter = Limiter::prepare(RATE);
    let (mut long, mut short) = ([0.5; 300], [0.5; 200]);
    limiter.process([&mut long, &mut short]);
    limiter.process([&mut [], &mut short]);
    assert!(long[200..].iter().all(|sample| (sample - 0.5).abs() < 1e-9));
    assert!(short.iter().all(|sample| sample.is_finite()));
}
