//! Gives `openstudio_fuzz::wire_client` to libFuzzer. What it checks is documented there.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openstudio_fuzz::wire_client(data));
