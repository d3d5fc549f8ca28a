//! What a window's value amounted to.

use kinetic_api::resources::topology::Direction;

/// What a window's value amounted to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// The value, if there was one.
    pub value: Option<f64>,
    /// What was expected.
    pub expected: Option<f64>,
    /// The spread of what was expected, floor applied.
    pub stddev: Option<f64>,
    /// How far from what was expected the line lies, to either side; None where there is no band.
    pub reach: Option<f64>,
    /// How far off, in standard deviations of a normal distribution; signed.
    pub deviation: Option<f64>,
    /// 1.0 is the line.
    pub score: f64,
    /// Whether it is off upwards.
    pub above: bool,
}

impl Verdict {
    /// Of a window in which the subject was not judged.
    pub const NONE: Self = Self {
        value: None,
        expected: None,
        stddev: None,
        reach: None,
        deviation: None,
        score: 0.0,
        above: false,
    };

    /// To which side it is off.
    #[must_use]
    pub fn direction(&self) -> Direction {
        if self.above { Direction::Above } else { Direction::Below }
    }
}
