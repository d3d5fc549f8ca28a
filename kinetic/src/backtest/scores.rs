//! One score per row, or per window, as CSV.

use std::{fs::File, io, path::Path};

use csv::Writer;
use jiff::Timestamp;
use kinetic_analyzer::backtest::{Judgement, ScoredWindow, Track};

use super::{error::BacktestError, rows::Rows};

/// Writes the score of the window that each row fell into, in input order; 0 where it was not judged.
pub(super) fn of_rows(
    path: &Path,
    rows: &Rows,
    judgement: &Judgement,
    interval_ms: i64,
) -> Result<(), BacktestError> {
    write(path, |out| {
        let tracks: Vec<Option<&Track>> = rows
            .origins
            .iter()
            .map(|origin| judgement.tracks.iter().find(|track| track.series.origin == *origin))
            .collect();
        let head: &[&str] = if rows.with_origin {
            &["timestamp", "origin", "value", "score"]
        } else {
            &["timestamp", "value", "score"]
        };
        out.write_record(head)?;
        for row in &rows.all {
            let start_ms = row.time_ms.div_euclid(interval_ms) * interval_ms;
            let score = tracks[row.origin].and_then(|track| track.window(start_ms)).map_or(0.0, score);
            out.write_field(&*row.stamp)?;
            if rows.with_origin {
                out.write_field(&rows.origins[row.origin])?;
            }
            out.write_field(row.value.to_string())?;
            out.write_field(rounded(score))?;
            out.write_record(None::<&[u8]>)?;
        }
        Ok(())
    })
}

/// Writes each window of each series with a value, in the order of time.
pub(super) fn of_windows(path: &Path, judgement: &Judgement) -> Result<(), BacktestError> {
    write(path, |out| {
        out.write_record(["timestamp", "series", "value", "score"])?;
        let mut windows: Vec<(&Track, &ScoredWindow)> = judgement
            .tracks
            .iter()
            .flat_map(|track| track.windows.iter().map(move |window| (track, window)))
            .collect();
        windows.sort_by_key(|(_, window)| window.start_ms);
        for (track, window) in windows {
            let Some(value) = window.value else { continue };
            let start = Timestamp::from_millisecond(window.start_ms).map_err(io::Error::other)?;
            let series = track.series.to_string();
            out.write_record([start.to_string(), series, value.to_string(), rounded(score(window))])?;
        }
        Ok(())
    })
}

fn score(window: &ScoredWindow) -> f64 {
    window.judged.map_or(0.0, |judged| judged.score)
}

/// To six digits behind the point, without trailing zeros.
fn rounded(score: f64) -> String {
    ((score * 1e6).round() / 1e6).to_string()
}

fn write(
    path: &Path,
    rows: impl FnOnce(&mut Writer<File>) -> Result<(), csv::Error>,
) -> Result<(), BacktestError> {
    let failed = |reason| BacktestError::Write { path: path.to_owned(), reason };
    let mut out = Writer::from_writer(File::create(path).map_err(failed)?);
    rows(&mut out).map_err(|error| failed(error.into()))?;
    out.flush().map_err(failed)
}
