//! Decibels and linear factors. Nothing here knows what is measured.

/// Returns the decibels of an amplitude: 1.0 is 0 dB.
///
/// # Units and range
/// `amplitude` linear; its sign does not matter. 0 gives −∞.
pub fn decibels(amplitude: f32) -> f32 {
    20.0 * amplitude.abs().log10()
}

/// Returns the amplitude of a number of decibels: 0 dB is 1.0, −∞ is 0.
pub fn amplitude(decibels: f32) -> f32 {
    10.0_f32.powf(decibels / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn twice_the_amplitude_is_six_decibels_and_silence_is_none() {
        assert!((decibels(2.0) - 6.0206).abs() < 1e-3);
        assert!((decibels(-0.5) + 6.0206).abs() < 1e-3);
        assert!(decibels(0.0) < f32::MIN);
        assert!(amplitude(f32::NEG_INFINITY) <= 0.0);
        for db in [-60.0, -23.0, 0.0, 6.0] {
            assert!((decibels(amplitude(db)) - db).abs() < 1e-4, "{db}");
        }
    }
}
