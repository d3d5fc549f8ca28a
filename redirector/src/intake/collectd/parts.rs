//! The parts that a packet consists of: a type and a length of two bytes each, the length with these four bytes, then the content.

/// The part that names the host.
pub(super) const HOST: u16 = 0x0000;
/// The part that signs all that follows it.
pub(super) const SIGN_SHA256: u16 = 0x0200;
/// The part that holds others, encrypted.
pub(super) const ENCR_AES256: u16 = 0x0210;

/// Type and length.
pub(super) const HEADER: usize = 4;

/// One part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) kind: u16,
    /// The part with its header.
    pub(super) whole: &'a [u8],
    /// All from the part's first byte to the packet's end.
    pub(super) rest: &'a [u8],
}

impl<'a> Part<'a> {
    /// The part without its header.
    pub(super) fn content(&self) -> &'a [u8] {
        &self.whole[HEADER..]
    }
}

/// What follows in the packet is no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The parts of a packet, in order; ends with the first that is none.
#[derive(Clone, Debug)]
pub(super) struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    pub(super) fn of(packet: &'a [u8]) -> Self {
        Self(packet)
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<Part<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.0);
        if rest.is_empty() {
            return None;
        }
        let part = rest.split_first_chunk::<HEADER>().and_then(|([k0, k1, l0, l1], _)| {
            let length = usize::from(u16::from_be_bytes([*l0, *l1]));
            let (whole, after) = rest.split_at_checked(length).filter(|_| length >= HEADER)?;
            self.0 = after;
            Some(Part { kind: u16::from_be_bytes([*k0, *k1]), whole, rest })
        });
        Some(part.ok_or(Malformed))
    }
}

/// The longest host that is told in a routing key, which holds 255 bytes; collectd's own limit is 128 with the closing zero.
const MAX_HOST: usize = 127;

/// The first host that a packet names, if it can stand in a routing key.
pub(super) fn host(packet: &[u8]) -> Option<&str> {
    let part = Parts::of(packet).map_while(Result::ok).find(|part| part.kind == HOST)?;
    let text = std::str::from_utf8(part.content().strip_suffix(&[0])?).ok()?;
    (!text.is_empty() && text.len() <= MAX_HOST && !text.contains(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_follow_each_other_until_one_is_none() {
        let packet = b"\x00\x00\x00\x07ab\x00\x00\x08\x00\x04\x00\x01\x00\x09abcd";
        let parts: Vec<_> = Parts::of(packet).collect();
        assert_eq!(parts.len(), 3);
        let first = parts[0].unwrap();
        assert_eq!((first.kind, first.content(), first.rest.len()), (HOST, &b"ab\0"[..], packet.len()));
        assert_eq!((parts[1].unwrap().kind, parts[1].unwrap().content()), (8, &b""[..]));
        assert_eq!(parts[2], Err(Malformed), "a byte is missing");
        assert_eq!(Parts::of(b"\x00\x00\x00\x03").next(), Some(Err(Malformed)), "shorter than its header");
    }

    #[test]
    fn a_host_must_fit_a_routing_key() {
        assert_eq!(host(b"\x00\x02\x00\x05\x00\x00\x00\x00\x0aweb-1\x00"), Some("web-1"));
        for odd in [
            &b"\x00\x00\x00\x05\x00"[..],
            b"\x00\x00\x00\x07a\x07\x00",
            b"\x00\x00\x00\x06ab",
            b"\x00\x00\x00\x07a\xff\x00",
        ] {
            assert_eq!(host(odd), None, "{odd:?}");
        }
        let mut long = vec![0, 0, 0, 133];
        long.extend([b'a'; 128]);
        long.push(0);
        assert_eq!(host(&long), None);
    }

    proptest! {
        #[test]
        fn parts_cover_what_they_were_cut_from(packet in prop::collection::vec(0_u8..20, 0..200)) {
            let parts: Vec<_> = Parts::of(&packet).map_while(Result::ok).collect();
            let whole: Vec<u8> = parts.iter().flat_map(|part| part.whole).copied().collect();
            prop_assert!(packet.starts_with(&whole));
            let _ = host(&packet);
        }
    }
}
