//! Tells people on standard error how far a run is, and when something goes wrong as planned.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use kinetic_api::duration::Duration as Span;

use super::scenario::{Fault, Plan, host_name};

/// How often the line on a terminal is drawn anew.
const REDRAW: Duration = Duration::from_millis(250);
/// How often a log gets a line.
const REPORT: Duration = Duration::from_secs(10);

/// The progress of one run.
pub(super) struct Progress<'a> {
    plan: &'a Plan,
    /// What is counted, such as `statsd packets to 127.0.0.1:8125`.
    what: String,
    terminal: bool,
    reached_ms: u64,
    shown: Instant,
}

impl<'a> Progress<'a> {
    pub(super) fn on_stderr(plan: &'a Plan, what: String) -> Self {
        let progress =
            Self { plan, what, terminal: io::stderr().is_terminal(), reached_ms: 0, shown: Instant::now() };
        progress.say(&opening(plan));
        progress
    }

    /// The run has come so far, and sent so much.
    pub(super) fn reached(&mut self, reached_ms: u64, sent: u64) {
        let before = std::mem::replace(&mut self.reached_ms, reached_ms);
        for news in news(self.plan, before, reached_ms) {
            self.say(&news);
        }
        if self.shown.elapsed() >= if self.terminal { REDRAW } else { REPORT } {
            self.shown = Instant::now();
            self.draw(&status(self.plan, &self.what, reached_ms, sent));
        }
    }

    pub(super) fn done(&self, reached_ms: u64, sent: u64) {
        self.say(&status(self.plan, &self.what, reached_ms, sent));
    }

    /// A line that stays.
    fn say(&self, line: &str) {
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        eprintln!("{clear}{line}");
    }

    /// A line that the next one replaces, on a terminal.
    fn draw(&self, line: &str) {
        if self.terminal {
            eprint!("\r\x1b[2K{line}");
            // Nothing depends on the drawing.
            let _ = io::stderr().flush();
        } else {
            eprintln!("{line}");
        }
    }
}

fn opening(plan: &Plan) -> String {
    let Plan { hosts, rate, duration_ms, seed, .. } = plan;
    let shop = format!("{hosts} hosts, {rate} requests/s each, for {}, seed {seed}", span(*duration_ms));
    match plan.anomaly {
        Some(anomaly) => format!("{shop}; {} after {}", effect(plan, anomaly.fault), span(anomaly.from_ms)),
        None => format!("{shop}; nothing goes wrong"),
    }
}

fn status(plan: &Plan, what: &str, reached_ms: u64, sent: u64) -> String {
    // Whole seconds read better, and 2m of 2m must show at the end.
    let reached = if reached_ms == plan.duration_ms { reached_ms } else { reached_ms / 1000 * 1000 };
    let state = match plan.anomaly {
        Some(anomaly) if reached_ms < anomaly.from_ms => "all hosts normal".to_owned(),
        Some(anomaly) if reached_ms < anomaly.to_ms || anomaly.to_ms == plan.duration_ms => {
            effect(plan, anomaly.fault)
        }
        Some(_) => "all hosts normal again".to_owned(),
        None => "nothing goes wrong".to_owned(),
    };
    format!("{} of {}: {sent} {what}; {state}", span(reached), span(plan.duration_ms))
}

/// What began or ended between two times.
fn news(plan: &Plan, before_ms: u64, now_ms: u64) -> Vec<String> {
    let Some(anomaly) = plan.anomaly else { return Vec::new() };
    let passed = |at: u64| before_ms <= at && at < now_ms;
    let mut news = Vec::new();
    if anomaly.from_ms < anomaly.to_ms && passed(anomaly.from_ms) {
        let until = span(anomaly.to_ms);
        news.push(format!("{}: now {}, until {until}", span(anomaly.from_ms), effect(plan, anomaly.fault)));
    }
    if passed(anomaly.to_ms) {
        news.push(format!("{}: all hosts normal again", span(anomaly.to_ms)));
    }
    news
}

fn effect(plan: &Plan, fault: Fault) -> String {
    let host = plan.anomaly.map(|anomaly| host_name(anomaly.host)).unwrap_or_default();
    match fault {
        Fault::SlowHost => format!("{host}'s checkout takes 3 times as long"),
        Fault::Drop => format!("{host} gets a tenth of its requests"),
        Fault::SilentHost => format!("{host} is silent"),
        Fault::Drift => format!("{host} gets slower bit by bit"),
        Fault::Spike => format!("all of {host}'s pages take 5 times as long"),
    }
}

fn span(ms: u64) -> Span {
    Span::from_millis(ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{scenario::Scenario, tests::plan};

    #[test]
    fn beginning_and_end_are_each_told_once() {
        let plan = plan(Scenario::Spike, 120_000);
        let host = host_name(plan.anomaly.unwrap().host);
        let told: Vec<String> =
            (0..12_000).flat_map(|slice| news(&plan, slice * 10, (slice + 1) * 10)).collect();
        assert_eq!(
            told,
            [
                format!("25s: now all of {host}'s pages take 5 times as long, until 1m25s"),
                "1m25s: all hosts normal again".to_owned()
            ]
        );
    }

    #[test]
    fn the_status_says_how_far_and_what() {
        let plan = plan(Scenario::Drop, 120_000);
        assert_eq!(status(&plan, "packets", 12_340, 5), "12s of 2m: 5 packets; all hosts normal");
        assert!(status(&plan, "packets", 30_000, 5).ends_with("gets a tenth of its requests"));
        assert!(status(&plan, "packets", 120_000, 9).starts_with("2m of 2m: 9 packets"));
    }
}
