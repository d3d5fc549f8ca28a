//! The `kinetic` binary as a process: started, watched, interrupted by its pid.

use std::{
    ffi::{OsStr, OsString},
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant},
};

use serde_json::Value;

/// Generous: a loaded machine is slow, a wrong program stays wrong.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A running `kinetic`; killed by its pid when dropped.
#[derive(Debug)]
pub struct Kinetic {
    child: Child,
    printed: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

/// What a `kinetic` that has ended printed and returned.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ended {
    /// # Panics
    /// If it did not succeed; says what it printed.
    #[allow(
        clippy::must_use_candidate,
        clippy::return_self_not_must_use,
        reason = "often all that is wanted is the check"
    )]
    #[track_caller]
    pub fn expect_success(self) -> Self {
        assert!(self.status.success(), "{}\n{}\n{}", self.status, self.stdout, self.stderr);
        self
    }
}

/// The binary that this build made. A test binary lies in `target/PROFILE/deps`, ours one folder up.
///
/// # Panics
/// If it has not been built.
#[must_use]
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a process knows its own file");
    let profile = test.parent().and_then(Path::parent).expect("a test binary lies in target/PROFILE/deps");
    let binary = profile.join("kinetic");
    assert!(binary.exists(), "{} is not built: cargo build --package kinetic", binary.display());
    binary
}

/// The arguments of `kinetic run` with these files, this data folder and further flags.
#[must_use]
pub fn run(resources: &Path, data: &Path, flags: &[&str]) -> Vec<OsString> {
    let flags = flags.iter().map(OsString::from);
    ["run".into(), "-f".into(), resources.into(), "--data".into(), data.into()]
        .into_iter()
        .chain(flags)
        .collect()
}

/// Runs `kinetic` to its end.
///
/// # Panics
/// If it cannot be started.
pub fn kinetic<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Ended {
    kinetic_with_input(args, Stdio::null())
}

/// Runs `kinetic` to its end, with this standard input.
///
/// # Panics
/// If it cannot be started.
pub fn kinetic_with_input<A: AsRef<OsStr>>(
    args: impl IntoIterator<Item = A>,
    input: impl Into<Stdio>,
) -> Ended {
    let output = Command::new(binary()).args(args).stdin(input).output().expect("kinetic starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What `kinetic incidents` lists of a data folder.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn incidents(data: &Path) -> Vec<Value> {
    let listed = kinetic([OsStr::new("incidents"), "--json".as_ref(), "--data".as_ref(), data.as_ref()])
        .expect_success();
    serde_json::from_str(&listed.stdout).expect("--json prints JSON")
}

impl Kinetic {
    /// Starts `kinetic` in the background; what it prints is kept.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        Self::spawn(Command::new(binary()).args(args))
    }

    /// Starts any program in the background in the same way.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let printed = Arc::new(Mutex::new(String::new()));
        let stdout: Box<dyn Read + Send> = Box::new(child.stdout.take().expect("it is piped"));
        let stderr: Box<dyn Read + Send> = Box::new(child.stderr.take().expect("it is piped"));
        let readers = [stdout, stderr]
            .into_iter()
            .map(|pipe| {
                let printed = Arc::clone(&printed);
                thread::spawn(move || {
                    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                        let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
                        printed.push_str(&line);
                        printed.push('\n');
                    }
                })
            })
            .collect();
        Self { child, printed, readers }
    }

    /// What it has printed so far, on standard output and standard error.
    #[must_use]
    pub fn printed(&self) -> String {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// If the system does not know the process.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Waits until it has printed a text.
    ///
    /// # Panics
    /// If it ends before, or never does.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        eventually(&format!("{text:?} to be printed"), || {
            let found = self.printed().contains(text);
            assert!(found || self.is_running(), "ended before it printed {text:?}:\n{}", self.printed());
            found
        });
    }

    /// Sends a signal, such as `INT`.
    ///
    /// # Panics
    /// If there is no `kill` program.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.expect("kill starts").success(), "the process is gone");
    }

    /// Kills it, as a crash does.
    ///
    /// # Panics
    /// If it has ended before.
    pub fn kill(&mut self) {
        assert!(self.is_running(), "it ended by itself:\n{}", self.printed());
        self.child.kill().expect("it is our child, and runs");
        self.child.wait().expect("it is our child");
    }

    /// Interrupts it, as Ctrl-C does, and waits for its end.
    ///
    /// # Panics
    /// If it does not end.
    #[allow(clippy::must_use_candidate, reason = "often all that is wanted is the end")]
    #[track_caller]
    pub fn interrupt(mut self) -> (ExitStatus, String) {
        self.signal("INT");
        self.wait()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end.
    #[track_caller]
    pub fn wait(&mut self) -> (ExitStatus, String) {
        eventually("the program to end", || !self.is_running());
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader does not panic");
        }
        (self.child.wait().expect("it is our child"), self.printed())
    }
}

impl Drop for Kinetic {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let _ = std::io::stderr().write_all(self.printed().as_bytes());
        }
    }
}

/// Waits until something holds.
///
/// # Panics
/// If it never does.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        sleep(LOOK_AGAIN);
    }
}

/// A loopback port that is free for UDP and TCP now.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    for _ in 0..100 {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = tcp.local_addr().expect("it is bound").port();
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free for both UDP and TCP");
}
