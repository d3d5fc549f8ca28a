//! Numbers and times, for people.

use jiff::{SignedDuration, Timestamp};

/// A number in four significant digits, whole ones up to a billion whole; very large and very small ones in scientific notation.
#[must_use]
pub fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return value.to_string();
    }
    if size >= 1e9 || (size > 0.0 && size < 1e-3) {
        let text = format!("{value:.3e}");
        return match text.split_once('e') {
            Some((digits, exponent)) => format!("{}e{exponent}", plain(digits)),
            None => text,
        };
    }
    let decimals = if size >= 1_000.0 {
        0
    } else if size >= 100.0 {
        1
    } else if size >= 10.0 {
        2
    } else if size >= 1.0 {
        3
    } else {
        4
    };
    plain(&format!("{value:.decimals$}")).to_owned()
}

/// Without trailing zeros behind the point, and without a negative zero.
fn plain(digits: &str) -> &str {
    let digits =
        if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    if digits == "-0" { "0" } else { digits }
}

/// A time in UTC, such as `2026-11-21 10:33:20 UTC`.
#[must_use]
pub fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A span in its two largest units, such as `1h 5m`.
#[must_use]
pub fn span(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    let units =
        [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let first = units.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let parts: Vec<String> =
        units[first..].iter().take(2).filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if parts.is_empty() { "0s".into() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_are_enough() {
        for (value, text) in [
            (912.0, "912"),
            (912.34, "912.3"),
            (5.3, "5.3"),
            (5.2999, "5.3"),
            (99.996, "100"),
            (0.0, "0"),
            (-0.0, "0"),
            (-0.012_34, "-0.0123"),
            (0.000_123_4, "1.234e-4"),
            (1e-9, "1e-9"),
            (12_345.6, "12346"),
            (1_234_567.8, "1234568"),
            (1.5e9, "1.5e9"),
            (-2e300, "-2e300"),
            (f64::MIN_POSITIVE, "2.225e-308"),
        ] {
            assert_eq!(number(value), text, "{value:e}");
        }
    }

    #[test]
    fn two_units_are_enough() {
        for (seconds, text) in [
            (-5, "0s"),
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (725, "12m 5s"),
            (3_600, "1h"),
            (3_601, "1h"),
            (90_061, "1d 1h"),
        ] {
            assert_eq!(span(SignedDuration::from_secs(seconds)), text);
        }
    }
}
