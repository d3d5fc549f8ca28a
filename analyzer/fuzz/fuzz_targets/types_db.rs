//! Whatever text comes as a types.db: no panic, and what is read says what its types are.

#![no_main]

use kinetic_analyzer::decode::collectd::types_db::TypesDb;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut types = TypesDb::default();
    if types.add(text).is_err() {
        assert!(!text.is_empty());
    }
    assert!(types.iter().all(|(_, sources)| !sources.is_empty()));
});
