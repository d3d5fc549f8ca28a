//! Decimal numbers, quickly.
//!
//! Nearly every value on the wire has a few digits. With a mantissa up to 2⁵³ and at most 22 decimals, mantissa and power
//! of ten are exact as `f64`, so that one division rounds correctly (Clinger 1990, "How to read floating point numbers
//! accurately"). All else goes to the standard library.

const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// The finite number that `text` is, all of it.
#[must_use]
pub fn parse(text: &[u8]) -> Option<f64> {
    match prefix(text) {
        Some((number, length)) if length == text.len() => Some(number),
        _ => std::str::from_utf8(text).ok()?.parse().ok().filter(|n: &f64| n.is_finite()),
    }
}

/// The plain decimal number with which `text` begins, and its length. None also for numbers that need more care: then
/// [`parse`] says what they are.
#[must_use]
pub fn prefix(text: &[u8]) -> Option<(f64, usize)> {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let mut mantissa = 0u64;
    let mut at = sign;
    while let Some(digit) = digit(text, at) {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(digit);
        at += 1;
    }
    let mut digits = at - sign;
    let mut decimals = 0;
    if text.get(at) == Some(&b'.') {
        at += 1;
        let point = at;
        while let Some(digit) = digit(text, at) {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(digit);
            at += 1;
        }
        decimals = at - point;
        digits += decimals;
    }
    // Nineteen digits cannot wrap around, so the mantissa can be trusted.
    if digits == 0 || digits > 19 || mantissa > 1 << 53 {
        return None;
    }
    let number = mantissa as f64 / POWERS_OF_TEN[decimals];
    Some((if text[0] == b'-' { -number } else { number }, at))
}

#[inline]
fn digit(text: &[u8], at: usize) -> Option<u64> {
    text.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10).map(u64::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_the_field_sends() {
        let cases = [
            ("0", 0.0),
            ("-3", -3.0),
            ("+5", 5.0),
            ("3.75", 3.75),
            (".5", 0.5),
            ("7.", 7.0),
            ("1e3", 1000.0),
            ("12345678901234567890", 12_345_678_901_234_567_890.0),
            ("0.00000000000000000000001", 1e-23),
        ];
        for (text, number) in cases {
            assert_eq!(parse(text.as_bytes()), Some(number), "{text}");
        }
        for text in
            ["", "-", "+", ".", "1 ", " 1", "1,5", "nan", "inf", "-Infinity", "1e999", "0x10", "1_000", "--1"]
        {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(prefix(b"12.5|ms"), Some((12.5, 4)));
    }

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(text in "[-+]?[0-9]{0,21}(\\.[0-9]{0,24})?(e-?[0-9]{1,3})?") {
            let expected = text.parse::<f64>().ok().filter(|n| n.is_finite());
            prop_assert_eq!(parse(text.as_bytes()).map(f64::to_bits), expected.map(f64::to_bits));
        }
    }
}
