//! What a value is held against: where it was expected, and how far it may stray.

use kinetic_api::resources::topology::{Direction, MinStddev};

use super::tail::{Lines, normal_deviation};

/// The largest deviation that is told, in standard deviations: where nothing ever varied and no floor is set, the true one is
/// infinite, which JSON cannot say.
const MOST_DEVIATION: f64 = 1e9;

/// The score below which what fires is no longer odd. At the line itself a value that creeps across it would fire and resolve again
/// and again.
const CLEARING: f64 = 0.75;

/// Where a value was expected.
///
/// How far a value is off is told twice, and the smaller of the two counts: as Student's t over the estimated spread,
/// turned into the normal's deviation; and as distance over the least spread that is assumed, which is known, not
/// estimated, and therefore taken as the normal's at once. So the floor can only ever make a value less odd, and nothing
/// jumps where the estimated spread falls below it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expectation {
    /// The value that was expected.
    pub centre: f64,
    /// The spread, as estimated.
    pub spread: f64,
    /// The least spread that is assumed.
    pub floor: f64,
    /// How many values (or their worth) led to it.
    pub count: f64,
    /// By how much more than those the value varies.
    excess: Option<Excess>,
}

/// By how much more a value varies than others, because fewer samples made it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Excess {
    /// By so large a variance.
    pub variance: f64,
    /// The degrees of freedom that led to it.
    pub freedom: f64,
}

impl Excess {
    /// The spread of both together, and its degrees of freedom by Welch and Satterthwaite (Biometrics Bulletin 2, 1946).
    fn added_to(self, spread: f64, degrees: f64) -> (f64, f64) {
        let usual = spread * spread;
        let all = usual + self.variance;
        let (of_usual, of_excess) = (usual / all, self.variance / all);
        (all.sqrt(), (of_usual * of_usual / degrees + of_excess * of_excess / self.freedom).recip())
    }
}

impl Expectation {
    /// The expectation with the floor that applies at this centre.
    #[must_use]
    pub fn new(centre: f64, spread: f64, count: f64, floor: MinStddev) -> Self {
        Self { centre, spread, floor: floor.absolute.max(floor.relative * centre.abs()), count, excess: None }
    }

    /// The same for a value that varies more than those that led to it, because fewer samples made it. One that varies less is
    /// held against what they do all the same.
    #[must_use]
    pub fn allowing_for(self, excess: Excess) -> Self {
        let is_more = excess.variance > 0.0 && excess.variance.is_finite() && excess.freedom > 0.0;
        if is_more { Self { excess: Some(excess), ..self } } else { self }
    }

