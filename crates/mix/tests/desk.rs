//! The desk as a participant has it: who hears what, how loud, and without clicks.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use openstudio_mix::{
    CEILING, Desk, DeskConfig, MonitorSettings, MonitorSource, PrepareError, StripSettings, Tone,
    latency,
};
use openstudio_units::Gain;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const RATE: u32 = 48_000;
const STRIPS: usize = 4;
const ALL: u32 = 0b1111;
const BLOCK: usize = 128;
/// Frames of a ramp: 20 ms.
const RAMP: usize = 960;

fn desk() -> Desk {
    let config = DeskConfig { sample_rate: RATE, strips: STRIPS, max_frames: 480 };
    Desk::prepare(config).unwrap()
}

fn percent(percent: u16) -> Gain {
    Gain::from_percent(percent).unwrap()
}

fn on_air() -> StripSettings {
    StripSettings { on_air: true, ..StripSettings::default() }
}

fn own() -> StripSettings {
    StripSettings { own: true, ..on_air() }
}

/// What one channel of both buses played.
#[derive(Debug, Default, PartialEq)]
struct Played {
    monitor: Vec<f32>,
    programme: Vec<f32>,
}

/// Runs the desk for `frames`. `signal` gives the sample of a strip at a frame, and the
/// right channel gets the negative of it.
fn run(desk: &mut Desk, frames: usize, connected: u32, signal: impl Fn(usize) -> f32) -> Played {
    let mut played = Played::default();
    let mut left = frames;
    while left > 0 {
        let now = left.min(BLOCK);
        left -= now;
        for strip in (0..STRIPS).filter(|strip| connected >> strip & 1 == 1) {
            let [left, right] = desk.input_mut(strip).unwrap();
            left[..now].fill(signal(strip));
            right[..now].fill(-signal(strip));
        }
        desk.process(now, connected);
        assert_eq!(desk.monitor()[0].len(), now);
        for (bus, to) in
            [(desk.monitor(), &mut played.monitor), (desk.programme(), &mut played.programme)]
        {
            assert!(bus[0].iter().zip(bus[1]).all(|(left, right)| (left + right).abs() <= 0.0));
            to.extend_from_slice(bus[0]);
        }
    }
    played
}

/// Runs until everything has settled, and returns the last sample of monitor and programme.
fn settled(desk: &mut Desk, signal: impl Fn(usize) -> f32) -> [f32; 2] {
    let played = run(desk, 2 * RAMP, ALL, signal);
    [*played.monitor.last().unwrap(), *played.programme.last().unwrap()]
}

fn near(value: [f32; 2], wanted: [f32; 2]) {
    for (value, wanted) in value.iter().zip(wanted) {
        assert!((value - wanted).abs() < 1e-6, "{value} is not {wanted}");
    }
}

/// 0.01, 0.02, 0.04, 0.08: the sum tells who is in it.
fn weights(strip: usize) -> f32 {
    0.01 * f32::from(1_u8 << strip)
}

#[test]
fn the_monitor_has_all_others_and_the_programme_who_is_on_air() {
    let mut desk = desk();
    desk.set_strip(0, own());
    desk.set_strip(2, on_air());
    near(settled(&mut desk, weights), [0.02 + 0.04 + 0.08, 0.01 + 0.04]);
}

#[test]
fn the_own_voice_adds_exactly_nothing_to_the_conversation() {
    let mut with = desk();
    let mut without = desk();
    for desk in [&mut with, &mut without] {
        desk.set_strip(0, StripSettings { solo: true, ..own() });
        desk.set_strip(1, on_air());
    }
    let voice = |strip| [0.9, 0.3, 0.0, 0.1][strip];
    let heard = run(&mut with, RATE as usize, 0b1011, voice);
    let alone = run(&mut without, RATE as usize, 0b1010, voice);
    assert!(heard.monitor == alone.monitor);
    assert!(heard.programme != alone.programme);

    let mut desk = desk();
    desk.set_strip(0, own());
    let nothing = run(&mut desk, RATE as usize, 0b0001, |_| 2.0);
    assert!(nothing.monitor.iter().all(|sample| sample.to_bits() == 0));
}

