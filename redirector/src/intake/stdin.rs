//! Standard input, read to its end.

use tokio::io::AsyncRead;
use tokio_util::sync::CancellationToken;

use super::{
    IntakeError, IntakeMetrics,
    batch::Gathering,
    framing::Framer,
    hand_over::HandOver,
    lines::{Cut, End, Pump},
    metrics::Transport,
};

/// The origin of what comes from standard input; lines of several hosts say theirs in a tag.
pub const ORIGIN: &str = "stdin";

const CHUNK: usize = 64 * 1024;

/// Reads to the end of `input`, and waits until all of it is confirmed.
pub(super) async fn read(
    input: impl AsyncRead + Unpin,
    hand_over: &HandOver,
    metrics: &IntakeMetrics,
    cancel: &CancellationToken,
) -> Result<(), IntakeError> {
    let pump = Pump {
        origin: ORIGIN,
        gathering: &Gathering::default(),
        transport: Transport::Stdin,
        idle: None,
        chunk: CHUNK,
        hand_over,
        metrics,
        cancel,
    };
    let end = pump.run(input, Cut::Lines(Framer::default())).await;
    hand_over.flush().await?;
    match end {
        Ok(End::Eof | End::Idle | End::Stopped) => Ok(()),
        Err(error) => Err(IntakeError::Read(error)),
    }
}
