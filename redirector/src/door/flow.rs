//! One direction of an open connection: what came on one leg, walked along, and put on the other.

use std::{io, mem};

use super::{
    blocked::Alarm,
    leg::Leg,
    walk::{Next, Side, Step, Violation, Walk},
};
use crate::amqp::Method;

/// A direction.
#[derive(Debug)]
pub struct Flow {
    side: Side,
    walk: Walk,
    /// What may not pass yet: a frame that is not whole, or what comes after one that was the last for now.
    kept: Vec<u8>,
    course: Course,
}

/// What becomes of what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It passes.
    Passing,
    /// The frame that has passed in part is finished; what is behind it waits.
    Finishing,
    /// Nothing passes any more: only the answer to a Close is waited for.
    Dropping,
}

/// What passed, and what was seen on the way.
#[derive(Debug, Default)]
pub struct Seen {
    /// Bytes of frames, whether they passed or not.
    pub bytes: usize,
    /// Messages that passed.
    pub messages: u32,
    /// Close passed.
    pub close: bool,
    /// `CloseOk` came.
    pub close_ok: bool,
    /// What the broker says of publishers.
    pub alarm: Option<Alarm>,
    /// Why it does not go on.
    pub failed: Option<Failed>,
}

/// Why a flow does not go on.
#[derive(Debug)]
pub enum Failed {
    /// Whoever sent it broke the rules.
    Violation(Violation),
    /// It is not offered here.
    NotImplemented,
    /// A method that has no place in an open connection.
    Unexpected((u16, u16)),
    /// The other leg is gone.
    Gone,
}

impl Flow {
    /// From the beginning of a frame.
    #[must_use]
    pub fn new(side: Side, frame_max: u32) -> Self {
        Self { side, walk: Walk::new(side, frame_max), kept: Vec::new(), course: Course::Passing }
    }

    /// Whether a frame of ours may be put on the other leg.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.walk.is_between_frames()
    }

    /// What becomes of what comes.
    #[must_use]
    pub fn course(&self) -> Course {
        self.course
    }

    /// Whether more should be read.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        self.course != Course::Finishing || !self.is_between_frames()
    }

    /// Another course from now on. What has waited comes first, with the next [`Flow::feed`], which may be one of nothing.
    pub fn take_course(&mut self, course: Course) {
        self.course = course;
        if course == Course::Dropping {
            // From the beginning of a frame that has not passed, or in one that has passed in part: either is stepped over.
            self.kept.shrink_to_fit();
        }
    }

    /// Takes what came, and puts on the other leg what passes.
    #[inline]
    pub fn feed(&mut self, bytes: &[u8], to: &mut Leg, seen: &mut Seen) {
        if seen.failed.is_some() {
            return;
        }
        if self.kept.is_empty() {
            let used = self.advance(bytes, to, seen);
            self.kept.extend_from_slice(&bytes[used..]);
        } else {
            let mut kept = mem::take(&mut self.kept);
            kept.extend_from_slice(bytes);
            let used = self.advance(&kept, to, seen);
            if used < kept.len() {
                kept.drain(..used);
                self.kept = kept;
            }
        }
    }

    /// How many bytes need not come again.
    fn advance(&mut self, bytes: &[u8], to: &mut Leg, seen: &mut Seen) -> usize {
        let mut used = 0;
        loop {
            let mut window = &bytes[used..];
            if self.course == Course::Finishing {
                window = &window[..self.walk.left().min(window.len())];
                if window.is_empty() {
                    return used;
                }
            }
            let step = match self.walk.step(window) {
                Ok(step) => step,
                Err(violation) => {
                    seen.failed = Some(Failed::Violation(violation));
                    return bytes.len();
                }
            };
            let (passed, gone) = self.apply(step, window, to, seen);
            used += gone;
            seen.bytes += gone;
            if passed.is_err() || seen.failed.is_some() {
                seen.failed = passed.err().map(|_| Failed::Gone).or(seen.failed.take());
                return bytes.len();
            }
            if matches!(step.next, Next::More(_)) {
                return used;
            }
        }
    }

    fn apply(&self, step: Step<'_>, window: &[u8], to: &mut Leg, seen: &mut Seen) -> (io::Result<()>, usize) {
        let passes = self.course != Course::Dropping;
        let mut result = Ok(());
        if passes && step.pass > 0 {
            seen.messages += step.messages;
            result = to.send(&window[..step.pass]);
        }
        let length = match step.next {
            Next::More(_) => 0,
            Next::Heartbeat(length) => length,
            Next::Connection(method, length) => {
                if self.meets(method, seen) && passes && result.is_ok() {
                    result = to.send(&window[step.pass..step.pass + length]);
                }
                length
            }
        };
        (result, step.pass + length)
    }

    /// Takes notice of a method of the connection itself: whether it passes.
    fn meets(&self, method: Method<'_>, seen: &mut Seen) -> bool {
        match (method, self.side) {
            (Method::Close(_), _) => seen.close = true,
            (Method::CloseOk, _) => seen.close_ok = true,
            (Method::Blocked(reason), Side::Broker) => {
                seen.alarm = Some(Alarm::Raised(String::from_utf8_lossy(reason).into_owned()));
                return false;
            }
            (Method::Unblocked, Side::Broker) => {
                seen.alarm = Some(Alarm::Cleared);
                return false;
            }
            (Method::UpdateSecret, Side::Client) => seen.failed = Some(Failed::NotImplemented),
            (other, _) => seen.failed = Some(Failed::Unexpected(other.id())),
        }
        seen.failed.is_none()
    }
}
