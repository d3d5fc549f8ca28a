//! Whatever bytes come as collectd's packets: no panic, and what is made of them is sound.

#![no_main]

use kinetic_analyzer::decode::{collectd::{network, types_db::TypesDb}};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    kinetic_analyzer_fuzz::windows(|sink| network::decode(body, &TypesDb::standard(), sink));
});
