//! Ours: `kinetic run`, whole, with messages moving within the process.

use std::{
    env, fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use kinetic_tests::process::{Kinetic as Process, free_port};
use tempfile::TempDir;

use super::{PATIENCE, Server};

const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Whose topologies are run; no benchmark sends as many series as it may have.
const CUSTOMER: &str = "
apiVersion: kinetic.dev/v1alpha1
kind: Customer
metadata: {name: shop}
spec:
  region: local
  provider: bench
  limits: {series: 1000000}
  clients: [{name: web, profile: web}]
";

/// `kinetic run`, and where it tells how it fares.
#[derive(Debug)]
pub struct Kinetic {
    /// The process.
    pub server: Server,
    admin: u16,
}

impl Kinetic {
    /// The binary of this build.
    pub fn program() -> anyhow::Result<PathBuf> {
        let program = env::current_exe().context("a process knows its own file")?.with_file_name("kinetic");
        ensure!(
            program.exists(),
            "{} is not built: cargo build --release --package kinetic",
            program.display()
        );
        Ok(program)
    }

    /// Starts it with these resources of the customer `shop`, and waits until it is ready.
    pub fn start(resources: &str, more: &[&str]) -> anyhow::Result<Self> {
        let folder = TempDir::new().context("a folder under the temporary one")?;
        let file = folder.path().join("resources.yaml");
        fs::write(&file, format!("{CUSTOMER}---\n{resources}"))?;
        Self::start_on(Command::new(Self::program()?), &file, folder, more)
    }

    /// Starts it by a command that ends in the program, on a file or folder, with a folder for its data.
    pub fn start_on(
        mut command: Command,
        resources: &Path,
        folder: TempDir,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let (port, admin) = (free_port(), free_port());
        command.arg("run").arg("-f").arg(resources).arg("--data").arg(folder.path().join("data"));
        command.args(["--statsd", &format!("127.0.0.1:{port}"), "--statsd-tcp", "off"]);
        command.args(["--admin", &format!("127.0.0.1:{admin}")]).args(more);
        let process = Process::spawn(&mut command);
        let mut kinetic = Self { server: Server { process, port, _folder: folder }, admin };
        let start = Instant::now();
        while !kinetic.get("/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.0 200")) {
            let process = &mut kinetic.server.process;
            ensure!(process.is_running(), "kinetic ended before it was ready:\n{}", process.printed());
            ensure!(start.elapsed() < PATIENCE, "kinetic does not get ready:\n{}", process.printed());
            sleep(LOOK_AGAIN);
        }
        Ok(kinetic)
    }

    /// The sum of a counter over all its labels.
    pub fn counter(&self, name: &str) -> anyhow::Result<u64> {
        let answer = self.get("/metrics")?;
        let of_name = answer.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        let values = of_name.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Ok(values.sum())
    }

    fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
