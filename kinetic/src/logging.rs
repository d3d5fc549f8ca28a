//! Structured logs: text on a terminal, JSON elsewhere; always on standard error.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// What is logged unless asked otherwise: what a person would act on. The bus reports its own errors; lapin would add whole bodies.
const DEFAULT: &str = "info,lapin=off,sqlx=warn";

/// Starts logging for the process. A filter that is none is reported, and the default used.
pub(crate) fn init(filter: Option<&str>) {
    let filter = match filter.map(EnvFilter::try_new) {
        None => EnvFilter::new(DEFAULT),
        Some(Ok(filter)) => filter,
        Some(Err(error)) => {
            eprintln!("kinetic: --log: {error}; using `{DEFAULT}`");
            EnvFilter::new(DEFAULT)
        }
    };
    let lines = if stderr().is_terminal() {
        fmt::layer().with_writer(stderr).with_target(false).boxed()
    } else {
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .with_current_span(false)
            .with_writer(stderr)
            .boxed()
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
}
