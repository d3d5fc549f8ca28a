//! One series divided by another.

use super::problem::Problem;
use crate::{glob::Glob, resources::topology::Ratio, statistic::Statistic};

/// One series divided by another of the same origin and tags.
#[derive(Clone, Debug, PartialEq)]
pub struct RatioPlan {
    /// What is divided: the analytic's own metric.
    pub numerator: Glob,
    /// What it is divided by; as many wildcards as the numerator has.
    pub denominator: Glob,
    /// The number of the denominator.
    pub statistic: Statistic,
    /// Where there is less to divide by, or 0, there is no value.
    pub min_denominator: f64,
    /// Tags that do not tell series apart here.
    pub ignore_tags: Vec<String>,
}

impl RatioPlan {
    /// The ratio of an analytic that looks at `numerator`, by `statistic` unless it names another.
    pub(super) fn new(
        ratio: &Ratio,
        numerator: &Glob,
        statistic: Statistic,
        at: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let before = problems.len();
        let denominator = ratio.denominator.parse::<Glob>();
        let wanted = numerator.wildcards();
        let has = denominator.as_ref().map_or(0, Glob::wildcards);
        if denominator.is_err() || has != wanted {
            problems.push(Problem::new(
                format!("{at}.ratio.denominator"),
                format!(
                    "`{}` has {has} wildcards where match.metric `{numerator}` has {wanted}: it does not tell what \
                     belongs together",
                    ratio.denominator
                ),
                "give each * of match.metric its own here, such as page.*.requests for page.*.errors",
            ));
        }
        if !(ratio.min_denominator >= 0.0 && ratio.min_denominator.is_finite()) {
            problems.push(Problem::new(
                format!("{at}.ratio.minDenominator"),
                format!("`{}` is nothing to divide by", ratio.min_denominator),
                "use 0 or more; below 20 requests or so a share of errors says little",
            ));
        }
        let divided_by = ratio.statistic.unwrap_or(statistic);
        if denominator.as_ref() == Ok(numerator) && divided_by == statistic {
            problems.push(Problem::new(
                format!("{at}.ratio.denominator"),
                format!("{statistic} of `{numerator}` divided by itself is always 1"),
                "name another metric, or another statistic of it",
            ));
        }
        if problems.len() > before {
            return None;
        }
        Some(Self {
            numerator: numerator.clone(),
            denominator: denominator.ok()?,
            statistic: divided_by,
            min_denominator: ratio.min_denominator,
            ignore_tags: ratio.ignore_tags.clone(),
        })
    }

    /// The metric by which a numerator's metric is divided.
    #[must_use]
    pub fn denominator_of(&self, numerator: &str) -> Option<String> {
        self.numerator.captures(numerator).map(|captures| self.denominator.filled(captures))
    }

    /// The metric that is divided by a denominator's.
    #[must_use]
    pub fn numerator_of(&self, denominator: &str) -> Option<String> {
        self.denominator.captures(denominator).map(|captures| self.numerator.filled(captures))
    }
}