#[test]
fn a_strip_that_becomes_own_leaves_the_conversation_at_once() {
    let mut desk = desk();
    run(&mut desk, RAMP, 0b0001, |_| 0.5);
    desk.set_strip(0, own());
    let after = run(&mut desk, RAMP, 0b0001, |_| 0.5);
    assert!(after.monitor[latency(RATE)..].iter().all(|sample| sample.to_bits() == 0));
}

#[test]
fn on_air_changes_the_programme_only_and_solo_the_monitor_only() {
    let (mut base, mut changed) = (desk(), desk());
    for desk in [&mut base, &mut changed] {
        desk.set_strip(1, on_air());
        run(desk, 1000, ALL, weights);
    }
    changed.set_strip(2, on_air());
    let before = run(&mut base, 2 * RAMP, ALL, weights);
    let after = run(&mut changed, 2 * RAMP, ALL, weights);
    assert!(before.monitor == after.monitor && before.programme != after.programme);

    let (mut base, mut changed) = (desk(), desk());
    for desk in [&mut base, &mut changed] {
        desk.set_strip(1, on_air());
        run(desk, 1000, ALL, weights);
    }
    changed.set_strip(1, StripSettings { solo: true, ..on_air() });
    let before = run(&mut base, 2 * RAMP, ALL, weights);
    let after = run(&mut changed, 2 * RAMP, ALL, weights);
    assert!(before.programme == after.programme && before.monitor != after.monitor);
}

#[test]
fn solo_leaves_those_that_are_soloed_and_never_oneself() {
    let mut desk = desk();
    let solo = StripSettings { solo: true, ..StripSettings::default() };
    desk.set_strip(0, StripSettings { solo: true, ..own() });
    near(settled(&mut desk, weights), [0.02 + 0.04 + 0.08, 0.01]);
    desk.set_strip(1, solo);
    desk.set_strip(3, solo);
    near(settled(&mut desk, weights), [0.02 + 0.08, 0.01]);
    desk.clear_strip(1);
    near(settled(&mut desk, weights), [0.08, 0.01]);
    desk.clear_strip(3);
    near(settled(&mut desk, weights), [0.02 + 0.04 + 0.08, 0.01]);
}

#[test]
fn a_fader_goes_from_silence_to_six_decibels() {
    for (gain, wanted) in [(200, 0.2), (100, 0.1), (50, 0.05), (0, 0.0)] {
        let mut desk = desk();
        desk.set_strip(1, StripSettings { gain: percent(gain), ..on_air() });
        let only_second = |strip| if strip == 1 { 0.1 } else { 0.0 };
        let output = settled(&mut desk, only_second);
        near(output, [wanted; 2]);
        if gain == 0 {
            assert!(output.iter().all(|sample| sample.to_bits() == 0));
        }
    }
}

#[test]
fn mute_is_silence_within_twenty_milliseconds_on_both_buses() {
    let mut desk = desk();
    desk.set_strip(1, on_air());
    run(&mut desk, 2 * RAMP, 0b0010, |_| 0.5);
    desk.set_strip(1, StripSettings { muted: true, ..on_air() });
    let played = run(&mut desk, 3 * RAMP, 0b0010, |_| 0.5);
    for bus in [&played.monitor, &played.programme] {
        let silent = latency(RATE) + RAMP - 1;
        assert!(bus[silent..].iter().all(|sample| sample.to_bits() == 0));
        assert!(bus[silent - 1] > 0.0);
    }
    assert!(desk.strip_level(1).peak > 0.0);
    assert!(desk.strip_level(1).peak <= 0.0);
}

