//! The windows of one source.

mod image;
mod labelled;

use std::hint::black_box;

use kinetic_api::{plan::OriginRule, series::SeriesName};

use super::{
    counters::Counters,
    labelled_spellings::LabelledSpellings,
    rates::Rates,
    registry::{Found, Registry, Sender, Sighting},
    sink::{SeriesId, Window, WindowSink},
    spelled::Key,
    spellings::Meaning,
    table::Table,
    watermark::{Verdict, Watermark},
};
use crate::decode::{
    MetricType,
    bad_line::{BadLine, BadLineReason},
    cut, origin,
    statsd::{self, Entry, Samples, Values},
};

/// So many lines are looked up together.
const BATCH: usize = 32;
/// The last millisecond of the year 9999: no sample is later.
const MAX_TIME_MS: i64 = 253_402_300_799_999;
/// A longer run of empty windows is not reported whole.
const MAX_EMPTY: i64 = 200;
/// So many of such a run are reported, and its last.
const EMPTY_REPORTED: i64 = 100;

/// How a source's samples become windows.
#[derive(Clone, Debug)]
pub struct WindowConfig {
    /// The windows' length; at least 1.
    pub interval_ms: i64,
    /// How long a window waits for late samples; not negative.
    pub lateness_ms: i64,
    /// Which feed a sample belongs to.
    pub origin: OriginRule,
    /// How many series may be known at a time; samples of further ones are dropped and counted.
    pub max_series: usize,
    /// A series without samples for so long (event time) is forgotten.
    pub idle_series_ms: i64,
}

/// What a message says beside its body.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessageContext<'a> {
    /// The value of the header that names the origin: the one of [`OriginRule::Header`], else `origin`.
    pub origin: Option<&'a str>,
}

/// The windows of one source: takes messages and ticks in the order of the stream.
#[derive(Debug)]
pub struct Windows {
    pub(super) interval_ms: i64,
    idle_series_ms: i64,
    pub(super) registry: Registry,
    pub(super) table: Table,
    labelled: LabelledSpellings,
    rates: Rates,
    watermark: Watermark,
    /// The window of the last sample: most samples fall into the same one.
    latest: Numbered,
    /// The first window that was not reported; None while no sample or silence has told where to begin.
    next: Option<i64>,
    /// The watermark at which to look for idle series again.
    next_eviction_ms: i64,
    /// How often series were evicted: what was looked up before is worthless after.
    evictions: u64,
    counters: Counters,
    bad_line: Option<BadLine>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered {
    number: i64,
    pub(super) window: Window,
}

/// What the lines of one message have in common.
#[derive(Clone, Copy)]
struct Message<'a> {
    sender: Sender,
    header: &'a str,
    default_time_ms: Option<i64>,
}

impl Windows {
    /// No window is open yet.
    #[must_use]
    pub fn new(config: WindowConfig) -> Self {
        let interval_ms = config.interval_ms.max(1);
        Self {
            interval_ms,
            idle_series_ms: config.idle_series_ms.max(0),
            registry: Registry::new(config.origin, config.max_series),
            table: Table::default(),
            labelled: LabelledSpellings::new(config.max_series),
            rates: Rates::default(),
            watermark: Watermark::new(interval_ms, config.lateness_ms.max(0)),
            latest: numbered(0, interval_ms),
            next: None,
            next_eviction_ms: i64::MIN,
            evictions: 0,
            counters: Counters::default(),
            bad_line: None,
        }
    }

    /// Decodes a statsd body and adds its samples.
    ///
    /// `default_time_ms` is the event time of lines without a timestamp of their own. Where it is None the last tick's wall time
    /// is; if no tick was read yet either, such samples have no time: they are counted as untimed and dropped.
    pub fn add_statsd(
        &mut self,
        body: &[u8],
        message: MessageContext<'_>,
        default_time_ms: Option<i64>,
        sink: &mut dyn WindowSink,
    ) {
        let header = origin::bounded(message.origin.unwrap_or_default());
        let message = Message {
            sender: self.registry.sender(header),
            header,
            default_time_ms: default_time_ms.or(self.watermark.last_tick()),
        };
        fetch(body);
        let mut lines = cut::lines(body);
        let mut batch = [Sighting::NONE; BATCH];
        // The window of the message's time, once a sample of that time was taken: then no further one moves anything.
        let mut open = None;
        loop {
            let mut count = 0;
            for (sighting, line) in batch.iter_mut().zip(&mut lines) {
                *sighting = self.registry.sight(message.sender, line);
                count += 1;
            }
            let batch = &mut batch[..count];
            if batch.is_empty() {
                return;
            }
            self.look_up(batch);
            let evictions = self.evictions;
            for sighting in &*batch {
                let known = sighting
                    .meaning
                    .and_then(|meaning| Some((meaning, values(&sighting.line, meaning.kind)?)));
                match known {
                    // What was looked up before an eviction may be gone.
                    Some((meaning, values)) if self.evictions == evictions => match open {
                        Some(number) => self.put(meaning, values, number),
                        None => open = self.add(meaning, values, message.default_time_ms, sink),
                    },
                    _ => {
                        self.read(sighting, message, sink);
                        open = None;
                    }
                }
            }
        }
    }

