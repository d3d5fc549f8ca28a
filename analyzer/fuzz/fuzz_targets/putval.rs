//! Whatever bytes come as collectd's text protocol: no panic, and what is made of them is sound.

#![no_main]

use kinetic_analyzer::decode::{collectd::{putval, types_db::TypesDb}};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    kinetic_analyzer_fuzz::windows(|sink| putval::decode(body, &TypesDb::standard(), sink));
});
