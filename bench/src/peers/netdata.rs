//! netdata: its statsd plugin alone, as light as it can be configured.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Context;
use kinetic_tests::process::{Kinetic as Process, free_port};
use tempfile::TempDir;

use super::Server;

const PROGRAM: &str = "/usr/sbin/netdata";

/// How to get it.
pub const INSTALL: &str = "apt-get install --no-install-recommends netdata";

/// netdata, where it is installed.
#[derive(Clone, Debug)]
pub struct Netdata(PathBuf);

impl Netdata {
    /// It, if it is installed.
    pub fn find() -> Option<Self> {
        Some(PathBuf::from(PROGRAM)).filter(|program| program.exists()).map(Self)
    }

    /// Starts it: no web, no database, no charts, no other plugin, no health; sums up at the same interval as we do.
    pub fn start(&self, interval_seconds: u64) -> anyhow::Result<Server> {
        let folder = TempDir::new().context("a folder under the temporary one")?;
        let port = free_port();
        let path = folder.path().display();
        let config = format!(
            "[global]\nrun as user = root\nprocess scheduling policy = keep\nOOM score = keep\n\
             [directories]\nconfig = {path}\nlog = {path}\nlib = {path}\ncache = {path}\nrun = {path}\n\
             [logs]\ndebug = none\nerror = none\naccess = none\nhealth = none\n\
             [db]\nmode = none\ncleanup obsolete charts after secs = 3600\n\
             [ml]\nenabled = no\n[health]\nenabled = no\n[registry]\nenabled = no\n[cloud]\nenabled = no\n\
             [web]\nmode = none\n\
             [plugins]\nenable running new plugins = no\ntimex = no\nidlejitter = no\ntc = no\ndiskspace = no\nproc = no\n\
             cgroups = no\nchecks = no\nnetdata monitoring = no\nnetdata monitoring extended = no\nprofile = no\n\
             statsd = yes\n\
             [statsd]\nupdate every (flushInterval) = {interval_seconds}\nudp messages to process at once = 256\n\
             create private charts for metrics matching = !*\nmax private charts hard limit = 0\n\
             threads = 1\nbind to = udp:127.0.0.1:{port}\ndefault port = {port}\n"
        );
        let file = folder.path().join("netdata.conf");
        fs::write(&file, config)?;
        let mut command = Command::new(&self.0);
        command.arg("-D").arg("-c").arg(&file);
        // It makes no session of its own with this, and says nothing to the outside.
        command.env("DISABLE_TELEMETRY", "1").env("DO_NOT_TRACK", "1");
        Server { process: Process::spawn(&mut command), port, _folder: folder }.listening()
    }
}
