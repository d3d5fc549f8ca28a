//! Content headers (specification 2.3.5.2): what a message's headers name.

use super::{
    read::{Malformed, Reader},
    table::Table,
};

const BASIC: u16 = 60;
const CONTENT_TYPE: u16 = 1 << 15;
const CONTENT_ENCODING: u16 = 1 << 14;
const HEADERS: u16 = 1 << 13;
/// Two bits that basic's thirteen properties leave over. The last of them says that more flags follow, of which it has none: a broker
/// that does not look at it would read another message than we.
const NO_PROPERTIES: u16 = 0b11;

/// Whether a message would go by more keys than its own: the headers `CC` and `BCC` (RabbitMQ's sender-selected distribution).
#[inline]
pub fn selects_receivers(payload: &[u8]) -> Result<bool, Malformed> {
    let mut rest = Reader(payload);
    let class = rest.short()?;
    let _weight = rest.short()?;
    let _size = rest.take(8)?;
    let flags = rest.short()?;
    if class != BASIC || flags & NO_PROPERTIES != 0 {
        return Err(Malformed::Header);
    }
    if flags & HEADERS == 0 {
        return Ok(false);
    }
    for flag in [CONTENT_TYPE, CONTENT_ENCODING] {
        if flags & flag != 0 {
            rest.short_string()?;
        }
    }
    let headers = Table::read(rest.long_string()?)?;
    Ok(headers.fields().any(|field| matches!(field.name, b"CC" | b"BCC")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::amqp::table::TableBuf;

    fn header(flags: u16, properties: &[u8]) -> Vec<u8> {
        [&BASIC.to_be_bytes()[..], &[0, 0], &5_u64.to_be_bytes(), &flags.to_be_bytes(), properties].concat()
    }

    fn headers(table: &TableBuf) -> Vec<u8> {
        let bytes = table.as_table().bytes();
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
    }

    #[test]
    fn cc_and_bcc_are_seen_wherever_the_headers_are() {
        for (name, expected) in [("CC", true), ("BCC", true), ("cc", false), ("origin", false)] {
            let headers = headers(&TableBuf::default().text("first", "x").text(name, "statsd.other.x"));
            assert_eq!(selects_receivers(&header(HEADERS, &headers)), Ok(expected));
            let after = [&b"\x0atext/plain\x04gzip"[..], &headers, &[2]].concat();
            let flags = CONTENT_TYPE | CONTENT_ENCODING | HEADERS | 1 << 12;
            assert_eq!(selects_receivers(&header(flags, &after)), Ok(expected));
        }
        assert_eq!(selects_receivers(&header(0, &[])), Ok(false));
        assert_eq!(selects_receivers(&header(1 << 12, &[2])), Ok(false));
    }

    #[test]
    fn what_a_broker_would_read_otherwise_is_refused() {
        let cc = headers(&TableBuf::default().text("CC", "x"));
        assert_eq!(selects_receivers(&header(HEADERS | 1, &cc)), Err(Malformed::Header));
        let mut other_class = header(HEADERS, &cc);
        other_class[1] = 61;
        assert_eq!(selects_receivers(&other_class), Err(Malformed::Header));
        assert_eq!(selects_receivers(&header(HEADERS, &cc[..5])), Err(Malformed::Short));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_not(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = selects_receivers(&header(HEADERS, &bytes));
            let _ = selects_receivers(&bytes);
        }
    }
}
