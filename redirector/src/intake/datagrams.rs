//! Receives UDP datagrams, many a system call where the system offers that (recvmmsg(2)).

use std::{
    io,
    net::{IpAddr, UdpSocket},
};

#[cfg(not(target_os = "linux"))]
pub(super) use one_by_one::Datagrams;
#[cfg(target_os = "linux")]
pub(super) use together::Datagrams;

/// The largest UDP payload there is.
const MAX_DATAGRAM: usize = 65_535;

#[cfg(target_os = "linux")]
mod together {
    use std::{
        io::{self, IoSliceMut},
        net::{IpAddr, UdpSocket},
        os::fd::AsRawFd,
    };

    use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

    use super::MAX_DATAGRAM;

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
            socket: &UdpSocket,
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
                if let Some(sender) = message.address.and_then(|address| ip(&address)) {
                    // An empty datagram has no slice.
                    take(sender, message.iovs().next().unwrap_or_default());
                }
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
    use std::{
        io,
        net::{IpAddr, UdpSocket},
    };

    use super::MAX_DATAGRAM;

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
            socket: &UdpSocket,
            take: &mut impl FnMut(IpAddr, &[u8]),
        ) -> io::Result<usize> {
            let (length, sender) = socket.recv_from(&mut self.0)?;
            take(sender.ip(), &self.0[..length]);
            Ok(1)
        }
    }
}

impl Datagrams {
    /// Gives `take` what the socket holds, up to `most` datagrams or a few more, each with its sender. Whether that was all.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
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
