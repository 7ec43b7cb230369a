//! Nothing allocates after `prepare`: an allocator that notes each call while it is armed.
//! It covers whatever an audio thread calls, that of dependencies included.
#![cfg(not(target_arch = "wasm32"))]
#![expect(unsafe_code, reason = "a global allocator is unsafe to write")]

use openstudio_mix::{
    Counters, Desk, DeskConfig, Level, Limiter, Meter, MixMinus, MonitorSettings, MonitorSource,
    Noise, StripSettings, Tone,
};
use openstudio_units::{Gain, Seed};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

struct Watched;

static ARMED: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);

fn note() {
    if ARMED.load(Ordering::SeqCst) {
        CALLS.fetch_add(1, Ordering::SeqCst);
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        note();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// Returns how often memory was taken or given back meanwhile.
fn calls(work: impl FnOnce()) -> u64 {
    let before = CALLS.load(Ordering::SeqCst);
    ARMED.store(true, Ordering::SeqCst);
    work();
    ARMED.store(false, Ordering::SeqCst);
    CALLS.load(Ordering::SeqCst) - before
}

/// Twenty seconds of loud noise with all that can be set, read and wrong.
fn use_everything(desk: &mut Desk) {
    let mut noise = Noise::new(Seed::from_number(1), 2.0);
    let mut tone = Tone::new(48_000, 440, 1.0);
    let mut levels = Level::default();
    for round in 0..7500_usize {
        for strip in 0..8 {
            let Some([left, right]) = desk.input_mut(strip) else { continue };
            noise.fill(left);
            tone.fill(right);
            if round % 100 == 0 {
                left[3] = f32::NAN;
            }
        }
        desk.process(128, 0b0111_1111);
        if round % 37 == 0 {
            let strip = round % 9;
            let gain = Gain::from_percent(u16::try_from(round % 200).unwrap_or(0));
            desk.set_strip(
                strip,
                StripSettings {
                    gain: gain.unwrap_or_default(),
                    muted: round % 5 == 0,
                    on_air: round % 3 != 0,
                    solo: round % 11 == 0,
                    own: strip == 0,
                },
            );
            let source = [MonitorSource::Programme, MonitorSource::Conversation][round % 2];
            desk.set_monitor(MonitorSettings { volume: Gain::UNITY, source });
            levels = desk.strip_level(strip);
        }
        if round % 40 == 0 {
            levels = desk.programme_level();
            let loudness = desk.loudness();
            assert!(loudness.momentary.is_none_or(f64::is_finite));
        }
        match round {
            3000 => desk.clear_strip(3),
            5000 => desk.reset_loudness(),
            _ => {}
        }
    }
    assert!(levels.peak.is_finite());
    assert_ne!(desk.counters(), Counters::default());
}

#[test]
fn nothing_allocates_after_prepare() {
    assert!(calls(|| drop(vec![1; 100])) >= 2, "the allocator watches");

    let config = DeskConfig { sample_rate: 48_000, strips: 8, max_frames: 128 };
    let mut desk = Desk::prepare(config).expect("within its ranges");
    assert_eq!(calls(|| use_everything(&mut desk)), 0, "desk");

    let mut limiter = Limiter::prepare(48_000);
    let mut meter = Meter::new(48_000);
    let mut noise = Noise::new(Seed::from_number(2), 4.0);
    let mut block = [[0.0; 480]; 2];
    let work = || {
        for _ in 0..500 {
            block.iter_mut().for_each(|channel| noise.fill(channel));
            let [left, right] = &mut block;
            limiter.process([left, right]);
            meter.add([left, right]);
        }
        meter.read();
    };
    assert_eq!(calls(work), 0, "limiter and meter");

    let mut mixer = MixMinus::prepare(12, 960);
    let work = || {
        for input in 0..12 {
            mixer.input_mut(input).into_iter().for_each(|block| noise.fill(block));
        }
        mixer.process(960);
    };
    assert_eq!(calls(work), 0, "mix-minus");
}
