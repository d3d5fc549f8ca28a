//! One series: its line in its band, and its scores below.

use kinetic_analyzer::backtest::{Judged, ScoredWindow, Track};
use kinetic_api::plan::AnalyticKind;
use kinetic_chart::{
    DrawError, HPos, RGBColor, VPos,
    canvas::{Canvas, Point, Words},
    figures::number,
    runs,
    scale::{Scale, value_range, value_ticks},
};

use super::{
    super::report::span, BAND, EXPECTED, FOUND, GRID, INK, LABEL, LEFT, ODD, PEER, Plot, RIGHT, SCORE,
    SERIES, SOFT, UNJUDGED, column, is_about, short_name,
};

/// The part of a panel that the scores take.
const STRIP: f64 = 0.24;
/// Between the series and its scores.
const GAP: i32 = 26;
/// How far the band widens the range of the series at most, each way: half as much as it spans.
const BAND_ROOM: f64 = 1.0;
/// So many peers are drawn behind a feed.
const MOST_PEERS: usize = 12;
/// Scores beyond it look the same.
const MOST_SCORE: f64 = 3.0;
/// A finding is to be seen, however short.
const LEAST_WIDTH: i32 = 3;
/// So many windows without a value break the line.
const GAP_WINDOWS: i64 = 3;

/// One series.
pub(super) struct Panel<'a> {
    plot: &'a Plot<'a>,
    track: &'a Track,
    top: i32,
    bottom: i32,
    strip_top: i32,
    strip_bottom: i32,
    values: (f64, f64),
    y: Scale,
    score: Scale,
    most_score: f64,
    interval_ms: i64,
}

/// The windows of those that a feed is held against, as far as they are drawn.
fn peers<'a>(plot: &Plot<'a>, track: &'a Track) -> impl Iterator<Item = &'a Vec<ScoredWindow>> {
    let cluster = matches!(plot.choice.analytic().kind, AnalyticKind::Cluster(_));
    let others = plot.judgement.tracks.iter().filter(move |other| {
        cluster && other.series.metric == track.series.metric && other.series != track.series
    });
    others.take(MOST_PEERS).map(|other| &other.windows)
}

/// The band in a column of pixels: sums over its windows.
struct Edges {
    /// The last window's middle.
    at: i64,
    x: i32,
    upper: i32,
    lower: i32,
    count: i32,
}

impl Edges {
    fn add(&mut self, at: i64, upper: i32, lower: i32) {
        self.at = at;
        self.upper += upper;
        self.lower += lower;
        self.count += 1;
    }
}

impl<'a> Panel<'a> {
    pub(super) fn new(plot: &'a Plot<'a>, track: &'a Track, top: i32, height: i32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a part of a picture's height")]
        let strip = (f64::from(height) * STRIP) as i32;
        let (strip_top, strip_bottom) = (top + height - strip, top + height);
        let bottom = strip_top - GAP;
        let judged = || track.windows.iter().filter_map(|window| window.judged);
        // Who is drawn together is measured together.
        let drawn = || std::iter::once(&track.windows).chain(peers(plot, track));
        let seen = || drawn().flatten().filter_map(|window| window.value).chain(plot.threshold());
        let (low, high) = seen().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        // Of the band as much as does not squeeze the series.
        let room = (high / 2.0 - low / 2.0).max(0.0) * BAND_ROOM;
        let band = judged()
            .filter_map(|Judged { expected, reach, .. }| Some((expected?, reach?)))
            .flat_map(|(expected, reach)| [expected - reach, expected + reach])
            .map(|edge| edge.clamp(low - room, (high + room).max(low - room)));
        let values = value_range(seen().chain(band), std::iter::empty());
        let most = judged().map(|judged| judged.score).fold(0.0, f64::max);
        let most_score = most.clamp(1.25, MOST_SCORE);
        let edges = |from: i32, to: i32| (f64::from(from), f64::from(to));
        Self {
            plot,
            track,
            top,
            bottom,
            strip_top,
            strip_bottom,
            values,
            y: Scale::new(values, edges(bottom, top)),
            score: Scale::new((0.0, most_score), edges(strip_bottom, strip_top)),
            most_score,
            interval_ms: plot.choice.source().interval_ms,
        }
    }

    pub(super) fn draw(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        self.unjudged(canvas)?;
        for (from, to) in self.found() {
            canvas.rectangle((from, self.top), (to, self.bottom), FOUND)?;
            canvas.rectangle((from, self.strip_top), (to, self.strip_bottom), FOUND)?;
            canvas.rectangle((from, self.top - 4), (to, self.top), ODD)?;
        }
        self.band(canvas)?;
        self.grid(canvas)?;
        self.peers(canvas)?;
        self.series(canvas)?;
        self.expected(canvas)?;
        self.scores(canvas)?;
        let words = Words { color: INK, vertical: VPos::Bottom, ..LABEL };
        let series = &self.track.series;
        let analytic = self.plot.choice.analytic();
        let name = short_name(&series.origin, series);
        let text = format!("{name}: {} per {}", analytic.statistic, span(self.interval_ms));
        canvas.words(&words.shorten(&text, RIGHT - LEFT)?, (LEFT, self.top - 6), words)
    }

    fn x(&self, milliseconds: i64) -> i32 {
        self.plot.x.px(milliseconds as f64)
    }

    /// The middle of a window.
    fn middle(&self, window: &ScoredWindow) -> i64 {
        window.start_ms + self.interval_ms / 2
    }

    /// From where to where findings are shaded.
    fn found(&self) -> Vec<(i32, i32)> {
        let flagged = self.plot.judgement.flagged.iter();
        let of_series = flagged.filter(|flagged| is_about(&flagged.fired.data.series(), self.track));
        of_series
            .map(|flagged| {
                let (from, to) = flagged.span_ms(self.plot.span.1);
                let from = self.x(from).min(RIGHT - LEAST_WIDTH);
                (from, self.x(to).max(from + LEAST_WIDTH))
            })
            .collect()
    }

