//! A real collectd: Debian's, in a folder of its own, which is told values over its unixsock plugin.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    process::Command,
};

use tempfile::TempDir;

use crate::process::{Kinetic, eventually};

/// A running collectd; killed by its pid when dropped.
#[derive(Debug)]
pub struct Collectd {
    process: Kinetic,
    control: BufReader<UnixStream>,
    /// Last, so that it goes after the process.
    _folder: TempDir,
}

impl Collectd {
    /// Starts a collectd that reads nothing by itself, with these plugins to write by.
    ///
    /// # Panics
    /// If it is not installed or does not come up; says what it logged.
    #[must_use]
    pub fn start(plugins: &str) -> Self {
        let folder = TempDir::with_prefix("kinetic-collectd-").expect("a folder under the temporary one");
        let path = |name: &str| folder.path().join(name);
        let configuration = format!(
            "Hostname \"unused\"\nFQDNLookup false\nBaseDir \"{folder}\"\nPluginDir \"/usr/lib/collectd\"\n\
             TypesDB \"/usr/share/collectd/types.db\"\nInterval 1\nReadThreads 1\nWriteThreads 1\n\
             LoadPlugin logfile\n<Plugin logfile>\n  LogLevel info\n  File stderr\n</Plugin>\n\
             LoadPlugin unixsock\n<Plugin unixsock>\n  SocketFile \"{folder}/control\"\n</Plugin>\n{plugins}\n",
            folder = folder.path().display()
        );
        fs::write(path("collectd.conf"), configuration).expect("the folder can be written to");
        let mut process =
            Kinetic::spawn(Command::new("collectd").arg("-f").arg("-C").arg(path("collectd.conf")));
        let mut control = None;
        eventually("collectd to take commands", || {
            assert!(process.is_running(), "collectd ended:\n{}", process.printed());
            control = UnixStream::connect(path("control")).ok();
            control.is_some()
        });
        let control = BufReader::new(control.expect("it was waited for"));
        Self { process, control, _folder: folder }
    }

    /// Gives it a command, such as `PUTVAL "host/load/load" interval=10 1700000000:0.5:0.4:0.3`.
    ///
    /// # Panics
    /// If it refuses.
    pub fn command(&mut self, command: &str) {
        let mut answer = String::new();
        writeln!(self.control.get_mut(), "{command}").expect("collectd listens");
        self.control.read_line(&mut answer).expect("collectd answers");
        assert!(answer.starts_with('0'), "{command}: {answer}{}", self.process.printed());
    }
}
