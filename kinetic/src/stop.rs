//! SIGTERM and Ctrl-C: the first drains, the second ends at once.

use std::io::{self, Write};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that the first signal cancels. A second one ends the process with 130, as shells expect of an interrupted program.
pub(crate) fn on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let first = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if first.is_cancelled() {
                std::process::exit(130);
            }
            first.cancel();
            // Nobody may be left to read it.
            let _ = writeln!(io::stderr(), "stopping: finishing what was taken (again to end at once)");
        }
    });
    Ok(stop)
}
