//! Real statsd packets over UDP.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::net::{UdpSocket, lookup_host};

use super::{error::GenerateError, live::Out};

/// Packets go out in slices of this length: short, so that bursts fit the listener's buffer.
pub(super) const SLICE: Duration = Duration::from_millis(10);
/// What a packet holds at most: an Ethernet frame's, less headers, as statsd clients use.
const MAX_PACKET: usize = 1432;

/// A socket towards a statsd listener.
pub(super) struct Statsd {
    socket: UdpSocket,
    addr: String,
    sent: u64,
    refused: u64,
}

impl Statsd {
    /// `addr` is `HOST:PORT`, or `:PORT` of this machine.
    pub(super) async fn connect(addr: &str) -> Result<Self, GenerateError> {
        let failed = |reason| GenerateError::Address { addr: addr.to_owned(), reason };
        let full = if addr.starts_with(':') { format!("127.0.0.1{addr}") } else { addr.to_owned() };
        let peer = lookup_host(full)
            .await
            .map_err(failed)?
            .next()
            .ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let local: SocketAddr = if peer.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let socket = UdpSocket::bind(local).await.map_err(failed)?;
        socket.connect(peer).await.map_err(failed)?;
        Ok(Self { socket, addr: addr.to_owned(), sent: 0, refused: 0 })
    }

    /// Tells of packets that nobody took, as far as the system says so.
    pub(super) fn report(&self) {
        if self.refused > 0 {
            eprintln!("{} of {} packets met nobody at {}", self.refused, self.sent, self.addr);
        }
    }
}

impl Out for Statsd {
    async fn send(&mut self, _host: u32, lines: &[u8], _at_ms: i64) -> Result<(), GenerateError> {
        for packet in packets(lines) {
            self.sent += 1;
            let mut sent = self.socket.send(packet).await;
            // That is the answer to an earlier packet, and this one did not go out. UDP goes on: whoever comes later may listen.
            if sent.as_ref().is_err_and(is_refusal) {
                if self.refused == 0 {
                    eprintln!("nobody listens at {} yet: start kinetic run; sending on", self.addr);
                }
                self.refused += 1;
                sent = self.socket.send(packet).await;
            }
            if let Err(reason) = sent
                && !is_refusal(&reason)
            {
                return Err(GenerateError::Address { addr: self.addr.clone(), reason });
            }
        }
        Ok(())
    }

    fn sent(&self) -> u64 {
        self.sent
    }
}

fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

/// Cuts lines into packets of whole lines, without the last newline. Pure.
fn packets(mut lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if lines.is_empty() {
            return None;
        }
        let room = &lines[..lines.len().min(MAX_PACKET + 1)];
        let last = room.iter().rposition(|byte| *byte == b'\n');
        // A line that is too long for a packet goes alone, as a longer one.
        let end = last.or_else(|| lines.iter().position(|byte| *byte == b'\n')).unwrap_or(lines.len());
        let packet = &lines[..end];
        lines = lines.get(end + 1..).unwrap_or_default();
        Some(packet)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_hold_whole_lines_and_all_of_them() {
        let lines: Vec<String> = (0..500).map(|n| format!("a.metric.{n}:1|c|#host:web-1")).collect();
        let text = lines.join("\n") + "\n";
        let cut: Vec<&[u8]> = packets(text.as_bytes()).collect();
        assert!(cut.len() > 5 && cut.iter().all(|packet| packet.len() <= MAX_PACKET));
        let joined = cut.join(&b'\n');
        assert_eq!(String::from_utf8(joined).unwrap() + "\n", text);
    }

    #[test]
    fn a_packet_is_filled_to_its_bound() {
        let exact =
            [vec![b'x'; MAX_PACKET], vec![b'\n'], vec![b'y'; MAX_PACKET + 1], b"\nz\n".to_vec()].concat();
        let lengths: Vec<usize> = packets(&exact).map(<[u8]>::len).collect();
        assert_eq!(lengths, [MAX_PACKET, MAX_PACKET + 1, 1]);
    }
}
