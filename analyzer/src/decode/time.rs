//! Timestamps as the formats write them, in nanoseconds since 1970; none is before 1970 or after 2262.

const NS: i64 = 1_000_000_000;

/// A decimal number of seconds: `1251533299.123`.
#[must_use]
pub fn seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut nanoseconds = 0;
    let mut unit = NS;
    for digit in fraction.bytes().take(9) {
        unit /= 10;
        nanoseconds += i64::from(digit - b'0') * unit;
    }
    whole.parse::<i64>().ok()?.checked_mul(NS)?.checked_add(nanoseconds)
}

/// A whole number of seconds, milliseconds, microseconds or nanoseconds, whichever makes it a time between 1973 and 5138.
#[must_use]
pub fn by_magnitude(number: i64) -> Option<i64> {
    match number {
        ..0 => None,
        0..100_000_000_000 => number.checked_mul(NS),
        100_000_000_000..100_000_000_000_000 => number.checked_mul(1_000_000),
        100_000_000_000_000..100_000_000_000_000_000 => number.checked_mul(1_000),
        _ => Some(number),
    }
}

/// RFC 3339, such as `2020-10-10T17:07:36+00:00`.
#[must_use]
pub fn rfc3339(text: &str) -> Option<i64> {
    let time = text.parse::<jiff::Timestamp>().ok()?;
    i64::try_from(time.as_nanosecond()).ok().filter(|ns| *ns >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_to_the_nanosecond() {
        for (text, ns) in [
            ("0", Some(0)),
            ("1251533299", Some(1_251_533_299_000_000_000)),
            ("1251533299.123", Some(1_251_533_299_123_000_000)),
            ("1251533299.1234567899", Some(1_251_533_299_123_456_789)),
            ("5.", Some(5_000_000_000)),
            ("", None),
            (".5", None),
            ("-1", None),
            ("1e9", None),
            ("9300000000", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(seconds(text), ns, "{text}");
        }
    }

    #[test]
    fn the_unit_follows_from_the_magnitude() {
        let ns = Some(1_458_229_140_000_000_000);
        for number in [1_458_229_140, 1_458_229_140_000, 1_458_229_140_000_000, 1_458_229_140_000_000_000] {
            assert_eq!(by_magnitude(number), ns, "{number}");
        }
        for number in [-1, i64::MIN, 99_999_999_999] {
            assert_eq!(by_magnitude(number), None, "{number}");
        }
        assert_eq!(by_magnitude(i64::MAX), Some(i64::MAX));
    }

    #[test]
    fn zones_are_taken_into_account() {
        assert_eq!(rfc3339("1970-01-01T01:00:01.5+01:00"), Some(1_500_000_000));
        assert_eq!(rfc3339("2020-10-10T17:07:36Z"), Some(1_602_349_656_000_000_000));
        assert_eq!(rfc3339("1960-01-01T00:00:00Z"), None);
        assert_eq!(rfc3339("9000-01-01T00:00:00Z"), None);
        assert_eq!(rfc3339("yesterday"), None);
    }
}
