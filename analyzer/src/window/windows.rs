//! The windows of one source.

use kinetic_api::{plan::OriginRule, series::SeriesName};

use super::{
    counters::Counters,
    registry::{BATCH, Found, Registry, Sender, Sighting},
    sink::{SeriesId, Window, WindowSink},
    table::Table,
    watermark::{Verdict, Watermark},
};
use crate::decode::{
    MetricType,
    bad_line::{BadLine, BadLineReason},
    origin,
    statsd::{self, Entry, Lines},
};

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
    interval_ms: i64,
    idle_series_ms: i64,
    registry: Registry,
    table: Table,
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
struct Numbered {
    number: i64,
    window: Window,
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
        let mut lines = statsd::lines(body);
        let mut batch = Vec::with_capacity(BATCH);
        while self.decode(&mut lines, message.sender, &mut batch) {
            self.registry.find_all(message.sender, &mut batch);
            self.table.fetch(batch.iter().filter_map(|sighting| sighting.id));
            let evictions = self.evictions;
            for sighting in &batch {
                // What was looked up before an eviction may be gone.
                let id = sighting.id.filter(|_| evictions == self.evictions);
                if let Err(reason) = self.add(sighting, id, message, sink) {
                    self.refuse(reason, sighting.line);
                }
            }
            batch.clear();
        }
    }

    /// Reads lines until the batch is full; false at the end.
    fn decode<'a>(&mut self, lines: &mut Lines<'a>, sender: Sender, batch: &mut Vec<Sighting<'a>>) -> bool {
        while batch.len() < BATCH {
            match lines.next() {
                Some(Ok(Entry::Samples(samples))) => batch.push(Sighting::new(sender, samples, lines.line())),
                Some(Ok(Entry::Event)) => self.counters.events += 1,
                Some(Ok(Entry::ServiceCheck)) => self.counters.service_checks += 1,
                Some(Err(reason)) => self.refuse(reason, lines.line()),
                None => break,
            }
        }
        !batch.is_empty()
    }

    /// A tick was read back from the stream: when no samples come, ticks move the watermark.
    pub fn tick(&mut self, wall_ms: i64, sink: &mut dyn WindowSink) {
        let first = self.watermark.last_tick().is_none();
        if first && self.next.is_none() {
            self.next = Some(wall_ms.div_euclid(self.interval_ms));
        }
        if self.watermark.tick(wall_ms) {
            self.close(sink);
        }
    }

    /// The reader is behind the wall time `wall_ms`: until a tick has caught up, samples up to there are no future.
    pub fn catch_up(&mut self, wall_ms: i64) {
        self.watermark.catch_up(wall_ms);
    }

    /// Closes every window that holds a sample; for a run that ends here.
    pub fn finish(&mut self, sink: &mut dyn WindowSink) {
        if let Some(last) = self.table.last() {
            self.watermark.raise(numbered(last, self.interval_ms).window.end_ms);
            self.close(sink);
        }
    }

    /// Waits for late samples so long from now on; not negative. What has closed stays closed.
    pub fn set_lateness(&mut self, lateness_ms: i64) {
        self.watermark.set_lateness(self.interval_ms, lateness_ms.max(0));
    }

    /// A series' name.
    #[must_use]
    pub fn name(&self, id: SeriesId) -> Option<SeriesName> {
        self.registry.name(id).map(|(name, _)| name)
    }

    /// A series' type.
    #[must_use]
    pub fn kind(&self, id: SeriesId) -> Option<MetricType> {
        self.registry.name(id).map(|(_, kind)| kind)
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

    #[inline]
    fn add(
        &mut self,
        sighting: &Sighting<'_>,
        id: Option<SeriesId>,
        message: Message<'_>,
        sink: &mut dyn WindowSink,
    ) -> Result<(), BadLineReason> {
        let samples = &sighting.samples;
        let count = samples.values.count();
        self.counters.samples += count;
        let time =
            samples.time_ms.or(message.default_time_ms).filter(|time| (0..=MAX_TIME_MS).contains(time));
        let Some(time_ms) = time else {
            self.counters.untimed += count;
            return Ok(());
        };
        let Numbered { number, window } = self.window_of(time_ms);
        match self.watermark.judge(time_ms, window.end_ms) {
            Verdict::Timely => {}
            Verdict::Late => {
                self.counters.late += count;
                return Ok(());
            }
            Verdict::Future => {
                self.counters.future += count;
                return Ok(());
            }
        }
        let id = match id {
            Some(id) => Some(id),
            None => self.learn(sighting, message, sink).inspect_err(|_| self.counters.samples -= count)?,
        };
        match id {
            None => self.counters.dropped_series += count,
            Some(id) if self.table.add(id, number, samples) => {}
            Some(_) => self.counters.unmatched += count,
        }
        if self.next.is_none_or(|next| number < next) {
            self.next = Some(number);
        }
        if self.watermark.accept(time_ms) {
            self.close(sink);
        }
        Ok(())
    }

    #[cold]
    fn learn(
        &mut self,
        sighting: &Sighting<'_>,
        message: Message<'_>,
        sink: &mut dyn WindowSink,
    ) -> Result<Option<SeriesId>, BadLineReason> {
        // An earlier line of the batch may have taught it.
        if let known @ Some(_) = self.registry.find(message.sender, sighting) {
            return Ok(known);
        }
        let kind = sighting.samples.kind;
        Ok(match self.registry.learn(message.sender, message.header, sighting)? {
            Found::Known(id) => Some(id),
            Found::Full => None,
            Found::New(id, name) => {
                self.table.insert(id, kind, sink.series(id, &name, kind));
                self.counters.series = self.registry.len() as u64;
                Some(id)
            }
        })
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

    /// Closes what the watermark has passed, in order.
    #[inline]
    fn close(&mut self, sink: &mut dyn WindowSink) {
        if let (Some(next), Some(watermark)) = (self.next, self.watermark.at())
            && watermark >= numbered(next, self.interval_ms).window.end_ms
        {
            self.close_until(next, watermark, sink);
        }
    }

    #[cold]
    fn close_until(&mut self, mut next: i64, watermark_ms: i64, sink: &mut dyn WindowSink) {
        let end = watermark_ms.div_euclid(self.interval_ms);
        while next < end {
            let gap_end = self.table.first().map_or(end, |first| first.min(end));
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
        self.evict(watermark_ms, sink);
    }

    fn report(&mut self, number: i64, sink: &mut dyn WindowSink) {
        self.counters.windows_closed += 1;
        self.table.close(number, numbered(number, self.interval_ms).window, sink);
    }

    /// Looking at every series is dear, so idle ones are found up to a sixteenth of their time late.
    fn evict(&mut self, watermark_ms: i64, sink: &mut dyn WindowSink) {
        if watermark_ms < self.next_eviction_ms {
            return;
        }
        self.next_eviction_ms = watermark_ms.saturating_add(self.idle_series_ms / 16);
        let before = watermark_ms.saturating_sub(self.idle_series_ms).div_euclid(self.interval_ms);
        let evicted = self.table.evict(before);
        if evicted.is_empty() {
            return;
        }
        self.evictions += 1;
        self.registry.forget(&evicted);
        self.counters.series = self.registry.len() as u64;
        for id in evicted {
            sink.evicted(id);
        }
    }
}

fn numbered(number: i64, interval_ms: i64) -> Numbered {
    let start_ms = number.saturating_mul(interval_ms);
    Numbered { number, window: Window { start_ms, end_ms: start_ms.saturating_add(interval_ms) } }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "sums of whole numbers are exact")]
mod tests;
