//! The AMQP 0-9-1 that the front door speaks: frames, field tables, the methods of a connection, and where a message's header ends.
//!
//! Pure: bytes in, values out. All of it is bounded by the frame that it lies in; tables are stepped over by their lengths, never
//! followed into their depth, so that no peer decides how deep we go.

pub mod frame;
pub mod header;
pub mod method;
mod read;
pub mod reply;
pub mod table;

pub use frame::{Frame, FrameHead, FrameKind};
pub use method::{Close, Method, Open, Start, StartOk, Tune};
pub use read::Malformed;
pub use reply::Code;
pub use table::Table;

/// What a client begins with (specification 2.2.4, "The Protocol Header").
pub const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\0\0\x09\x01";
