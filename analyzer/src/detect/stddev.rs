//! A series against its own past.

use kinetic_api::{
    anomaly::Anomaly,
    plan::{AnalyticKind, AnalyticPlan},
    resources::topology::{AnalyticState, Direction, Stddev},
    statistic::Statistic,
};
use serde::{Deserialize, Serialize};

use super::{
    analysis::{Analysis, Sample},
    baseline::{Baseline, Fading},
    expectation::{Expectation, UNREACHABLE, score, strays},
    explain::Topic,
    figures::number,
    finding::{Band, Closing, Telling, history},
    history::WINDOWS,
    measure::Measure,
    persistence::Turn,
    roster::{Roster, Turned},
    subjects::{Slot, Subjects},
    tail::Lines,
    trail::Trail,
    verdict::Verdict,
};
use crate::{
    image::{ImageError, Reader, Writer},
    window::{Names, SeriesId},
};

/// Only what is this many standard deviations off, and odd, is learned with less weight: with a low line much of the normal
/// is odd, and must be learned for what it is.
const LEARNED_WHOLE: f64 = 3.0;

/// A series against its own past.
#[derive(Debug)]
pub struct StddevAnalysis {
    settings: Settings,
    lines: Lines,
    roster: Roster<Past>,
    interval_ms: i64,
}

#[derive(Clone, Debug)]
struct Settings {
    stddev: Stddev,
    statistic: Statistic,
    fading: Fading,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Past {
    series: SeriesId,
    baseline: Baseline,
    trail: Trail,
}

impl StddevAnalysis {
    /// Of a plan, for windows of this many milliseconds.
    #[must_use]
    pub fn new(plan: &AnalyticPlan, stddev: &Stddev, interval_ms: i64) -> Self {
        Self {
            settings: Settings::new(plan.statistic, stddev, interval_ms),
            lines: lines(stddev),
            roster: Roster::new(plan.persistence),
            interval_ms,
        }
    }
}

/// The mean of the past is estimated with its spread: one degree of freedom less than values.
fn lines(stddev: &Stddev) -> Lines {
    Lines::new(stddev.deviation, |count| count.saturating_sub(1) as f64)
}

impl Settings {
    fn new(statistic: Statistic, stddev: &Stddev, interval_ms: i64) -> Self {
        let fading = Fading::new(stddev.baseline.as_millis(), interval_ms);
        Self { stddev: stddev.clone(), statistic, fading }
    }

    fn is_warm(&self, past: &Past) -> bool {
        past.baseline.learned() >= self.stddev.warmup
    }

    fn tell(&self, closing: &Closing<'_>, past: &Past, turned: &Turned, fired: Option<&Anomaly>) -> Telling {
        let Closing { scope, subjects, .. } = closing;
        let subject = fired.map_or_else(|| closing.names.name(past.series), |fired| fired.data.series());
        let measure = Measure::of(closing.plan);
        let topic = Topic {
            subject: &subject,
            measure,
            unit: closing.unit(past.series, &measure),
            interval_ms: scope.interval_ms,
        };
        let verdict = turned.verdict;
        let explanation = match (turned.turn, fired) {
            (Turn::Resolves, Some(fired)) if verdict.value.is_some() => {
                topic.back(&verdict, "at its usual level", closing.lasted_ms(fired))
            }
            (Turn::Resolves, Some(fired)) if !self.is_warm(past) => topic.settled(closing.lasted_ms(fired)),
            (Turn::Resolves, Some(fired)) => topic.unjudged("it has sent nothing", closing.lasted_ms(fired)),
            _ => topic.against_past(&verdict),
        };
        let trace = subjects.history(past.series, self.statistic);
        let history = history(closing.number(), scope.interval_ms, |n| {
            let band = past.trail.get(n).map(|(centre, reach)| Band::around(centre, reach));
            (trace.and_then(|trace| trace.get(n)), band.unwrap_or_default())
        });
        Telling { subject, verdict, peers: None, history, explanation }
    }
}

impl Analysis for StddevAnalysis {
    fn bind(&mut self, id: SeriesId, _: &Subjects, _: &Names) -> Slot {
        self.roster.insert(Past { series: id, baseline: Baseline::default(), trail: Trail::default() })
    }

    fn unbind(&mut self, slot: Slot, _: SeriesId, closing: &Closing<'_>, found: &mut Vec<Anomaly>) {
        self.roster.dismiss(slot, closing, found);
    }

