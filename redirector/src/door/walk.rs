//! Steps along the frames of an open connection. What may pass is passed as it came, body or not yet whole: only frames that must be
//! looked into are waited for.

use crate::amqp::{
    FrameHead, FrameKind, Malformed, Method,
    frame::{END, FrameError, HEAD},
    header, reply,
};

/// Whose bytes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A client's: its messages must not choose receivers of their own (`CC`, `BCC`).
    Client,
    /// A broker's.
    Broker,
}

/// Where in the frames a stream of bytes is.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    side: Side,
    frame_max: u32,
    /// What is left of a frame that passes, its end included.
    left: usize,
}

/// How far it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// So many bytes from the beginning may pass.
    pub pass: usize,
    /// So many messages began among them.
    pub messages: u32,
    /// What comes after them.
    pub next: Next<'a>,
}

/// What it stopped at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// The rest, fewer bytes than a frame that must be whole, waits for more; so many are needed at least.
    More(usize),
    /// A method of the connection itself, and how long its frame is.
    Connection(Method<'a>, usize),
    /// So many bytes of a heartbeat, which ends here: each leg has its own.
    Heartbeat(usize),
}

/// Why the connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// No frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A header or method that cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A message that names its receivers itself.
    #[error("the headers CC and BCC are not taken: a message goes where its routing key says")]
    SelectsReceivers,
}

impl Violation {
    /// The reply code for it.
    #[must_use]
    pub fn code(self) -> reply::Code {
        match self {
            Self::Frame(error) => error.code(),
            Self::Malformed(Malformed::Method(..)) => reply::Code::CommandInvalid,
            Self::Malformed(_) => reply::Code::SyntaxError,
            Self::SelectsReceivers => reply::Code::AccessRefused,
        }
    }
}

impl Walk {
    /// At the beginning of a frame; `frame_max` is what was agreed upon, 0 for no limit.
    #[must_use]
    pub fn new(side: Side, frame_max: u32) -> Self {
        Self { side, frame_max: if frame_max == 0 { u32::MAX } else { frame_max }, left: 0 }
    }

