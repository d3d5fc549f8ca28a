//! Draws a finding's windows: what was expected behind, the peers in thin lines, the feed in front.

use kinetic_api::anomaly::{AnalyticName, Anomaly, Finding};
use kinetic_chart::{
    DrawError, HPos, RGBColor, VPos,
    canvas::{Canvas, Point, Words},
    figures::number,
    runs,
    scale::{Scale, time_ticks, value_range, value_ticks},
};

use super::{HEIGHT, WIDTH};

const WHITE: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(28, 33, 40);
const SOFT: RGBColor = RGBColor(91, 101, 115);
const GRID: RGBColor = RGBColor(228, 231, 236);
const PEER: RGBColor = RGBColor(150, 160, 173);
const BAND: RGBColor = RGBColor(209, 225, 245);
const EXPECTED: RGBColor = RGBColor(64, 114, 184);
const FEED: RGBColor = RGBColor(201, 37, 45);
const FIRING: RGBColor = RGBColor(253, 232, 233);

/// The plot's edges.
const LEFT: i32 = 112;
const RIGHT: i32 = WIDTH.cast_signed() - 118;
const TOP: i32 = 116;
const BOTTOM: i32 = HEIGHT.cast_signed() - 64;
/// Where words end on the right; between it and the plot stands the last value.
const MARGIN: i32 = WIDTH.cast_signed() - 28;
/// The second line of words.
const SECOND: i32 = 62;
/// How wide the words may be that say what was looked at, so that the key has room beside them.
const MEASURE: i32 = 560;

const TITLE: Words = Words { size: 26, bold: true, color: INK, horizontal: HPos::Left, vertical: VPos::Top };
const LABEL: Words =
    Words { size: 20, bold: false, color: SOFT, horizontal: HPos::Left, vertical: VPos::Center };

/// Where values and times lie.
pub(super) struct Plot<'a> {
    finding: &'a Finding,
    x: Scale,
    y: Scale,
    times: Vec<i64>,
    values: (f64, f64),
    span: (i64, i64),
}

/// Draws a finding's chart.
pub(super) fn chart(canvas: &Canvas<'_, '_>, plot: &Plot<'_>, anomaly: &Anomaly) -> Result<(), DrawError> {
    canvas.fill(WHITE)?;
    plot.firing(canvas, anomaly)?;
    plot.band(canvas)?;
    plot.grid(canvas)?;
    plot.expected(canvas)?;
    plot.peers(canvas)?;
    plot.feed(canvas)?;
    title(canvas, &anomaly.data)?;
    plot.legend(canvas)
}

impl<'a> Plot<'a> {
    /// None where there is no window to show.
    pub(super) fn new(anomaly: &'a Anomaly) -> Option<Self> {
        let finding = &anomaly.data;
        let times: Vec<i64> = finding.history.iter().map(|window| window.time.as_second()).collect();
        let (first, last) = (*times.first()?, *times.last()?);
        let interval = (finding.interval_ms / 1_000).max(1);
        let span = if last > first { (first, last) } else { (first - interval, last + interval) };
        let peers = finding.peers.iter().flat_map(|peers| &peers.lines).flat_map(|line| &line.values);
        let own = finding.history.iter().flat_map(|window| [window.value, window.expected]).flatten();
        let line = threshold(finding);
        let band = finding.history.iter().flat_map(|window| [window.lower, window.upper]).flatten();
        let values = value_range(own.chain(peers.copied().flatten()).chain(line), band);
        let edges = |from: i32, to: i32| (f64::from(from), f64::from(to));
        let x = Scale::new((span.0 as f64, span.1 as f64), edges(LEFT, RIGHT));
        Some(Self { finding, x, y: Scale::new(values, edges(BOTTOM, TOP)), times, values, span })
    }

    fn at(&self, window: usize, value: f64) -> Point {
        (self.x.px(self.times[window] as f64), self.y.px(value))
    }

    /// The windows in which it fires, shaded.
    fn firing(&self, canvas: &Canvas<'_, '_>, anomaly: &Anomaly) -> Result<(), DrawError> {
        let from = self.x.px(anomaly.data.since.as_second() as f64);
        let to = match anomaly.data.state {
            kinetic_api::anomaly::State::Firing => RIGHT,
            kinetic_api::anomaly::State::Resolved => self.x.px(anomaly.time.as_second() as f64),
        };
        // A single window is a line; it is to be seen as well.
        let from = from.min(to - 4).max(LEFT);
        canvas.rectangle((from, TOP), (to, BOTTOM), FIRING)?;
        let words = Words { color: FEED, vertical: VPos::Bottom, ..LABEL };
        let label = match anomaly.data.analytic_kind {
            AnalyticName::Absence => "silent",
            _ => "firing",
        };
        let width = words.width(label)?;
        canvas.words(label, (from.min(RIGHT - width), TOP - 4), words)
    }

    /// What was expected: from the lower to the upper end, as an area for each run of windows that have both.
    fn band(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        let history = &self.finding.history;
        let both = |n: usize| history[n].lower.zip(history[n].upper);
        for run in runs(history.len(), |n| both(n).is_some()) {
            let edge =
                |n: usize, upper: bool| both(n).map(|(low, high)| self.at(n, if upper { high } else { low }));
            let mut outline: Vec<Point> = run.clone().filter_map(|n| edge(n, true)).collect();
            outline.extend(run.rev().filter_map(|n| edge(n, false)));
            canvas.area(&outline, BAND)?;
        }
        Ok(())
    }