    /// Whether the value is of fewer samples than usual.
    #[must_use]
    pub fn is_of_fewer(&self) -> bool {
        self.excess.is_some()
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count; `as` saturates")]
    fn whole_count(&self) -> usize {
        self.count as usize
    }

    /// The spread of the distance between the centre and a further value like those that led to it: both vary.
    fn widened(&self) -> f64 {
        self.spread * (1.0 + self.count.recip()).sqrt()
    }

    /// How far off a distance is by the estimated spread, in standard deviations of a normal distribution. Of a value that
    /// varies more than others both are asked, so that this can only ever make it less odd.
    fn estimated(&self, distance: f64, lines: &Lines) -> f64 {
        let degrees = lines.degrees(self.whole_count());
        let usual = normal_deviation(distance / self.widened(), degrees);
        self.excess.map_or(usual, |excess| {
            let (spread, degrees) = excess.added_to(self.widened(), degrees);
            usual.min(normal_deviation(distance / spread, degrees))
        })
    }

    /// The spread, floor applied.
    #[must_use]
    pub fn assumed_spread(&self) -> f64 {
        let excess = self.excess.map_or(0.0, |excess| excess.variance);
        let spread = if excess > 0.0 { (self.spread * self.spread + excess).sqrt() } else { self.spread };
        spread.max(self.floor)
    }

    /// How far a value of as many samples as usual may stray from the centre before it is odd.
    #[must_use]
    pub fn reach(&self, lines: &mut Lines) -> f64 {
        // 0 · ∞: what does not vary at all is held against the floor alone.
        let estimated = if self.spread == 0.0 { 0.0 } else { lines.at(self.whole_count()) * self.widened() };
        estimated.max(lines.deviation() * self.floor)
    }

    /// How far off a value is, signed, in standard deviations of a normal distribution.
    #[must_use]
    pub fn deviation(&self, value: f64, lines: &Lines) -> f64 {
        let distance = value - self.centre;
        if distance == 0.0 {
            return 0.0;
        }
        let estimated = self.estimated(distance.abs(), lines);
        estimated.min(distance.abs() / self.floor).min(MOST_DEVIATION).copysign(distance)
    }

    /// Whether a value is odd. Dearer than to compare its distance with [`Self::reach`], but right for any number of samples.
    #[must_use]
    pub fn is_odd(&self, value: f64, lines: &Lines, direction: Direction) -> bool {
        score(self.deviation(value, lines), false, direction, lines.deviation()) > 1.0
    }

    /// Whether a value is still too far off for what fires already to be over.
    #[must_use]
    pub fn lingers(&self, value: f64, lines: &Lines, direction: Direction) -> bool {
        score(self.deviation(value, lines), false, direction, lines.deviation()) > CLEARING
    }
}

/// A distance of so many estimated spreads does not happen: measurements have no such precision.
pub const UNREACHABLE: f64 = 1e9;

/// How far beyond the line a deviation is: 1.0 is the line, which what is odd is never short of, not even by rounding; 0 is
/// the centre, or the side to which nobody looks.
#[must_use]
pub fn score(deviation: f64, odd: bool, direction: Direction, line: f64) -> f64 {
    let towards = match direction {
        Direction::Above => deviation.max(0.0),
        Direction::Below => (-deviation).max(0.0),
        Direction::Both => deviation.abs(),
    };
    (towards / line).max(f64::from(u8::from(odd)))
}

/// Whether a value at this distance from the centre strays further than `reach`, to a side where the direction looks.
#[must_use]
pub fn strays(distance: f64, reach: f64, direction: Direction) -> bool {
    match direction {
        Direction::Above => distance > reach,
        Direction::Below => -distance > reach,
        Direction::Both => distance.abs() > reach,
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "what is exact must be exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn floor(absolute: f64, relative: f64) -> MinStddev {
        MinStddev { absolute, relative }
    }

    #[test]
    fn the_floor_is_the_larger_of_the_two() {
        assert_eq!(Expectation::new(-200.0, 0.0, 5.0, floor(1.0, 0.01)).floor, 2.0);
        assert_eq!(Expectation::new(20.0, 0.0, 5.0, floor(1.0, 0.01)).floor, 1.0);
    }

    #[test]
    fn what_never_varied_is_held_against_the_floor() {
        let mut lines = Lines::new(4.0, |n| n as f64 - 1.0);
        let steady = Expectation::new(100.0, 0.0, 2.0, floor(0.5, 0.0));
        assert_eq!(steady.reach(&mut lines), 2.0);
        assert_eq!(steady.deviation(103.0, &lines), 6.0);
        assert_eq!(steady.deviation(97.0, &lines), -6.0);
        assert_eq!(steady.deviation(100.0, &lines), 0.0);
        let bare = Expectation::new(100.0, 0.0, 2.0, floor(0.0, 0.0));
        assert_eq!(bare.deviation(100.1, &lines), MOST_DEVIATION);
        assert_eq!(bare.reach(&mut lines), 0.0);
    }

    #[test]
    fn a_variance_of_two_parts_has_the_degrees_of_both() {
        // 4.5 of one degree and 4.5 of 8: 9 with 81 / (20.25 / 1 + 20.25 / 8) degrees.
        let (spread, degrees) = Excess { variance: 4.5, freedom: 8.0 }.added_to(4.5_f64.sqrt(), 1.0);
        assert!((spread - 3.0).abs() < 1e-12 && (degrees - 81.0 / (20.25 + 20.25 / 8.0)).abs() < 1e-9);
        let usual = Expectation::new(0.0, 3.0, 2.0, floor(0.0, 0.0));
        assert_eq!(usual.allowing_for(Excess { variance: -4.5, freedom: 8.0 }), usual);
    }

    proptest! {
        /// The cheap test on the distance and the told deviation draw the same line.
        #[test]
        fn beyond_reach_is_beyond_the_deviation(
            spread in 0.0..10.0_f64, count in 2_u32..60, least in 0.0..10.0_f64, distance in -100.0..100.0_f64,
            deviation in 0.5..6.0_f64,
        ) {
            let mut lines = Lines::new(deviation, |n| n as f64 - 1.0);
            let expected = Expectation::new(7.0, spread, f64::from(count), floor(least, 0.0));
            let (reach, told) = (expected.reach(&mut lines), expected.deviation(7.0 + distance, &lines).abs());
            prop_assume!((distance.abs() / reach - 1.0).abs() > 1e-6);
            prop_assert_eq!(distance.abs() > reach, told > deviation, "{} {}", reach, told);
        }

        #[test]
        fn an_excess_only_calms(
            spread in 0.0..10.0_f64, variance in 0.0..1e3_f64, freedom in 1.0..1e3_f64, distance in 0.0..1e3_f64,
        ) {
            let lines = Lines::new(4.0, |n| n as f64 - 1.0);
            let usual = Expectation::new(0.0, spread, 30.0, floor(0.001, 0.0));
            let thin = usual.allowing_for(Excess { variance, freedom: freedom + 29.0 });
            prop_assert!(thin.deviation(distance, &lines) <= usual.deviation(distance, &lines) * (1.0 + 1e-9));
            prop_assert!(thin.assumed_spread() >= usual.assumed_spread());
        }

        #[test]
        fn a_floor_only_calms(spread in 0.0..10.0_f64, least in 0.0..10.0_f64, distance in 0.0..1e3_f64) {
            let lines = Lines::new(4.0, |n| n as f64 - 1.0);
            let with = |least| Expectation::new(0.0, spread, 6.0, floor(least, 0.0)).deviation(distance, &lines);
            prop_assert!(with(least) <= with(0.0));
        }
    }
}
