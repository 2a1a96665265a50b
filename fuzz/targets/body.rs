#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| nightmark_fuzz::body::check(input));