    fn grid(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        for tick in value_ticks(self.values, 5) {
            let y = self.y.px(tick);
            canvas.line(&[(LEFT, y), (RIGHT, y)], GRID, 1)?;
            canvas.words(&number(tick), (LEFT - 10, y), Words { horizontal: HPos::Right, ..LABEL })?;
        }
        let ticks = time_ticks(self.span.0, self.span.1, 8);
        for (second, label) in &ticks {
            let x = self.x.px(*second as f64);
            canvas.line(&[(x, BOTTOM), (x, BOTTOM + 6)], SOFT, 1)?;
            canvas.words(label, (x, BOTTOM + 23), Words { horizontal: HPos::Center, ..LABEL })?;
        }
        canvas.line(&[(LEFT, BOTTOM), (RIGHT, BOTTOM)], SOFT, 1)?;
        let day = self.finding.history.last().map(|window| window.time.strftime("%Y-%m-%d, UTC").to_string());
        let words = Words { horizontal: HPos::Right, vertical: VPos::Bottom, ..LABEL };
        canvas.words(&day.unwrap_or_default(), (RIGHT, HEIGHT.cast_signed() - 4), words)
    }

    /// The middle of the band, and the line of a threshold.
    fn expected(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        self.polyline(canvas, |n| self.finding.history[n].expected, EXPECTED, 2)?;
        match threshold(self.finding) {
            Some(line) => {
                let y = self.y.px(line);
                canvas.dashes((LEFT, y), (RIGHT, y), EXPECTED)
            }
            None => Ok(()),
        }
    }

    fn peers(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        for line in self.finding.peers.iter().flat_map(|peers| &peers.lines) {
            self.polyline(canvas, |n| line.values.get(n).copied().flatten(), PEER, 1)?;
        }
        Ok(())
    }

    fn feed(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        let value = |n: usize| self.finding.history[n].value;
        self.polyline(canvas, value, FEED, 4)?;
        let Some((last, value)) = (0..self.times.len()).rev().find_map(|n| Some((n, value(n)?))) else {
            return Ok(());
        };
        let at = self.at(last, value);
        canvas.dot(at, 6, FEED)?;
        let words = Words { size: 23, bold: true, color: FEED, ..LABEL };
        let text = number(value);
        let beside = at.0 + 14;
        if beside + words.width(&text)? <= WIDTH.cast_signed() {
            return canvas.words(&text, (beside, at.1), words);
        }
        // Too long for the margin: above the dot, or below it at the top of the plot.
        let y = if at.1 - 24 > TOP { at.1 - 24 } else { at.1 + 24 };
        canvas.words(&text, (WIDTH.cast_signed() - 8, y), Words { horizontal: HPos::Right, ..words })
    }

    /// A line through the windows that have a value, broken where one has none; a window alone is a dot.
    fn polyline(
        &self,
        canvas: &Canvas<'_, '_>,
        value: impl Fn(usize) -> Option<f64>,
        color: RGBColor,
        width: u32,
    ) -> Result<(), DrawError> {
        for run in runs(self.times.len(), |n| value(n).is_some_and(f64::is_finite)) {
            let points: Vec<Point> = run.filter_map(|n| Some(self.at(n, value(n)?))).collect();
            match points.as_slice() {
                [only] => canvas.dot(*only, width.cast_signed().max(2), color)?,
                line => canvas.line(line, color, width)?,
            }
        }
        Ok(())
    }

    fn legend(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        let finding = self.finding;
        let feed = if finding.origin.is_empty() { "this series" } else { &finding.origin };
        let mut items = vec![(feed.to_owned(), FEED, 4)];
        if let Some(peers) = finding.peers.as_ref().filter(|peers| !peers.lines.is_empty()) {
            let some = if peers.lines.len() < peers.count {
                format!("{} of ", peers.lines.len())
            } else {
                String::new()
            };
            items.push((format!("{some}{} peers", peers.count), PEER, 2));
        }
        if finding.history.iter().any(|window| window.expected.is_some()) {
            items.push(("expected".to_owned(), EXPECTED, 2));
        }
        if threshold(finding).is_some() {
            items.push(("threshold".to_owned(), EXPECTED, 2));
        }
        if finding.history.iter().any(|window| window.lower.is_some() && window.upper.is_some()) {
            items.push(("tolerated".to_owned(), BAND, 12));
        }
        let mut x = MARGIN;
        for (text, color, width) in items.iter().rev() {
            let text = LABEL.shorten(text, 280)?;
            x -= LABEL.width(&text)?;
            canvas.words(&text, (x, SECOND), LABEL)?;
            canvas.line(&[(x - 34, SECOND), (x - 8, SECOND)], *color, *width)?;
            x -= 56;
        }
        Ok(())
    }
}

/// The metric and where, and what was looked at.
fn title(canvas: &Canvas<'_, '_>, finding: &Finding) -> Result<(), DrawError> {
    let series = finding.series().to_string();
    let name = if series.is_empty() { &finding.metrics_source } else { &series };
    let text = TITLE.shorten(name, MARGIN - LEFT)?;
    canvas.words(&text, (LEFT, 12), TITLE)?;
    let seconds = finding.interval_ms as f64 / 1_000.0;
    let what = format!("{}, windows of {} s", finding.measured(), number(seconds));
    canvas.words(&LABEL.shorten(&what, MEASURE)?, (LEFT, SECOND), LABEL)
}

/// The line of a threshold.
fn threshold(finding: &Finding) -> Option<f64> {
    (finding.analytic_kind == AnalyticName::Threshold && finding.threshold.is_finite())
        .then_some(finding.threshold)
}
