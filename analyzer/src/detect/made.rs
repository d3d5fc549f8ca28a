//! From a window's samples of several series to one number: joined, divided, held against the window before.

use kinetic_api::{
    plan::{AnalyticPlan, RatioPlan},
    resources::topology::Change,
    statistic::Statistic,
};
use serde::{Deserialize, Serialize};

use super::cluster::usable;
use crate::window::{Accumulator, Scatter};

/// How a series is made of others.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Of the numerator, or of what changes.
    pub statistic: Statistic,
    /// By what it is divided.
    pub ratio: Option<RatioPlan>,
    /// Whether it is held against the window before.
    pub change: Option<Change>,
    interval_ms: i64,
}

/// As what a series goes into another. What is not divided is a numerator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is divided.
    Numerator,
    /// It is divided by.
    Denominator,
}

/// A series that is made of others, and what it needs to remember.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Made {
    numerator: Side,
    denominator: Side,
    /// The last window in which anything was added.
    latest: Option<i64>,
    /// The last window with a number, and that number, before it is held against the one before.
    previous: Option<(i64, f64)>,
}

/// The series that go in on one side, and their samples in the window that is closing.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Side {
    series: u32,
    sum: Sum,
}

#[derive(Debug, Default, Serialize, Deserialize)]
enum Sum {
    /// There are no samples.
    #[default]
    Empty,
    /// Of the only series.
    Of(Option<f64>),
    /// Of several.
    Joined(Box<Accumulator>),
}

impl Recipe {
    /// As a plan says, for windows of this many milliseconds; None if series are to be looked at as they are.
    #[must_use]
    pub fn new(plan: &AnalyticPlan, interval_ms: i64) -> Option<Self> {
        let AnalyticPlan { statistic, ratio, change, .. } = plan;
        (ratio.is_some() || change.is_some()).then(|| Self {
            statistic: *statistic,
            ratio: ratio.clone(),
            change: *change,
            interval_ms,
        })
    }

    /// Takes what may change in place.
    pub fn edit(&mut self, plan: &AnalyticPlan) {
        self.ratio.clone_from(&plan.ratio);
    }

    /// The statistic of a side; None if there is no such side.
    #[must_use]
    pub fn statistic(&self, role: Role) -> Option<Statistic> {
        match role {
            Role::Numerator => Some(self.statistic),
            Role::Denominator => self.ratio.as_ref().map(|ratio| ratio.statistic),
        }
    }
}

impl Recipe {
    /// How many a denominator counts.
    fn trials(&self, ratio: &RatioPlan, by: f64) -> f64 {
        if ratio.statistic == Statistic::Rate { by * self.interval_ms as f64 / 1000.0 } else { by }
    }
}

impl Made {
    fn side(&mut self, role: Role) -> &mut Side {
        match role {
            Role::Numerator => &mut self.numerator,
            Role::Denominator => &mut self.denominator,
        }
    }

    /// One more series goes in.
    pub fn joins(&mut self, role: Role) {
        self.side(role).series += 1;
    }

    /// A series that went in goes.
    pub fn leaves(&mut self, role: Role) {
        self.side(role).series -= 1;
    }

    /// Whether any series goes in on this side.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        match role {
            Role::Numerator => self.numerator.series > 0,
            Role::Denominator => self.denominator.series > 0,
        }
    }

    /// Whether nothing goes in any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.has(Role::Numerator) && !self.has(Role::Denominator)
    }

    /// Whether it has what it needs: something to divide by, or what changes.
    #[must_use]
    pub fn can_have_values(&self, recipe: &Recipe) -> bool {
        self.has(if recipe.ratio.is_some() { Role::Denominator } else { Role::Numerator })
    }

    /// Adds the samples of one series in the window of this number; whether they are the first there.
    pub fn add(&mut self, role: Role, number: i64, samples: &Accumulator, recipe: &Recipe) -> bool {
        let first = self.latest != Some(number);
        if first {
            // A window whose number was not asked for leaves its samples behind.
            (self.numerator.sum, self.denominator.sum) = (Sum::Empty, Sum::Empty);
            self.latest = Some(number);
        }
        let Some(statistic) = recipe.statistic(role) else { return first };
        let side = self.side(role);
        side.sum = match std::mem::take(&mut side.sum) {
            Sum::Empty if side.series == 1 => Sum::Of(samples.statistic(statistic, recipe.interval_ms)),
            Sum::Joined(mut joined) => {
                join(&mut joined, samples);
                Sum::Joined(joined)
            }
            Sum::Empty | Sum::Of(_) => Sum::Joined(Box::new(samples.clone())),
        };
        first
    }

    /// The number that the window of this number has, if any, and how sure it is, if that is known.
    pub fn value(&mut self, number: i64, recipe: &Recipe) -> Option<(f64, Option<Scatter>)> {
        let top = self.numerator.sum.take(recipe.statistic, recipe.interval_ms);
        let (value, scatter) = match &recipe.ratio {
            None => (top?, None),
            Some(ratio) => {
                let by = self.denominator.sum.take(ratio.statistic, recipe.interval_ms)?;
                if by < ratio.min_denominator || by == 0.0 {
                    return None;
                }
                let value = top.or_else(|| counts(recipe.statistic).then_some(0.0))? / by;
                let of_counts = counts(recipe.statistic) && counts(ratio.statistic);
                (value, of_counts.then(|| Scatter::of_share(value, recipe.trials(ratio, by))).flatten())
            }
        };
        let value = usable(value)?;
        let Some(change) = recipe.change else { return Some((value, scatter)) };
        let previous = self.previous.replace((number, value));
        let (before, level) = previous?;
        let seconds = match change {
            Change::PerSecond => recipe.interval_ms as f64 / 1000.0,
            Change::PerWindow => 1.0,
        };
        (before + 1 == number).then(|| ((value - level) / seconds, None))
    }
}

/// Whether it counts something, so that no samples at all mean 0: who has no errors sends none.
fn counts(statistic: Statistic) -> bool {
    matches!(statistic, Statistic::Count | Statistic::Sum | Statistic::Rate)
}

/// Samples of series of one name but of several types are not put together: the first type counts, in whatever order they come.
fn join(joined: &mut Accumulator, samples: &Accumulator) {
    match samples.kind().cmp(&joined.kind()) {
        std::cmp::Ordering::Less => *joined = samples.clone(),
        std::cmp::Ordering::Equal => joined.merge(samples),
        std::cmp::Ordering::Greater => {}
    }
}

impl Sum {
    fn take(&mut self, statistic: Statistic, interval_ms: i64) -> Option<f64> {
        match std::mem::take(self) {
            Self::Empty => None,
            Self::Of(value) => value,
            Self::Joined(samples) => samples.statistic(statistic, interval_ms),
        }
    }
}
