//! What number an analytic looks at, in words and units.

use kinetic_api::{
    plan::{AnalyticPlan, RatioPlan},
    resources::topology::Change,
    statistic::Statistic,
};

use super::figures::Unit;
use crate::decode::MetricType;

/// A statistic, what it is divided by, and whether it is their change that counts.
#[derive(Clone, Copy, Debug)]
pub struct Measure<'a> {
    statistic: Statistic,
    ratio: Option<&'a RatioPlan>,
    change: Option<Change>,
}

impl<'a> Measure<'a> {
    /// What an analytic looks at.
    #[must_use]
    pub fn of(plan: &'a AnalyticPlan) -> Self {
        Self { statistic: plan.statistic, ratio: plan.ratio.as_ref(), change: plan.change }
    }

    /// A statistic as it is.
    #[must_use]
    pub fn plain(statistic: Statistic) -> Self {
        Self { statistic, ratio: None, change: None }
    }

    /// `page.cart.errors ÷ page.cart.requests`; None where nothing is divided.
    #[must_use]
    pub fn metrics(&self, metric: &str) -> Option<String> {
        Some(format!("{metric} ÷ {}", self.ratio?.denominator_of(metric)?))
    }

    /// `mean`, `sum`, `sum ÷ count`, `change of mean per second`.
    #[must_use]
    pub fn brief(&self) -> String {
        let statistic = self.statistic.as_str();
        self.changed(match self.ratio {
            Some(ratio) if ratio.statistic != self.statistic => format!("{statistic} ÷ {}", ratio.statistic),
            _ => statistic.to_owned(),
        })
    }

    /// `sum of page.cart.errors ÷ sum of page.cart.requests`, `change of mean per second`; None where the statistic says all.
    #[must_use]
    pub fn words(&self, metric: &str) -> Option<String> {
        let divided = self.ratio.and_then(|ratio| {
            let by = ratio.denominator_of(metric)?;
            Some(format!("{} of {metric} ÷ {} of {by}", self.statistic, ratio.statistic))
        });
        match divided {
            Some(divided) => Some(self.changed(divided)),
            None => self.change.is_some().then(|| self.brief()),
        }
    }

    fn changed(&self, what: String) -> String {
        match self.change {
            None => what,
            Some(Change::PerSecond) => format!("change of {what} per second"),
            Some(Change::PerWindow) => format!("change of {what} per window"),
        }
    }

    /// The unit, where the samples are such. A ratio has none: what it is divided by may be anything.
    #[must_use]
    pub fn unit(&self, kind: MetricType) -> Unit {
        let unit = if self.ratio.is_some() { Unit::None } else { Unit::of(self.statistic, kind) };
        match self.change {
            Some(Change::PerSecond) => unit.per_second(),
            Some(Change::PerWindow) | None => unit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(statistic: Statistic) -> RatioPlan {
        RatioPlan {
            numerator: "page.*.errors".parse().unwrap(),
            denominator: "page.*.requests".parse().unwrap(),
            statistic,
            min_denominator: 1.0,
            ignore_tags: Vec::new(),
        }
    }

    #[test]
    fn says_what_is_looked_at() {
        let (same, other) = (ratio(Statistic::Sum), ratio(Statistic::Count));
        let words = |ratio, change| {
            let measure = Measure { statistic: Statistic::Sum, ratio, change };
            (measure.brief(), measure.words("page.cart.errors").unwrap_or_default())
        };
        let quotient = "sum of page.cart.errors ÷ sum of page.cart.requests";
        assert_eq!(words(None, None), ("sum".to_owned(), String::new()));
        assert_eq!(words(Some(&same), None), ("sum".to_owned(), quotient.to_owned()));
        assert_eq!(words(Some(&other), None).0, "sum ÷ count");
        let change = "change of sum per window".to_owned();
        assert_eq!(words(None, Some(Change::PerWindow)), (change.clone(), change));
        assert_eq!(words(Some(&same), Some(Change::PerSecond)).1, format!("change of {quotient} per second"));
    }

    #[test]
    fn has_a_unit_where_that_is_known() {
        let unit =
            |ratio, change| Measure { statistic: Statistic::Mean, ratio, change }.unit(MetricType::Timer);
        let by = ratio(Statistic::Count);
        assert_eq!(unit(None, None), Unit::Milliseconds);
        assert_eq!(unit(None, Some(Change::PerWindow)), Unit::Milliseconds);
        assert_eq!(unit(None, Some(Change::PerSecond)), Unit::MillisecondsPerSecond);
        assert_eq!(unit(Some(&by), None), Unit::None);
        assert_eq!(unit(Some(&by), Some(Change::PerSecond)), Unit::PerSecond);
    }
}