    fn observe(&mut self, slot: Slot, sample: &Sample<'_>) {
        let Some(value) = sample.value else { return };
        let Settings { stddev, fading, .. } = &self.settings;
        let fires = self.roster.fires(slot);
        let past = self.roster.get_mut(slot);
        past.baseline.fade(sample.number, *fading);
        // Judged before it is learned.
        let warm = past.baseline.learned() >= stddev.warmup;
        let Some(expected) = past.baseline.expectation(stddev.min_stddev).filter(|_| warm) else {
            past.baseline.learn(value, sample.scatter);
            return;
        };
        let (reach, distance) = (expected.reach(&mut self.lines), value - expected.centre);
        past.trail.push(sample.number, expected.centre, reach);
        let lines = &self.lines;
        let mut far = distance.abs() > reach;
        // Only of what is far off it is worth asking whether it merely had few samples.
        let expected = match sample.scatter.map(|scatter| past.baseline.excess(scatter)) {
            Some(excess) if far || fires => expected.allowing_for(excess),
            _ => expected,
        };
        far = far && (!expected.is_of_fewer() || expected.is_odd(value, lines, Direction::Both));
        if far && distance.abs() > LEARNED_WHOLE * expected.assumed_spread() {
            past.baseline.learn_odd(value, sample.scatter, &expected, *fading);
        } else {
            past.baseline.learn(value, sample.scatter);
        }
        let odd = if fires {
            expected.lingers(value, lines, stddev.direction)
        } else {
            far && strays(distance, reach, stddev.direction)
        };
        self.roster.judge(slot, sample.number, odd, || verdict(&expected, value, reach, odd, stddev, lines));
    }

    fn close(&mut self, closing: &Closing<'_>, found: &mut Vec<Anomaly>) {
        let settings = &self.settings;
        self.roster.close(closing, found, |roster, turned, fired| {
            settings.tell(closing, roster.get(turned.slot), turned, fired)
        });
        if closing.number().rem_euclid(WINDOWS) == 0 {
            for past in self.roster.states_mut() {
                past.trail.forget_before(closing.number());
            }
        }
    }

    fn firing(&self) -> Box<dyn Iterator<Item = &Anomaly> + '_> {
        Box::new(self.roster.firing())
    }

    fn state(&self) -> (AnalyticState, Option<String>) {
        let Stddev { deviation, baseline, warmup, .. } = &self.settings.stddev;
        // A steady series is worth at most (1+λ)/(1−λ) windows, about twice the baseline.
        let line = self.lines.clone().at(self.settings.fading.most_worth());
        if line > UNREACHABLE {
            let reason = format!(
                "a baseline of {baseline} can never be so sure of its spread that {} standard deviations show: use a \
                 longer baseline or a lower deviation",
                number(*deviation, 3)
            );
            return (AnalyticState::Unsatisfiable, Some(reason));
        }
        let (mut series, mut warm, mut most) = (0_usize, 0_usize, 0);
        for past in self.roster.states() {
            series += 1;
            warm += usize::from(self.settings.is_warm(past));
            most = most.max(past.baseline.learned());
        }
        match (series, warm) {
            (0, _) => (AnalyticState::WarmingUp, Some("no series has matched yet".into())),
            (_, 0) => (AnalyticState::WarmingUp, Some(format!("{most} of {warmup} windows learned"))),
            _ if warm < series => {
                (AnalyticState::Active, Some(format!("{} of {series} series still learn", series - warm)))
            }
            _ => (AnalyticState::Active, None),
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
        if let AnalyticKind::Stddev(stddev) = &plan.kind {
            self.settings = Settings::new(plan.statistic, stddev, self.interval_ms);
            self.lines = lines(stddev);
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

fn verdict(
    expected: &Expectation,
    value: f64,
    reach: f64,
    odd: bool,
    stddev: &Stddev,
    lines: &Lines,
) -> Verdict {
    let deviation = expected.deviation(value, lines);
    Verdict {
        value: Some(value),
        expected: Some(expected.centre),
        stddev: Some(expected.assumed_spread()),
        reach: Some(reach),
        deviation: Some(deviation),
        score: score(deviation, odd, stddev.direction, stddev.deviation),
        above: deviation > 0.0,
    }
}

#[cfg(test)]
mod tests;
