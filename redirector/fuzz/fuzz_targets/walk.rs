//! Whatever comes over an open connection, in whatever pieces: no panic, and the pieces do not matter.

#![no_main]

use kinetic_redirector::door::walk::{Next, Side, Walk};
use libfuzzer_sys::fuzz_target;

/// What passes, up to the first violation; and how many messages began.
fn passed(side: Side, bytes: &[u8], piece: usize) -> (Vec<u8>, u32, bool) {
    let (mut walk, mut kept, mut out, mut messages) = (Walk::new(side, 4096), Vec::new(), Vec::new(), 0);
    for piece in bytes.chunks(piece) {
        kept.extend_from_slice(piece);
        loop {
            let Ok(step) = walk.step(&kept) else { return (out, messages, true) };
            messages += step.messages;
            out.extend_from_slice(&kept[..step.pass]);
            let (gone, more) = match step.next {
                Next::More(_) => (step.pass, false),
                Next::Connection(_, length) | Next::Heartbeat(length) => (step.pass + length, true),
            };
            kept.drain(..gone);
            if !more {
                break;
            }
        }
    }
    (out, messages, false)
}

fuzz_target!(|bytes: &[u8]| {
    for side in [Side::Client, Side::Broker] {
        let (whole, messages, failed) = passed(side, bytes, usize::MAX);
        let (pieces, same_messages, same_failed) = passed(side, bytes, 7);
        assert_eq!(failed, same_failed);
        // A violation found in one look keeps back what stood before it in the same look.
        if failed {
            assert!(pieces.starts_with(&whole));
        } else {
            assert_eq!((whole, messages), (pieces, same_messages));
        }
    }
});
