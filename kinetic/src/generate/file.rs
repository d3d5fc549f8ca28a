//! The whole run at once, into a file or standard output.

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use tokio_util::sync::CancellationToken;

use super::{error::GenerateError, line::Stamp, scenario::Plan, traffic::Traffic};

/// Lines are in order by this time; within it, host by host.
const SLICE_MS: u64 = 1000;
/// Written at once.
const CHUNK: usize = 1 << 20;

/// Writes the run to `path`, or to standard output for `-`; gives how far it came, in milliseconds.
pub(super) async fn generate(
    plan: Plan,
    path: PathBuf,
    stop: CancellationToken,
) -> Result<u64, GenerateError> {
    let writing = tokio::task::spawn_blocking(move || {
        let written = if path == Path::new("-") {
            write(&plan, io::stdout().lock(), &stop)
        } else {
            File::create(&path).and_then(|file| write(&plan, file, &stop))
        };
        written.map_err(|reason| GenerateError::Write { path, reason })
    });
    match writing.await {
        Ok(reached) => reached,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// A reader that has seen enough closes the pipe: that is an end, not an error.
fn write(plan: &Plan, mut out: impl Write, stop: &CancellationToken) -> io::Result<u64> {
    let began = Instant::now();
    let mut traffic = Traffic::new(plan, Stamp::Line { start_ms: plan.start_ms });
    let mut buffer = Vec::with_capacity(2 * CHUNK);
    let (mut reached_ms, mut samples, mut bytes) = (0, 0, 0);
    while reached_ms < plan.duration_ms && !stop.is_cancelled() {
        let until_ms = (reached_ms + SLICE_MS).min(plan.duration_ms);
        for host in 0..traffic.hosts() {
            samples += traffic.advance(host, until_ms, &mut buffer);
        }
        reached_ms = until_ms;
        if buffer.len() >= CHUNK || reached_ms == plan.duration_ms || stop.is_cancelled() {
            match out.write_all(&buffer) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(reached_ms),
                written => written?,
            }
            bytes += buffer.len();
            buffer.clear();
        }
    }
    out.flush()?;
    if io::stderr().is_terminal() {
        let seconds = began.elapsed().as_secs_f64();
        eprintln!("{samples} samples, {bytes} bytes in {seconds:.1} s");
    }
    Ok(reached_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_ends_it_quietly() {
        let plan = crate::generate::tests::plan(crate::generate::scenario::Scenario::Noise, 120_000);
        assert!(write(&plan, Closed, &CancellationToken::new()).is_ok());
    }
}
