//! What a window knows of one series.

use std::hint::black_box;

use kinetic_api::statistic::Statistic;
use serde::{Deserialize, Serialize};

use super::{
    distinct::Distinct, moments::Moments, needs::Needs, numbers::Numbers, quantiles::Quantiles,
    scatter::Scatter,
};
use crate::decode::MetricType;

/// Members make a set, and a set has members only.
const ONE_SKETCH: &str = "members are added to sets, and numbers to all else";

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Sketch {
    Quantiles(Quantiles),
    Distinct(Distinct),
}

/// What a window knows of one series: its samples, each counted by its weight (the inverse of its sampling rate).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Accumulator {
    numbers: Numbers,
    moments: Moments,
    /// What few are asked for.
    sketch: Option<Box<Sketch>>,
    kind: MetricType,
    needs: Needs,
}

impl Accumulator {
    /// An empty one.
    #[must_use]
    pub fn new(kind: MetricType, needs: Needs) -> Self {
        Self::of(kind, needs, Numbers::NONE)
    }

    /// Of samples of which no more was asked than what costs nothing.
    pub(super) fn of(kind: MetricType, needs: Needs, numbers: Numbers) -> Self {
        Self { numbers, moments: Moments::NONE, sketch: None, kind, needs }
    }

    /// Fetches it into the cache, whichever of its parts lie on a line of their own.
    #[inline]
    pub(super) fn fetch(&self) {
        self.moments.fetch();
        black_box((self.numbers.weight, self.needs));
    }

    /// Fetches into the cache what adding a set's member will look at.
    #[inline]
    pub(super) fn fetch_member(&self, member: &[u8]) {
        if let Some(Sketch::Distinct(distinct)) = self.sketch.as_deref() {
            distinct.fetch(member);
        }
    }

    /// Adds a finite number that stands for `weight` ≥ 1 samples.
    #[inline]
    pub fn add(&mut self, number: f64, weight: f64) {
        if self.needs.moments {
            self.moments.add(&self.numbers, number, weight);
        }
        self.numbers.add(number, weight);
        if self.needs.quantiles {
            self.add_to_quantiles(number, weight);
        }
    }

    #[inline(never)]
    fn add_to_quantiles(&mut self, number: f64, weight: f64) {
        self.quantiles().add(number, weight);
    }

    /// Adds a set's member.
    pub fn add_member(&mut self, member: &[u8]) {
        self.numbers.add_member();
        if self.needs.cardinality {
            self.distinct().add(member);
        }
    }

    #[inline]
    fn quantiles(&mut self) -> &mut Quantiles {
        let sketch = self.sketch.get_or_insert_with(|| Box::new(Sketch::Quantiles(Quantiles::default())));
        match &mut **sketch {
            Sketch::Quantiles(quantiles) => quantiles,
            Sketch::Distinct(_) => unreachable!("{ONE_SKETCH}"),
        }
    }

    fn distinct(&mut self) -> &mut Distinct {
        let sketch = self.sketch.get_or_insert_with(|| Box::new(Sketch::Distinct(Distinct::default())));
        match &mut **sketch {
            Sketch::Distinct(distinct) => distinct,
            Sketch::Quantiles(_) => unreachable!("{ONE_SKETCH}"),
        }
    }

    /// What its samples are.
    #[must_use]
    pub fn kind(&self) -> MetricType {
        self.kind
    }

