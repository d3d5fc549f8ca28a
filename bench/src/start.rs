//! How long the real binary takes from nothing to ready.

use std::{
    env,
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use kinetic_tests::process::{Kinetic, free_port};
use tempfile::TempDir;

use crate::{median::median, table::Row};

const ROUNDS: usize = 5;
const LIMIT_SECONDS: f64 = 1.0;
const RESOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/web-shop");
/// Far above the limit: what takes longer is broken, not slow.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Starts `kinetic run` with an empty data folder several times, each until `/readyz` says so.
pub fn row() -> anyhow::Result<Row> {
    let program = env::current_exe().context("a process knows its own file")?.with_file_name("kinetic");
    ensure!(program.exists(), "{} is not built: cargo build --release --package kinetic", program.display());
    let seconds = (0..ROUNDS).map(|_| start(&program)).collect::<anyhow::Result<_>>()?;
    let seconds = median(seconds);
    Ok(Row {
        what: format!("cold start to ready, median of {ROUNDS}"),
        ours: format!("{seconds:.3} s"),
        beside: format!("limit (less is better): {LIMIT_SECONDS} s"),
        ratio: seconds / LIMIT_SECONDS,
    })
}

/// Seconds of one start.
fn start(program: &Path) -> anyhow::Result<f64> {
    let data = TempDir::new().context("a folder under the temporary one")?;
    let admin = free_port();
    let mut command = Command::new(program);
    command.args(["run", "-f", RESOURCES]);
    command.arg("--data").arg(data.path());
    command.args([
        "--statsd",
        &format!("127.0.0.1:{}", free_port()),
        "--admin",
        &format!("127.0.0.1:{admin}"),
    ]);
    let start = Instant::now();
    let mut kinetic = Kinetic::spawn(&mut command);
    while !is_ready(admin).unwrap_or(false) {
        ensure!(kinetic.is_running(), "kinetic ended before it was ready:\n{}", kinetic.printed());
        ensure!(start.elapsed() < PATIENCE, "kinetic does not get ready:\n{}", kinetic.printed());
        sleep(LOOK_AGAIN);
    }
    let seconds = start.elapsed().as_secs_f64();
    let (status, printed) = kinetic.interrupt();
    ensure!(status.success(), "kinetic, interrupted, ended with {status}:\n{printed}");
    Ok(seconds)
}

/// Whether `/readyz` answers 200; an error while nobody listens yet.
fn is_ready(port: u16) -> io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1) == Some("200"))
}
