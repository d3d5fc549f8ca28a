//! The traffic on its way to a listener: paced by the wall clock, or at once.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    error::GenerateError, line::Stamp, pace::Pace, progress::Progress, scenario::Plan, traffic::Traffic,
};

/// What takes lines as they come.
pub(super) trait Out {
    /// Sends some lines of one host (from 0), each with its newline; `at_ms` is their time, in milliseconds since the epoch.
    async fn send(&mut self, host: u32, lines: &[u8], at_ms: i64) -> Result<(), GenerateError>;

    /// How many packets or messages went out.
    fn sent(&self) -> u64;
}

/// The slices of a run that is sent at once, in milliseconds: a message's lines share its time.
const SLICE_MS: u64 = 1000;

/// Sends the traffic in real time; gives how far it came, in milliseconds.
pub(super) async fn paced(
    plan: &Plan,
    out: &mut impl Out,
    slice: Duration,
    mut progress: Progress<'_>,
    stop: &CancellationToken,
) -> Result<u64, GenerateError> {
    let pace = Pace::new(slice, plan.duration_ms);
    let mut run = Run::new(plan);
    let start = Instant::now();
    while let Some(next) = pace.next(run.reached_ms) {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = sleep_until(start + next) => {}
        }
        run.advance(pace.due_ms(start.elapsed()), out).await?;
        progress.reached(run.reached_ms, out.sent());
    }
    progress.done(run.reached_ms, out.sent());
    Ok(run.reached_ms)
}

/// Sends the traffic as fast as it is taken; gives how far it came, in milliseconds.
pub(super) async fn at_once(
    plan: &Plan,
    out: &mut impl Out,
    mut progress: Progress<'_>,
    stop: &CancellationToken,
) -> Result<u64, GenerateError> {
    let mut run = Run::new(plan);
    while run.reached_ms < plan.duration_ms && !stop.is_cancelled() {
        run.advance((run.reached_ms + SLICE_MS).min(plan.duration_ms), out).await?;
        progress.reached(run.reached_ms, out.sent());
    }
    progress.done(run.reached_ms, out.sent());
    Ok(run.reached_ms)
}

/// A run's traffic and how far it is.
struct Run {
    traffic: Traffic,
    start_ms: i64,
    reached_ms: u64,
    lines: Vec<u8>,
}

impl Run {
    fn new(plan: &Plan) -> Self {
        let traffic = Traffic::new(plan, Stamp::Arrival);
        Self { traffic, start_ms: plan.start_ms, reached_ms: 0, lines: Vec::new() }
    }

    async fn advance(&mut self, until_ms: u64, out: &mut impl Out) -> Result<(), GenerateError> {
        let at_ms = self.start_ms.saturating_add_unsigned(self.reached_ms);
        for host in 0..self.traffic.hosts() {
            self.lines.clear();
            self.traffic.advance(host, until_ms, &mut self.lines);
            if !self.lines.is_empty() {
                out.send(host, &self.lines, at_ms).await?;
            }
        }
        self.reached_ms = until_ms;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UdpSocket;

    use super::*;
    use crate::generate::{scenario::Scenario, statsd, tests::plan};

    /// What was sent: host, lines, time.
    #[derive(Default)]
    struct Taken(Vec<(u32, Vec<u8>, i64)>);

    impl Out for Taken {
        async fn send(&mut self, host: u32, lines: &[u8], at_ms: i64) -> Result<(), GenerateError> {
            self.0.push((host, lines.to_vec(), at_ms));
            Ok(())
        }

        fn sent(&self) -> u64 {
            self.0.len() as u64
        }
    }

    /// The run's lines without times, sorted.
    fn lines(plan: &Plan) -> Vec<String> {
        let mut traffic = Traffic::new(plan, Stamp::Arrival);
        let mut text = Vec::new();
        for host in 0..traffic.hosts() {
            traffic.advance(host, plan.duration_ms, &mut text);
        }
        sorted(&String::from_utf8(text).unwrap())
    }

    fn sorted(text: &str) -> Vec<String> {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    #[tokio::test]
    async fn at_once_stamps_each_host_second_by_second() {
        let plan = plan(Scenario::Drop, 10_500);
        let mut taken = Taken::default();
        let progress = Progress::on_stderr(&plan, "tests".into());
        let reached = at_once(&plan, &mut taken, progress, &CancellationToken::new()).await.unwrap();
        assert_eq!(reached, 10_500);
        assert_eq!(taken.0.iter().filter(|(host, ..)| *host == 3).count(), 11);
        assert!(taken.0.is_sorted_by_key(|(_, _, at)| *at));
        assert_eq!(taken.0.last().unwrap().2, plan.start_ms + 10_000);
        let text: Vec<u8> = taken.0.into_iter().flat_map(|(_, lines, _)| lines).collect();
        assert_eq!(sorted(&String::from_utf8(text).unwrap()), lines(&plan));
    }

    #[tokio::test]
    async fn stopping_ends_a_run_where_it_is() {
        let plan = plan(Scenario::Drop, 3_600_000);
        let mut taken = Taken::default();
        let progress = Progress::on_stderr(&plan, "tests".into());
        let stop = CancellationToken::new();
        stop.cancel();
        let reached = paced(&plan, &mut taken, Duration::from_millis(10), progress, &stop).await.unwrap();
        assert_eq!((reached, taken.0.len()), (0, 0));
    }

    #[tokio::test]
    async fn all_of_it_goes_out_as_packets() {
        let listener = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let plan = plan(Scenario::Spike, 1_000);
        let expected = lines(&plan);
        let receiving = async {
            let (mut text, mut packet) = (String::new(), vec![0; 2000]);
            while text.lines().count() < expected.len() {
                let length = listener.recv(&mut packet).await.unwrap();
                text.push_str(std::str::from_utf8(&packet[..length]).unwrap());
                text.push('\n');
            }
            sorted(&text)
        };
        let sending = async {
            let mut out = statsd::Statsd::connect(&addr).await.unwrap();
            let progress = Progress::on_stderr(&plan, "tests".into());
            paced(&plan, &mut out, statsd::SLICE, progress, &CancellationToken::new()).await.unwrap()
        };
        let both = async { tokio::join!(receiving, sending) };
        let (received, reached) = tokio::time::timeout(Duration::from_mins(1), both).await.unwrap();
        assert_eq!(reached, 1_000);
        assert_eq!(received, expected);
    }
}