    /// Whether what has passed so far ends where a frame does, so that another frame may be put in.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.left == 0
    }

    /// What is missing of the frame that has passed in part.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left
    }

    /// Goes on from where it is. The bytes after `pass`, and after what [`Next`] says, must come again at the beginning of the next call.
    #[inline]
    pub fn step<'a>(&mut self, bytes: &'a [u8]) -> Result<Step<'a>, Violation> {
        let mut pass = 0;
        let mut messages = 0;
        let next = loop {
            if self.left > 0 {
                let taken = self.left.min(bytes.len() - pass);
                pass += taken;
                self.left -= taken;
                if self.left > 0 {
                    break Next::More(1);
                }
                if taken > 0 && bytes[pass - 1] != END {
                    return Err(FrameError::End(bytes[pass - 1]).into());
                }
            }
            let rest = &bytes[pass..];
            let Some(head) = rest.first_chunk::<HEAD>() else { break Next::More(HEAD - rest.len()) };
            let head = FrameHead::read(*head, self.frame_max)?;
            let passes = match head.kind {
                FrameKind::Body => true,
                FrameKind::Header => self.side == Side::Broker,
                FrameKind::Method => head.channel != 0,
                FrameKind::Heartbeat => false,
            };
            if passes {
                messages += u32::from(head.kind == FrameKind::Header);
                self.left = head.whole();
                continue;
            }
            let Some(frame) = rest.get(..head.whole()) else { break Next::More(head.whole() - rest.len()) };
            let (payload, end) = (&frame[HEAD..frame.len() - 1], frame[frame.len() - 1]);
            if end != END {
                return Err(FrameError::End(end).into());
            }
            match head.kind {
                FrameKind::Method => break Next::Connection(Method::read(payload)?, frame.len()),
                FrameKind::Heartbeat => break Next::Heartbeat(frame.len()),
                FrameKind::Header | FrameKind::Body => {
                    if header::selects_receivers(payload)? {
                        return Err(Violation::SelectsReceivers);
                    }
                    messages += 1;
                    pass += frame.len();
                }
            }
        };
        Ok(Step { pass, messages, next })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::amqp::{frame, table::TableBuf};

    fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = frame::method(payload);
        frame[0] = kind;
        frame[1..3].copy_from_slice(&channel.to_be_bytes());
        frame
    }

    fn header(name: &str) -> Vec<u8> {
        let table = TableBuf::default().text(name, "x");
        let table = table.as_table().bytes();
        let payload = [
            &[0, 60, 0, 0][..],
            &[0; 8],
            &[0x20, 0],
            &u32::try_from(table.len()).unwrap().to_be_bytes(),
            table,
        ]
        .concat();
        frame(2, 1, &payload)
    }

    /// Everything that passes, with what it stopped at between, of bytes that come in pieces.
    fn walk(side: Side, pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<String>, u32), Violation> {
        let (mut walk, mut kept, mut passed) = (Walk::new(side, 4096), Vec::new(), Vec::new());
        let (mut stops, mut messages) = (Vec::new(), 0);
        for piece in pieces {
            kept.extend_from_slice(piece);
            loop {
                let Step { pass, messages: began, next } = walk.step(&kept)?;
                passed.extend_from_slice(&kept[..pass]);
                messages += began;
                let gone = match next {
                    Next::More(_) => pass,
                    Next::Connection(method, length) => {
                        stops.push(format!("{method:?}"));
                        pass + length
                    }
                    Next::Heartbeat(length) => {
                        stops.push("heartbeat".to_owned());
                        pass + length
                    }
                };
                let more = matches!(next, Next::More(_));
                kept.drain(..gone);
                if more {
                    break;
                }
            }
        }
        Ok((passed, stops, messages))
    }

    fn traffic() -> (Vec<u8>, Vec<u8>) {
        let publish = frame(1, 1, &[0, 60, 0, 40, 0, 0, 0, 0, 0]);
        let body = frame(3, 1, &[7; 300]);
        let message = [publish, header("origin"), body].concat();
        let heartbeat = frame::HEARTBEAT.to_vec();
        let close = Method::CloseOk.frame();
        ([&message[..], &heartbeat, &message, &close].concat(), [&message[..], &message].concat())
    }

    #[test]
    fn messages_pass_and_heartbeats_end() {
        let (bytes, expected) = traffic();
        for side in [Side::Client, Side::Broker] {
            let (passed, stops, messages) = walk(side, &[&bytes]).unwrap();
            assert_eq!((passed, messages), (expected.clone(), 2));
            assert_eq!(stops, ["heartbeat", "CloseOk"]);
        }
    }

    #[test]
    fn only_a_client_is_kept_from_choosing_receivers() {
        assert_eq!(walk(Side::Client, &[&header("BCC")]), Err(Violation::SelectsReceivers));
        assert_eq!(walk(Side::Broker, &[&header("CC")]).unwrap().2, 1);
        assert_eq!(Violation::SelectsReceivers.code().number(), 403);
    }

    #[test]
    fn a_body_passes_before_it_is_whole_a_header_does_not() {
        let body = frame(3, 1, &[7; 300]);
        let mut walk = Walk::new(Side::Client, 4096);
        assert_eq!(walk.step(&body[..100]).unwrap(), Step { pass: 100, messages: 0, next: Next::More(1) });
        assert!(!walk.is_between_frames());
        assert_eq!(walk.left(), body.len() - 100);
        let mut walk = Walk::new(Side::Client, 4096);
        let header = header("origin");
        assert_eq!(walk.step(&header[..20]).unwrap().next, Next::More(header.len() - 20));
        assert!(walk.is_between_frames());
    }

    #[test]
    fn what_breaks_the_rules() {
        let mut wrong_end = frame(3, 1, &[7; 10]);
        *wrong_end.last_mut().unwrap() = 0;
        assert_eq!(walk(Side::Client, &[&wrong_end]).unwrap_err(), FrameError::End(0).into());
        let foreign = frame(1, 0, &[0, 20, 0, 10]);
        assert_eq!(walk(Side::Client, &[&foreign]).unwrap_err().code().number(), 503);
        assert_eq!(walk(Side::Client, &[&[3, 0, 1, 0, 1, 0, 0]]).unwrap_err().code().number(), 501);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
            let (bytes, _) = traffic();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut begin = 0;
            for cut in cuts {
                pieces.push(&bytes[begin..cut]);
                begin = cut;
            }
            pieces.push(&bytes[begin..]);
            prop_assert_eq!(walk(Side::Client, &pieces), walk(Side::Client, &[&bytes]));
        }

        #[test]
        fn any_bytes_pass_or_not(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = walk(Side::Client, &[&bytes]);
            let _ = walk(Side::Broker, &[&[3, 0, 1, 0, 0, 0, 9][..], &bytes]);
        }
    }
}
