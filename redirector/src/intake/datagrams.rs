//! Receives datagrams, many a system call where the system offers that (recvmmsg(2)).

use std::{
    fs, io,
    net::{IpAddr, UdpSocket},
    os::unix::net::UnixDatagram,
};

use socket2::SockRef;

use super::metrics::Transport;

#[cfg(not(target_os = "linux"))]
pub(super) use one_by_one::Datagrams;
#[cfg(target_os = "linux")]
pub(super) use together::Datagrams;

/// The largest UDP payload there is; of a Unix socket's larger datagrams the rest is cut off.
const MAX_DATAGRAM: usize = 65_535;
/// What Linux charges a UDP socket's buffer for a packet that fills an Ethernet frame, in bytes.
const CHARGE: usize = 2_304;
/// How many datagrams wait at a Unix socket at most, by the system's setting, and its default.
const UNIX_QUEUE: &str = "/proc/sys/net/unix/max_dgram_qlen";
const SHORT_UNIX_QUEUE: usize = 10;

/// Where datagrams come from; does not block.
#[derive(Debug)]
pub(super) enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Socket {
    pub(super) fn transport(&self) -> Transport {
        match self {
            Self::Udp(_) => Transport::Udp,
            Self::Unix(_) => Transport::Unix,
        }
    }

    /// So many datagrams wait at least before the system drops one, or holds its sender up.
    pub(super) fn queue(&self) -> usize {
        match self {
            Self::Udp(socket) => SockRef::from(socket).recv_buffer_size().unwrap_or_default() / CHARGE,
            Self::Unix(_) => {
                let setting = fs::read_to_string(UNIX_QUEUE).ok();
                setting.and_then(|text| text.trim().parse().ok()).unwrap_or(SHORT_UNIX_QUEUE)
            }
        }
    }

    /// Waits for a datagram. The runtime watches a second handle of the socket, which goes when the wait is over.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Udp(socket) => tokio::net::UdpSocket::from_std(socket.try_clone()?)?.readable().await,
            Self::Unix(socket) => tokio::net::UnixDatagram::from_std(socket.try_clone()?)?.readable().await,
        }
    }
}

#[cfg(target_os = "linux")]
mod together {
    use std::{
        io::{self, IoSliceMut},
        net::IpAddr,
        os::fd::{AsRawFd, RawFd},
    };

    use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

    use super::{MAX_DATAGRAM, Socket};
    use crate::intake::batch::NOBODY;

    impl AsRawFd for Socket {
        fn as_raw_fd(&self) -> RawFd {
            match self {
                Self::Udp(socket) => socket.as_raw_fd(),
                Self::Unix(socket) => socket.as_raw_fd(),
            }
        }
    }

    /// Datagrams received together.
    const TOGETHER: usize = 32;
    /// Each has a place for the largest datagram; of most only the first page is ever touched, and so resident. The odd distance keeps
    /// their beginnings from falling into the same lines of the processor's caches.
    const DISTANCE: usize = 64 * 1024 + 1_472;

    /// Room for what is received.
    #[derive(Debug)]
    pub(in super::super) struct Datagrams(Vec<u8>);

    impl Datagrams {
        pub(in super::super) fn new() -> Self {
            Self(vec![0; TOGETHER * DISTANCE])
        }

        /// Gives `take` some of what the socket holds, and says how many.
        pub(super) fn once(
            &mut self,
            socket: &Socket,
            take: &mut impl FnMut(IpAddr, &[u8]),
        ) -> io::Result<usize> {
            // Made for each call, since they hold pointers and must not wait with the task; that is cheap beside the call itself.
            let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(TOGETHER, None);
            let mut places: Vec<[IoSliceMut<'_>; 1]> = self
                .0
                .chunks_exact_mut(DISTANCE)
                .map(|place| [IoSliceMut::new(&mut place[..MAX_DATAGRAM])])
                .collect();
            let flags = MsgFlags::MSG_DONTWAIT;
            let received = recvmmsg(socket.as_raw_fd(), &mut headers, &mut places, flags, None)?;
            let mut taken = 0;
            for message in received {
                taken += 1;
                let sender = message.address.and_then(|address| ip(&address)).unwrap_or(NOBODY);
                // An empty datagram has no slice.
                take(sender, message.iovs().next().unwrap_or_default());
            }
            Ok(taken)
        }
    }

    fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
        let v4 = || address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4().or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    }
}

#[cfg(not(target_os = "linux"))]
mod one_by_one {
    use std::{io, net::IpAddr};

    use super::{MAX_DATAGRAM, Socket};
    use crate::intake::batch::NOBODY;

    /// Room for what is received.
    #[derive(Debug)]
    pub(in super::super) struct Datagrams(Vec<u8>);

    impl Datagrams {
        pub(in super::super) fn new() -> Self {
            Self(vec![0; MAX_DATAGRAM])
        }

        /// Gives `take` the next that the socket holds.
        pub(super) fn once(
            &mut self,
            socket: &Socket,
            take: &mut impl FnMut(IpAddr, &[u8]),
        ) -> io::Result<usize> {
            let (length, sender) = match socket {
                Socket::Udp(socket) => {
                    socket.recv_from(&mut self.0).map(|(length, sender)| (length, sender.ip()))
                }
                Socket::Unix(socket) => socket.recv(&mut self.0).map(|length| (length, NOBODY)),
            }?;
            take(sender, &self.0[..length]);
            Ok(1)
        }
    }
}

impl Datagrams {
    /// Gives `take` what the socket holds, up to `most` datagrams or a few more, each with its sender. Whether that was all.
    pub(super) fn receive(
        &mut self,
        socket: &Socket,
        most: usize,
        mut take: impl FnMut(IpAddr, &[u8]),
    ) -> io::Result<bool> {
        let mut received = 0;
        while received < most {
            match self.once(socket, &mut take) {
                Ok(taken) => received += taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        thread::sleep,
        time::{Duration, Instant},
    };

    use super::*;

    /// So many of whatever length as even the smallest receive buffer holds, one of them the largest that there is.
    #[test]
    fn each_comes_whole_and_in_order() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        let socket = Socket::Udp(socket);
        let sent: Vec<Vec<u8>> =
            (0..100_u8).map(|n| vec![n; if n == 50 { 65_507 } else { usize::from(n) * 7 }]).collect();
        for datagram in &sent {
            sender.send_to(datagram, to).unwrap();
        }
        let (mut datagrams, mut received) = (Datagrams::new(), Vec::new());
        let start = Instant::now();
        while received.len() < sent.len() {
            assert!(start.elapsed() < Duration::from_secs(20));
            sleep(Duration::from_millis(1));
            datagrams
                .receive(&socket, 64, |from, datagram| {
                    assert_eq!(from, IpAddr::from([127, 0, 0, 1]));
                    received.push(datagram.to_vec());
                })
                .unwrap();
        }
        assert!(received == sent);
        assert!(datagrams.receive(&socket, 64, |_, _| panic!("nothing is left")).unwrap());
    }
}
