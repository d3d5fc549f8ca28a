//! How long a certificate lives, as people say it.

use std::{str::FromStr, time::Duration};

/// A span of time: `720h`, and also `30d` and `10y` (of 365 days).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime(pub(super) Duration);

/// A text that is no lifetime.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no lifetime: write a number with y, d, h, m or s, such as 10y, 30d or 720h")]
pub(super) struct InvalidLifetime(String);

impl FromStr for Lifetime {
    type Err = InvalidLifetime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let days = |number: &str, days: u64| {
            let digits = (1..=5).contains(&number.len()) && number.bytes().all(|c| c.is_ascii_digit());
            let number = digits.then(|| number.parse::<u64>().ok()).flatten()?;
            Some(Duration::from_hours(24 * days * number))
        };
        let lifetime = match text.split_at_checked(text.len().saturating_sub(1)) {
            Some((number, "y")) => days(number, 365),
            Some((number, "d")) => days(number, 1),
            _ => text.parse().ok().map(kinetic_api::duration::Duration::std),
        };
        lifetime
            .filter(|lifetime| *lifetime >= Duration::from_secs(1))
            .map(Self)
            .ok_or_else(|| InvalidLifetime(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn years_and_days_are_understood() {
        let hours = |text: &str| text.parse::<Lifetime>().unwrap().0.as_secs() / 3600;
        assert_eq!(hours("10y"), 87_600);
        assert_eq!(hours("30d"), 720);
        assert_eq!(hours("720h"), 720);
        assert_eq!(hours("1h30m"), 1);
        for text in ["", "y", "d", "0d", "0s", "1ms", "-1d", "1.5y", "123456d", "10", "1y1d"] {
            assert!(text.parse::<Lifetime>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,8}") {
            let _ = text.parse::<Lifetime>();
        }
    }
}
