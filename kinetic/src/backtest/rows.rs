//! CSV files as rows: a time, an origin, a value.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

use csv::{ReaderBuilder, StringRecord, Trim};

use super::{error::BacktestError, timestamp};

/// So many bad rows of a file are told one by one.
const TOLD: u64 = 5;
/// An origin is no longer, in bytes: the windows would cut it.
const LONGEST_ORIGIN: usize = 500;

/// All rows of all inputs, in input order.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) all: Vec<Row>,
    /// Who sent them; one empty name where nobody said.
    pub(super) origins: Vec<String>,
    /// Whether rows are written with their origin.
    pub(super) with_origin: bool,
    /// What the values are called.
    pub(super) metric: String,
    /// How many rows could not be read.
    pub(super) bad: u64,
    /// The first of those, for people.
    pub(super) warnings: Vec<String>,
}

/// A row that could be read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Milliseconds since 1970.
    pub(super) time_ms: i64,
    /// The origin's place in [`Rows::origins`].
    pub(super) origin: usize,
    pub(super) value: f64,
    /// The time as it was written.
    pub(super) stamp: Box<str>,
}

/// Where a record's fields stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Columns {
    timestamp: usize,
    origin: Option<usize>,
    value: usize,
}

/// Reads the inputs, of which `-` is standard input. Several files without an origin in their rows are an origin each.
pub(super) fn read(inputs: &[String]) -> Result<Rows, BacktestError> {
    let mut rows = Rows::default();
    for input in inputs {
        let failed = |reason| BacktestError::Read { input: input.clone(), reason };
        let stem = if input == "-" { "" } else { stem(input) };
        let whose = if inputs.len() > 1 { stem } else { "" };
        if input == "-" {
            rows.add(io::stdin().lock(), input, stem, whose)?;
        } else {
            rows.add(File::open(input).map_err(failed)?, input, stem, whose)?;
        }
    }
    rows.with_origin = rows.origins.iter().any(|origin| !origin.is_empty());
    Ok(rows)
}

fn stem(path: &str) -> &str {
    Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or(path)
}

