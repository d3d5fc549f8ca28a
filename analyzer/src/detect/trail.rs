//! Where the band of a series lay in its last windows.

use kinetic_api::anomaly::HISTORY_WINDOWS;
use serde::{Deserialize, Serialize};

use super::history::WINDOWS;

/// A band that follows a series moves slowly: one place for so many windows draws it well enough.
const WINDOWS_A_STEP: i64 = 5;
const STEPS: i64 = WINDOWS / WINDOWS_A_STEP + 1;
const PLACES: usize = HISTORY_WINDOWS / 5 + 1;

/// Centre and reach of a band over the last [`WINDOWS`], in steps of five windows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trail {
    /// None until there is one.
    steps: Option<Box<[(f32, f32); PLACES]>>,
    latest: i64,
}

impl Default for Trail {
    fn default() -> Self {
        Self { steps: None, latest: i64::MIN }
    }
}

impl Trail {
    /// Takes in where the band lay in the window of this number, which is later than all before it.
    pub fn push(&mut self, number: i64, centre: f64, reach: f64) {
        let step = number.div_euclid(WINDOWS_A_STEP);
        if step == self.latest {
            return;
        }
        let passed = step.saturating_sub(self.latest).min(STEPS);
        let steps = self.steps.get_or_insert_with(|| Box::new([(f32::NAN, f32::NAN); PLACES]));
        for skipped in 1..passed {
            steps[place(step - skipped)] = (f32::NAN, f32::NAN);
        }
        #[allow(clippy::cast_possible_truncation, reason = "a picture has no more precision")]
        let drawn = (centre as f32, reach as f32);
        steps[place(step)] = drawn;
        self.latest = step;
    }

    /// Lets go of all if it is older than the last windows at the one of this number.
    pub fn forget_before(&mut self, number: i64) {
        if number.div_euclid(WINDOWS_A_STEP).saturating_sub(self.latest) >= STEPS {
            *self = Self::default();
        }
    }

    /// Where the band lay in the window of this number (or within five windows of it): centre and reach.
    #[must_use]
    pub fn get(&self, number: i64) -> Option<(f64, f64)> {
        let step = number.div_euclid(WINDOWS_A_STEP);
        let age = self.latest.checked_sub(step)?;
        let (centre, reach) = self.steps.as_ref()?[place(step)];
        ((0..STEPS).contains(&age) && centre.is_finite()).then(|| (f64::from(centre), f64::from(reach)))
    }
}

fn place(step: i64) -> usize {
    usize::try_from(step.rem_euclid(STEPS)).expect("a remainder by a positive number is not negative")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_sixty_windows_in_steps() {
        let mut trail = Trail::default();
        assert_eq!(trail.get(7), None);
        for number in 1_000..1_200 {
            trail.push(number, number as f64, 2.0);
        }
        assert_eq!(trail.get(1_199), Some((1_195.0, 2.0)));
        assert_eq!(trail.get(1_140), Some((1_140.0, 2.0)));
        assert_eq!(trail.get(1_100), None);
        trail.push(1_220, 7.0, f64::INFINITY);
        assert_eq!(trail.get(1_221), Some((7.0, f64::INFINITY)));
        assert_eq!(trail.get(1_210), None, "a gap");
        assert_eq!(trail.get(1_180), Some((1_180.0, 2.0)));
        trail.push(9_000, 1.0, 1.0);
        assert_eq!(trail.get(8_990), None);
        assert_eq!(trail.get(9_000), Some((1.0, 1.0)));
    }
}
