//! Backtests of generated traffic whose anomaly is known: found at the right rows, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fmt::Write as _,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

const INTERVAL_MS: i64 = 10_000;
/// A finding ends when none of the last three windows was odd, and windows do not begin with the anomaly.
const TAIL_MS: i64 = 4 * INTERVAL_MS;

fn kinetic(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kinetic")).args(args).stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(args: &[&str]) -> String {
    let output = kinetic(args);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A run of `kinetic generate`, one metric of it as CSV.
struct Data {
    folder: TempDir,
    rows: Vec<(i64, String, f64)>,
    origin: String,
    from_ms: i64,
    to_ms: i64,
    factor: f64,
}

impl Data {
    fn generate(scenario: &str, metric: &str, duration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (lines, truth) = (folder.path().join("lines"), folder.path().join("truth.json"));
        let paths = (lines.to_str().unwrap(), truth.to_str().unwrap());
        let flags = ["--duration", duration, "--rate", "4", "--out", paths.0, "--truth", paths.1];
        stdout(&kinetic(&[&["generate", scenario], &flags[..]].concat()));
        let rows = fs::read_to_string(&lines).unwrap().lines().filter_map(|line| row(line, metric)).collect();
        let truth: Value = serde_json::from_str(&fs::read_to_string(&truth).unwrap()).unwrap();
        let anomaly = &truth["anomalies"][0];
        let time = |key: &str| anomaly[key].as_str().unwrap().parse::<Timestamp>().unwrap().as_millisecond();
        let origin = anomaly["origin"].as_str().unwrap().to_owned();
        let (from_ms, to_ms) = (time("from"), time("to"));
        let data = Self { folder, rows, origin, from_ms, to_ms, factor: anomaly["factor"].as_f64().unwrap() };
        let mut csv = "timestamp,origin,value\n".to_owned();
        for (ms, origin, value) in &data.rows {
            writeln!(csv, "{},{origin},{value}", ms / 1000).unwrap();
        }
        fs::write(data.csv(), csv).unwrap();
        data
    }

    fn csv(&self) -> PathBuf {
        self.folder.path().join("data.csv")
    }

    fn backtest(&self, flags: &[&str]) -> Value {
        let csv = self.csv();
        let all = [&["backtest", csv.to_str().unwrap(), "--set", "interval=10s", "--json"], flags].concat();
        serde_json::from_str(&stdout(&kinetic(&all))).unwrap()
    }

    /// Exactly one finding: the known one.
    fn assert_found(&self, report: &Value) {
        let findings = report["findings"].as_array().unwrap();
        assert_eq!(findings.len(), 1, "{report:#}");
        assert_eq!(findings[0]["origin"], *self.origin, "{report:#}");
        let time =
            |key: &str| findings[0][key].as_str().unwrap().parse::<Timestamp>().unwrap().as_millisecond();
        let (from, to) = (time("from"), time("to"));
        assert!((self.from_ms - INTERVAL_MS..self.from_ms + 2 * INTERVAL_MS).contains(&from), "{report:#}");
        assert!((self.to_ms..=self.to_ms + TAIL_MS).contains(&to), "{report:#}");
        assert!(findings[0]["peak"]["score"].as_f64().unwrap() > 1.0, "{report:#}");
        assert_eq!(findings[0]["fired"]["type"], "dev.kinetic.anomaly.v1");
        assert_eq!(findings[0]["resolved"]["data"]["state"], "resolved");
    }

    /// The scores of a CSV, one for each row; whether each is beyond the line must be as the truth says.
    fn assert_scores(&self, path: &Path) {
        let text = fs::read_to_string(path).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("timestamp,origin,value,score"));
        let mut inside = 0;
        for ((ms, origin, value), line) in self.rows.iter().zip(lines.by_ref()) {
            let (row, score) = line.rsplit_once(',').unwrap();
            assert_eq!(row, format!("{},{origin},{value}", ms / 1000));
            let score: f64 = score.parse().unwrap();
            let start = ms.div_euclid(INTERVAL_MS) * INTERVAL_MS;
            if *origin == self.origin && start >= self.from_ms && start + INTERVAL_MS <= self.to_ms {
                inside += 1;
                assert!(score > 1.0, "{line}");
            } else if *origin != self.origin || start + INTERVAL_MS <= self.from_ms || start >= self.to_ms {
                assert!(score < 1.0, "{line}");
            }
        }
        assert!(inside > 10 && lines.next().is_none());
    }
}

