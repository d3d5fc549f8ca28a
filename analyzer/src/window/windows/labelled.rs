//! Samples whose series' parts are named: every format but statsd.

use super::{MessageContext, Windows};
use crate::{
    decode::{
        bad_line::BadLineReason,
        origin,
        sample::{Reading, Sample, SampleSink},
        series,
        statsd::{Value, Values},
    },
    window::{
        registry::Found,
        sink::{SeriesId, WindowSink},
    },
};

/// Takes the samples of one message.
struct Taker<'t> {
    windows: &'t mut Windows,
    header: &'t str,
    default_time_ns: Option<i64>,
    sink: &'t mut dyn WindowSink,
}

impl Windows {
    /// Adds the samples that `decode` hands out.
    ///
    /// `default_time_ms` is the event time of samples without one of their own; where it is None, too, it is the last tick's wall time.
    pub fn add_labelled(
        &mut self,
        message: MessageContext<'_>,
        default_time_ms: Option<i64>,
        sink: &mut dyn WindowSink,
        decode: impl FnOnce(&mut dyn SampleSink),
    ) {
        let default_time_ms = default_time_ms.or(self.watermark.last_tick());
        let mut taker = Taker {
            header: origin::bounded(message.origin.unwrap_or_default()),
            default_time_ns: default_time_ms.and_then(|ms| ms.checked_mul(1_000_000)),
            windows: self,
            sink,
        };
        decode(&mut taker);
    }
}

impl SampleSink for Taker<'_> {
    fn sample(&mut self, sample: &Sample<'_>) {
        self.windows.counters.samples += 1;
        if let Err(reason) = self.add(sample) {
            self.windows.counters.samples -= 1;
            self.windows.refuse(reason, sample.line);
        }
    }

    fn bad_line(&mut self, reason: BadLineReason, line: &[u8]) {
        self.windows.refuse(reason, line);
    }

    fn event(&mut self) {
        self.windows.counters.events += 1;
    }

    fn gap(&mut self) {
        self.windows.counters.gaps += 1;
    }
}

impl Taker<'_> {
    fn add(&mut self, sample: &Sample<'_>) -> Result<(), BadLineReason> {
        let read_ns = sample.time_ns.or(self.default_time_ns).filter(|ns| *ns >= 0);
        let timely = self.windows.timely(read_ns.map(|ns| ns / 1_000_000), 1);
        let (Some((time_ms, number)), Some(read_ns)) = (timely, read_ns) else {
            if let Some(read_ns) = read_ns {
                self.remember_late(sample, read_ns);
            }
            return Ok(());
        };
        let id = match self.find(sample) {
            Some(id) => Some(id),
            None => self.learn(sample)?,
        };
        let closed = self.windows.accept(time_ms, number, self.sink);
        match id {
            None => self.windows.counters.dropped_series += 1,
            Some(id) => self.put(id, number, read_ns, sample),
        }
        self.windows.evict_after(closed, self.sink);
        Ok(())
    }

    /// A reading whose window has closed is no sample, but the next is compared with it. (One from the future would spoil all that follow.)
    fn remember_late(&mut self, sample: &Sample<'_>, time_ns: i64) {
        let closed = self.windows.watermark.at().is_some_and(|at| time_ns / 1_000_000 <= at);
        if let Reading::Raw { raw, bounds } = sample.reading
            && closed
            && let Some(id) = self.find(sample)
        {
            self.windows.rates.rate(id, time_ns, raw, bounds);
        }
    }

    /// Adds a sample to its series' window.
    fn put(&mut self, id: SeriesId, number: i64, time_ns: i64, sample: &Sample<'_>) {
        let windows = &mut *self.windows;
        let one = |number, signed| Values::One(Value { number, signed });
        let (values, weight) = match sample.reading {
            Reading::Level(level) => (one(level, false), 1.0),
            Reading::Change(change) => (one(change, true), 1.0),
            Reading::Increment(increment) => (one(increment, false), 1.0),
            Reading::Observation { value, weight } => (one(value, false), weight),
            Reading::Member(member) => (Values::Member(member), 1.0),
            Reading::Raw { raw, bounds } => {
                let Some(rate) = windows.rates.rate(id, time_ns, raw, bounds) else {
                    windows.counters.unrated += 1;
                    return;
                };
                (one(rate, false), 1.0)
            }
        };
        if !windows.table.add(id, number, values, weight) {
            windows.counters.unmatched += 1;
        }
    }

    fn find(&mut self, sample: &Sample<'_>) -> Option<SeriesId> {
        let Windows { labelled, evictions, .. } = self.windows;
        labelled.find(self.header, sample, *evictions)
    }

    #[cold]
    fn learn(&mut self, sample: &Sample<'_>) -> Result<Option<SeriesId>, BadLineReason> {
        let windows = &mut *self.windows;
        let kind = sample.reading.kind();
        let labels = series::named(sample.metric, sample.tags)?;
        let name = origin::labelled(labels, windows.registry.rule(), self.header, sample.origin);
        let id = match windows.registry.series(&name, kind) {
            Found::Known(id) => id,
            Found::Full => return Ok(None),
            Found::New(id, name) => {
                windows.table.insert(id, kind, self.sink.series(id, &name, kind, windows.registry.names()));
                windows.counters.series = windows.registry.len() as u64;
                id
            }
        };
        windows.labelled.remember(id);
        Ok(Some(id))
    }
}

#[cfg(test)]
mod tests;
