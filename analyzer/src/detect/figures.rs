//! Numbers and spans of time as people read them.

use std::fmt;

use kinetic_api::{duration::Duration, statistic::Statistic};

use crate::decode::MetricType;

/// What a number counts, as far as the wire tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nobody said.
    None,
    /// statsd's timers.
    Milliseconds,
    /// So many a second.
    PerSecond,
    /// How fast a duration changes.
    MillisecondsPerSecond,
    /// How fast a rate changes.
    PerSecondSquared,
}

impl Unit {
    /// The unit of a statistic of such samples.
    #[must_use]
    pub fn of(statistic: Statistic, kind: MetricType) -> Self {
        match (statistic, kind) {
            (Statistic::Rate, _) => Self::PerSecond,
            (Statistic::Count | Statistic::Cardinality, _) => Self::None,
            (_, MetricType::Timer) => Self::Milliseconds,
            _ => Self::None,
        }
    }

    /// The unit of how fast such a number changes.
    #[must_use]
    pub fn per_second(self) -> Self {
        match self {
            Self::None => Self::PerSecond,
            Self::Milliseconds => Self::MillisecondsPerSecond,
            Self::PerSecond | Self::MillisecondsPerSecond | Self::PerSecondSquared => Self::PerSecondSquared,
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "",
            Self::Milliseconds => " ms",
            Self::PerSecond => "/s",
            Self::MillisecondsPerSecond => " ms/s",
            Self::PerSecondSquared => "/s²",
        })
    }
}

/// A number with so many significant digits (at least 1), whole digits always kept: `912`, `4.1`, `12,345`, `0.00312`, `1.5e-9`.
#[must_use]
pub fn number(value: f64, digits: usize) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        let text = format!("{value:.*e}", digits.saturating_sub(1));
        return match text.split_once('e') {
            Some((mantissa, exponent)) => format!("{}e{exponent}", trimmed(mantissa)),
            None => text,
        };
    }
    // Digits before the point, after rounding: 9.99 to two digits is 10.
    let rounded: f64 = format!("{value:.*e}", digits.saturating_sub(1)).parse().unwrap_or(value);
    #[allow(clippy::cast_possible_truncation, reason = "between -4 and 15")]
    let magnitude = if rounded == 0.0 { 0 } else { rounded.abs().log10().floor() as i32 };
    let decimals = usize::try_from(i32::try_from(digits).unwrap_or(i32::MAX) - 1 - magnitude).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    let text = if decimals == 0 { &text } else { trimmed(&text) };
    if text == "-0" { "0".into() } else { grouped(text) }
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// With commas between groups of three whole digits, from five digits on.
fn grouped(text: &str) -> String {
    let (sign, rest) = text.split_at(usize::from(text.starts_with('-')));
    let (whole, fraction) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
    if whole.len() < 5 {
        return text.to_owned();
    }
    let mut out = sign.to_owned();
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && (whole.len() - n) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

/// A span of time, to the second where it is longer than ten of them: `3m20s`.
#[must_use]
pub fn span(milliseconds: i64) -> String {
    let milliseconds = u64::try_from(milliseconds).unwrap_or(0);
    let told = if milliseconds > 10_000 { milliseconds / 1000 * 1000 } else { milliseconds };
    Duration::from_millis(told).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let cases = [
            (0.0, 4, "0"),
            (-0.0, 4, "0"),
            (912.0, 4, "912"),
            (912.34, 4, "912.3"),
            (912.04, 4, "912"),
            (4.12, 2, "4.1"),
            (9.99, 2, "10"),
            (0.996, 2, "1"),
            (0.003_123_4, 3, "0.00312"),
            (1234.5, 4, "1234"),
            (12_345.6, 4, "12,346"),
            (-1_234_567.0, 4, "-1,234,567"),
            (1e15, 4, "1e15"),
            (1.234_56e-9, 3, "1.23e-9"),
            (100.0, 2, "100"),
            (-0.000_01, 2, "-1e-5"),
        ];
        for (value, digits, want) in cases {
            assert_eq!(number(value, digits), want, "{value}");
        }
    }

    #[test]
    fn spans() {
        assert_eq!(span(200_400), "3m20s");
        assert_eq!(span(1_500), "1s500ms");
        assert_eq!(span(-5), "0s");
    }

    #[test]
    fn units() {
        assert_eq!(Unit::of(Statistic::P95, MetricType::Timer), Unit::Milliseconds);
        assert_eq!(Unit::of(Statistic::Count, MetricType::Timer), Unit::None);
        assert_eq!(Unit::of(Statistic::Rate, MetricType::Counter), Unit::PerSecond);
        assert_eq!(Unit::of(Statistic::Mean, MetricType::Gauge), Unit::None);
    }
}
