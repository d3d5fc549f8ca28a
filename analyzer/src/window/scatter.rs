//! How sure a window's mean is.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// How the samples of a window scatter around their mean, which is the less sure the fewer they are. In single precision: it only
/// ever says how much further than usual a value may stray.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scatter {
    /// How many equally weighted samples they are worth (Kish: (Σw)²/Σw²), at least 1; the number's bits, which are never all 0, so
    /// that to have no scatter takes no room.
    worth: NonZeroU32,
    /// Their variance (n − 1); 0 for a single one.
    variance: f32,
}

impl Scatter {
    /// Of samples that are worth so many, and vary by so much.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "see Scatter")]
    pub fn new(worth: f64, variance: f64) -> Self {
        let bits = NonZeroU32::new((worth.max(1.0) as f32).to_bits());
        let Some(worth) = bits else { unreachable!("of 1 or more the bits are not all 0") };
        Self { worth, variance: variance.max(0.0) as f32 }
    }

    /// Of a share, such as errors of requests: of so many trials each came out as 1 or 0. None if it cannot be such a share.
    #[must_use]
    pub fn of_share(share: f64, trials: f64) -> Option<Self> {
        ((0.0..=1.0).contains(&share) && trials >= 1.0).then(|| Self::new(trials, share * (1.0 - share)))
    }

    /// The degrees of freedom of the variance.
    #[must_use]
    pub fn freedom(self) -> f64 {
        self.worth() - 1.0
    }

    /// The sum of squared distances, each as if it weighed 1.
    #[must_use]
    pub fn squares(self) -> f64 {
        f64::from(self.variance) * self.freedom()
    }

    /// What one over the number of samples is: the variance of their mean is so large a part of theirs.
    #[must_use]
    pub fn thinness(self) -> f64 {
        self.worth().recip()
    }

    fn worth(self) -> f64 {
        f64::from(f32::from_bits(self.worth.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_takes_no_room() {
        assert_eq!(size_of::<Option<Scatter>>(), 8);
        let scatter = Scatter::new(12.5, 4.0);
        assert!((scatter.freedom() - 11.5).abs() < 1e-6 && (scatter.thinness() - 0.08).abs() < 1e-6);
        assert_eq!(Scatter::new(f64::NAN, -1.0), Scatter::new(1.0, 0.0));
    }
}
