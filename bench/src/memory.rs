//! How much memory series take, with a cluster and a stddev analytic of them.

use std::{collections::HashMap, env, fs, process::Command};

use allocation_counter::measure;
use anyhow::{Context, ensure};
use kinetic_analyzer::engine::{Engine, EngineLimits};

use crate::{fleet, plan::two_analytics, table::Row};

/// The subcommand that is measured as a process of its own.
const MILLION: &str = "million";

const HOSTS: usize = 100;
const METRICS: usize = 1_000;
const SERIES: usize = HOSTS * METRICS;
/// More than the windows that are remembered of a series.
const WINDOWS: i64 = 64;
const LIMIT_BYTES: f64 = 400.0;

const MILLION_HOSTS: usize = 1_000;
/// Enough for every series to be looked at by both analytics, and judged by one of them.
const MILLION_WINDOWS: i64 = 6;
const LIMIT_MEGABYTES: f64 = 700.0;

/// Bytes a series by the allocator, while it sends and once it has not for a while; and a million series by the system.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let mut rows = allocated();
    rows.push(peak()?);
    Ok(rows)
}

fn allocated() -> Vec<Row> {
    let windows: Vec<_> = (0..4).map(|seed| fleet::window(HOSTS, METRICS, seed)).collect();
    let mut found = Vec::new();
    let mut engine = None;
    let active = measure(|| {
        let engine = engine.insert(new());
        for (number, window) in (0..WINDOWS).zip(windows.iter().cycle()) {
            found.clear();
            fleet::send(engine, window, number, &mut found);
        }
        found = Vec::new();
    });
    let idle = measure(|| {
        let Some(engine) = &mut engine else { return };
        // A single message a window: what closes windows is not what is measured.
        let rest = windows[0][..1].to_vec();
        for number in WINDOWS..3 * WINDOWS {
            found.clear();
            fleet::send(engine, &rest, number, &mut found);
        }
        found = Vec::new();
    });
    let row = |what: &str, bytes: i64| {
        let bytes = bytes as f64 / SERIES as f64;
        Row {
            what: format!("{what} series, two analytics, 100,000 of them"),
            ours: format!("{bytes:.0} bytes"),
            beside: format!("limit of an idle one (less is better): {LIMIT_BYTES} bytes"),
            ratio: bytes / LIMIT_BYTES,
        }
    };
    vec![row("active", active.bytes_current), row("idle", active.bytes_current + idle.bytes_current)]
}

/// Peak memory of a process that analyses a million series.
fn peak() -> anyhow::Result<Row> {
    let program = env::current_exe().context("a process knows its own file")?;
    let run = Command::new(program).arg(MILLION).output().context("this program as a process of its own")?;
    ensure!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let kilobytes: f64 = String::from_utf8(run.stdout)?.trim().parse()?;
    let megabytes = kilobytes * 1024.0 / 1e6;
    Ok(Row {
        what: "a million series, two analytics: peak RSS".to_owned(),
        ours: format!("{megabytes:.0} MB"),
        beside: format!("limit (less is better): {LIMIT_MEGABYTES} MB"),
        ratio: megabytes / LIMIT_MEGABYTES,
    })
}

/// Analyses a million series, and prints the process's peak memory in KiB.
pub fn million() -> anyhow::Result<()> {
    let mut engine = new();
    let mut found = Vec::new();
    for number in 0..MILLION_WINDOWS {
        for part in 0..MILLION_HOSTS / HOSTS {
            let mut window = fleet::window(HOSTS, METRICS, 0);
            for (origin, _) in &mut window {
                *origin = format!("{origin}-{part}");
            }
            fleet::send(&mut engine, &window, number, &mut found);
        }
    }
    let counters = engine.counters();
    ensure!(counters.series == (MILLION_HOSTS * METRICS) as u64, "{counters:?}");
    ensure!(counters.windows >= 4 && counters.late == 0, "{counters:?}");
    let status = fs::read_to_string("/proc/self/status").context("Linux tells a process's peak memory")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    println!("{}", peak.context("VmHWM in /proc/self/status")?);
    Ok(())
}

fn new() -> Engine {
    let limits = EngineLimits { max_series: 2 * u32::try_from(MILLION_HOSTS * METRICS).expect("a million") };
    Engine::new(&two_analytics(), 0, limits, HashMap::new())
}
