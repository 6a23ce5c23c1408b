//! What it does stands in `src/fuzzed.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| camunda_auth_proxy::fuzzed::run("inbound", octets));
