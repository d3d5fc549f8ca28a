//! Whatever bytes come as JSON: no panic, and what is made of them is sound.

#![no_main]

use kinetic_analyzer::decode::{collectd::types_db::TypesDb, json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    kinetic_analyzer_fuzz::windows(|sink| json::decode(body, &TypesDb::standard(), sink));
});
