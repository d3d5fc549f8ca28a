//! Whatever bytes lie in a spool's file: no panic, and every record that is taken is written back the same.

#![no_main]

use kinetic_redirector::sidecar::walk;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The shortest record has 32 bytes; and all of them may be one's payload.
    assert!(walk(bytes) <= 1 + bytes.len() / 32);
});
