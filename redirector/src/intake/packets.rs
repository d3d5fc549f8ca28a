//! Cuts a byte stream into packets, each behind its length in four bytes, little-endian: what DogStatsD clients send to `unixstream://PATH`
//! (Datadog's agent: `comp/dogstatsd/listeners/uds_common.go`). Pure.

/// As many bytes as a datagram may have, too. A longer packet is no packet, but a stream that means something else: its end cannot be known.
pub(super) const MAX_PACKET: usize = 65_535;
/// What stands before each packet, in bytes.
const PREFIX: usize = 4;
/// The memory of a longer packet is given back: there may be many connections.
const KEPT: usize = 8 * 1024;

/// Remembers the packet that has not come whole yet.
#[derive(Debug, Default)]
pub(super) struct Packets {
    partial: Vec<u8>,
}

/// A packet that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a packet of {0} bytes: {MAX_PACKET} is the most, each behind its length in four bytes, little-endian; newline-separated lines are for TCP, and \
     single datagrams for the datagram socket"
)]
pub(super) struct TooLong(u32);

impl Packets {
    /// Gives `take` each packet that ends in `chunk`, without its length. After an error the stream is of no use.
    pub(super) fn feed(&mut self, mut chunk: &[u8], mut take: impl FnMut(&[u8])) -> Result<(), TooLong> {
        loop {
            // What has begun is completed first; what comes whole is not copied.
            if !self.partial.is_empty() {
                let wanted = PREFIX + length(&self.partial)?.unwrap_or_default();
                let (more, rest) = chunk.split_at(chunk.len().min(wanted - self.partial.len()));
                self.partial.extend_from_slice(more);
                chunk = rest;
                match length(&self.partial)? {
                    Some(length) if self.partial.len() == PREFIX + length => {
                        take(&self.partial[PREFIX..]);
                        if length > KEPT { self.partial = Vec::new() } else { self.partial.clear() }
                    }
                    // The length was completed, and not the packet.
                    Some(_) if !chunk.is_empty() => {}
                    _ => return Ok(()),
                }
                continue;
            }
            match length(chunk)? {
                Some(length) if chunk.len() >= PREFIX + length => {
                    take(&chunk[PREFIX..PREFIX + length]);
                    chunk = &chunk[PREFIX + length..];
                }
                _ => {
                    self.partial.extend_from_slice(chunk);
                    return Ok(());
                }
            }
        }
    }

    /// At the stream's end: whether it broke off within a packet.
    pub(super) fn is_torn(&self) -> bool {
        !self.partial.is_empty()
    }
}

/// How long the packet is that begins here; none if its length has not come whole.
fn length(bytes: &[u8]) -> Result<Option<usize>, TooLong> {
    let Some(prefix) = bytes.first_chunk::<PREFIX>() else { return Ok(None) };
    let length = u32::from_le_bytes(*prefix);
    match usize::try_from(length) {
        Ok(length) if length <= MAX_PACKET => Ok(Some(length)),
        _ => Err(TooLong(length)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The packets, when `bytes` come in chunks of `size`, and whether it broke off in one.
    fn cut(bytes: &[u8], size: usize) -> Result<(Vec<Vec<u8>>, bool), TooLong> {
        let (mut cutter, mut packets) = (Packets::default(), Vec::new());
        for chunk in bytes.chunks(size) {
            cutter.feed(chunk, |packet| packets.push(packet.to_vec()))?;
            assert!(cutter.partial.len() < PREFIX + MAX_PACKET);
        }
        Ok((packets, cutter.is_torn()))
    }

    fn framed(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for packet in packets {
            bytes.extend(u32::try_from(packet.len()).unwrap().to_le_bytes());
            bytes.extend(packet);
        }
        bytes
    }

    #[test]
    fn the_length_is_little_endian_and_bounded() {
        let bytes = b"\x05\x00\x00\x00a:1|c\x00\x00\x00\x00\x0b\x00\x00\x00b:2|c\nb:3|c";
        let packets = vec![b"a:1|c".to_vec(), b"".to_vec(), b"b:2|c\nb:3|c".to_vec()];
        for size in 1..=bytes.len() {
            assert_eq!(cut(bytes, size), Ok((packets.clone(), false)), "in chunks of {size}");
        }
        let longest = vec![vec![b'x'; MAX_PACKET]; 2];
        assert_eq!(cut(&framed(&longest), 1000), Ok((longest, false)));
        assert_eq!(cut(&65_536_u32.to_le_bytes(), 1), Err(TooLong(65_536)));
        // Lines without a length before them: the first four letters are one.
        assert_eq!(cut(b"page:1|c\n", 100), Err(TooLong(u32::from_le_bytes(*b"page"))));
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..10),
            size in 1_usize..700,
            lost in 0_usize..20,
        ) {
            let bytes = framed(&packets);
            let came = &bytes[..bytes.len().saturating_sub(lost)];
            let (taken, torn) = cut(came, size).unwrap();
            prop_assert!(packets.starts_with(&taken));
            prop_assert_eq!(framed(&taken).len() == came.len(), !torn);
            let rest = came.len() - framed(&taken).len();
            let next = packets.get(taken.len());
            prop_assert!(next.is_none_or(|next| rest < PREFIX + next.len()), "a whole packet was kept back");
        }

        #[test]
        fn any_bytes_are_cut_alike_in_any_chunks(bytes in proptest::collection::vec(any::<u8>(), 0..600), size in 1_usize..50) {
            // Small lengths, so that packets come about.
            let bytes: Vec<u8> = bytes.iter().map(|byte| if byte % 3 == 0 { 0 } else { byte % 8 }).collect();
            prop_assert_eq!(cut(&bytes, size).ok(), cut(&bytes, 600).ok());
        }
    }
}
