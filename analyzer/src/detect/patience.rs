//! How long silence is borne, and what is said when it has lasted.

use kinetic_api::{
    anomaly::Anomaly,
    plan::{AnalyticKind, AnalyticPlan},
    series::SeriesName,
    statistic::Statistic,
};

use super::{
    explain::Topic,
    figures::Unit,
    finding::{Band, Closing, Telling, history},
    measure::Measure,
    verdict::Verdict,
};
use crate::window::{SeriesId, Window};

/// How long silence is borne.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    after_ms: i64,
    interval_ms: i64,
    statistic: Statistic,
}

impl Patience {
    /// As an absence's plan says, for windows of this many milliseconds.
    #[must_use]
    pub fn new(plan: &AnalyticPlan, after_ms: i64, interval_ms: i64) -> Self {
        Self { after_ms, interval_ms, statistic: plan.statistic }
    }

    /// Bears silence as long as an edited plan says.
    pub fn edit(&mut self, plan: &AnalyticPlan) {
        if let AnalyticKind::Absence { after_ms, .. } = plan.kind {
            self.after_ms = after_ms;
        }
    }

    /// How long silence is borne, in milliseconds.
    #[must_use]
    pub fn after_ms(self) -> i64 {
        self.after_ms
    }

    /// What the silence between two windows with samples amounted to: 1.0 is what is borne. None but a score: no value was off.
    #[must_use]
    pub fn verdict(self, before: Option<i64>, number: i64) -> Verdict {
        let windows = before.map_or(0, |before| number.saturating_sub(before).saturating_sub(1));
        let score = windows.saturating_mul(self.interval_ms) as f64 / self.after_ms as f64;
        Verdict { score, ..Verdict::NONE }
    }

    /// The window at whose end a silence has lasted this long, given the last window that had a sample. It may lie before
    /// the window that is closing: of a long gap not every window is reported.
    #[must_use]
    pub fn window_after(self, latest: i64, silence_ms: i64) -> Window {
        let end_ms = latest.saturating_add(1).saturating_mul(self.interval_ms).saturating_add(silence_ms);
        let windows =
            end_ms.div_euclid(self.interval_ms) + i64::from(end_ms.rem_euclid(self.interval_ms) > 0);
        let end_ms = windows.saturating_mul(self.interval_ms);
        Window { start_ms: end_ms - self.interval_ms, end_ms }
    }

    /// Silence since the window of this number begins to fire at the end of the closing one.
    #[must_use]
    pub fn fires(
        self,
        closing: &Closing<'_>,
        latest: i64,
        id: Option<SeriesId>,
        subject: SeriesName,
    ) -> Anomaly {
        let since = latest.saturating_add(1);
        let silence_ms = closing.window.end_ms.saturating_sub(since.saturating_mul(self.interval_ms));
        let score = silence_ms as f64 / self.after_ms as f64;
        let explanation = self.topic(&subject).silent(silence_ms, self.after_ms);
        let verdict = Verdict { score, ..Verdict::NONE };
        closing.fires(since, self.telling(closing, id, verdict, explanation, subject))
    }

    /// What fired resolves at the end of the closing window; `words` makes a sentence of how long it was silent.
    #[must_use]
    pub fn resolves(
        self,
        closing: &Closing<'_>,
        fired: &Anomaly,
        id: Option<SeriesId>,
        words: impl Fn(Topic<'_>, i64) -> String,
    ) -> Anomaly {
        let subject = fired.data.series();
        let silence_ms = closing.window.start_ms.saturating_sub(fired.data.since.as_millisecond());
        let explanation = words(self.topic(&subject), silence_ms);
        closing.resolves(fired, self.telling(closing, id, Verdict::NONE, explanation, subject))
    }

    fn topic(self, subject: &SeriesName) -> Topic<'_> {
        Topic {
            subject,
            measure: Measure::plain(self.statistic),
            unit: Unit::None,
            interval_ms: self.interval_ms,
        }
    }

    fn telling(
        self,
        closing: &Closing<'_>,
        id: Option<SeriesId>,
        verdict: Verdict,
        explanation: String,
        subject: SeriesName,
    ) -> Telling {
        let trace = id.and_then(|id| closing.subjects.history(id, self.statistic));
        let history = history(closing.number(), self.interval_ms, |n| {
            (trace.and_then(|trace| trace.get(n)), Band::default())
        });
        Telling { subject, verdict, peers: None, history, explanation }
    }
}
