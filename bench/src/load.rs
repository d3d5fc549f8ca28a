//! A statsd client under load: sends a given number of lines a second over UDP, in a process and on a core of its own.

use std::{
    io::{self, IoSlice},
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    os::fd::AsRawFd,
    process::{Child, Command, Stdio},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg},
    unistd::Pid,
};

use crate::traffic::Traffic;

/// What statsd clients put into a packet on an Ethernet: its MTU without the headers, and room for a tunnel's.
pub const PACKET: usize = 1_432;
/// Lines that are made beforehand and sent again and again.
const LINES: usize = 400_000;
/// Packets in a system call.
const BATCH: usize = 32;
/// Pause between bursts: the smaller, the smoother.
const STEP: Duration = Duration::from_micros(500);

/// What is to be sent.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Load {
    /// The server's port on 127.0.0.1.
    #[arg(long)]
    pub port: u16,
    /// Different series.
    #[arg(long)]
    pub series: usize,
    /// Lines a second.
    #[arg(long)]
    pub rate: u64,
    /// For how long.
    #[arg(long)]
    pub seconds: u64,
    /// Bytes of a packet, at most.
    #[arg(long, default_value_t = PACKET)]
    pub packet: usize,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Lines.
    pub lines: u64,
    /// Datagrams.
    pub packets: u64,
}

/// A client at work.
#[derive(Debug)]
pub struct Sender(Child);

impl Sender {
    /// Starts it: this program again, as `kinetic-bench send`.
    pub fn start(load: Load) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("a process knows its own file")?;
        let Load { port, series, rate, seconds, packet } = load;
        let child = Command::new(program)
            .arg("send")
            .args(["--port", &port.to_string(), "--series", &series.to_string()])
            .args(["--rate", &rate.to_string(), "--seconds", &seconds.to_string()])
            .args(["--packet", &packet.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .context("a second kinetic-bench")?;
        Ok(Self(child))
    }

    /// Waits for its end; what it sent.
    pub fn finish(self) -> anyhow::Result<Sent> {
        let output = self.0.wait_with_output()?;
        ensure!(output.status.success(), "the sender ended with {}", output.status);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (lines, packets) =
            text.trim().split_once(' ').with_context(|| format!("the sender said {text:?}"))?;
        Ok(Sent { lines: lines.parse()?, packets: packets.parse()? })
    }
}

/// Sends, and prints how many lines and packets.
pub fn send(load: Load) -> anyhow::Result<()> {
    pin();
    let traffic = Traffic::plain(load.series, LINES.max(load.series), load.packet);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let packets: Vec<&[u8]> = traffic.messages.iter().map(|(_, body)| body.as_slice()).collect();
    let lines: Vec<u64> =
        packets.iter().map(|body| memchr::memchr_iter(b'\n', body).count() as u64).collect();
    let to = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, load.port));
    let mut headers = MultiHeaders::preallocate(BATCH, None);
    let (start, end) = (Instant::now(), Duration::from_secs(load.seconds));
    let burst = (load.rate as f64 * 2.0 * STEP.as_secs_f64()).ceil();
    let (mut sent, mut at) = (Sent::default(), 0);
    loop {
        let elapsed = start.elapsed().min(end);
        let due = load.rate as f64 * elapsed.as_secs_f64();
        // After a pause it goes on twice as fast, not in one burst that no client would send.
        let until = due.min(sent.lines as f64 + burst);
        while (sent.lines as f64) < until {
            let batch = at..(at + BATCH).min(packets.len());
            let slices: Vec<[IoSlice<'_>; 1]> =
                packets[batch.clone()].iter().map(|packet| [IoSlice::new(packet)]).collect();
            let to = vec![Some(to); slices.len()];
            let taken = sendmmsg(socket.as_raw_fd(), &mut headers, &slices, &to, [], MsgFlags::empty())
                .map_err(io::Error::from)?
                .count();
            sent.lines += lines[at..at + taken].iter().sum::<u64>();
            sent.packets += taken as u64;
            at = if at + taken == packets.len() { 0 } else { at + taken };
        }
        if elapsed == end {
            break;
        }
        sleep(STEP);
    }
    println!("{} {}", sent.lines, sent.packets);
    Ok(())
}

/// Onto the last core, so that it takes nothing from the others.
fn pin() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut set = CpuSet::new();
    // Best effort: without it the figures are only less steady.
    let _ = set.set(cores - 1).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
}