    /// Whether it has no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The number that the statistic is of these samples. None where there is none: no samples; a single one has no
    /// standard deviation; members of a set have no order, and only they have a cardinality; nobody asked for it in
    /// [`Needs`]; or it is beyond what a number can hold.
    ///
    /// `Rate` is a counter's increments a second, and any other type's samples a second, over the window's length.
    #[must_use]
    pub fn statistic(&self, statistic: Statistic, interval_ms: i64) -> Option<f64> {
        if self.is_empty() {
            return None;
        }
        let Numbers { weight, sum, min, max, last } = self.numbers;
        let is_set = self.kind == MetricType::Set;
        let number = match statistic {
            Statistic::Count => weight,
            Statistic::Rate => {
                let total = if self.kind == MetricType::Counter { sum } else { weight };
                total / (interval_ms as f64 / 1000.0)
            }
            Statistic::Cardinality => match self.sketch.as_deref()? {
                Sketch::Distinct(distinct) => distinct.estimate(),
                Sketch::Quantiles(_) => return None,
            },
            _ if is_set => return None,
            Statistic::Sum => sum,
            Statistic::Mean => sum / weight,
            Statistic::Min => min,
            Statistic::Max => max,
            Statistic::Last => last,
            Statistic::Stddev if self.needs.moments && weight > 1.0 => {
                (self.moments.squares(weight) / (weight - 1.0)).sqrt()
            }
            Statistic::Stddev => return None,
            Statistic::P50 | Statistic::P90 | Statistic::P95 | Statistic::P99 => {
                let Sketch::Quantiles(quantiles) = self.sketch.as_deref()? else { return None };
                quantiles.quantile(statistic.quantile()?)?.clamp(min, max)
            }
        };
        Some(number).filter(|n| n.is_finite())
    }

    /// How its samples scatter; None if nobody asked for their moments.
    #[must_use]
    pub fn scatter(&self) -> Option<Scatter> {
        self.moments.scatter(self.numbers.weight).filter(|_| self.needs.moments)
    }

    /// Adds another's samples, which came later.
    pub fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        if self.needs.moments {
            self.moments.merge(&self.numbers, &other.moments, &other.numbers);
        }
        self.numbers.merge(&other.numbers);
        match other.sketch.as_deref() {
            Some(Sketch::Quantiles(quantiles)) => self.quantiles().merge(quantiles),
            Some(Sketch::Distinct(distinct)) => self.distinct().merge(distinct),
            None => {}
        }
    }
}

/// Sketches of windows that have closed, empty, for those that open.
#[derive(Debug, Default)]
pub(super) struct Spare {
    #[expect(clippy::vec_box, reason = "what moves from one window to another is the box")]
    quantiles: Vec<Box<Sketch>>,
    #[expect(clippy::vec_box, reason = "what moves from one window to another is the box")]
    distinct: Vec<Box<Sketch>>,
}

impl Spare {
    /// An empty accumulator, with a sketch if there is one to spare and it will need it.
    pub(super) fn accumulator(&mut self, kind: MetricType, needs: Needs) -> Accumulator {
        let sketch = match kind {
            MetricType::Set if needs.cardinality => self.distinct.pop(),
            MetricType::Set => None,
            _ if needs.quantiles => self.quantiles.pop(),
            _ => None,
        };
        Accumulator { sketch, ..Accumulator::new(kind, needs) }
    }

    /// Takes what an accumulator leaves.
    pub(super) fn keep(&mut self, accumulator: &mut Accumulator) {
        let Some(mut sketch) = accumulator.sketch.take() else { return };
        match &mut *sketch {
            Sketch::Quantiles(quantiles) => {
                quantiles.clear();
                self.quantiles.push(sketch);
            }
            Sketch::Distinct(distinct) => {
                distinct.clear();
                self.distinct.push(sketch);
            }
        }
    }

