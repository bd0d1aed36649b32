#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tethered_fuzz::stomp_frame::run(data));
