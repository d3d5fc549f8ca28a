//! Frames (specification 2.3.5, "Frame Details"): type, channel, length, payload, end.

use super::reply::Code;

/// Type, channel and length.
pub const HEAD: usize = 7;
/// What a frame has around its payload.
pub const AROUND: usize = HEAD + 1;
/// The octet that ends a frame.
pub const END: u8 = 0xCE;
/// A whole heartbeat.
pub const HEARTBEAT: [u8; AROUND] = [8, 0, 0, 0, 0, 0, 0, END];

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A method.
    Method,
    /// The header of a content.
    Header,
    /// A part of a content.
    Body,
    /// Nothing: the peer lives.
    Heartbeat,
}

/// The first seven octets of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// What follows.
    pub kind: FrameKind,
    /// 0 is the connection itself.
    pub channel: u16,
    /// The payload's length.
    pub length: u32,
}

/// A whole frame of a connection's handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the payload is.
    pub kind: FrameKind,
    /// 0 is the connection itself.
    pub channel: u16,
    /// Without head and end.
    pub payload: Vec<u8>,
}

/// Why bytes are no frame: what RabbitMQ closes with 501, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not one of the four types.
    #[error("a frame of the unknown type {0}")]
    Kind(u8),
    /// Larger than was agreed upon.
    #[error("a frame of {length} bytes, of which {max} are allowed")]
    Long {
        /// With head and end.
        length: u64,
        /// As agreed by Tune, or before it.
        max: u32,
    },
    /// The octet after the payload is not 0xCE.
    #[error("a frame that ends in {0:#04x} instead of 0xce")]
    End(u8),
    /// A heartbeat with a payload, or on a channel.
    #[error("a heartbeat that is none")]
    Heartbeat,
    /// Content on channel 0.
    #[error("content on channel 0")]
    Channel,
}

impl FrameError {
    /// What a connection is closed with.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::Channel => Code::ChannelError,
            _ => Code::FrameError,
        }
    }
}

impl FrameHead {
    /// Reads it; `max` bounds the whole frame, head and end included.
    #[inline]
    pub fn read(head: [u8; HEAD], max: u32) -> Result<Self, FrameError> {
        let [kind, c0, c1, l0, l1, l2, l3] = head;
        let kind = match kind {
            1 => FrameKind::Method,
            2 => FrameKind::Header,
            3 => FrameKind::Body,
            8 => FrameKind::Heartbeat,
            other => return Err(FrameError::Kind(other)),
        };
        let head = Self {
            kind,
            channel: u16::from_be_bytes([c0, c1]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        };
        let length = u64::from(head.length) + AROUND as u64;
        if length > u64::from(max) {
            return Err(FrameError::Long { length, max });
        }
        match head.kind {
            FrameKind::Heartbeat if head.length != 0 || head.channel != 0 => Err(FrameError::Heartbeat),
            FrameKind::Header | FrameKind::Body if head.channel == 0 => Err(FrameError::Channel),
            _ => Ok(head),
        }
    }

    /// The whole frame's length.
    #[must_use]
    pub fn whole(self) -> usize {
        self.length as usize + AROUND
    }
}

/// Writes a method on channel 0.
#[must_use]
pub fn method(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + AROUND);
    frame.extend_from_slice(&[1, 0, 0]);
    super::read::put_long_string(&mut frame, payload);
    frame.push(END);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_what_follows() {
        let head = FrameHead::read([3, 1, 2, 0, 0, 1, 0], 4096).unwrap();
        assert_eq!(head, FrameHead { kind: FrameKind::Body, channel: 258, length: 256 });
        assert_eq!(head.whole(), 264);
        assert_eq!(
            FrameHead::read(HEARTBEAT[..HEAD].try_into().unwrap(), 4096).unwrap().whole(),
            HEARTBEAT.len()
        );
    }

    #[test]
    fn what_is_no_frame() {
        for (head, error, code) in [
            ([4, 0, 0, 0, 0, 0, 0], FrameError::Kind(4), 501),
            ([b'A', b'M', b'Q', b'P', 0, 0, 9], FrameError::Kind(b'A'), 501),
            ([1, 0, 0, 0, 0, 0x10, 0], FrameError::Long { length: 4104, max: 4096 }, 501),
            ([3, 0, 1, 0xff, 0xff, 0xff, 0xff], FrameError::Long { length: 4_294_967_303, max: 4096 }, 501),
            ([8, 0, 0, 0, 0, 0, 1], FrameError::Heartbeat, 501),
            ([8, 0, 1, 0, 0, 0, 0], FrameError::Heartbeat, 501),
            ([2, 0, 0, 0, 0, 0, 1], FrameError::Channel, 504),
        ] {
            assert_eq!(FrameHead::read(head, 4096), Err(error));
            assert_eq!(error.code().number(), code);
        }
        assert!(FrameHead::read([1, 0, 0, 0, 0, 0x0f, 0xf8], 4096).is_ok());
    }

    #[test]
    fn a_method_is_framed() {
        assert_eq!(method(&[0, 10, 0, 51]), [1, 0, 0, 0, 0, 0, 4, 0, 10, 0, 51, END]);
    }
}
