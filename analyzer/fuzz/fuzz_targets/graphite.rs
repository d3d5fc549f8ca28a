//! Whatever bytes come as Graphite lines: no panic, and what is made of them is sound.

#![no_main]

use kinetic_analyzer::decode::{
    collectd::types_db::TypesDb,
    graphite::{self, Paths},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    kinetic_analyzer_fuzz::windows(|sink| graphite::decode(body, Paths::Metrics, sink));
    kinetic_analyzer_fuzz::windows(|sink| graphite::decode(body, Paths::Collectd(&TypesDb::standard()), sink));
});
