//! Any one series gone silent, once it has been seen.
//!
//! The windows forget a series that is idle for long; its silence is remembered here, by its name. It ends when the series
//! comes back, or when it has lasted a day (or ten times what is borne, if that is longer) beyond what is borne: then the
//! series is taken to be gone for good, so that a machine that was taken away does not fire for ever.

use hashbrown::HashMap;
use kinetic_api::{
    anomaly::Anomaly, plan::AnalyticPlan, resources::topology::AnalyticState, series::SeriesName,
};
use serde::{Deserialize, Serialize};

use super::{
    analysis::{Analysis, Sample},
    explain::Topic,
    finding::Closing,
    patience::Patience,
    subjects::{Slot, Subjects},
    verdict::Verdict,
};
use crate::{
    decode::MetricType,
    image::{ImageError, Reader, Writer, as_json},
    window::{Names, SeriesId},
};

/// So many series are remembered beyond the windows; the silence of further ones ends with them.
const MOST_REMEMBERED: usize = 10_000;

/// How long a series is waited for at least, beyond what is borne: a day.
const WAITED_FOR_MS: i64 = 86_400_000;

/// Any one series gone silent.
#[derive(Debug)]
pub struct SeriesAbsence {
    patience: Patience,
    known: Vec<Option<Known>>,
    free: Vec<Slot>,
    remembered: HashMap<(SeriesName, MetricType), Silence>,
    /// Those that fire and had a sample in the window that is closing.
    returned: Vec<Slot>,
    /// No silence begins to fire or is given up before.
    next_due_ms: i64,
    /// What the windows with samples amounted to, if somebody asked.
    verdicts: Option<Vec<(Slot, Verdict)>>,
}

/// A series that the windows know.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    id: SeriesId,
    /// None until the first window with a sample of it closes.
    silence: Option<Silence>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Silence {
    /// The last window with a sample.
    latest: i64,
    stage: Stage,
}

#[derive(Debug, Serialize, Deserialize)]
enum Stage {
    Borne,
    #[serde(with = "as_json")]
    Firing(Box<Anomaly>),
    /// Nothing more is said of it until it comes back.
    GivenUp,
}

impl SeriesAbsence {
    /// Silence that is borne so long.
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        Self {
            patience,
            known: Vec::new(),
            free: Vec::new(),
            remembered: HashMap::new(),
            returned: Vec::new(),
            next_due_ms: i64::MIN,
            verdicts: None,
        }
    }
}

impl Silence {
    /// What is due up to the end of the closing window; returns when the next thing is.
    fn advance(
        &mut self,
        patience: Patience,
        closing: &Closing<'_>,
        id: Option<SeriesId>,
        subject: impl FnOnce() -> SeriesName,
        found: &mut Vec<Anomaly>,
    ) -> i64 {
        if let Stage::Borne = self.stage {
            let window = patience.window_after(self.latest, patience.after_ms());
            if window.end_ms > closing.window.end_ms {
                return window.end_ms;
            }
            let fired = patience.fires(&Closing { window, ..*closing }, self.latest, id, subject());
            found.push(fired.clone());
            self.stage = Stage::Firing(Box::new(fired));
        }
        let Stage::Firing(fired) = &self.stage else { return i64::MAX };
        let after_ms = patience.after_ms();
        let waited_for_ms = WAITED_FOR_MS.max(after_ms.saturating_mul(10)).saturating_add(after_ms);
        let window = patience.window_after(self.latest, waited_for_ms);
        if window.end_ms > closing.window.end_ms {
            return window.end_ms;
        }
        let closing = Closing { window, ..*closing };
        found.push(patience.resolves(&closing, fired, id, |topic, silence| topic.given_up(silence)));
        self.stage = Stage::GivenUp;
        i64::MAX
    }
}

impl Analysis for SeriesAbsence {
    fn bind(&mut self, id: SeriesId, _: &Subjects, names: &Names) -> Slot {
        let key = names.kind(id).map(|kind| (names.name(id), kind));
        let known = Some(Known { id, silence: key.and_then(|key| self.remembered.remove(&key)) });
        if let Some(slot) = self.free.pop() {
            self.known[slot.0 as usize] = known;
            return slot;
        }
        let next =
            u32::try_from(self.known.len()).expect("no more than there are series, whose ids are 32 bits");
        self.known.push(known);
        Slot(next)
    }

