//! brubeck, where a binary of it is given: GitHub's statsd in C, which nobody maintains any more and nobody packages.

use std::{
    env, fs,
    io::{self, Read},
    net::TcpListener,
    path::PathBuf,
    process::Command,
    thread,
};

use anyhow::{Context, ensure};
use kinetic_tests::process::{Kinetic as Process, free_port};
use tempfile::TempDir;

use super::Server;

/// The variable that names its binary.
pub const VARIABLE: &str = "BRUBECK";

/// brubeck's binary.
#[derive(Clone, Debug)]
pub struct Brubeck(PathBuf);

impl Brubeck {
    /// It, if the variable names it.
    pub fn find() -> anyhow::Result<Option<Self>> {
        let Some(path) = env::var_os(VARIABLE).map(PathBuf::from) else { return Ok(None) };
        ensure!(path.exists(), "{VARIABLE}={}: there is no such file", path.display());
        Ok(Some(Self(path)))
    }

    /// Starts it with one worker, which receives one packet a system call (with more it takes packets twice), and something
    /// like carbon that swallows what it sends.
    pub fn start(&self, interval_seconds: u64) -> anyhow::Result<Server> {
        let folder = TempDir::new().context("a folder under the temporary one")?;
        let port = free_port();
        let carbon = swallow().context("a port for what brubeck sends")?;
        let config = format!(
            r#"{{"sharding": false, "server_name": "bench", "dumpfile": "{dump}", "capacity": 18,
            "backends": [{{"type": "carbon", "address": "127.0.0.1", "port": {carbon}, "frequency": {interval_seconds}}}],
            "samplers": [{{"type": "statsd", "address": "127.0.0.1", "port": {port}, "workers": 1, "multisock": false, "multimsg": 1}}]}}"#,
            dump = folder.path().join("dump").display(),
        );
        let file = folder.path().join("brubeck.json");
        fs::write(&file, config)?;
        let mut command = Command::new(&self.0);
        command.current_dir(folder.path()).arg("--config").arg(&file);
        Server { process: Process::spawn(&mut command), port, _folder: folder }.listening()
    }
}

/// A TCP port whose connections are read and forgotten for as long as this process lives.
fn swallow() -> io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = vec![0; 64 * 1024];
                while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
            });
        }
    });
    Ok(port)
}
