//! From values and times to pixels: ranges, ticks and their labels.

use jiff::Timestamp;

/// A linear way from values to pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    from_px: f64,
    to_px: f64,
}

impl Scale {
    /// From these values, lowest first, to these pixels.
    #[must_use]
    pub const fn new((low, high): (f64, f64), (from_px, to_px): (f64, f64)) -> Self {
        Self { low, high, from_px, to_px }
    }

    /// The pixel of a value; what lies outside is moved to the edge.
    #[must_use]
    pub fn px(&self, value: f64) -> i32 {
        // Halves keep the extent of f64's largest values finite.
        let part = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.5 };
        #[expect(clippy::cast_possible_truncation, reason = "a pixel of a picture")]
        let px = (self.from_px + part * (self.to_px - self.from_px)).round() as i32;
        px
    }
}

/// The range of values to show: all of `values`, of `band` as much as does not squeeze them, and some air.
#[must_use]
pub fn value_range(values: impl Iterator<Item = f64>, band: impl Iterator<Item = f64>) -> (f64, f64) {
    let extent = |values: &mut dyn Iterator<Item = f64>| {
        values.filter(|v| v.is_finite()).fold(None, |range: Option<(f64, f64)>, v| {
            Some(range.map_or((v, v), |(low, high)| (low.min(v), high.max(v))))
        })
    };
    let mut band = band;
    let seen = extent(&mut { values });
    let band = extent(&mut band);
    let (mut low, mut high) = match (seen, band) {
        (Some((low, high)), Some((band_low, band_high))) => {
            let room = if high > low { high / 2.0 - low / 2.0 } else { f64::INFINITY };
            (low.min(band_low.max(low - room)), high.max(band_high.min(high + room)))
        }
        (Some(range), None) | (None, Some(range)) => range,
        (None, None) => (0.0, 1.0),
    };
    let extent = high / 2.0 - low / 2.0;
    let air = if extent > 0.0 && extent > high.abs() * 1e-12 {
        extent * 0.16
    } else {
        (high.abs() * 0.1).max(1e-9)
    };
    // A range that begins near zero and is positive begins at zero: so people read it.
    low = if low >= 0.0 && low < high / 2.0 { 0.0 } else { low - air };
    high += air;
    (low.max(f64::MIN), high.min(f64::MAX))
}

/// At most `most` round values within a range.
#[must_use]
pub fn value_ticks((low, high): (f64, f64), most: usize) -> Vec<f64> {
    let rough = (high / 2.0 - low / 2.0) / most as f64 * 2.0;
    if !rough.is_finite() || rough <= 0.0 {
        return vec![];
    }
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= rough * 0.999);
    let Some(step) = step.filter(|step| step.is_finite() && *step > 0.0) else { return vec![] };
    let first = (low / step).ceil();
    (0..=most).map(|n| (first + n as f64) * step).take_while(|tick| *tick <= high).collect()
}

/// Seconds between ticks, from the finest to the coarsest.
const TIME_STEPS: [i64; 22] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
    172_800, 604_800, 2_419_200, 31_536_000,
];

/// At most `most` round times in `from..=to` (seconds since the epoch), with their labels in UTC.
#[must_use]
pub fn time_ticks(from_s: i64, to_s: i64, most: i64) -> Vec<(i64, String)> {
    let fits = |step: &&i64| to_s.div_euclid(**step) - (from_s - 1).div_euclid(**step) <= most;
    let step = *TIME_STEPS.iter().find(fits).unwrap_or(&TIME_STEPS[TIME_STEPS.len() - 1]);
    let format = match step {
        ..60 => "%H:%M:%S",
        60..86_400 => "%H:%M",
        _ => "%Y-%m-%d",
    };
    let first = (from_s - 1).div_euclid(step) + 1;
    (first..=to_s.div_euclid(step))
        .take(usize::try_from(most).unwrap_or(0))
        .filter_map(|n| Some((n * step, Timestamp::from_second(n * step).ok()?.strftime(format).to_string())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(values: &[f64], band: &[f64]) -> (f64, f64) {
        value_range(values.iter().copied(), band.iter().copied())
    }

    #[test]
    fn everything_is_in_the_range_with_some_air() {
        for values in [
            &[1.0, 912.0][..],
            &[5.0],
            &[0.0],
            &[-3.0, -3.0],
            &[1e-12, 2e-12],
            &[1e300, -1e300],
            &[f64::MAX, f64::MIN],
            &[1e15, 1e15 + 1.0],
            &[f64::NAN, 7.0, f64::INFINITY],
        ] {
            let (low, high) = range(values, &[]);
            assert!(low < high && low.is_finite() && high.is_finite(), "{values:?}: {low} {high}");
            for value in values.iter().filter(|v| v.is_finite()) {
                assert!(low <= *value && *value <= high, "{values:?}: {low} {high}");
            }
        }
        assert!(range(&[], &[]).0 < range(&[], &[]).1);
    }

    #[test]
    fn a_wide_band_does_not_squeeze_the_values() {
        let (low, high) = range(&[100.0, 110.0], &[-1e9, 1e9]);
        assert!(high - low < 50.0, "{low} {high}");
        let (low, high) = range(&[100.0, 110.0], &[98.0, 112.0]);
        assert!(low <= 98.0 && high >= 112.0);
        let (low, high) = range(&[], &[2.0, 4.0]);
        assert!(low <= 2.0 && high >= 4.0);
    }

    #[test]
    fn value_ticks_are_round_and_within() {
        assert_eq!(value_ticks((0.0, 1_000.0), 5), [0.0, 200.0, 400.0, 600.0, 800.0, 1_000.0]);
        for range in [(0.0, 1.1), (-7.3, 12.0), (1e-9, 3e-9), (f64::MIN, f64::MAX), (1e15, 1e15 + 1.0)] {
            let ticks = value_ticks(range, 5);
            assert!(ticks.len() <= 6, "{range:?}: {ticks:?}");
            assert!(ticks.iter().all(|t| (range.0..=range.1).contains(t)), "{range:?}: {ticks:?}");
        }
        assert!(value_ticks((1.0, 1.0), 5).is_empty());
    }

    #[test]
    fn time_ticks_are_round_and_in_utc() {
        let from = 1_795_256_600; // 2026-11-21T10:23:20Z
        let labels =
            |to, most| time_ticks(from, to, most).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels(from + 590, 6), ["10:24", "10:26", "10:28", "10:30", "10:32"]);
        assert_eq!(labels(from + 20, 3), ["10:23:20", "10:23:30", "10:23:40"]);
        assert_eq!(labels(from, 6), ["10:23:20"]);
        assert_eq!(labels(from + 3 * 86_400, 4), ["2026-11-22", "2026-11-23", "2026-11-24"]);
        assert!(time_ticks(i64::MIN / 4, i64::MAX / 4, 6).len() <= 6);
    }

    #[test]
    fn pixels_stay_in_the_picture() {
        let scale = Scale::new((0.0, 10.0), (100.0, 0.0));
        assert_eq!((scale.px(0.0), scale.px(5.0), scale.px(10.0)), (100, 50, 0));
        assert_eq!((scale.px(-1e300), scale.px(f64::INFINITY)), (100, 50));
        let widest = Scale::new((f64::MIN, f64::MAX), (0.0, 100.0));
        assert_eq!((widest.px(f64::MIN), widest.px(0.0), widest.px(f64::MAX)), (0, 50, 100));
    }
}
