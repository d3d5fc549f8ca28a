//! Networks that can be cut: nothing passes any more, and nobody is told.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{sleep, spawn},
    time::Duration,
};

const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A TCP proxy: what comes while it is cut waits, the ends of connections too.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    cut: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, cut) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
        let is_cut = Arc::clone(&cut);
        spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let is_cut = Arc::clone(&is_cut);
                spawn(move || {
                    wait_while(&is_cut);
                    let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { return };
                    let (back, forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                    let is_cut_too = Arc::clone(&is_cut);
                    spawn(move || copy(back, forth, &is_cut_too));
                    copy(client, server, &is_cut);
                });
            }
        });
        Self { port, cut }
    }

    pub(crate) fn cut(&self) {
        self.cut.store(true, Relaxed);
    }

    pub(crate) fn heal(&self) {
        self.cut.store(false, Relaxed);
    }
}

fn wait_while(cut: &AtomicBool) {
    while cut.load(Relaxed) {
        sleep(LOOK_AGAIN);
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, cut: &AtomicBool) {
    from.set_read_timeout(Some(LOOK_AGAIN)).unwrap();
    to.set_nodelay(true).unwrap();
    let mut buffer = [0; 16_384];
    loop {
        let read = from.read(&mut buffer);
        wait_while(cut);
        match read {
            Ok(0) => break,
            Ok(length) if to.write_all(&buffer[..length]).is_ok() => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Ok(_) | Err(_) => break,
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// A network of two: this machine, and a namespace that stands for another one.
pub(crate) struct Namespace {
    name: String,
    /// This machine's address, as the other one knows it.
    pub(crate) address: String,
}

impl Namespace {
    /// None, and why, where the system does not permit it.
    pub(crate) fn new() -> Result<Self, String> {
        let pid = std::process::id();
        let name = format!("kinetic-{pid}");
        let network = format!("10.213.{}", pid % 250);
        let namespace = Self { address: format!("{network}.1"), name };
        let (name, here, there) = (&namespace.name, format!("kin{pid}a"), format!("kin{pid}b"));
        ip(&["netns", "add", name])?;
        ip(&["link", "add", &here, "type", "veth", "peer", "name", &there, "netns", name])?;
        ip(&["addr", "add", &format!("{network}.1/24"), "dev", &here])?;
        ip(&["-n", name, "addr", "add", &format!("{network}.2/24"), "dev", &there])?;
        ip(&["link", "set", &here, "up"])?;
        ip(&["-n", name, "link", "set", &there, "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// A program that runs there.
    pub(crate) fn within(&self, program: &Command) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command
    }

    pub(crate) fn cut(&self) {
        self.link("down");
    }

    pub(crate) fn heal(&self) {
        self.link("up");
    }

    fn link(&self, state: &str) {
        let there = format!("kin{}b", std::process::id());
        ip(&["-n", &self.name, "link", "set", &there, state]).unwrap();
    }
}

impl Drop for Namespace {
    /// The link goes with it.
    fn drop(&mut self) {
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().map_err(|error| format!("ip: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("ip {}: {}", arguments.join(" "), said.trim())) }
}
