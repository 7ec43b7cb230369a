//! Loudness through the whole desk, with the signals of EBU Tech 3341 and 3342.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use openstudio_mix::{Desk, DeskConfig, Loudness, StripSettings, Tone, amplitude};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const RATE: u32 = 48_000;
const BLOCK: usize = 480;
const BLOCKS_PER_SECOND: usize = 100;

fn desk() -> Desk {
    let config = DeskConfig { sample_rate: RATE, strips: 1, max_frames: BLOCK };
    let mut desk = Desk::prepare(config).unwrap();
    desk.set_strip(0, StripSettings { on_air: true, ..StripSettings::default() });
    desk.process(BLOCK, 0);
    desk.process(BLOCK, 0);
    desk.reset_loudness();
    desk
}

/// Plays tones of 1 kHz on both channels: dBFS and seconds.
fn play(desk: &mut Desk, parts: &[(f32, usize)]) -> Loudness {
    for (dbfs, seconds) in parts {
        let mut tone = Tone::new(RATE, 1000, amplitude(*dbfs));
        for _ in 0..seconds * BLOCKS_PER_SECOND {
            let [left, right] = desk.input_mut(0).unwrap();
            tone.fill(left);
            right.copy_from_slice(left);
            desk.process(BLOCK, 1);
        }
    }
    desk.loudness()
}

fn near(value: Option<f64>, wanted: f64, tolerance: f64) {
    println!("{value:?}, wanted {wanted}");
    assert!((value.unwrap() - wanted).abs() <= tolerance, "{value:?} is not {wanted}");
}

#[test]
fn tech_3341_cases_1_and_2() {
    for dbfs in [-23.0, -33.0] {
        let loudness = play(&mut desk(), &[(dbfs, 20)]);
        let wanted = f64::from(dbfs);
        near(loudness.momentary, wanted, 0.1);
        near(loudness.short_term, wanted, 0.1);
        near(loudness.integrated, wanted, 0.1);
        near(loudness.true_peak_db, wanted, 0.2);
        near(loudness.range, 0.0, 0.1);
    }
}

#[test]
fn tech_3341_case_3_gates_what_is_much_quieter() {
    let loudness = play(&mut desk(), &[(-36.0, 10), (-23.0, 60), (-36.0, 10)]);
    near(loudness.integrated, -23.0, 0.1);
    near(loudness.momentary, -36.0, 0.1);
}

#[test]
fn tech_3341_case_4_gates_silence_absolutely() {
    let parts = [(-72.0, 10), (-36.0, 10), (-23.0, 60), (-36.0, 10), (-72.0, 10)];
    near(play(&mut desk(), &parts).integrated, -23.0, 0.1);
}

#[test]
fn tech_3341_case_5_gates_relatively() {
    let parts = [(-26.0, 20), (-20.0, 20), (-26.0, 20)];
    near(play(&mut desk(), &parts).integrated, -23.0, 0.1);
}

#[test]
fn tech_3342_cases_1_to_3() {
    near(play(&mut desk(), &[(-20.0, 20), (-30.0, 20)]).range, 10.0, 1.0);
    near(play(&mut desk(), &[(-20.0, 20), (-15.0, 20)]).range, 5.0, 1.0);
    near(play(&mut desk(), &[(-40.0, 20), (-20.0, 20)]).range, 20.0, 1.0);
}

#[test]
fn a_reset_forgets_and_there_is_no_value_without_sound() {
    let mut desk = desk();
    assert_eq!(desk.loudness(), Loudness::default());
    let loud = play(&mut desk, &[(-10.0, 4)]);
    assert!(loud.integrated.is_some() && loud.range.is_some());
    desk.process(BLOCK, 0);
    desk.reset_loudness();
    assert_eq!(desk.loudness(), Loudness::default());
    let short = play(&mut desk, &[(-23.0, 1)]);
    near(short.integrated, -23.0, 0.1);
    assert_eq!(short.range, None);
}

#[test]
fn the_true_peak_is_that_behind_the_limiter() {
    let mut desk = desk();
    near(play(&mut desk, &[(6.0, 2)]).true_peak_db, -1.0, 0.1);
}