impl Rows {
    /// Adds a file's rows. `stem` is what its values are called if nothing else says it; `whose` is the origin of rows that name none.
    fn add(&mut self, input: impl Read, name: &str, stem: &str, whose: &str) -> Result<(), BacktestError> {
        let mut reader =
            ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(input);
        let mut places: HashMap<String, usize> =
            self.origins.iter().cloned().enumerate().map(|(n, origin)| (origin, n)).collect();
        let (before, bad_before) = (self.all.len(), self.bad);
        let mut record = StringRecord::new();
        let (mut columns, mut at_top) = (None, true);
        let mut metric = if whose.is_empty() { stem } else { "" }.to_owned();
        loop {
            let reason = match reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) if std::mem::take(&mut at_top) && is_header(&record) => {
                    columns = Columns::named(&record);
                    let value = columns.map_or(record.len().saturating_sub(1), |columns| columns.value);
                    if metric.is_empty() {
                        record.get(value).unwrap_or_default().clone_into(&mut metric);
                    }
                    continue;
                }
                Ok(true) => {
                    let columns = *columns.get_or_insert(Columns::counted(record.len()));
                    match row(&record, columns) {
                        Ok((time_ms, origin, value)) => {
                            let origin = origin.unwrap_or(whose);
                            let place = self.place(origin, &mut places);
                            let stamp = record.get(columns.timestamp).unwrap_or_default().into();
                            self.all.push(Row { time_ms, origin: place, value, stamp });
                            continue;
                        }
                        Err(reason) => reason,
                    }
                }
                Err(error) => match error.kind() {
                    csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
                    _ => return Err(BacktestError::Read { input: name.to_owned(), reason: error.into() }),
                },
            };
            self.bad += 1;
            if self.bad - bad_before <= TOLD {
                let line = record.position().map_or(0, csv::Position::line);
                self.warnings.push(format!("{name}:{line}: {reason}; the row is left out"));
            }
        }
        if self.metric.is_empty() {
            self.metric = metric;
        }
        let (good, bad) = ((self.all.len() - before) as u64, self.bad - bad_before);
        if bad > good {
            return Err(BacktestError::BadRows { input: name.to_owned(), bad, all: good + bad });
        }
        if good == 0 {
            return Err(BacktestError::NoRows { input: name.to_owned() });
        }
        Ok(())
    }

    /// An origin's place.
    fn place(&mut self, origin: &str, places: &mut HashMap<String, usize>) -> usize {
        if let Some(place) = places.get(origin) {
            return *place;
        }
        self.origins.push(origin.to_owned());
        places.insert(origin.to_owned(), self.origins.len() - 1);
        self.origins.len() - 1
    }

    /// The rows in the order of their time, and how many of them were written out of it.
    pub(super) fn by_time(&self) -> (Vec<usize>, usize) {
        let mut order: Vec<usize> = (0..self.all.len()).collect();
        order.sort_by_key(|&n| self.all[n].time_ms);
        let mut latest = vec![i64::MIN; self.origins.len()];
        let mut unsorted = 0;
        for row in &self.all {
            unsorted += usize::from(row.time_ms < latest[row.origin]);
            latest[row.origin] = latest[row.origin].max(row.time_ms);
        }
        (order, unsorted)
    }

    /// The median time between two rows of an origin, in milliseconds; None where no origin has two.
    pub(super) fn spacing_ms(&self, by_time: &[usize]) -> Option<i64> {
        let mut latest = vec![None; self.origins.len()];
        let mut spacings: Vec<i64> = by_time
            .iter()
            .filter_map(|&n| {
                let Row { time_ms, origin, .. } = self.all[n];
                let before = latest[origin].replace(time_ms)?;
                Some(time_ms - before).filter(|spacing| *spacing > 0)
            })
            .collect();
        if spacings.is_empty() {
            return None;
        }
        let middle = spacings.len() / 2;
        Some(*spacings.select_nth_unstable(middle).1)
    }
}

impl Columns {
    /// By the names in a header.
    fn named(header: &StringRecord) -> Option<Self> {
        let find = |names: &[&str]| {
            header.iter().position(|field| names.iter().any(|name| field.eq_ignore_ascii_case(name)))
        };
        Some(Self {
            timestamp: find(&["timestamp", "time", "date", "datetime"])?,
            origin: find(&["origin", "host", "feed"]),
            value: find(&["value"])?,
        })
    }

    /// By how many there are.
    fn counted(fields: usize) -> Self {
        if fields >= 3 {
            Self { timestamp: 0, origin: Some(1), value: 2 }
        } else {
            Self { timestamp: 0, origin: None, value: 1 }
        }
    }
}

/// Whether it has neither a time nor a number where they should be.
fn is_header(record: &StringRecord) -> bool {
    record.len() >= 2
        && record.iter().all(|field| timestamp::parse(field).is_none() && number(field).is_none())
}

fn row(record: &StringRecord, columns: Columns) -> Result<(i64, Option<&str>, f64), String> {
    let field = |place: usize| {
        record.get(place).ok_or_else(|| format!("{} of {} fields are there", record.len(), place + 1))
    };
    let stamp = field(columns.timestamp)?;
    let value = field(columns.value)?;
    let origin = columns.origin.map(field).transpose()?;
    let time_ms = timestamp::parse(stamp).ok_or_else(|| format!("`{}` is no timestamp", short(stamp)))?;
    let value = number(value).ok_or_else(|| format!("`{}` is no number", short(value)))?;
    if origin.is_some_and(|origin| origin.len() > LONGEST_ORIGIN || origin.contains(char::is_control)) {
        return Err(format!("the origin is longer than {LONGEST_ORIGIN} bytes, or has control characters"));
    }
    Ok((time_ms, origin, value))
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(40).collect()
}

#[cfg(test)]
mod tests;
