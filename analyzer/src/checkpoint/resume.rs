//! Whether a stream is the one that a checkpoint tells of (DESIGN.md, "Time", rule 5). Pure.
//!
//! It is read from a message that the checkpoint knows, the last tick as a rule. If that is there, the stream is the same. If the first
//! message is a later one, it was trimmed, or it was deleted and made anew and has grown beyond: the identity in the next tick tells.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A message that a checkpoint knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Anchor {
    /// Its offset.
    pub(crate) offset: u64,
    /// A hash of what tells it from others.
    pub(crate) digest: u64,
}

/// How far a stream was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The offset of the last message that was taken in.
    pub(crate) last: u64,
    /// Where to begin to read, and what must be there: at `last` or before.
    pub(crate) anchor: Anchor,
}

/// What was delivered, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// A tick with the stream's identity, as its publisher knew it: none if it knew none.
    Tick(Option<Uuid>),
    /// Anything else.
    Message,
}

/// What the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is not clear yet.
    Unclear,
    /// The same; messages that were not read are gone from it: so many.
    Same {
        /// The number of messages.
        lost: u64,
    },
    /// Another one of the same name.
    Anew,
}

/// A stream being looked at.
#[derive(Debug)]
pub(crate) struct Resume {
    identity: Option<Uuid>,
    position: Position,
    first: Option<u64>,
}

impl Resume {
    /// What a checkpoint tells.
    pub(crate) fn new(identity: Option<Uuid>, position: Position) -> Self {
        Self { identity, position, first: None }
    }

    /// Looks at one message, in order from the anchor's offset on.
    pub(crate) fn delivered(&mut self, offset: u64, digest: u64, what: Delivered) -> Verdict {
        let Position { last, anchor } = self.position;
        let first = *self.first.get_or_insert(offset);
        if first == anchor.offset {
            return if digest == anchor.digest { Verdict::Same { lost: 0 } } else { Verdict::Anew };
        }
        let same = Verdict::Same { lost: first.saturating_sub(last.saturating_add(1)) };
        match (what, self.identity) {
            (Delivered::Message, _) => Verdict::Unclear,
            (Delivered::Tick(Some(read)), Some(known)) if read != known => Verdict::Anew,
            // A tick without identity is one of ours: the stream's end was reached, and nothing in it says that it is another.
            (Delivered::Tick(_), _) => same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    fn resume() -> Resume {
        let position = Position { last: 110, anchor: Anchor { offset: 100, digest: 7 } };
        Resume::new(Some(MINE), position)
    }

    #[test]
    fn what_is_expected_is_there() {
        assert_eq!(resume().delivered(100, 7, Delivered::Tick(Some(MINE))), Verdict::Same { lost: 0 });
        assert_eq!(resume().delivered(100, 7, Delivered::Message), Verdict::Same { lost: 0 });
    }

    #[test]
    fn something_else_is_there() {
        assert_eq!(resume().delivered(100, 8, Delivered::Tick(Some(MINE))), Verdict::Anew);
    }

    #[test]
    fn trimmed() {
        let mut resume = resume();
        assert_eq!(resume.delivered(150, 7, Delivered::Message), Verdict::Unclear);
        assert_eq!(resume.delivered(151, 7, Delivered::Tick(Some(MINE))), Verdict::Same { lost: 39 });
    }

    #[test]
    fn trimmed_no_further_than_it_was_read() {
        assert_eq!(resume().delivered(111, 7, Delivered::Tick(Some(MINE))), Verdict::Same { lost: 0 });
        assert_eq!(resume().delivered(105, 7, Delivered::Tick(None)), Verdict::Same { lost: 0 });
    }

    #[test]
    fn made_anew_and_grown_beyond() {
        let mut resume = resume();
        assert_eq!(resume.delivered(150, 7, Delivered::Message), Verdict::Unclear);
        assert_eq!(resume.delivered(151, 7, Delivered::Tick(Some(OTHER))), Verdict::Anew);
    }
}
