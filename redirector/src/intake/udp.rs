//! UDP sockets to take packets from.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
};

use socket2::{Domain, Protocol, Socket, Type};

use super::IntakeError;

/// What the socket should hold while the reader is busy; the system may grant less (`net.core.rmem_max`).
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;

/// A socket on this address, made into what its reader reads by `into`; and the address bound.
pub(super) fn bind<S>(
    addr: SocketAddr,
    protocol: &'static str,
    flag: &'static str,
    into: impl FnOnce(UdpSocket) -> io::Result<S>,
) -> Result<(S, SocketAddr), IntakeError> {
    let open = || -> io::Result<_> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        // Best effort: a smaller buffer works, it only bridges shorter pauses.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        let socket = UdpSocket::from(socket);
        let bound = socket.local_addr()?;
        Ok((into(socket)?, bound))
    };
    open().map_err(|reason| IntakeError::Listen { protocol, transport: "UDP", addr, flag, reason })
}