/// A statsd line of this metric: `page.checkout.time:123.40|ms|#host:web-1,env:prod|T1767225600`.
fn row(line: &str, metric: &str) -> Option<(i64, String, f64)> {
    let rest = line.strip_prefix(metric)?.strip_prefix(':')?;
    let mut sections = rest.split('|');
    let value = sections.next()?.parse().ok()?;
    let (mut host, mut seconds) = (None, None);
    for section in sections {
        if let Some(tags) = section.strip_prefix('#') {
            host = tags.split(',').find_map(|tag| tag.strip_prefix("host:"));
        } else if let Some(time) = section.strip_prefix('T') {
            seconds = time.parse::<i64>().ok();
        }
    }
    Some((seconds? * 1000, host?.to_owned(), value))
}

#[test]
fn help_names_the_flags_and_teaches_by_examples() {
    let help = stdout(&kinetic(&["backtest", "--help"]));
    for said in [
        "<INPUT>...",
        "--analytic",
        "--file",
        "--set",
        "--scores",
        "--plot",
        "--json",
        "deviation=3",
        "Examples:",
        "amqp://",
    ] {
        assert!(help.contains(said), "{said} is not in\n{help}");
    }
}

#[test]
fn cluster_finds_the_slow_host_and_scores_its_rows() {
    let data = Data::generate("slow-host", "page.checkout.time", "10m");
    let (scores, plot) = (data.folder.path().join("scores.csv"), data.folder.path().join("plot.png"));
    let files = ["--scores", scores.to_str().unwrap(), "--plot", plot.to_str().unwrap()];
    let report = data.backtest(&[&["--analytic", "cluster"], &files[..]].concat());
    data.assert_found(&report);
    assert_eq!(report["rows"], data.rows.len());
    assert_eq!((&report["series"], &report["notJudged"]), (&Value::from(8), &Value::from(0)));
    data.assert_scores(&scores);
    assert!(fs::read(&plot).unwrap().starts_with(b"\x89PNG\r\n\x1a\n"));
}

#[test]
fn an_analytic_of_a_topology_is_tried_with_other_parameters() {
    let data = Data::generate("slow-host", "page.checkout.time", "10m");
    let web_shop = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/web-shop");
    let flags = ["-f", web_shop, "--analytic", "slow-host", "--set", "persistence.windows=2"];
    data.assert_found(&data.backtest(&flags));
    let blunt = data.backtest(&[&flags[..], &["--set", "deviation=50"]].concat());
    assert_eq!(blunt["findings"], Value::Array(Vec::new()));
    assert_eq!(blunt["analytic"]["cluster"]["deviation"], 50.0);
}

#[test]
fn stddev_finds_the_spike_after_its_warm_up() {
    let data = Data::generate("spike", "page.checkout.time", "20m");
    let report = data.backtest(&["--analytic", "stddev"]);
    data.assert_found(&report);
    assert_eq!(report["notJudged"], 8 * 30, "each of the eight series learns for thirty windows");
}

#[test]
fn threshold_finds_what_is_beyond_the_line() {
    let data = Data::generate("slow-host", "page.checkout.time", "10m");
    let usual: Vec<f64> = data
        .rows
        .iter()
        .filter(|(_, origin, _)| *origin != data.origin)
        .map(|(_, _, value)| *value)
        .collect();
    let usual = usual.iter().sum::<f64>() / usual.len() as f64;
    let scores = data.folder.path().join("scores.csv");
    let above = format!("above={}", usual * (1.0 + data.factor) / 2.0);
    let flags = ["--analytic", "threshold", "--set", &above, "--scores", scores.to_str().unwrap()];
    data.assert_found(&data.backtest(&flags));
    data.assert_scores(&scores);
}

#[test]
fn absence_finds_the_silent_host() {
    let data = Data::generate("silent-host", "page.checkout.time", "10m");
    let scores = data.folder.path().join("scores.csv");
    let flags = ["--analytic", "absence", "--set", "after=30s", "--scores", scores.to_str().unwrap()];
    let report = data.backtest(&flags);
    data.assert_found(&report);
    // The first row after the silence tells how long it was: of the silence itself there are no rows.
    let text = fs::read_to_string(&scores).unwrap();
    let odd: Vec<&str> = text
        .lines()
        .skip(1)
        .filter(|l| l.rsplit(',').next().unwrap().parse::<f64>().unwrap() >= 1.0)
        .collect();
    assert!(
        !odd.is_empty() && odd.iter().all(|line| line.contains(&format!(",{},", data.origin))),
        "{odd:?}"
    );
    let expected = (data.to_ms - data.from_ms) as f64 / 30_000.0;
    let score: f64 = odd[0].rsplit(',').next().unwrap().parse().unwrap();
    assert!((score - expected).abs() <= 1.0, "{score} is not about {expected}");
}