    /// Finds what a batch of lines means, as far as their spellings are known.
    ///
    /// With many series each line waits for memory several times. Step by step for all of them, the waits of one overlap with those of
    /// the others.
    #[inline]
    fn look_up(&self, batch: &mut [Sighting<'_>]) {
        for sighting in &*batch {
            self.registry.fetch(sighting.key);
        }
        for sighting in &mut *batch {
            sighting.meaning = self.registry.find(sighting.key);
            sighting.meaning.iter().for_each(|meaning| self.table.fetch(meaning.id));
        }
        let known = || batch.iter().filter_map(|sighting| Some((sighting.meaning?, &sighting.line)));
        self.table.fetch_cells(known().map(|(meaning, _)| meaning.id));
        let sets = known().filter(|(meaning, _)| meaning.kind == MetricType::Set);
        self.table.fetch_members(sets.map(|(meaning, line)| (meaning.id, line.value())));
    }

    /// Takes in a line whose spelling is not known, or whose value is no plain one.
    #[cold]
    fn read(&mut self, sighting: &Sighting<'_>, message: Message<'_>, sink: &mut dyn WindowSink) {
        let line = sighting.line.text;
        let mut entries = statsd::entries(line);
        let mut first = true;
        while let Some(entry) = entries.next() {
            // Nothing but the value distinguishes a line that says one thing, and no time, from others of its spelling.
            let only = std::mem::take(&mut first) && entries.is_done();
            let added = match entry {
                Ok(Entry::Samples(samples)) if only && samples.time_ms.is_none() => {
                    self.add_read(&samples, sighting.key, message, sink)
                }
                Ok(Entry::Samples(samples)) => {
                    let key = self.registry.samples(message.sender, &samples);
                    self.add_read(&samples, key, message, sink)
                }
                Ok(Entry::Event) => {
                    self.counters.events += 1;
                    Ok(())
                }
                Ok(Entry::ServiceCheck) => {
                    self.counters.service_checks += 1;
                    Ok(())
                }
                Err(reason) => Err(reason),
            };
            if let Err(reason) = added {
                self.refuse(reason, line);
            }
        }
    }

    /// Adds samples that were read, and remembers what their spelling means.
    fn add_read(
        &mut self,
        samples: &Samples<'_>,
        key: Key,
        message: Message<'_>,
        sink: &mut dyn WindowSink,
    ) -> Result<(), BadLineReason> {
        let count = samples.values.count();
        let Some((time_ms, number)) = self.timely(samples.time_ms.or(message.default_time_ms), count) else {
            self.counters.samples += count;
            return Ok(());
        };
        let meaning = match self.registry.find(key) {
            known @ Some(_) => known,
            None => self.learn(samples, key, message, sink)?,
        };
        let closed = self.accept(time_ms, number, sink);
        match meaning {
            None => {
                self.counters.samples += count;
                self.counters.dropped_series += count;
            }
            // The spelling of samples does not tell their weight.
            Some(meaning) => self.put(Meaning { weight: samples.weight, ..meaning }, samples.values, number),
        }
        self.evict_after(closed, sink);
        Ok(())
    }

    /// A tick was read back from the stream: when no samples come, ticks move the watermark.
    pub fn tick(&mut self, wall_ms: i64, sink: &mut dyn WindowSink) {
        let first = self.watermark.last_tick().is_none();
        if first && self.next.is_none() {
            self.next = Some(wall_ms.div_euclid(self.interval_ms));
        }
        let closed = self.watermark.tick(wall_ms) && self.close(sink);
        self.evict_after(closed, sink);
    }

    /// How far ahead of the last tick a sample may be.
    #[must_use]
    pub fn ahead_ms(&self) -> i64 {
        self.watermark.ahead_ms()
    }

    /// The next tick of the stream is of the wall time `wall_ms`, and nobody ticked for long before it: until it is read, samples up to
    /// there are no future.
    pub fn catch_up(&mut self, wall_ms: i64) {
        self.watermark.catch_up(wall_ms);
    }

    /// Closes every window that holds a sample; for a run that ends here.
    pub fn finish(&mut self, sink: &mut dyn WindowSink) {
        if let Some(last) = self.table.open().last() {
            self.watermark.raise(numbered(last, self.interval_ms).window.end_ms);
            let closed = self.close(sink);
            self.evict_after(closed, sink);
        }
    }

    /// Waits for late samples so long from now on; not negative. What has closed stays closed.
    pub fn set_lateness(&mut self, lateness_ms: i64) {
        self.watermark.set_lateness(self.interval_ms, lateness_ms.max(0));
    }

    /// A series' name.
    #[must_use]
    pub fn name(&self, id: SeriesId) -> Option<SeriesName> {
        let names = self.registry.names();
        names.kind(id).map(|_| names.name(id))
    }

    /// A series' type.
    #[must_use]
    pub fn kind(&self, id: SeriesId) -> Option<MetricType> {
        self.registry.names().kind(id)
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What event time has passed: windows that end here or before are closed.
    #[must_use]
    pub fn watermark_ms(&self) -> Option<i64> {
        self.watermark.at()
    }

    /// The wall time of the last tick read.
    #[must_use]
    pub fn last_tick_ms(&self) -> Option<i64> {
        self.watermark.last_tick()
    }

    /// The first line that was not understood since this was last asked.
    pub fn take_bad_line(&mut self) -> Option<BadLine> {
        self.bad_line.take()
    }

    /// Adds values of a series that is known. The number of their window, if that is open.
    fn add(
        &mut self,
        meaning: Meaning,
        values: Values<'_>,
        time_ms: Option<i64>,
        sink: &mut dyn WindowSink,
    ) -> Option<i64> {
        let Some((time_ms, number)) = self.timely(time_ms, values.count()) else {
            self.counters.samples += values.count();
            return None;
        };
        let closed = self.accept(time_ms, number, sink);
        self.put(meaning, values, number);
        self.evict_after(closed, sink);
        Some(number)
    }

    /// The time of samples and the number of their window, if that is open; all others are counted.
    fn timely(&mut self, time_ms: Option<i64>, count: u64) -> Option<(i64, i64)> {
        let Some(time_ms) = time_ms.filter(|time| (0..=MAX_TIME_MS).contains(time)) else {
            self.counters.untimed += count;
            return None;
        };
        let Numbered { number, window } = self.window_of(time_ms);
        match self.watermark.judge(time_ms, window.end_ms) {
            Verdict::Timely => return Some((time_ms, number)),
            Verdict::Late => self.counters.late += count,
            Verdict::Future => self.counters.future += count,
        }
        None
    }

    /// Adds values to the window of this number, which is open.
    #[inline]
    fn put(&mut self, meaning: Meaning, values: Values<'_>, number: i64) {
        let count = values.count();
        self.counters.samples += count;
        if !self.table.add(meaning.id, number, values, meaning.weight) {
            self.counters.unmatched += count;
        }
    }

    /// A sample of this time is about to be taken, or would be if there were room for its series. Whether windows closed by it: they
    /// do before it is taken, so that the window that opens with it has their room.
    fn accept(&mut self, time_ms: i64, number: i64, sink: &mut dyn WindowSink) -> bool {
        if self.next.is_none_or(|next| number < next) {
            self.next = Some(number);
        }
        self.watermark.accept(time_ms) && self.close(sink)
    }

    /// Looks for idle series if windows closed, once the sample that closed them is taken: its own series is not idle.
    #[inline]
    fn evict_after(&mut self, closed: bool, sink: &mut dyn WindowSink) {
        if let Some(watermark) = self.watermark.at().filter(|_| closed) {
            self.evict(watermark, sink);
        }
    }

    /// Gives samples a series by their name, if there is room for one.
    fn learn(
        &mut self,
        samples: &Samples<'_>,
        key: Key,
        message: Message<'_>,
        sink: &mut dyn WindowSink,
    ) -> Result<Option<Meaning>, BadLineReason> {
        let kind = samples.kind;
        let id = match self.registry.learn(samples, message.header)? {
            Found::Known(id) => id,
            Found::Full => return Ok(None),
            Found::New(id, name) => {
                self.table.insert(id, kind, sink.series(id, &name, kind, self.registry.names()));
                self.counters.series = self.registry.len() as u64;
                id
            }
        };
        let meaning = Meaning { id, kind, weight: samples.weight };
        self.registry.remember(key, meaning);
        Ok(Some(meaning))
    }

    #[cold]
    fn refuse(&mut self, reason: BadLineReason, line: &[u8]) {
        self.counters.bad_lines += 1;
        if self.bad_line.is_none() {
            self.bad_line = Some(BadLine::new(reason, line));
        }
    }

    #[inline]
    fn window_of(&mut self, time_ms: i64) -> Numbered {
        let Window { start_ms, end_ms } = self.latest.window;
        if !(start_ms..end_ms).contains(&time_ms) {
            self.latest = numbered(time_ms.div_euclid(self.interval_ms), self.interval_ms);
        }
        self.latest
    }

    /// Closes what the watermark has passed, in order. Whether there was any.
    #[inline]
    fn close(&mut self, sink: &mut dyn WindowSink) -> bool {
        match (self.next, self.watermark.at()) {
            (Some(next), Some(watermark)) if watermark >= numbered(next, self.interval_ms).window.end_ms => {
                self.close_until(next, watermark, sink);
                true
            }
            _ => false,
        }
    }

    #[cold]
    fn close_until(&mut self, mut next: i64, watermark_ms: i64, sink: &mut dyn WindowSink) {
        let end = watermark_ms.div_euclid(self.interval_ms);
        while next < end {
            let gap_end = self.table.open().first().map_or(end, |first| first.min(end));
            if gap_end - next > MAX_EMPTY {
                for number in next..next + EMPTY_REPORTED {
                    self.report(number, sink);
                }
                next = gap_end - 1;
            }
            for number in next..gap_end {
                self.report(number, sink);
            }
            next = gap_end;
            if next < end {
                self.report(next, sink);
                next += 1;
            }
        }
        self.next = Some(next);
    }

    fn report(&mut self, number: i64, sink: &mut dyn WindowSink) {
        self.counters.windows_closed += 1;
        let window = numbered(number, self.interval_ms).window;
        self.table.close(number, window, self.registry.names(), sink);
    }

    /// Looking at every series is dear, so idle ones are found up to a sixteenth of their time late.
    fn evict(&mut self, watermark_ms: i64, sink: &mut dyn WindowSink) {
        if watermark_ms < self.next_eviction_ms {
            return;
        }
        self.next_eviction_ms = watermark_ms.saturating_add(self.idle_series_ms / 16);
        let before = watermark_ms.saturating_sub(self.idle_series_ms).div_euclid(self.interval_ms);
        let evicted =
            self.table.evict(before, |id| self.rates.is_fresh(id, before.saturating_mul(self.interval_ms)));
        if evicted.is_empty() {
            return;
        }
        self.evictions += 1;
        for id in &evicted {
            sink.evicted(*id, self.registry.names());
        }
        self.registry.forget(&evicted);
        self.rates.forget(&evicted);
        self.counters.series = self.registry.len() as u64;
    }
}

/// Fetches a message's text into the cache. Where a line begins is known once the one before has been read: line by line, each would
/// wait for memory by itself. Of long messages the processor foresees the rest.
#[inline]
fn fetch(body: &[u8]) {
    black_box(body.iter().step_by(64).take(64).fold(0, |all, byte| all | byte));
}

/// The values of a line of which it is known what it means, if they are plain ones.
#[inline]
fn values<'a>(line: &cut::Line<'a>, kind: MetricType) -> Option<Values<'a>> {
    if kind == MetricType::Set {
        let member = line.value();
        return (!member.is_empty()).then_some(Values::Member(member));
    }
    line.number().map(Values::One)
}

/// The window of this number since the epoch.
pub(super) fn numbered(number: i64, interval_ms: i64) -> Numbered {
    let start_ms = number.saturating_mul(interval_ms);
    Numbered { number, window: Window { start_ms, end_ms: start_ms.saturating_add(interval_ms) } }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "sums of whole numbers are exact")]
mod tests;
