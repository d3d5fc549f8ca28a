//! Reply codes (specification 1.2, "AMQP-defined constants").

use std::fmt;

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Code {
    /// 320: an operator closes it; trying again later is right.
    ConnectionForced = 320,
    /// 403: not allowed to this identity.
    AccessRefused = 403,
    /// 501: no frame can be told from these bytes.
    FrameError = 501,
    /// 502: a frame holds what cannot be read.
    SyntaxError = 502,
    /// 503: a method that is not allowed at this point.
    CommandInvalid = 503,
    /// 504: a channel that cannot be used so.
    ChannelError = 504,
    /// 530: against a rule of the server.
    NotAllowed = 530,
    /// 540: not implemented.
    NotImplemented = 540,
    /// 541: something is wrong on our side.
    InternalError = 541,
}

impl Code {
    /// As it is sent.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// Its name in the specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConnectionForced => "CONNECTION_FORCED",
            Self::AccessRefused => "ACCESS_REFUSED",
            Self::FrameError => "FRAME_ERROR",
            Self::SyntaxError => "SYNTAX_ERROR",
            Self::CommandInvalid => "COMMAND_INVALID",
            Self::ChannelError => "CHANNEL_ERROR",
            Self::NotAllowed => "NOT_ALLOWED",
            Self::NotImplemented => "NOT_IMPLEMENTED",
            Self::InternalError => "INTERNAL_ERROR",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.number(), self.name())
    }
}
