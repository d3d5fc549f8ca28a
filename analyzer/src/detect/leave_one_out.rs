//! Of each of several values: where the others lie.
//!
//! What is subtracted from a sum is lost in its rounding: sums over all, less one, fail as soon as that one is huge. So
//! each value's others are put together from what stands before it and what stands after it, which only ever adds.

use kinetic_api::resources::topology::Center;

use crate::twofold::Twofold;

/// Where the others of a value lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Others {
    /// Their mean or median.
    pub centre: f64,
    /// Their standard deviation (n − 1), or 1.4826 × their median absolute deviation.
    pub spread: f64,
}

/// What makes the median absolute deviation of normal values their standard deviation: 1/Φ⁻¹(¾).
const MAD_SCALE: f64 = 1.482_602_218_505_602;

/// The degrees of freedom of a spread of so many others.
///
/// A standard deviation of m values has m − 1. A median absolute deviation is small by chance far more often: it already is
/// when half of the values are close together. Its figures are fitted to simulated normal values at the default line, 4:
/// there noise is beyond it 0.62 (two others) to 1.08 times as often as a normal value. At a line of 3 that is 0.71 to 1.35
/// times, and at 5 mostly less than once, so it is the calmer the further out (`testdata/median_degrees.py`, 2 to 200 others).
#[must_use]
pub fn degrees_of_freedom(center: Center) -> fn(usize) -> f64 {
    match center {
        Center::Mean => |others| others.saturating_sub(1) as f64,
        Center::Median => |others| {
            let half = others / 2;
            let few = [0.95, 1.83, 2.67, 3.52, 4.28, 5.03];
            few.get(half.saturating_sub(1)).copied().unwrap_or(0.7 + 0.716 * half as f64)
        },
    }
}

/// Works out the others of each value; keeps its memory from one group to the next.
#[derive(Clone, Debug, Default)]
pub struct LeaveOneOut {
    others: Vec<Others>,
    before: Vec<Moments>,
    sorted: Vec<(f64, usize)>,
    ranks: Vec<usize>,
    distances: Vec<(f64, usize)>,
}

impl LeaveOneOut {
    /// For each of `values` (finite, at least 3, below 1e150 in size) its others; in O(n) for the mean, O(n log n) for
    /// the median.
    pub fn others(&mut self, center: Center, values: &[f64]) -> &[Others] {
        self.others.clear();
        match center {
            Center::Mean => self.by_mean(values),
            Center::Median => self.by_median(values),
        }
        &self.others
    }

    fn by_mean(&mut self, values: &[f64]) {
        self.before.clear();
        let mut moments = Moments::default();
        for &value in values {
            self.before.push(moments);
            moments.add(value);
        }
        let mut after = Moments::default();
        for (&before, &value) in self.before.iter().zip(values).rev() {
            self.others.push(before.and(after).others());
            after.add(value);
        }
        self.others.reverse();
    }

    fn by_median(&mut self, values: &[f64]) {
        let count = values.len();
        self.sorted.clear();
        self.sorted.extend(values.iter().copied().zip(0..));
        self.sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        self.ranks.resize(count, 0);
        for (rank, &(_, n)) in self.sorted.iter().enumerate() {
            self.ranks[n] = rank;
        }
        self.others.resize(count, Others { centre: 0.0, spread: 0.0 });
        // Which value is left out moves the median to one of three places at most: each needs one pass.
        let upper = count.div_ceil(2);
        for left_out in
            [0..count / 2, count / 2..upper, upper..count].into_iter().filter(|ranks| !ranks.is_empty())
        {
            let centre = median_without(left_out.start, &self.sorted);
            self.distances.clear();
            self.distances.extend(values.iter().map(|value| (value - centre).abs()).zip(0..));
            self.distances.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            for (place, &(_, n)) in self.distances.iter().enumerate() {
                if left_out.contains(&self.ranks[n]) {
                    let spread = MAD_SCALE * median_without(place, &self.distances);
                    self.others[n] = Others { centre, spread };
                }
            }
        }
    }
}

