//! A series, or all that an analytic looks at, gone silent.
//!
//! Silence counts from the end of the last window with a sample. How long is too long is the analytic's own persistence:
//! one overdue window fires, one sample resolves.

use kinetic_api::{
    anomaly::Anomaly,
    plan::AnalyticPlan,
    resources::topology::{AbsenceOf, AnalyticState},
    series::SeriesName,
};
use serde::{Deserialize, Serialize};

use super::{
    analysis::{Analysis, Sample},
    finding::Closing,
    patience::Patience,
    silent_series::SeriesAbsence,
    subjects::{Slot, Subjects},
    verdict::Verdict,
};
use crate::{
    image::{ImageError, Reader, Writer, as_json},
    window::{Names, SeriesId},
};

/// The absence of what a plan names, for windows of this many milliseconds.
#[must_use]
pub fn new(plan: &AnalyticPlan, after_ms: i64, of: AbsenceOf, interval_ms: i64) -> Box<dyn Analysis> {
    let patience = Patience::new(plan, after_ms, interval_ms);
    match of {
        AbsenceOf::Series => Box::new(SeriesAbsence::new(patience)),
        AbsenceOf::Source => {
            Box::new(SourceAbsence { patience, latest: None, seen: false, firing: None, verdicts: None })
        }
    }
}

/// All series that match together: also if none was ever seen, counted from the first window that closed.
#[derive(Debug)]
struct SourceAbsence {
    patience: Patience,
    /// The last window with a sample, or the one before the first.
    latest: Option<i64>,
    /// There is one in the window that is closing.
    seen: bool,
    firing: Option<Box<Anomaly>>,
    /// What the windows with a sample amounted to, if somebody asked.
    verdicts: Option<Vec<(Slot, Verdict)>>,
}

/// A finding, to be saved.
#[derive(Serialize, Deserialize)]
struct Fired(#[serde(with = "as_json")] Box<Anomaly>);

/// All series share one slot.
const ONLY: Slot = Slot(0);

impl Analysis for SourceAbsence {
    fn bind(&mut self, _: SeriesId, _: &Subjects, _: &Names) -> Slot {
        ONLY
    }

    fn unbind(&mut self, _: Slot, _: SeriesId, _: &Closing<'_>, _: &mut Vec<Anomaly>) {}

    fn observe(&mut self, _: Slot, _: &Sample<'_>) {
        self.seen = true;
    }

    fn close(&mut self, closing: &Closing<'_>, found: &mut Vec<Anomaly>) {
        let number = closing.number();
        if std::mem::take(&mut self.seen) {
            if let Some(verdicts) = &mut self.verdicts {
                verdicts.push((ONLY, self.patience.verdict(self.latest, number)));
            }
            self.latest = Some(number);
            if let Some(fired) = self.firing.take() {
                found.push(
                    self.patience.resolves(closing, &fired, None, |topic, silence| topic.returned(silence)),
                );
            }
            return;
        }
        let latest = *self.latest.get_or_insert(number - 1);
        let window = self.patience.window_after(latest, self.patience.after_ms());
        if self.firing.is_none() && window.end_ms <= closing.window.end_ms {
            let matches = &closing.plan.matches;
            let tags = matches.tags.iter().map(|(key, glob)| (key.clone(), glob.to_string())).collect();
            let subject = SeriesName { metric: matches.metric.to_string(), tags, origin: String::new() };
            let fired = self.patience.fires(&Closing { window, ..*closing }, latest, None, subject);
            self.firing = Some(Box::new(fired.clone()));
            found.push(fired);
        }
    }

    fn firing(&self) -> Box<dyn Iterator<Item = &Anomaly> + '_> {
        Box::new(self.firing.as_deref().into_iter())
    }

    fn state(&self) -> (AnalyticState, Option<String>) {
        (AnalyticState::Active, None)
    }

    fn save(&self, image: &mut Writer<'_>) {
        let firing = self.firing.as_ref().map(|fired| Fired(fired.clone()));
        image.put(&(self.latest, self.seen, firing));
    }

    fn restore(&mut self, image: &mut Reader<'_>) -> Result<(), ImageError> {
        let (latest, seen, firing): (_, _, Option<Fired>) = image.get()?;
        (self.latest, self.seen, self.firing) = (latest, seen, firing.map(|Fired(fired)| fired));
        Ok(())
    }

    fn edit(&mut self, plan: &AnalyticPlan) {
        self.patience.edit(plan);
    }

    fn keep_verdicts(&mut self) {
        self.verdicts.get_or_insert_default();
    }

    fn take_verdicts(&mut self, out: &mut Vec<(Slot, Verdict)>) {
        if let Some(verdicts) = &mut self.verdicts {
            out.append(verdicts);
        }
    }
}

#[cfg(test)]
mod tests;