#[test]
fn no_change_of_settings_clicks() {
    let mut desk = desk();
    let voice = |strip| if strip == 1 { 0.2 } else { 0.0 };
    desk.set_strip(1, on_air());
    let mut played = run(&mut desk, 2 * RAMP, ALL, voice);
    let quiet = StripSettings { gain: percent(0), ..on_air() };
    let loud = StripSettings { gain: percent(200), ..on_air() };
    let solo = StripSettings { solo: true, ..StripSettings::default() };
    let changes: [&dyn Fn(&mut Desk); 10] = [
        &|desk| desk.set_strip(1, quiet),
        &|desk| desk.set_strip(1, loud),
        &|desk| desk.set_strip(1, StripSettings { muted: true, ..loud }),
        &|desk| desk.set_strip(1, on_air()),
        &|desk| desk.set_strip(1, StripSettings::default()),
        &|desk| desk.set_strip(1, on_air()),
        &|desk| desk.set_strip(2, solo),
        &|desk| desk.clear_strip(2),
        &|desk| {
            let source = MonitorSource::Programme;
            desk.set_monitor(MonitorSettings { volume: percent(30), source });
        },
        &|desk| desk.set_monitor(MonitorSettings::default()),
    ];
    for change in changes {
        change(&mut desk);
        // Not to the end of the ramp: the next change comes while it glides.
        let more = run(&mut desk, 700, ALL, voice);
        played.monitor.extend(more.monitor);
        played.programme.extend(more.programme);
    }
    for bus in [&played.monitor, &played.programme] {
        for (frame, pair) in bus.windows(2).enumerate().skip(latency(RATE)) {
            // Three ramps may glide at once; a fader goes over 2.0 at most.
            let step = (pair[1] - pair[0]).abs();
            assert!(step < 0.2 * 3.0 * 2.0 / 960.0, "{step} at {frame}");
        }
    }
}

#[test]
fn the_monitor_can_play_the_programme_with_the_own_voice() {
    let mut desk = desk();
    desk.set_strip(0, own());
    desk.set_strip(1, on_air());
    let source = MonitorSource::Programme;
    desk.set_monitor(MonitorSettings { volume: Gain::UNITY, source });
    run(&mut desk, 2 * RAMP, ALL, |_| 0.0);
    let loud = run(&mut desk, RATE as usize, ALL, |strip| 0.7 + weights(strip));
    assert!(loud.monitor == loud.programme);
    assert!(loud.programme.iter().any(|sample| *sample > 0.88));
    desk.set_monitor(MonitorSettings { volume: percent(50), source });
    // The limiters come back to rest.
    run(&mut desk, 2 * RATE as usize, ALL, |_| 0.0);
    near(settled(&mut desk, weights), [0.015, 0.03]);
}

#[test]
fn a_strip_for_somebody_else_is_as_new() {
    let mut desk = desk();
    let settings =
        StripSettings { gain: percent(30), muted: false, on_air: true, solo: true, own: false };
    desk.set_strip(1, settings);
    run(&mut desk, 2 * RAMP, 0b0010, |_| 0.2);
    desk.clear_strip(1);
    assert!(desk.strip_level(1).peak <= 0.0 && desk.strip_level(1).rms <= 0.0);
    desk.process(1, 0);
    let fresh = run(&mut desk, latency(RATE) + 1, 0b0010, |_| 0.1);
    // At once: not a frame of the old gain, and not on air.
    assert!((fresh.monitor[latency(RATE)] - 0.1).abs() < 1e-9);
    assert!(fresh.programme[latency(RATE)].abs() <= 0.0);
}

#[test]
fn what_is_not_a_number_poisons_nobody() {
    let (mut clean, mut dirty) = (desk(), desk());
    for desk in [&mut clean, &mut dirty] {
        desk.set_strip(1, on_air());
        desk.set_strip(2, on_air());
    }
    let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -2e3];
    for round in 0..100 {
        for desk in [&mut clean, &mut dirty] {
            desk.input_mut(1).unwrap()[0][..BLOCK].fill(0.3);
            desk.input_mut(1).unwrap()[1][..BLOCK].fill(0.3);
        }
        dirty.input_mut(2).unwrap()[0][..BLOCK].fill(bad[round % bad.len()]);
        dirty.input_mut(2).unwrap()[1][..BLOCK].fill(0.0);
        clean.process(BLOCK, 0b0010);
        dirty.process(BLOCK, 0b0110);
        assert_eq!(clean.programme(), dirty.programme());
        assert_eq!(clean.monitor(), dirty.monitor());
    }
    assert_eq!(dirty.counters().non_finite, 100 * 128);
    assert_eq!(clean.counters().non_finite, 0);
    assert_eq!(dirty.strip_level(2), Default::default());
    assert_eq!(dirty.loudness(), clean.loudness());
}

#[test]
fn a_silent_desk_is_silent_and_has_no_loudness() {
    let mut desk = desk();
    let played = run(&mut desk, RATE as usize, 0, |_| 1.0);
    assert!(played.monitor.iter().all(|sample| sample.to_bits() == 0));
    assert!(played.programme.iter().all(|sample| sample.to_bits() == 0));
    assert_eq!(desk.loudness(), Default::default());
    assert_eq!(desk.counters(), Default::default());
    assert_eq!(desk.programme_level(), Default::default());
}

