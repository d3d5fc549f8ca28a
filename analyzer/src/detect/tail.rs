//! Student's t deviations as deviations of the normal distribution.
//!
//! A spread that was estimated from few values is often too small by chance, so that a distance of four of them means
//! little among four feeds and much among four hundred. Both are brought to one scale: the deviation of a normal
//! distribution that is exceeded with the same probability. Probabilities are compared by their logarithms, so that the
//! scale goes on far beyond 1e-308, where two anomalies would otherwise look the same.

use std::f64::consts::{LN_2, PI, SQRT_2};

use statrs::function::{
    beta::{beta_reg, ln_beta},
    erf::erf_inv,
};

/// With more degrees of freedom than this a t deviation of 4 is within 0.05 % of the normal's: it is taken for so many.
const MOST_DEGREES: f64 = 10_000.0;

/// Spreads of more values than this are held against the line of so many.
const MOST_VALUES: usize = 20_000;

/// Fewer degrees of freedom than Cauchy's distribution has: where a few values' median absolute deviation leads to.
const FEWEST_DEGREES: f64 = 0.5;

/// The largest t deviation that is looked for when a line is drawn: e^200, about 1e87.
const LARGEST_LN_T: f64 = 200.0;

/// The deviation of the normal distribution that is exceeded with the same probability as `t` is with `degrees` of
/// freedom (at least one half). It has the sign of `t`, and rises with it strictly.
#[must_use]
pub fn normal_deviation(t: f64, degrees: f64) -> f64 {
    let (size, degrees) = (t.abs(), degrees.clamp(FEWEST_DEGREES, MOST_DEGREES));
    if size == 0.0 || !size.is_finite() {
        return t;
    }
    let z = if size < 2.0 { from_centre(size, degrees) } else { from_tail(ln_student_tail(size, degrees)) };
    z.copysign(t)
}

/// By the probability within ±t, which keeps its digits where the tail is near one half.
fn from_centre(t: f64, degrees: f64) -> f64 {
    let share = t * t / degrees;
    SQRT_2 * erf_inv(beta_reg(0.5, degrees / 2.0, share / (1.0 + share)))
}

/// ln P(T > t) for t ≥ 2: half the regularised incomplete beta function I(ν/2, 1/2) at x = ν/(ν+t²), by its continued
/// fraction (DLMF 8.17.22), which converges fast there.
fn ln_student_tail(t: f64, degrees: f64) -> f64 {
    let half = degrees / 2.0;
    let root = t / degrees.sqrt();
    // x = 1/(1+root²) and 1−x = root²/(1+root²), neither by a subtraction; root² may overflow.
    let (ln_x, ln_rest) = if root < 1e8 {
        (-(root * root).ln_1p(), -(root * root).recip().ln_1p())
    } else {
        (-2.0 * root.ln(), 0.0)
    };
    let ln_front = half * ln_x + 0.5 * ln_rest - half.ln() - ln_beta(half, 0.5);
    ln_front + beta_fraction(half, ln_x.exp()).ln() - LN_2
}

/// The continued fraction of the incomplete beta function I(a, 1/2) at x, by Lentz's method (Numerical Recipes, 6.4).
fn beta_fraction(a: f64, x: f64) -> f64 {
    const B: f64 = 0.5;
    let kept = |value: f64| if value.abs() < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { value };
    let mut numerator = 1.0;
    let mut denominator = kept(1.0 - (a + B) * x / (a + 1.0)).recip();
    let mut fraction = denominator;
    for m in (1..1_000).map(f64::from) {
        let even = m * (B - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + B + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = fraction;
        for step in [even, odd] {
            denominator = kept(1.0 + step * denominator).recip();
            numerator = kept(1.0 + step / numerator);
            fraction *= numerator * denominator;
        }
        if (fraction - before).abs() <= f64::EPSILON * fraction {
            break;
        }
    }
    fraction
}

/// z with ln P(Z > z) = `target`, by Newton's method. The logarithm of the tail is concave, and √(−2·target) lies above
/// the root, so that the steps come down to it without overshooting.
fn from_tail(target: f64) -> f64 {
    let mut z = (-2.0 * target).sqrt();
    for _ in 0..100 {
        let ratio = mills_ratio(z);
        let tail = -0.5 * z * z - 0.5 * (2.0 * PI).ln() + ratio.ln();
        let step = (target - tail) * ratio;
        z -= step;
        if step.abs() <= 4.0 * f64::EPSILON * z {
            break;
        }
    }
    z
}

/// Mills' ratio P(Z > z) / φ(z), by Laplace's continued fraction (DLMF 7.9.1): from z = 1 on to the last digit, where
/// statrs' erfc has ten.
fn mills_ratio(z: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 20 and 420")]
    let terms = (20.0 + 400.0 / z.max(1.0).powi(2)) as u32;
    (1..=terms).rev().fold(z, |denominator, n| z + f64::from(n) / denominator).recip()
}

/// The t deviations that mean as much as one deviation of the normal distribution, by how many values the spread was
/// estimated from: what a window is held against. Each is worked out when it is first asked for.
#[derive(Clone, Debug)]
pub struct Lines {
    deviation: f64,
    degrees: fn(usize) -> f64,
    by_count: Vec<Option<f64>>,
}

impl Lines {
    /// The lines for so many standard deviations (above 0) of a normal distribution; `degrees` tells the degrees of
    /// freedom of a spread that was estimated from so many values.
    #[must_use]
    pub fn new(deviation: f64, degrees: fn(usize) -> f64) -> Self {
        Self { deviation, degrees, by_count: Vec::new() }
    }

    /// The standard deviations of a normal distribution that the lines stand for.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        self.deviation
    }

    /// The degrees of freedom of a spread of so many values.
    #[must_use]
    pub fn degrees(&self, count: usize) -> f64 {
        (self.degrees)(count)
    }

    /// The t deviation for a spread of so many values: infinite if it is beyond 1e87.
    pub fn at(&mut self, count: usize) -> f64 {
        let count = count.min(MOST_VALUES);
        if self.by_count.len() <= count {
            self.by_count.resize(count + 1, None);
        }
        let (z, degrees) = (self.deviation, self.degrees);
        *self.by_count[count].get_or_insert_with(|| student_deviation(z, degrees(count)))
    }
}

