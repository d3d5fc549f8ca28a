//! What was found, for people and for programs.

use std::fmt::Write;

use jiff::{Timestamp, tz::TimeZone};
use kinetic_analyzer::backtest::{Flagged, Judgement};
use kinetic_api::{duration::Duration, resources::topology::AnalyticState};
use kinetic_chart::figures::number;
use serde_json::{Value as Json, json};

use super::choice::Choice;

/// A verdict on some data.
pub(super) struct Report<'a> {
    pub(super) choice: &'a Choice,
    pub(super) judgement: &'a Judgement,
    pub(super) input: Input,
}

/// What was read.
pub(super) struct Input {
    /// Files, or the stream.
    pub(super) names: String,
    /// Rows, or samples of a stream.
    pub(super) rows: u64,
    /// Rows or lines that could not be read.
    pub(super) bad: u64,
    /// Whether the windows' length is the data's spacing.
    pub(super) guessed: bool,
}

/// What a judgement adds up to.
struct Sums {
    windows: u64,
    judged: u64,
    /// The end of the last window, in milliseconds since 1970.
    end_ms: i64,
    /// The part of all series' time in which they fired.
    firing: f64,
}

impl Report<'_> {
    /// A table, a sentence for each finding, and a summary.
    pub(super) fn text(&self) -> String {
        let mut out = format!("{}\n\n", self.parameters());
        let sums = self.sums();
        if !self.judgement.flagged.is_empty() {
            out.push_str(&self.table(&sums));
            out.push('\n');
        }
        out.push_str(&self.summary(&sums));
        if let Some((_, Some(reason))) = self.state() {
            let _ = writeln!(out, "note: {reason}");
        }
        out
    }

    /// Which analytic it was, and what it went by.
    fn parameters(&self) -> String {
        let (choice, analytic) = (self.choice, self.choice.analytic());
        let mut words = flat(&choice.resource[choice.kind()]);
        let persistence = analytic.persistence;
        if choice.kind() != "absence" {
            words.push(format!("{} of {} windows", persistence.windows, persistence.of));
        }
        let guessed = if self.input.guessed { " (the rows' spacing)" } else { "" };
        words.push(format!("{} per {}{guessed}", analytic.statistic, span(choice.source().interval_ms)));
        let name = if analytic.name == choice.kind() {
            choice.kind().to_owned()
        } else {
            format!("{} ({})", analytic.name, choice.kind())
        };
        format!("{name} over {}: {}", self.input.names, words.join(", "))
    }

    fn table(&self, sums: &Sums) -> String {
        let head =
            ["SERIES", "FROM", "TO", "LASTED", "SCORE", "DEVIATION", "VALUE", "EXPECTED"].map(str::to_owned);
        let figure = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
        let row = |flagged: &Flagged| {
            let (from, to) = flagged.span_ms(sums.end_ms);
            let peak = flagged.peak;
            [
                flagged.fired.subject.clone(),
                clock(from),
                if flagged.resolved.is_some() { clock(to) } else { "(still firing)".to_owned() },
                span(to - from),
                format!("{:.2}", peak.score),
                peak.deviation.map_or_else(|| "–".to_owned(), |deviation| format!("{deviation:+.1}")),
                figure(peak.value),
                figure(peak.expected),
            ]
        };
        let rows: Vec<[String; 8]> = self.judgement.flagged.iter().map(row).collect();
        let widths: Vec<usize> = (0..head.len())
            .map(|column| {
                rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or_default()
            })
            .collect();
        // Names and times to the left, figures to the right.
        let line = |row: &[String; 8]| {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
                0..=2 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let mut out = line(&head) + "\n";
        for (row, flagged) in rows.iter().zip(&self.judgement.flagged) {
            let _ = writeln!(out, "{}\n  {}", line(row), flagged.fired.data.explanation);
        }
        out
    }

    fn summary(&self, sums: &Sums) -> String {
        let counted = |n: u64, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
        let bad = match self.input.bad {
            0 => String::new(),
            bad => format!(" ({bad} unreadable left out)"),
        };
        let late = self.judgement.counters.late;
        let late = if late > 0 { format!(", {late} too late") } else { String::new() };
        let unjudged = match sums.windows - sums.judged {
            0 => String::new(),
            unjudged => format!(", {unjudged} of them not judged"),
        };
        format!(
            "{}{bad}{late}, {} in {}{unjudged}; {}, firing {}% of the time\n",
            counted(self.input.rows, "row"),
            counted(sums.windows, "window"),
            match self.judgement.tracks.len() as u64 {
                1 => "1 series".to_owned(),
                n => format!("{n} series"),
            },
            counted(self.judgement.flagged.len() as u64, "finding"),
            number(sums.firing * 100.0),
        )
    }

    /// One object; its fields are documented in docs/backtest.md.
    pub(super) fn json(&self) -> String {
        let sums = self.sums();
        let rfc = |ms: i64| Timestamp::from_millisecond(ms).ok().map(|time| time.to_string());
        let finding = |flagged: &Flagged| {
            let (from, to) = flagged.span_ms(sums.end_ms);
            let (data, peak) = (&flagged.fired.data, flagged.peak);
            json!({
                "series": flagged.fired.subject,
                "metric": data.metric,
                "origin": data.origin,
                "tags": data.tags.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
                "from": rfc(from),
                "to": flagged.resolved.as_ref().and_then(|_| rfc(to)),
                "seconds": (to - from) as f64 / 1000.0,
                "peak": {
                    "at": peak.at.to_string(),
                    "score": peak.score,
                    "deviation": peak.deviation,
                    "value": peak.value,
                    "expected": peak.expected,
                },
                "explanation": data.explanation,
                "fired": flagged.fired,
                "resolved": flagged.resolved,
            })
        };
        let state = self.state().map(|(state, reason)| json!({"state": state, "reason": reason}));
        let report = json!({
            "analytic": self.choice.resource,
            "intervalSeconds": self.choice.source().interval_ms as f64 / 1000.0,
            "rows": self.input.rows,
            "badRows": self.input.bad,
            "series": self.judgement.tracks.len(),
            "windows": sums.windows,
            "notJudged": sums.windows - sums.judged,
            "firingShare": sums.firing,
            "state": state,
            "findings": self.judgement.flagged.iter().map(finding).collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }

    /// Whether the analytic could say anything, and why not (of all series).
    fn state(&self) -> Option<(AnalyticState, Option<String>)> {
        self.judgement.analytic.as_ref().map(|report| (report.state, report.reason.clone()))
    }

    fn sums(&self) -> Sums {
        let Judgement { flagged, tracks, .. } = self.judgement;
        let end_ms = tracks.iter().map(|track| track.last_ms).max().unwrap_or_default();
        let firing_ms: i64 = flagged
            .iter()
            .map(|flagged| {
                let (from, to) = flagged.span_ms(end_ms);
                to.min(end_ms) - from.min(end_ms)
            })
            .sum();
        let all_ms: i64 = tracks.iter().map(|track| end_ms - track.first_ms).sum();
        Sums {
            windows: tracks.iter().map(|track| track.seen).sum(),
            judged: tracks.iter().map(|track| track.judged).sum(),
            end_ms,
            firing: if all_ms > 0 { firing_ms as f64 / all_ms as f64 } else { 0.0 },
        }
    }
}

/// A kind's parameters as words: `deviation 4`, `minStddev.relative 0.01`.
fn flat(parameters: &Json) -> Vec<String> {
    let Json::Object(fields) = parameters else { return Vec::new() };
    let mut words = Vec::new();
    for (name, value) in fields {
        match value {
            Json::Object(_) => words.extend(flat(value).into_iter().map(|word| format!("{name}.{word}"))),
            Json::Number(value) => {
                let value = value.as_f64().map_or_else(|| value.to_string(), number);
                words.push(format!("{name} {value}"));
            }
            Json::String(value) => words.push(format!("{name} {value}")),
            other => words.push(format!("{name} {other}")),
        }
    }
    words
}

/// A time in UTC; with milliseconds where it has some.
fn clock(milliseconds: i64) -> String {
    let format = if milliseconds % 1000 == 0 { "%Y-%m-%d %H:%M:%SZ" } else { "%Y-%m-%d %H:%M:%S%.3fZ" };
    Timestamp::from_millisecond(milliseconds)
        .map(|time| time.to_zoned(TimeZone::UTC).strftime(format).to_string())
        .unwrap_or_default()
}

/// A span as resources spell it: `1h30m`.
pub(super) fn span(milliseconds: i64) -> String {
    Duration::from_millis(milliseconds.max(0).unsigned_abs()).to_string()
}