    fn unbind(&mut self, slot: Slot, id: SeriesId, closing: &Closing<'_>, found: &mut Vec<Anomaly>) {
        self.free.push(slot);
        let (Some(known), Some(kind)) = (self.known[slot.0 as usize].take(), closing.names.kind(id)) else {
            return;
        };
        match known.silence {
            None | Some(Silence { stage: Stage::GivenUp, .. }) => {}
            Some(silence) if self.remembered.len() < MOST_REMEMBERED => {
                self.remembered.insert((closing.names.name(id), kind), silence);
            }
            Some(Silence { stage: Stage::Firing(fired), .. }) => {
                found.push(closing.withdraws(&fired, "too many series are silent to remember them all"));
            }
            Some(Silence { stage: Stage::Borne, .. }) => {}
        }
    }

    fn observe(&mut self, slot: Slot, sample: &Sample<'_>) {
        let Some(known) = &mut self.known[slot.0 as usize] else { return };
        if let Some(verdicts) = &mut self.verdicts {
            let before = known.silence.as_ref().map(|silence| silence.latest);
            verdicts.push((slot, self.patience.verdict(before, sample.number)));
        }
        match &mut known.silence {
            Some(Silence { latest, stage: Stage::Firing(_) }) => {
                *latest = sample.number;
                self.returned.push(slot);
            }
            silence => *silence = Some(Silence { latest: sample.number, stage: Stage::Borne }),
        }
    }

    fn close(&mut self, closing: &Closing<'_>, found: &mut Vec<Anomaly>) {
        for slot in self.returned.drain(..) {
            if let Some(Known { id, silence: Some(silence) }) = &mut self.known[slot.0 as usize]
                && let Stage::Firing(fired) = &silence.stage
            {
                found.push(
                    self.patience
                        .resolves(closing, fired, Some(*id), |topic, ms| Topic::returned(&topic, ms)),
                );
                silence.stage = Stage::Borne;
            }
        }
        if closing.window.end_ms < self.next_due_ms {
            return;
        }
        // A sample only ever puts off what is due: nothing is due before the earliest of these.
        let mut next = i64::MAX;
        for known in self.known.iter_mut().flatten() {
            if let Some(silence) = &mut known.silence {
                let subject = || closing.names.name(known.id);
                next = next.min(silence.advance(self.patience, closing, Some(known.id), subject, found));
            }
        }
        self.remembered.retain(|(name, _), silence| {
            next = next.min(silence.advance(self.patience, closing, None, || name.clone(), found));
            !matches!(silence.stage, Stage::GivenUp)
        });
        // A series that appears later is due after what is borne at the earliest.
        self.next_due_ms = next.min(closing.window.end_ms.saturating_add(self.patience.after_ms()));
    }

    fn firing(&self) -> Box<dyn Iterator<Item = &Anomaly> + '_> {
        let known = self.known.iter().flatten().filter_map(|known| known.silence.as_ref());
        Box::new(known.chain(self.remembered.values()).filter_map(|silence| match &silence.stage {
            Stage::Firing(fired) => Some(&**fired),
            Stage::Borne | Stage::GivenUp => None,
        }))
    }

    fn state(&self) -> (AnalyticState, Option<String>) {
        let none = self.known.len() == self.free.len() && self.remembered.is_empty();
        (AnalyticState::Active, none.then(|| "no series has matched yet".into()))
    }

    fn save(&self, image: &mut Writer<'_>) {
        let mut remembered: Vec<_> = self.remembered.iter().collect();
        remembered.sort_unstable_by_key(|(key, _)| *key);
        image.put(&(&self.known, &self.free, remembered, self.next_due_ms));
    }

    fn restore(&mut self, image: &mut Reader<'_>) -> Result<(), ImageError> {
        let remembered: Vec<_>;
        (self.known, self.free, remembered, self.next_due_ms) = image.get()?;
        self.remembered = remembered.into_iter().collect();
        Ok(())
    }

    fn edit(&mut self, plan: &AnalyticPlan) {
        self.patience.edit(plan);
        self.next_due_ms = i64::MIN;
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