/// The inverse of [`normal_deviation`], by bisection over ln t.
fn student_deviation(z: f64, degrees: f64) -> f64 {
    // Student's tails are the heavier: t ≥ z.
    let (mut low, mut high) = (z.ln(), LARGEST_LN_T);
    if normal_deviation(high.exp(), degrees) < z {
        return f64::INFINITY;
    }
    while high - low > 1e-13 {
        let middle = f64::midpoint(low, high);
        if normal_deviation(middle.exp(), degrees) < z {
            low = middle;
        } else {
            high = middle;
        }
    }
    high.exp()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "what is exact must be exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn agrees_with_sixty_digit_figures() {
        let table = include_str!("testdata/student_tail.csv");
        for line in table.lines().skip(1) {
            let figures: Vec<f64> = line.split(',').map(|f| f.parse().unwrap()).collect();
            let [degrees, t, z] = figures[..] else { panic!("{line}") };
            let got = normal_deviation(t, degrees);
            assert!((got - z).abs() <= 1e-11 * z, "{line}: {got}");
            assert_eq!(normal_deviation(-t, degrees).to_bits(), (-got).to_bits());
        }
        assert!(table.lines().count() > 100);
    }

    #[test]
    fn ends_are_kept() {
        assert_eq!(normal_deviation(0.0, 5.0), 0.0);
        assert_eq!(normal_deviation(f64::NEG_INFINITY, 5.0), f64::NEG_INFINITY);
        assert!(normal_deviation(f64::NAN, 5.0).is_nan());
        assert!(normal_deviation(f64::MAX, 1.0).is_finite());
        assert!((normal_deviation(3.0, 1e300) - 3.0).abs() < 0.01);
    }

    #[test]
    fn a_line_that_no_distance_reaches_is_infinite() {
        assert_eq!(Lines::new(100.0, |n| n as f64).at(1), f64::INFINITY);
        let cauchy = Lines::new(4.0, |n| n as f64).at(1);
        assert!((cauchy - 1.0 / (PI * 3.167_124e-5)).abs() < 0.01 * cauchy, "{cauchy}");
    }

    proptest! {
        #[test]
        fn rises_with_t(t in -4.0..30.0_f64, step in 1e-6..1.0_f64, degrees in 1.0..2e4_f64) {
            let (low, high) = (10_f64.powf(t), 10_f64.powf(t) * (1.0 + step));
            prop_assert!(normal_deviation(low, degrees) < normal_deviation(high, degrees));
        }

        #[test]
        fn falls_with_fewer_degrees(t in 0.01..1e6_f64, degrees in 1.0..5e3_f64) {
            prop_assert!(normal_deviation(t, degrees) < normal_deviation(t, degrees * 1.5));
            prop_assert!(normal_deviation(t, degrees) <= t);
        }

        #[test]
        fn lines_are_where_the_deviation_is_reached(z in 0.1..8.0_f64, degrees in 2_usize..2_000) {
            let t = Lines::new(z, |n| n as f64).at(degrees);
            prop_assert!((normal_deviation(t, degrees as f64) / z - 1.0).abs() < 1e-9);
        }
    }
}
