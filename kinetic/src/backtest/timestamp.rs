//! A time as data files write it.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// Numbers below it are seconds since 1970 (until the year 5138), others milliseconds (from 1973 on).
const LEAST_MILLISECONDS: f64 = 1e11;

/// Milliseconds since 1970 of RFC 3339, of `YYYY-MM-DD HH:MM:SS` (UTC; with `T` and a fraction, too), or of a number of seconds or
/// milliseconds since 1970, told apart by its size.
pub(super) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return epoch(number);
    }
    let timestamp = match text.parse::<Timestamp>() {
        Ok(timestamp) => timestamp,
        Err(_) => text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp(),
    };
    in_range(timestamp.as_millisecond())
}

fn epoch(number: f64) -> Option<i64> {
    let milliseconds = if number.abs() < LEAST_MILLISECONDS { number * 1000.0 } else { number };
    if !milliseconds.is_finite() {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "finite, and `as` saturates")]
    in_range(milliseconds.round() as i64)
}

/// Windows know the years 1970 to 9999.
fn in_range(milliseconds: i64) -> Option<i64> {
    (0..=253_402_300_799_999).contains(&milliseconds).then_some(milliseconds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_way_to_write_the_same_time() {
        for text in [
            "2014-04-01T00:00:00Z",
            "2014-04-01T02:00:00+02:00",
            "2014-04-01 00:00:00",
            "2014-04-01T00:00:00",
            "2014-04-01 00:00:00.000",
            " 2014-04-01 00:00 ",
            "1396310400",
            "1396310400.0",
            "1396310400000",
        ] {
            assert_eq!(parse(text), Some(1_396_310_400_000), "{text}");
        }
        assert_eq!(parse("1396310400.25"), Some(1_396_310_400_250));
    }

    #[test]
    fn what_is_no_time() {
        for text in ["", "timestamp", "2014-13-01 00:00:00", "-5", "nan", "inf", "1e300", "yesterday"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(milliseconds in 0_i64..253_402_300_799_999) {
            let time = Timestamp::from_millisecond(milliseconds).unwrap();
            prop_assert_eq!(parse(&time.to_string()), Some(milliseconds));
            let plain = time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();
            prop_assert_eq!(parse(&plain), Some(milliseconds));
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