/// Where the others lie, given themselves (at least 2, in any order, which changes).
#[must_use]
pub fn others(center: Center, values: &mut [f64]) -> Others {
    match center {
        Center::Mean => {
            let mut moments = Moments::default();
            for value in values.iter() {
                moments.add(*value);
            }
            moments.others()
        }
        Center::Median => {
            let centre = median(values);
            for value in values.iter_mut() {
                *value = (*value - centre).abs();
            }
            Others { centre, spread: MAD_SCALE * median(values) }
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}

/// The median of sorted values without the one in this place.
fn median_without(left_out: usize, sorted: &[(f64, usize)]) -> f64 {
    let value = |rank: usize| sorted[if rank < left_out { rank } else { rank + 1 }].0;
    let others = sorted.len() - 1;
    f64::midpoint(value((others - 1) / 2), value(others / 2))
}

/// Count, mean and sum of squared distances from it, by Welford's and Chan's updates.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: f64,
    mean: Twofold,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        let distance = self.mean.distance_to(value);
        self.count += 1.0;
        self.mean.shift(distance / self.count);
        self.squares += distance * self.mean.distance_to(value);
    }

    fn and(self, other: Self) -> Self {
        if self.count == 0.0 {
            return other;
        }
        if other.count == 0.0 {
            return self;
        }
        let (count, distance) = (self.count + other.count, self.mean.distance(other.mean));
        let share = other.count / count;
        let mut mean = self.mean;
        mean.shift(distance * share);
        Self { count, mean, squares: self.squares + other.squares + distance * distance * self.count * share }
    }

    fn others(self) -> Others {
        Others { centre: self.mean.value(), spread: (self.squares / (self.count - 1.0)).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, value by value.
    fn direct(center: Center, values: &[f64], left_out: usize) -> Others {
        let mut others: Vec<f64> =
            values.iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, value)| *value).collect();
        let count = others.len() as f64;
        match center {
            Center::Mean => {
                let near = others[0];
                let centre = near + others.iter().map(|v| v - near).sum::<f64>() / count;
                let squares: f64 = others.iter().map(|v| (v - centre).powi(2)).sum();
                Others { centre, spread: (squares / (count - 1.0)).sqrt() }
            }
            Center::Median => {
                let centre = median(&mut others);
                let mut distances: Vec<f64> = others.iter().map(|v| (v - centre).abs()).collect();
                Others { centre, spread: 1.482_602_218_505_602 * median(&mut distances) }
            }
        }
    }

    fn assert_close(values: &[f64], tolerance: f64) -> Result<(), TestCaseError> {
        for center in [Center::Mean, Center::Median] {
            let mut work = LeaveOneOut::default();
            for (n, got) in work.others(center, values).iter().enumerate() {
                let want = direct(center, values, n);
                let scale = want.spread + want.centre.abs() * 1e-15;
                prop_assert!(
                    (got.centre - want.centre).abs() <= tolerance * scale,
                    "{center:?} {n} {got:?} {want:?}"
                );
                prop_assert!(
                    (got.spread - want.spread).abs() <= tolerance * scale,
                    "{center:?} {n} {got:?} {want:?}"
                );
            }
        }
        Ok(())
    }

    #[test]
    fn an_outlier_of_any_size_leaves_its_peers_alone() {
        let mut values = vec![120.1, 119.8, 120.0, 1e15, 120.3, 119.7];
        assert_close(&values, 1e-9).unwrap();
        values[3] = -1e140;
        assert_close(&values, 1e-9).unwrap();
        let mut work = LeaveOneOut::default();
        let others = work.others(Center::Mean, &values)[3];
        assert!((others.spread - 0.238_746_7).abs() < 1e-6, "{others:?}");
    }

    #[test]
    fn identical_values_have_no_spread() {
        for level in [0.0, 0.1, 1e15 / 3.0, -7e120] {
            for center in [Center::Mean, Center::Median] {
                let mut work = LeaveOneOut::default();
                for others in work.others(center, &[level; 7]) {
                    assert_eq!((others.centre.to_bits(), others.spread), (level.to_bits(), 0.0));
                }
            }
        }
    }

    #[test]
    fn one_work_space_serves_groups_of_any_size() {
        let mut work = LeaveOneOut::default();
        for size in [50, 3, 4, 17] {
            let values: Vec<f64> = (0..size).map(|n| f64::from(n * n % 13)).collect();
            for center in [Center::Mean, Center::Median] {
                let got = work.others(center, &values).to_vec();
                assert_eq!(got, LeaveOneOut::default().others(center, &values));
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(values in prop::collection::vec(-1e3..1e3_f64, 3..40)) {
            assert_close(&values, 1e-9)?;
        }

        #[test]
        fn large_levels_keep_their_small_spread(values in prop::collection::vec(-50_i32..50, 3..40)) {
            let values: Vec<f64> = values.into_iter().map(|v| 1e15 + f64::from(v)).collect();
            assert_close(&values, 0.1)?;
        }

        #[test]
        fn ties_and_outliers(values in prop::collection::vec(prop::sample::select(vec![1.0, 1.0, 2.0, 3.0, 1e9, -1e12]), 3..20)) {
            assert_close(&values, 1e-6)?;
        }
    }
}
