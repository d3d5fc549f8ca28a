//! What a process used, as the system counts it (proc(5)).

use std::{fs, time::Duration};

use anyhow::Context;

/// Ticks a second of the times in `/proc/PID/stat`: `USER_HZ`, which Linux fixes at 100 on x86-64 and ARM64.
const TICKS: u64 = 100;

/// User and system time of all threads of a process.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything; utime and stime are the 14th and 15th field.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| -> anyhow::Result<u64> {
        fields.get(field - 3).and_then(|text| text.parse().ok()).context("/proc/PID/stat as in proc(5)")
    };
    Ok(Duration::from_millis((ticks(14)? + ticks(15)?) * 1_000 / TICKS))
}

/// The most memory that a process had resident, in bytes.
pub fn peak_rss(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|text| text.trim().strip_suffix(" kB")).and_then(|text| text.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).context("VmHWM in /proc/PID/status")
}

/// Datagrams that the system dropped because nobody read this UDP port of 127.0.0.1 (or of all addresses) in time.
pub fn udp_drops(port: u16) -> anyhow::Result<u64> {
    let table = fs::read_to_string("/proc/net/udp")?;
    let local = format!(":{port:04X}");
    let drops = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.get(1).is_some_and(|address| address.ends_with(&local)))
        .filter_map(|fields| fields.last()?.parse::<u64>().ok());
    Ok(drops.sum())
}