    fn unjudged(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        let windows = &self.track.windows;
        for run in runs(windows.len(), |n| windows[n].judged.is_none()) {
            let from = self.x(windows[run.start].start_ms);
            let to = self.x(windows[run.end - 1].start_ms + self.interval_ms);
            canvas.rectangle((from, self.top), (to.max(from + 1), self.bottom), UNJUDGED)?;
        }
        Ok(())
    }

    /// Those that a feed is held against.
    fn peers(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        peers(self.plot, self.track)
            .try_for_each(|windows| self.polyline(canvas, windows, |window| window.value, PEER, 1))
    }

    /// The band's edges, column by column: of the windows in a column of pixels, the mean.
    fn band(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        let mut columns: Vec<Edges> = Vec::new();
        for window in &self.track.windows {
            let Some(Judged { expected: Some(expected), reach: Some(reach), .. }) = window.judged else {
                continue;
            };
            let at = self.middle(window);
            let (x, upper, lower) = (self.x(at), self.y.px(expected + reach), self.y.px(expected - reach));
            match columns.last_mut() {
                Some(last) if last.x == x => last.add(at, upper, lower),
                _ => columns.push(Edges { at, x, upper, lower, count: 1 }),
            }
        }
        let broken = |a: &Edges, b: &Edges| b.x - a.x > 1 && b.at - a.at > GAP_WINDOWS * self.interval_ms;
        for run in columns.chunk_by(|a, b| !broken(a, b)) {
            let mut outline: Vec<Point> =
                run.iter().map(|edges| (edges.x, edges.upper / edges.count)).collect();
            outline.extend(run.iter().rev().map(|edges| (edges.x, edges.lower / edges.count)));
            canvas.area(&outline, BAND)?;
        }
        Ok(())
    }

    fn grid(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        let right = Words { horizontal: HPos::Right, ..LABEL };
        let most = if self.bottom - self.top > 220 { 6 } else { 3 };
        for tick in value_ticks(self.values, most) {
            let y = self.y.px(tick);
            canvas.line(&[(LEFT, y), (RIGHT, y)], GRID, 1)?;
            canvas.words(&number(tick), (LEFT - 10, y), right)?;
        }
        canvas.line(&[(LEFT, self.bottom), (RIGHT, self.bottom)], SOFT, 1)
    }

    fn expected(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        if let Some(line) = self.plot.threshold() {
            let y = self.y.px(line);
            return canvas.dashes((LEFT, y), (RIGHT, y), EXPECTED);
        }
        self.polyline(canvas, &self.track.windows, |window| window.judged?.expected, EXPECTED, 2)
    }

    /// The series, and in red where it is a finding.
    fn series(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        let windows = &self.track.windows;
        self.polyline(canvas, windows, |window| window.value, SERIES, 2)?;
        let found = self.found();
        let odd = |window: &ScoredWindow| {
            let x = self.x(self.middle(window));
            found.iter().any(|(from, to)| (*from..=*to).contains(&x))
        };
        self.polyline(canvas, windows, |window| window.value.filter(|_| odd(window)), ODD, 2)
    }

    fn polyline(
        &self,
        canvas: &Canvas<'_, '_>,
        windows: &[ScoredWindow],
        value: impl Fn(&ScoredWindow) -> Option<f64>,
        color: RGBColor,
        width: u32,
    ) -> Result<(), DrawError> {
        let points = windows.iter().filter_map(|window| Some((self.middle(window), value(window)?)));
        let gap = GAP_WINDOWS * self.interval_ms;
        for line in column::lines(points, gap, |at| self.x(at), |value| self.y.px(value)) {
            match line.as_slice() {
                [only] => canvas.dot(*only, width.cast_signed(), color)?,
                // Piece by piece: a path that doubles back on itself is drawn with holes.
                line => line.windows(2).try_for_each(|piece| canvas.line(piece, color, width))?,
            }
        }
        Ok(())
    }

    /// Each column's highest score as a bar; what is beyond the line in red.
    fn scores(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        let line = self.score.px(1.0);
        let mut columns: Vec<(i32, i32, f64)> = Vec::new();
        for window in &self.track.windows {
            let Some(Judged { score, .. }) = window.judged else { continue };
            let from = self.x(window.start_ms);
            let to = self.x(window.start_ms + self.interval_ms).max(from + 1);
            match columns.last_mut() {
                Some(last) if last.0 == from => *last = (from, last.1.max(to), last.2.max(score)),
                _ => columns.push((from, to, score)),
            }
        }
        for (from, to, score) in columns {
            let top = self.score.px(score);
            canvas.rectangle((from, top.max(line)), (to, self.strip_bottom), SCORE)?;
            if score >= 1.0 {
                canvas.rectangle((from, top.min(line - 1)), (to, line), ODD)?;
            }
        }
        canvas.dashes((LEFT, line), (RIGHT, line), ODD)?;
        canvas.line(&[(LEFT, self.strip_bottom), (RIGHT, self.strip_bottom)], SOFT, 1)?;
        let right = Words { horizontal: HPos::Right, ..LABEL };
        canvas.words("score 1", (LEFT - 10, line), Words { color: ODD, ..right })?;
        // The top has room for a figure only where the line is far from it.
        if line - self.strip_top > 20 {
            let more = if self.most_score < MOST_SCORE { "" } else { "≥ " };
            canvas.words(
                &format!("{more}{}", number(self.most_score)),
                (LEFT - 10, self.strip_top),
                right,
            )?;
        }
        Ok(())
    }
}
