#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tethered_fuzz::sockjs_body::run(data));
