//! `kinetic backtest`: what an analytic would have flagged in data of the past.
//!
//! [`rows`] reads CSV, [`stream`] a retained stream, [`choice`] says which analytic with which parameters; the analyzer's own engine judges
//! ([`kinetic_analyzer::backtest`]). [`report`] tells, [`scores`] and [`plot`] write what else is asked for.

mod args;
mod choice;
mod error;
mod plot;
mod report;
mod rows;
mod scores;
mod stream;
mod timestamp;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use kinetic_analyzer::backtest::{Judgement, Keep, Replay};

pub(crate) use args::BacktestArgs;

use choice::Choice;
use error::BacktestError;
use report::{Input, Report};
use stream::Stream;

/// What cannot be used: bad parameters, bad input.
const UNUSABLE: u8 = 2;

/// Tells what the analytic would have flagged.
pub(crate) async fn run(args: BacktestArgs) -> anyhow::Result<ExitCode> {
    let told = if args.inputs.iter().any(|input| Stream::is(input)) {
        of_stream(&args).await
    } else {
        let args = args.clone();
        // Reading and judging are work, not waiting.
        match tokio::task::spawn_blocking(move || of_rows(&args)).await {
            Ok(told) => told,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    };
    match told {
        Ok(text) => {
            match io::stdout().write_all(text.as_bytes()) {
                // `kinetic backtest … | head` has seen enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                written => written?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("kinetic: {error}");
            Ok(ExitCode::from(UNUSABLE))
        }
    }
}

fn of_rows(args: &BacktestArgs) -> Result<String, BacktestError> {
    let rows = rows::read(&args.inputs)?;
    for warning in &rows.warnings {
        eprintln!("warning: {warning}");
    }
    let (order, unsorted) = rows.by_time();
    if unsorted > 0 {
        eprintln!("warning: {unsorted} rows are not in the order of their time: they were sorted");
    }
    let spacing_ms = rows.spacing_ms(&order);
    let choice = Choice::new(&args.analytic, &args.files, &args.settings, spacing_ms)?;
    let interval_ms = choice.source().interval_ms;
    let guessed = args.files.is_empty() && args.settings.iter().all(|setting| setting.key != "interval");
    if guessed && spacing_ms.is_none() {
        return Err(BacktestError::NoInterval);
    }
    if let Some(spacing_ms) = spacing_ms.filter(|spacing| *spacing >= 2 * interval_ms) {
        eprintln!(
            "warning: rows are {} apart, windows {}: most windows are empty; add --set interval={}",
            report::span(spacing_ms),
            report::span(interval_ms),
            report::span(spacing_ms)
        );
    }
    let mut replay = Replay::of_rows(&choice.plan, choice.analytic, &rows.metric, Keep::All);
    for &n in &order {
        let row = &rows.all[n];
        replay.row(&rows.origins[row.origin], row.time_ms, row.value);
    }
    let judgement = replay.finish();
    if let Some(path) = &args.scores {
        scores::of_rows(path, &rows, &judgement, interval_ms)?;
    }
    let (count, bad) = (rows.all.len() as u64, rows.bad);
    let input = Input { names: args.inputs.join(", "), rows: count, bad, guessed };
    tell(args, &choice, &judgement, input)
}

async fn of_stream(args: &BacktestArgs) -> Result<String, BacktestError> {
    let [address] = args.inputs.as_slice() else { return Err(BacktestError::Mixed) };
    let stream = Stream::parse(address)?;
    let choice = Choice::new(&args.analytic, &args.files, &args.settings, None)?;
    let source = choice.source();
    let name = stream.name((!args.files.is_empty()).then_some(source))?;
    let keep = if args.scores.is_some() || args.plot.is_some() { Keep::All } else { Keep::Last };
    let mut replay = Replay::of_messages(&choice.plan, choice.analytic, keep);
    stream.read(name, source, &mut replay).await?;
    let judgement = replay.finish();
    if let Some(path) = &args.scores {
        scores::of_windows(path, &judgement)?;
    }
    let counters = judgement.counters;
    let input =
        Input { names: name.to_owned(), rows: counters.samples, bad: counters.bad_lines, guessed: false };
    tell(args, &choice, &judgement, input)
}

/// What is printed; the picture on the way.
fn tell(
    args: &BacktestArgs,
    choice: &Choice,
    judgement: &Judgement,
    input: Input,
) -> Result<String, BacktestError> {
    if let Some(path) = &args.plot {
        let picture = plot::png(choice, judgement)?;
        std::fs::write(path, picture)
            .map_err(|reason| BacktestError::Write { path: path.clone(), reason })?;
    }
    let report = Report { choice, judgement, input };
    Ok(if args.json { report.json() } else { report.text() })
}