#[test]
fn an_impulse_comes_once_and_late_by_the_latency() {
    let mut desk = desk();
    desk.set_strip(1, on_air());
    run(&mut desk, 2 * RAMP, 0, |_| 0.0);
    desk.input_mut(1).unwrap().into_iter().for_each(|channel| {
        channel.fill(0.0);
        channel[0] = 0.5;
    });
    desk.process(480, 0b0010);
    for [bus, _] in [desk.monitor(), desk.programme()] {
        for (frame, sample) in bus.iter().enumerate() {
            let wanted: f32 = if frame == latency(RATE) { 0.5 } else { 0.0 };
            assert_eq!(sample.to_bits(), wanted.to_bits(), "{frame}");
        }
    }
}

#[test]
fn overload_is_limited_and_counted() {
    let mut desk = desk();
    for strip in 0..STRIPS {
        desk.set_strip(strip, StripSettings { gain: Gain::MAX, ..on_air() });
    }
    run(&mut desk, RAMP, ALL, |_| 0.0);
    let played = run(&mut desk, RATE as usize, ALL, |_| 1.0);
    for bus in [&played.monitor, &played.programme] {
        assert!(bus.iter().all(|sample| sample.abs() <= CEILING));
        assert!(*bus.last().unwrap() > 0.88);
    }
    let counters = desk.counters();
    assert_eq!(counters.clipped, 2 * u64::from(RATE));
    let late = RATE as usize - 2 * latency(RATE);
    assert!(counters.limited as usize >= late && counters.limited <= u64::from(RATE));
}

#[test]
fn levels_are_those_behind_the_fader() {
    let mut desk = desk();
    desk.set_strip(1, StripSettings { gain: percent(50), ..on_air() });
    let mut tone = Tone::new(RATE, 1000, 0.5);
    for _ in 0..100 {
        let [left, right] = desk.input_mut(1).unwrap();
        tone.fill(left);
        right.fill(0.0);
        desk.process(480, 0b0010);
    }
    desk.strip_level(1);
    let [left, right] = desk.input_mut(1).unwrap();
    tone.fill(left);
    right.fill(0.0);
    desk.process(480, 0b0010);
    for level in [desk.strip_level(1), desk.programme_level()] {
        assert!((level.rms - 0.25 / 2.0_f32.sqrt()).abs() < 1e-3, "{level:?}");
        assert!(level.peak > 0.2499 && level.peak < 0.5, "{level:?}");
    }
    assert_eq!(desk.strip_level(7), Default::default());
}

#[test]
fn a_desk_is_made_within_its_ranges_only() {
    let config = DeskConfig { sample_rate: RATE, strips: 8, max_frames: 128 };
    let prepare = |config| Desk::prepare(config).map(|desk| desk.config());
    assert_eq!(prepare(config), Ok(config));
    for sample_rate in [0, 7_999, 192_001, u32::MAX] {
        assert_eq!(prepare(DeskConfig { sample_rate, ..config }), Err(PrepareError::SampleRate));
    }
    for strips in [0, 33, usize::MAX] {
        assert_eq!(prepare(DeskConfig { strips, ..config }), Err(PrepareError::Strips));
    }
    for max_frames in [0, 16_385, usize::MAX] {
        assert_eq!(prepare(DeskConfig { max_frames, ..config }), Err(PrepareError::Frames));
    }
    for sample_rate in [8_000, 44_100, 96_000, 192_000] {
        let mut desk = Desk::prepare(DeskConfig { sample_rate, ..config }).unwrap();
        desk.process(128, 0);
    }
}

#[test]
fn more_frames_than_there_is_room_for_are_cut() {
    let mut desk = desk();
    desk.process(usize::MAX, u32::MAX);
    assert_eq!(desk.programme()[0].len(), 480);
    desk.process(0, u32::MAX);
    assert!(desk.monitor()[1].is_empty());
    assert!(desk.input_mut(STRIPS).is_none());
    desk.set_strip(STRIPS, on_air());
    desk.clear_strip(usize::MAX);
}
