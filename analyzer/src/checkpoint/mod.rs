//! What an analyzer knows, as bytes: a state and the envelope that guards it; and what it takes to go on from there. Pure; files are
//! the service's.
//!
//! ```text
//! magic (8 bytes) │ format (u16) │ software version (u8 length, text) │ body (postcard) │ checksum (u64)
//! ```
//!
//! Numbers are little-endian. The checksum is of all before it: each piece of 256 KiB is [`hash`]ed, the hash so far its seed.

mod producers;
mod resume;

use kinetic_api::anomaly::Anomaly;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use self::{
    producers::Producers,
    resume::{Anchor, Delivered, Position, Resume, Verdict},
};
use crate::{
    image::{PIECE, Reader, Writer, as_json},
    partition::Partition,
    window::hash::hash,
};

const MAGIC: &[u8; 8] = b"kinetic\x01";
/// The body's format: one more whenever a type in it changes.
const FORMAT: u16 = 4;
const SEED: u64 = 0x6368_6563_6b70_6f69;

/// What an analyzer knows of a source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// `customer/topology/source`.
    pub(crate) of: String,
    pub(crate) partition: Partition,
    /// Hash of all that decides what is found.
    pub(crate) generation: u64,
    /// The stream's identity, once a tick told it.
    pub(crate) identity: Option<Uuid>,
    /// How far it was read; None: not at all.
    pub(crate) position: Option<Position>,
    /// The wall time of the last tick.
    pub(crate) last_tick: Option<i64>,
    /// What fires, as published: of use even to whoever cannot use the rest.
    #[serde(with = "as_json")]
    pub(crate) firing: Vec<Anomaly>,
    /// What an engine before this one held to be firing, while that has not been read again.
    pub(crate) handover: Option<Handover>,
    pub(crate) producers: Producers,
    /// The engine's own image; of one that was read.
    #[serde(skip)]
    pub(crate) engine: Vec<u8>,
}

/// What an engine before this one held to be firing. What then does not fire is over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Handover {
    pub(crate) until: Until,
    #[serde(with = "as_json")]
    pub(crate) firing: Vec<Anomaly>,
}

/// When an engine that reads a stream again has seen as much as the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Until {
    /// The message at this offset was read.
    Offset(u64),
    /// A tick of this wall time or later was read.
    Tick(i64),
}

/// Why bytes are no checkpoint of use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it is no checkpoint of Kinetic")]
    Foreign,
    #[error("it was written in format {format} by version {version}; this version reads format {FORMAT}")]
    Version { format: u16, version: String },
    #[error("it is damaged: {0}")]
    Damaged(String),
}

impl Checkpoint {
    /// Hands a checkpoint on in pieces: this one, and the image that an engine makes of itself.
    pub(crate) fn write(&self, engine: impl FnOnce(&mut Writer<'_>), take: &mut dyn FnMut(Vec<u8>)) {
        let version = env!("CARGO_PKG_VERSION").as_bytes();
        let mut checksum = SEED;
        let mut guard = |piece: Vec<u8>| {
            checksum = hash(checksum, &piece);
            take(piece);
        };
        let mut out = Writer::new(&mut guard);
        out.bytes(MAGIC);
        out.bytes(&FORMAT.to_le_bytes());
        out.bytes(&[u8::try_from(version.len()).expect("a version of a few characters")]);
        out.bytes(version);
        out.put(self);
        engine(&mut out);
        out.finish();
        take(checksum.to_le_bytes().to_vec());
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let damaged = |why: &str| Unreadable::Damaged(why.to_owned());
        let short = || damaged("its end is missing");
        let rest = bytes.strip_prefix(MAGIC).ok_or(Unreadable::Foreign)?;
        let (format, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let format = u16::from_le_bytes(*format);
        let (&length, rest) = rest.split_first().ok_or_else(short)?;
        let (version, rest) = rest.split_at_checked(usize::from(length)).ok_or_else(short)?;
        if format != FORMAT {
            let version = String::from_utf8_lossy(version).into_owned();
            return Err(Unreadable::Version { format, version });
        }
        let (content, checksum) = bytes.split_last_chunk().ok_or_else(short)?;
        let guard = content.chunks(PIECE).fold(SEED, hash);
        if guard != u64::from_le_bytes(*checksum) {
            return Err(damaged("its checksum is wrong"));
        }
        let (body, _) = rest.split_last_chunk::<8>().ok_or_else(short)?;
        let mut body = Reader::new(body);
        let read: Self = body.get().map_err(|error| damaged(&error.to_string()))?;
        Ok(Self { engine: body.rest().to_vec(), ..read })
    }
}

#[cfg(test)]
mod tests;
