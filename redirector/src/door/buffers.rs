//! Buffers that connections use while they have something to move: idle ones hold none.

use std::cell::RefCell;

/// What one read takes at most.
pub const READ: usize = 64 * 1024;
/// A buffer that grew beyond this is not kept.
const LARGEST: usize = 4 * READ;
/// So many are kept by a thread.
const KEPT: usize = 8;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room.
pub fn take() -> Vec<u8> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(READ))
}

/// Takes back one that is not needed any more.
pub fn give(mut buffer: Vec<u8>) {
    if (READ..=LARGEST).contains(&buffer.capacity()) {
        buffer.clear();
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < KEPT {
                spare.push(buffer);
            }
        });
    }
}
