//! Whatever bytes come as line protocol: no panic, and what is made of them is sound.

#![no_main]

use kinetic_analyzer::decode::influx;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    kinetic_analyzer_fuzz::windows(|sink| influx::decode(body, sink));
});
