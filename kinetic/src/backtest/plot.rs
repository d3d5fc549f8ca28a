//! A picture of a backtest: a panel for each series with its band and findings, and its scores below.

mod column;
mod panel;

use jiff::Timestamp;
use kinetic_analyzer::backtest::{Judged, Judgement, Track};
use kinetic_api::{plan::AnalyticKind, series::SeriesName};
use kinetic_chart::{
    DrawError, HPos, Picture, PictureError, RGBColor, VPos,
    canvas::{Canvas, Words},
    scale::{Scale, time_ticks},
};

use self::panel::Panel;
use super::choice::Choice;

const PICTURE: Picture = Picture { width: 1600, height: 900 };
/// So many series have a panel; more would be too low to be read.
const MOST_PANELS: usize = 6;
/// So few have one where fewer have findings.
const FEW_PANELS: usize = 3;
/// No score is so high.
const FOUND_BEFORE_ALL: f64 = 1e12;
/// So many of the series without one are named.
const NAMED: usize = 8;

const WHITE: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(28, 33, 40);
const SOFT: RGBColor = RGBColor(91, 101, 115);
const GRID: RGBColor = RGBColor(228, 231, 236);
const UNJUDGED: RGBColor = RGBColor(242, 243, 245);
const BAND: RGBColor = RGBColor(209, 225, 245);
const EXPECTED: RGBColor = RGBColor(64, 114, 184);
const SERIES: RGBColor = RGBColor(50, 62, 78);
const PEER: RGBColor = RGBColor(176, 184, 195);
const ODD: RGBColor = RGBColor(201, 37, 45);
const FOUND: RGBColor = RGBColor(253, 224, 226);
const SCORE: RGBColor = RGBColor(150, 160, 173);

const TITLE: Words = Words { size: 28, bold: true, color: INK, horizontal: HPos::Left, vertical: VPos::Top };
const LABEL: Words =
    Words { size: 19, bold: false, color: SOFT, horizontal: HPos::Left, vertical: VPos::Center };

/// The edges of all panels.
const LEFT: i32 = 104;
const RIGHT: i32 = PICTURE.width.cast_signed() - 30;
const TOP: i32 = 112;
const BOTTOM: i32 = PICTURE.height.cast_signed() - 78;
/// What is between two panels, for the name of the lower one.
const BETWEEN: i32 = 34;

/// What a judgement looks like.
struct Plot<'a> {
    choice: &'a Choice,
    judgement: &'a Judgement,
    /// The series that have a panel.
    shown: Vec<&'a Track>,
    /// First and last millisecond.
    span: (i64, i64),
    x: Scale,
}

/// A series' highest score; of one with a finding above all others.
fn worst(judgement: &Judgement, track: &Track) -> f64 {
    let findings = judgement.flagged.iter().filter(|flagged| is_about(&flagged.fired.data.series(), track));
    let windows = track.windows.iter().filter_map(|window| window.judged);
    findings
        .map(|flagged| FOUND_BEFORE_ALL + flagged.peak.score)
        .chain(windows.map(|Judged { score, .. }| score))
        .fold(0.0, f64::max)
}

/// Whether a finding about this subject is about the series: what is about a whole source is about each.
fn is_about(subject: &SeriesName, track: &Track) -> bool {
    *subject == track.series || subject.origin.is_empty() && subject.metric.contains('*')
}

/// Draws a judgement as PNG.
pub(super) fn png(choice: &Choice, judgement: &Judgement) -> Result<Vec<u8>, PictureError> {
    let plot = Plot::new(choice, judgement);
    PICTURE.png(|canvas| plot.draw(canvas))
}

impl<'a> Plot<'a> {
    fn new(choice: &'a Choice, judgement: &'a Judgement) -> Self {
        let mut tracks: Vec<(f64, &Track)> =
            judgement.tracks.iter().map(|track| (worst(judgement, track), track)).collect();
        // Those with findings first, by their worst window; then those that came closest to the line.
        tracks.sort_by(|(a, x), (b, y)| b.total_cmp(a).then_with(|| x.series.cmp(&y.series)));
        let with_findings = tracks.iter().filter(|(worst, _)| *worst >= FOUND_BEFORE_ALL).count();
        let most = with_findings.clamp(FEW_PANELS, MOST_PANELS);
        let mut shown: Vec<&Track> = tracks.into_iter().take(most).map(|(_, track)| track).collect();
        shown.sort_by(|a, b| a.series.cmp(&b.series));
        let from = judgement.tracks.iter().map(|track| track.first_ms).min().unwrap_or_default();
        let to = judgement.tracks.iter().map(|track| track.last_ms).max().unwrap_or(1);
        let span = (from, to.max(from + 1));
        let x = Scale::new((span.0 as f64, span.1 as f64), (f64::from(LEFT), f64::from(RIGHT)));
        Self { choice, judgement, shown, span, x }
    }

