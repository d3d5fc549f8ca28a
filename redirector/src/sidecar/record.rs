//! What waits for the upstream, as bytes of a file. Pure.
//!
//! A record is its payload's length (u32), a CRC-32 of that and the payload (u32), and the payload: sequence (u64), arrival (i64,
//! milliseconds since the epoch), lines (u32), instance and profile (u8 length each), origin (u16 length), and the lines up to its end. All
//! numbers are little-endian.

use std::sync::Arc;

use bytes::Bytes;
use memchr::memchr_iter;

use crate::intake::batch::Batch;

/// What a segment's file begins with: what it is, and the version of its records.
pub(super) const HEADER: &[u8; 8] = b"KSPOOL1\n";
/// Length and checksum.
const PREFIX: usize = 8;
/// The numbers of a payload, and the lengths of its texts.
const FIXED: usize = 8 + 8 + 4 + 1 + 1 + 2;
/// A longer payload is none of ours: a batch is bounded by its settings or by the largest datagram.
const MAX_PAYLOAD: usize = 1 << 20;

/// A batch with all that its message will say, the id included: when it is sent twice, both say the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) instance: Arc<str>,
    pub(super) sequence: u64,
    pub(super) profile: Arc<str>,
    pub(super) origin: Arc<str>,
    pub(super) arrived_ms: i64,
    pub(super) lines: u32,
    pub(super) body: Bytes,
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A record, and its length with all that belongs to it.
    Record(Record, usize),
    /// The beginning of a record, or nothing.
    Incomplete,
    /// No record of ours.
    Damaged,
}

impl Record {
    /// The record of a batch.
    pub(super) fn new(batch: Batch, instance: &Arc<str>, sequence: u64, profile: &Arc<str>) -> Self {
        let lines = memchr_iter(b'\n', &batch.body).count() + 1;
        Self {
            instance: Arc::clone(instance),
            sequence,
            profile: Arc::clone(profile),
            origin: batch.origin.into(),
            arrived_ms: batch.arrived_ms,
            lines: u32::try_from(lines).unwrap_or(u32::MAX),
            body: batch.body,
        }
    }

    /// What it takes in memory, about.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.origin.len() + self.body.len()
    }

    /// Appends it to `out`. Texts are cut to what their lengths can tell.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; PREFIX]);
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.arrived_ms.to_le_bytes());
        out.extend_from_slice(&self.lines.to_le_bytes());
        for text in [&self.instance, &self.profile] {
            let text = cut(text, usize::from(u8::MAX));
            out.push(u8::try_from(text.len()).expect("it was cut to that"));
            out.extend_from_slice(text);
        }
        let origin = cut(&self.origin, usize::from(u16::MAX));
        out.extend_from_slice(&u16::try_from(origin.len()).expect("it was cut to that").to_le_bytes());
        out.extend_from_slice(origin);
        out.extend_from_slice(&self.body);
        seal(&mut out[start..]);
    }

    /// Its length in a file.
    pub(super) fn encoded_len(&self) -> usize {
        PREFIX + FIXED + self.instance.len() + self.profile.len() + self.origin.len() + self.body.len()
    }
}

/// Takes the record at the beginning of `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Step {
    let Some((length, rest)) = bytes.split_first_chunk() else { return Step::Incomplete };
    let length = u32::from_le_bytes(*length);
    let Some(size) = usize::try_from(length).ok().filter(|size| (FIXED..=MAX_PAYLOAD).contains(size)) else {
        return Step::Damaged;
    };
    let Some((sum, rest)) = rest.split_first_chunk() else { return Step::Incomplete };
    let Some(payload) = rest.get(..size) else { return Step::Incomplete };
    if checksum(length, payload) != u32::from_le_bytes(*sum) {
        return Step::Damaged;
    }
    payload_of(payload).map_or(Step::Damaged, |record| Step::Record(record, PREFIX + size))
}

fn payload_of(payload: &[u8]) -> Option<Record> {
    let (sequence, rest) = payload.split_first_chunk()?;
    let (arrived, rest) = rest.split_first_chunk()?;
    let (lines, rest) = rest.split_first_chunk()?;
    let (instance, rest) = short_text(rest)?;
    let (profile, rest) = short_text(rest)?;
    let (length, rest) = rest.split_first_chunk()?;
    let (origin, body) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
    Some(Record {
        instance,
        sequence: u64::from_le_bytes(*sequence),
        profile,
        origin: std::str::from_utf8(origin).ok()?.into(),
        arrived_ms: i64::from_le_bytes(*arrived),
        lines: u32::from_le_bytes(*lines),
        body: Bytes::copy_from_slice(body),
    })
}

fn short_text(bytes: &[u8]) -> Option<(Arc<str>, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(text).ok()?.into(), rest))
}