    /// Drops what nobody took.
    pub(super) fn clear(&mut self) {
        self.quantiles.clear();
        self.distinct.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: Needs = Needs { quantiles: true, cardinality: true, moments: true };

    fn of(kind: MetricType, samples: &[(f64, f64)]) -> Accumulator {
        let mut accumulator = Accumulator::new(kind, ALL);
        for (number, weight) in samples {
            accumulator.add(*number, *weight);
        }
        accumulator
    }

    #[track_caller]
    fn near(accumulator: &Accumulator, statistic: Statistic, expected: f64) {
        let number = accumulator.statistic(statistic, 10_000).unwrap();
        assert!(
            (number - expected).abs() <= expected.abs() * 1e-12,
            "{statistic} is {number}, not {expected}"
        );
    }

    #[test]
    fn timers() {
        let timer = of(MetricType::Timer, &[(2.0, 1.0), (4.0, 1.0), (4.0, 1.0), (6.0, 1.0)]);
        for (statistic, expected) in [
            (Statistic::Count, 4.0),
            (Statistic::Rate, 0.4),
            (Statistic::Sum, 16.0),
            (Statistic::Mean, 4.0),
            (Statistic::Min, 2.0),
            (Statistic::Max, 6.0),
            (Statistic::Stddev, (8.0f64 / 3.0).sqrt()),
            (Statistic::Last, 6.0),
        ] {
            near(&timer, statistic, expected);
        }
        assert!((timer.statistic(Statistic::P50, 10_000).unwrap() - 4.0).abs() < 0.04);
        assert_eq!(timer.statistic(Statistic::Cardinality, 10_000), None);
    }

    #[test]
    fn counters_are_scaled_by_their_rate() {
        let counter = of(MetricType::Counter, &[(3.0, 10.0), (1.0, 1.0)]);
        near(&counter, Statistic::Sum, 31.0);
        near(&counter, Statistic::Rate, 3.1);
        near(&counter, Statistic::Count, 11.0);
        near(&counter, Statistic::Mean, 31.0 / 11.0);
    }

    #[test]
    fn sets() {
        let mut set = Accumulator::new(MetricType::Set, ALL);
        for member in ["anna", "ben", "anna"] {
            set.add_member(member.as_bytes());
        }
        near(&set, Statistic::Cardinality, 2.0);
        near(&set, Statistic::Count, 3.0);
        assert_eq!(set.statistic(Statistic::Max, 10_000), None);
        assert_eq!(set.statistic(Statistic::Last, 10_000), None);
    }

    #[test]
    fn a_small_spread_around_a_large_mean_survives() {
        let samples: Vec<_> = (0..1000).map(|n| (1e15 + f64::from(n % 3), 1.0)).collect();
        let (head, tail) = samples.split_at(317);
        let mut merged = of(MetricType::Gauge, head);
        merged.merge(&of(MetricType::Gauge, tail));
        // 334 zeros, 333 ones and 333 twos.
        let mean = (333.0 + 666.0) / 1000.0;
        let squares =
            334.0 * mean * mean + 333.0 * (1.0 - mean) * (1.0 - mean) + 333.0 * (2.0 - mean) * (2.0 - mean);
        let expected = (squares / 999.0f64).sqrt();
        for accumulator in [of(MetricType::Gauge, &samples), merged] {
            let stddev = accumulator.statistic(Statistic::Stddev, 10_000).unwrap();
            assert!((stddev / expected - 1.0).abs() < 0.02, "{stddev}, not {expected}");
        }
    }

    #[test]
    fn what_there_is_not() {
        let none = of(MetricType::Gauge, &[]);
        assert_eq!(none.statistic(Statistic::Count, 10_000), None);
        assert_eq!(of(MetricType::Gauge, &[(1.0, 1.0)]).statistic(Statistic::Stddev, 10_000), None);
        let mut plain = Accumulator::new(MetricType::Timer, Needs::default());
        plain.add(1.0, 1.0);
        plain.add(2.0, 1.0);
        assert_eq!(plain.statistic(Statistic::P50, 10_000), None);
        assert_eq!(plain.statistic(Statistic::Stddev, 10_000), None);
        let huge = of(MetricType::Gauge, &[(f64::MAX, 1.0), (f64::MAX, 1.0)]);
        assert_eq!(huge.statistic(Statistic::Sum, 10_000), None);
        assert_eq!(huge.statistic(Statistic::Max, 10_000), Some(f64::MAX));
    }

    proptest! {
        #[test]
        fn merging_is_adding(
            samples in prop::collection::vec((-1e6..1e6f64, 1.0..20.0f64), 2..100),
            cut in any::<prop::sample::Index>(),
        ) {
            let (head, tail) = samples.split_at(cut.index(samples.len()));
            let whole = of(MetricType::Timer, &samples);
            let mut merged = of(MetricType::Timer, head);
            merged.merge(&of(MetricType::Timer, tail));
            for statistic in [Statistic::Count, Statistic::Sum, Statistic::Min, Statistic::Max, Statistic::Last,
                Statistic::Stddev, Statistic::P50, Statistic::P99] {
                let (a, b) = (whole.statistic(statistic, 1000).unwrap(), merged.statistic(statistic, 1000).unwrap());
                prop_assert!((a - b).abs() <= 1e-9 * (1e6 + a.abs()), "{}: {} and {}", statistic, a, b);
            }
        }
    }
}