    fn draw(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        canvas.fill(WHITE)?;
        self.title(canvas)?;
        self.legend(canvas)?;
        let count = i32::try_from(self.shown.len().max(1)).unwrap_or(1);
        let height = (BOTTOM - TOP - BETWEEN * (count - 1)) / count;
        let mut top = TOP;
        for track in &self.shown {
            Panel::new(self, track, top, height).draw(canvas)?;
            top += height + BETWEEN;
        }
        self.times(canvas)?;
        self.left_out(canvas)
    }

    fn title(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        let analytic = self.choice.analytic();
        let metric = self.shown.first().map(|track| track.series.metric.as_str()).unwrap_or_default();
        let findings = match self.judgement.flagged.len() {
            1 => "1 finding".to_owned(),
            n => format!("{n} findings"),
        };
        let text = format!("{} of {metric}: {findings}", analytic.name);
        canvas.words(&TITLE.shorten(&text, RIGHT - LEFT)?, (LEFT, 12), TITLE)
    }

    fn legend(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        const Y: i32 = 62;
        let windows = || self.shown.iter().flat_map(|track| &track.windows);
        let any =
            |holds: fn(&Judged) -> bool| windows().filter_map(|window| window.judged).any(|j| holds(&j));
        let mut items = vec![(self.choice.analytic().statistic.to_string(), SERIES, 3)];
        if any(|judged| judged.expected.is_some()) {
            let what = if self.threshold().is_some() { "threshold" } else { "expected" };
            items.push((what.to_owned(), EXPECTED, 2));
        }
        if any(|judged| judged.reach.is_some()) {
            items.push(("tolerated".to_owned(), BAND, 14));
        }
        if windows().any(|window| window.judged.is_none()) {
            items.push(("not judged".to_owned(), UNJUDGED, 14));
        }
        if matches!(self.choice.analytic().kind, AnalyticKind::Cluster(_)) {
            items.push(("peers".to_owned(), PEER, 2));
        }
        items.push(("finding".to_owned(), FOUND, 14));
        items.push(("score (1 is the line)".to_owned(), SCORE, 14));
        let mut x = RIGHT;
        for (text, color, width) in items.iter().rev() {
            x -= LABEL.width(text)?;
            canvas.words(text, (x, Y), LABEL)?;
            canvas.line(&[(x - 34, Y), (x - 8, Y)], *color, *width)?;
            x -= 54;
        }
        Ok(())
    }

    fn threshold(&self) -> Option<f64> {
        use kinetic_api::plan::ThresholdRule::{Above, Below};
        match self.choice.analytic().kind {
            AnalyticKind::Threshold(Above { line, .. } | Below { line, .. }) => Some(line),
            AnalyticKind::Cluster(_) | AnalyticKind::Stddev(_) | AnalyticKind::Absence { .. } => None,
        }
    }

    /// The time axis, which all panels share.
    fn times(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        const MIDNIGHT: i64 = 86_400;
        let (from, to) = (self.span.0.div_euclid(1000), self.span.1.div_euclid(1000));
        for (second, label) in time_ticks(from, to, 12) {
            let x = self.x.px(second as f64 * 1000.0);
            canvas.line(&[(x, BOTTOM), (x, BOTTOM + 6)], SOFT, 1)?;
            // Among times of day, midnight is told by its date.
            let day = label.contains(':') && second % MIDNIGHT == 0 && to - from > MIDNIGHT / 2;
            let label = if day { date(second) } else { label };
            let room = PICTURE.width.cast_signed() - LABEL.width(&label)? / 2 - 4;
            let words = Words { horizontal: HPos::Center, ..LABEL };
            canvas.words(&label, (x.min(room), BOTTOM + 22), words)?;
        }
        let text = match (date(from), date(to)) {
            (first, last) if first == last => format!("{first}, UTC"),
            (first, last) => format!("{first} to {last}, UTC"),
        };
        let words = Words { horizontal: HPos::Right, vertical: VPos::Bottom, ..LABEL };
        canvas.words(&text, (RIGHT, PICTURE.height.cast_signed() - 8), words)
    }

    fn left_out(&self, canvas: &Canvas<'_, '_>) -> Result<(), DrawError> {
        let all = self.judgement.tracks.len();
        if all <= self.shown.len() {
            return Ok(());
        }
        let hidden = self.judgement.tracks.iter().map(|track| &track.series);
        let hidden = hidden.filter(|series| self.shown.iter().all(|shown| shown.series != **series));
        let names: Vec<String> =
            hidden.take(NAMED).map(|series| short_name(&series.origin, series)).collect();
        let more = all - self.shown.len() - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text = format!(
            "{} of {all} series: those with findings, or else the highest scores; left out: {}{more}",
            self.shown.len(),
            names.join(", ")
        );
        let words = Words { vertical: VPos::Bottom, ..LABEL };
        let room = RIGHT - LEFT - 320;
        canvas.words(&words.shorten(&text, room)?, (LEFT, PICTURE.height.cast_signed() - 8), words)
    }
}

/// The origin where there is one: the metric stands in the title.
fn short_name(origin: &str, series: &SeriesName) -> String {
    if origin.is_empty() { series.to_string() } else { origin.to_owned() }
}

fn date(second: i64) -> String {
    Timestamp::from_second(second).map(|time| time.strftime("%Y-%m-%d").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
