//! Bytes found in a block of text, and numbers read out of one, in as many steps whatever the text is.
//!
//! Lines, names and values differ in length from one line to the next, and a processor that guesses wrong how often a loop goes round
//! loses more time than the loop takes. So the usual cases, lines up to 128 bytes and values up to eight digits, take no loop.

use wide::u8x16;

/// Bytes that are looked at together.
pub type Block = [u8; 64];

/// Which bytes of a block are `byte`: bit n says it of byte n.
#[inline]
#[must_use]
pub fn occurrences(block: &Block, byte: u8) -> u64 {
    let (parts, _) = block.as_chunks::<16>();
    let byte = u8x16::splat(byte);
    parts
        .iter()
        .rev()
        .fold(0, |mask, part| mask << 16 | u64::from(u8x16::from(*part).simd_eq(byte).to_bitmask()))
}

const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * EACH;
const ZEROS: u64 = b'0' as u64 * EACH;
const TENS: [f64; 8] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];

/// The number that the first `length` of these bytes are, if they are digits with a decimal point or none. None also for
/// what takes more care.
#[inline]
#[must_use]
pub fn plain_number(text: [u8; 8], length: usize) -> Option<f64> {
    if !(1..=8).contains(&length) {
        return None;
    }
    // Moved to the end, with zeros before. The first digit is in the lowest byte.
    let bits = length * 8;
    let text = (u64::from_le_bytes(text) << (64 - bits)) | ((ZEROS >> (bits - 8)) >> 8);
    // The lowest bit set is that of the first point.
    let unlike = text ^ (u64::from(b'.') * EACH);
    let point = unlike.wrapping_sub(EACH) & !unlike & HIGH;
    // Where there is none all is as if it stood before the first digit: a processor cannot guess which text has one.
    let there = u64::from(point != 0).wrapping_neg();
    // What stands before the point moves over it.
    let place = (point.trailing_zeros() / 8) & 7;
    let before = (1_u64 << (8 * place)) - 1;
    let moved = (text & before) << 8 | u64::from(b'0') | text & !(before << 8 | 0xff);
    let digits = text ^ ((text ^ moved) & there);
    let decimals = ((7 - place) & u32::from(point != 0).wrapping_neg()) as usize;
    let digits_only = (digits & (0xf0 * EACH)) | (((digits.wrapping_add(6 * EACH)) & (0xf0 * EACH)) >> 4);
    let bare_point = there & u64::from(length == 1);
    if (digits_only ^ (0x33 * EACH)) | bare_point != 0 {
        return None;
    }
    Some(f64::from(eight_digits(digits)) / TENS[decimals])
}

/// Pairs of digits, then of pairs, then of those, each by one multiplication (Lemire 2018, "Quickly parsing eight digits").
#[inline]
fn eight_digits(text: u64) -> u32 {
    let digits = text & (0x0f * EACH);
    let pairs = digits.wrapping_mul(10 * 256 + 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 * 65_536 + 1) >> 16 & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(10_000 * (1 << 32) + 1) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::number;

    proptest! {
        #[test]
        fn finds_every_byte(block in prop::array::uniform32(0_u8..4), byte in 0_u8..4) {
            let both: Vec<u8> = block.iter().chain(&block).copied().collect();
            let both = *both.first_chunk::<64>().unwrap();
            let mask = occurrences(&both, byte);
            for (n, found) in both.iter().enumerate() {
                prop_assert_eq!(mask >> n & 1 == 1, *found == byte);
            }
        }

        #[test]
        fn reads_numbers_as_they_are(text in "[0-9]{0,8}(\\.[0-9]{0,7})?|[-+0-9.ex|:u/ ]{0,9}", after in any::<[u8; 8]>()) {
            let bytes: Vec<u8> = text.bytes().chain(after).collect();
            let read = plain_number(*bytes.first_chunk::<8>().unwrap(), text.len());
            let plain = !text.is_empty() && text.len() <= 8
                && text.bytes().all(|b| b == b'.' || b.is_ascii_digit())
                && text.bytes().filter(|b| *b == b'.').count() <= 1
                && text != ".";
            let expected = number::parse(text.as_bytes()).filter(|_| plain);
            prop_assert_eq!(read.map(f64::to_bits), expected.map(f64::to_bits), "{}", text);
        }
    }
}