#[test]
fn quiet_traffic_is_quiet() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("quiet.csv");
    let mut text = String::new();
    for n in 0..2_000 {
        writeln!(text, "{},{}", 1_767_225_600 + 60 * n, 100 + n * 7919 % 13).unwrap();
    }
    fs::write(&csv, &text).unwrap();
    let csv = csv.to_str().unwrap();
    let said = stdout(&kinetic(&["backtest", csv, "--analytic", "stddev"]));
    assert!(
        said.contains("2000 rows, 2000 windows in 1 series, 30 of them not judged; 0 findings"),
        "{said}"
    );
    assert!(said.contains("baseline 6h") && said.contains("mean per 1m (the rows' spacing)"), "{said}");
    // The same from standard input, in another order, with some rows that are none.
    let mut lines: Vec<&str> = text.lines().collect();
    lines.reverse();
    lines.extend(["yesterday,1", "1767225600,many"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_kinetic"))
        .args(["backtest", "-", "--analytic", "stddev"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let warned = String::from_utf8_lossy(&output.stderr).into_owned();
    let said = stdout(&output);
    assert!(said.contains("2000 rows (2 unreadable left out), 2000 windows in 1 series"), "{said}");
    assert!(
        warned.contains("-:2001: `yesterday` is no timestamp") && warned.contains("1999 rows are not in"),
        "{warned}"
    );
}

#[test]
fn several_files_are_several_origins() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = Vec::new();
    for host in 1..=4 {
        let path = folder.path().join(format!("web-{host}.csv"));
        let mut text = "timestamp,latency\n".to_owned();
        for n in 0..60 {
            let odd = if host == 3 && (30..40).contains(&n) { 500 } else { 0 };
            writeln!(text, "2026-01-01 00:{n:02}:00,{}", 100 + odd + (n * 31 + host * 17) % 7).unwrap();
        }
        fs::write(&path, text).unwrap();
        inputs.push(path.to_str().unwrap().to_owned());
    }
    let mut args = vec!["backtest", "--analytic", "cluster"];
    args.extend(inputs.iter().map(String::as_str));
    let said = stdout(&kinetic(&args));
    assert!(said.contains("latency@web-3  2026-01-01 00:30:00Z  2026-01-01 00:43:00Z"), "{said}");
    assert!(said.contains("web-3's latency") && said.contains("; 1 finding,"), "{said}");
}

#[test]
fn what_cannot_be_used_is_said_with_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("some.csv");
    fs::write(&csv, "timestamp,value\n0,1\n60,2\n120,3\n").unwrap();
    let csv = csv.to_str().unwrap();
    let words = folder.path().join("words.csv");
    fs::write(&words, "to be\nor not\nto be\n").unwrap();
    let web_shop = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/web-shop");
    for (args, said) in [
        (&[csv, "--analytic", "stdev"][..], "did you mean stddev?"),
        (&[csv, "--analytic", "stddev", "--set", "deviaton=3"], "did you mean deviation?"),
        (&[csv, "--analytic", "stddev", "--set", "deviation=lots"], "--set deviation: "),
        (&[csv, "--analytic", "stddev", "--set", "deviation"], "write KEY=VALUE"),
        (&[csv, "--analytic", "threshold"], "--set above=N"),
        (&[csv, "-f", web_shop, "--analytic", "slow-hots"], "did you mean slow-host?"),
        (&["no-such.csv", "--analytic", "stddev"], "no-such.csv: No such file"),
        (&[words.to_str().unwrap(), "--analytic", "stddev"], "rows cannot be read"),
        (&["amqp://127.0.0.1:1/vhost", "--analytic", "stddev"], "?stream="),
        (&["amqp://127.0.0.1:1/vhost?since=often&stream=s", "--analytic", "stddev"], "since"),
        (&[csv, "amqp://127.0.0.1:1/vhost", "--analytic", "stddev"], "a stream is read by itself"),
    ] {
        let told = refused(&[&["backtest"], args].concat());
        assert!(told.contains(said), "{args:?}: {told}");
    }
    let once = folder.path().join("once.csv");
    fs::write(&once, "2026-01-01 00:00:00,1\n").unwrap();
    assert!(
        refused(&["backtest", once.to_str().unwrap(), "--analytic", "stddev"]).contains("--set interval=5m")
    );
}
