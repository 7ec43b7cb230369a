//! Gives `openstudio_fuzz::mesh_input` to libFuzzer. What it checks is documented there.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openstudio_fuzz::mesh_input(data));