/// Of the length, too: zeros, which a file system may leave, are no record.
fn checksum(length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Writes length and checksum before a payload.
fn seal(record: &mut [u8]) {
    let Some((prefix, payload)) = record.split_first_chunk_mut::<PREFIX>() else { return };
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    prefix[..4].copy_from_slice(&length.to_le_bytes());
    prefix[4..].copy_from_slice(&checksum(length, payload).to_le_bytes());
}

/// The text's beginning, of at most so many bytes, ending between two characters.
fn cut(text: &str, most: usize) -> &[u8] {
    &text.as_bytes()[..text.floor_char_boundary(most)]
}

/// For the fuzz target: walks bytes as records, and as a payload with the right checksum; holds that what was taken is written back the same.
/// Gives the number of records.
///
/// # Panics
/// If a record does not come back as it was read.
#[doc(hidden)]
#[must_use]
pub fn walk(mut bytes: &[u8]) -> usize {
    let mut sealed = [&[0; PREFIX], bytes].concat();
    seal(&mut sealed);
    let mut records = take(&sealed).map_or(0, |_| 1);
    while let Some(length) = take(bytes) {
        bytes = &bytes[length..];
        records += 1;
    }
    records
}

/// The length of the record at the beginning of `bytes`.
fn take(bytes: &[u8]) -> Option<usize> {
    let Step::Record(record, length) = decode(bytes) else { return None };
    let mut again = Vec::with_capacity(length);
    record.encode(&mut again);
    assert_eq!(again, bytes[..length], "what is read is written the same");
    Some(length)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    pub(in super::super) fn any_record() -> impl Strategy<Value = Record> {
        let texts = (".{0,60}", "[a-z0-9-]{0,40}", ".{0,80}");
        (texts, any::<u64>(), any::<i64>(), any::<u32>(), vec(any::<u8>(), 0..400)).prop_map(
            |((instance, profile, origin), sequence, arrived_ms, lines, body)| Record {
                instance: instance.into(),
                sequence,
                profile: profile.into(),
                origin: origin.into(),
                arrived_ms,
                lines,
                body: body.into(),
            },
        )
    }

    /// The records at the beginning of `bytes`, and how far they reach.
    fn all(bytes: &[u8]) -> (Vec<Record>, usize) {
        let (mut records, mut at) = (Vec::new(), 0);
        while let Step::Record(record, length) = decode(&bytes[at..]) {
            records.push(record);
            at += length;
        }
        (records, at)
    }

    #[test]
    fn zeros_and_texts_are_no_records() {
        assert_eq!(decode(&[0; 100]), Step::Damaged);
        assert_eq!(decode(b"page.hits:1|c\npage.hits:1|c\n"), Step::Damaged);
        assert_eq!(decode(&[]), Step::Incomplete);
    }

    #[test]
    fn a_batch_s_lines_are_counted() {
        let batch = |body: &'static str| Batch {
            origin: "web-1".into(),
            arrived_ms: 7,
            pieces: 1,
            body: Bytes::from_static(body.as_bytes()),
        };
        let record = |body| Record::new(batch(body), &"i".into(), 3, &"web".into());
        assert_eq!(record("a:1|c").lines, 1);
        assert_eq!(record("a:1|c\nb:1|c\nc:1|c").lines, 3);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(records in vec(any_record(), 0..8), rest in vec(any::<u8>(), 0..4)) {
            let mut bytes = Vec::new();
            for record in &records {
                let before = bytes.len();
                record.encode(&mut bytes);
                prop_assert_eq!(bytes.len() - before, record.encoded_len());
            }
            let whole = bytes.len();
            bytes.extend(rest);
            prop_assert_eq!(all(&bytes), (records, whole));
        }

        /// A crash leaves a beginning: every record that is whole comes back, and nothing else.
        #[test]
        fn a_torn_tail_costs_its_record_only(records in vec(any_record(), 1..6), torn in any::<prop::sample::Index>()) {
            let (mut bytes, mut ends) = (Vec::new(), Vec::new());
            for record in &records {
                record.encode(&mut bytes);
                ends.push(bytes.len());
            }
            let length = torn.index(bytes.len() + 1);
            let whole = ends.iter().filter(|end| **end <= length).count();
            let (read, reach) = all(&bytes[..length]);
            prop_assert_eq!(&read[..], &records[..whole]);
            prop_assert_eq!(reach, if whole == 0 { 0 } else { ends[whole - 1] });
        }

        #[test]
        fn a_changed_byte_is_noticed(record in any_record(), at in any::<prop::sample::Index>(), change in 1_u8..) {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            prop_assert!(!matches!(decode(&bytes), Step::Record(..)));
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in vec(any::<u8>(), 0..300)) {
            prop_assert!(walk(&bytes) <= 1 + bytes.len() / 32);
        }
    }
}
