//! A series against a number, with hysteresis.

use kinetic_api::{
    anomaly::Anomaly,
    plan::{AnalyticKind, AnalyticPlan, ThresholdRule},
    resources::topology::AnalyticState,
    statistic::Statistic,
};
use serde::{Deserialize, Serialize};

use super::{
    analysis::{Analysis, Sample},
    explain::Topic,
    figures::number,
    finding::{Band, Closing, Telling, history},
    measure::Measure,
    roster::{Roster, Turned},
    subjects::{Slot, Subjects},
    verdict::Verdict,
};
use crate::{
    image::{ImageError, Reader, Writer},
    window::{Names, SeriesId},
};

/// The largest score that is told.
const MOST_SCORE: f64 = 1e9;

/// A series against a number.
#[derive(Debug)]
pub struct ThresholdAnalysis {
    line: Line,
    roster: Roster<Against>,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    rule: ThresholdRule,
    statistic: Statistic,
    /// What the number never is below, if that is known.
    least: Option<Least>,
}

/// The least that a number can be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Least {
    /// A window that has a number of samples, or of members, has one at least.
    One,
    Zero,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Against {
    series: SeriesId,
}

impl ThresholdAnalysis {
    /// Of a plan.
    #[must_use]
    pub fn new(plan: &AnalyticPlan, rule: ThresholdRule) -> Self {
        let line = Line { rule, statistic: plan.statistic, least: Least::of(plan) };
        Self { line, roster: Roster::new(plan.persistence) }
    }
}

impl Least {
    fn of(plan: &AnalyticPlan) -> Option<Self> {
        let counts = |statistic| matches!(statistic, Statistic::Count | Statistic::Cardinality);
        let positive = |statistic| counts(statistic) || statistic == Statistic::Stddev;
        match (&plan.ratio, plan.change) {
            (_, Some(_)) => None,
            (None, None) if counts(plan.statistic) => Some(Self::One),
            (None, None) => positive(plan.statistic).then_some(Self::Zero),
            (Some(ratio), None) => {
                (positive(plan.statistic) && positive(ratio.statistic)).then_some(Self::Zero)
            }
        }
    }
}

impl Line {
    /// Why nothing is ever beyond it, if so.
    fn never(self) -> Option<String> {
        let ThresholdRule::Below { line, .. } = self.rule else { return None };
        let statistic = self.statistic;
        match self.least? {
            Least::One if line <= 1.0 => Some(format!(
                "a {statistic} is never below {}: a window without samples has none, and absence is the analytic for that",
                number(line, 4)
            )),
            Least::Zero if line <= 0.0 => Some(format!("it is never below {}", number(line, 4))),
            Least::One | Least::Zero => None,
        }
    }

    fn tell(
        self,
        closing: &Closing<'_>,
        series: SeriesId,
        turned: &Turned,
        fired: Option<&Anomaly>,
    ) -> Telling {
        let Closing { scope, subjects, .. } = closing;
        let subject = fired.map_or_else(|| closing.names.name(series), |fired| fired.data.series());
        let measure = Measure::of(closing.plan);
        let topic = Topic {
            subject: &subject,
            measure,
            unit: closing.unit(series, &measure),
            interval_ms: scope.interval_ms,
        };
        let verdict = turned.verdict;
        let (line, home, band) = match self.rule {
            ThresholdRule::Above { line, clear } => {
                (line, format!("below {}", number(clear, 4)), Band { upper: Some(line), ..Band::default() })
            }
            ThresholdRule::Below { line, clear } => {
                (line, format!("above {}", number(clear, 4)), Band { lower: Some(line), ..Band::default() })
            }
        };
        let explanation = match fired {
            Some(fired) if verdict.value.is_none() => {
                topic.unjudged("it has sent nothing", closing.lasted_ms(fired))
            }
            Some(fired) => topic.back(&verdict, &home, closing.lasted_ms(fired)),
            None => topic.beyond(&verdict, line),
        };
        let trace = subjects.history(series, self.statistic);
        let history = history(closing.number(), scope.interval_ms, |n| (trace.and_then(|t| t.get(n)), band));
        Telling { subject, verdict, peers: None, history, explanation }
    }
}

/// Whether a value is odd. While it fires, what has not come back over the clearing line still is.
fn is_odd(rule: ThresholdRule, value: f64, firing: bool) -> bool {
    match rule {
        ThresholdRule::Above { line, clear } => value > line || (firing && value >= clear),
        ThresholdRule::Below { line, clear } => value < line || (firing && value <= clear),
    }
}

/// 1 at the line, and one more for each line's worth (where the line is 0: for each unit) beyond it; for a line above 0 that
/// must not be exceeded, value ÷ line.
fn score(rule: ThresholdRule, value: f64) -> f64 {
    let (line, beyond) = match rule {
        ThresholdRule::Above { line, .. } => (line, value - line),
        ThresholdRule::Below { line, .. } => (line, line - value),
    };
    let scale = if line == 0.0 { 1.0 } else { line.abs() };
    (1.0 + beyond / scale).clamp(0.0, MOST_SCORE)
}

fn verdict(rule: ThresholdRule, value: f64) -> Verdict {
    let (line, above) = match rule {
        ThresholdRule::Above { line, .. } => (line, true),
        ThresholdRule::Below { line, .. } => (line, false),
    };
    Verdict { value: Some(value), expected: Some(line), score: score(rule, value), above, ..Verdict::NONE }
}

impl Analysis for ThresholdAnalysis {
    fn bind(&mut self, id: SeriesId, _: &Subjects, _: &Names) -> Slot {
        self.roster.insert(Against { series: id })
    }

    fn unbind(&mut self, slot: Slot, _: SeriesId, closing: &Closing<'_>, found: &mut Vec<Anomaly>) {
        self.roster.dismiss(slot, closing, found);
    }

    fn observe(&mut self, slot: Slot, sample: &Sample<'_>) {
        let Some(value) = sample.value else { return };
        let rule = self.line.rule;
        let odd = is_odd(rule, value, self.roster.fires(slot));
        self.roster.judge(slot, sample.number, odd, || verdict(rule, value));
    }

    fn close(&mut self, closing: &Closing<'_>, found: &mut Vec<Anomaly>) {
        let line = self.line;
        self.roster.close(closing, found, |roster, turned, fired| {
            line.tell(closing, roster.get(turned.slot).series, turned, fired)
        });
    }

    fn firing(&self) -> Box<dyn Iterator<Item = &Anomaly> + '_> {
        Box::new(self.roster.firing())
    }

    fn state(&self) -> (AnalyticState, Option<String>) {
        match self.line.never() {
            Some(reason) => (AnalyticState::Unsatisfiable, Some(reason)),
            None if self.roster.is_empty() => {
                (AnalyticState::Active, Some("no series has matched yet".into()))
            }
            None => (AnalyticState::Active, None),
        }
    }

    fn save(&self, image: &mut Writer<'_>) {
        image.put(&self.roster);
    }

    fn restore(&mut self, image: &mut Reader<'_>) -> Result<(), ImageError> {
        self.roster.restore(image.get()?);
        Ok(())
    }

    fn edit(&mut self, plan: &AnalyticPlan) {
        if let AnalyticKind::Threshold(rule) = plan.kind {
            self.line.rule = rule;
        }
        self.roster.set_persistence(plan.persistence);
    }

    fn keep_verdicts(&mut self) {
        self.roster.keep_verdicts();
    }

    fn take_verdicts(&mut self, out: &mut Vec<(Slot, Verdict)>) {
        self.roster.take_verdicts(out);
    }
}

#[cfg(test)]
mod tests;
