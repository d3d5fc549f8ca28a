//! One end of a connection that passes through: a socket, and TLS on it or not.
//!
//! TLS is done on our own buffers (rustls' unbuffered connections): one system call moves up to 64 KiB, where a stream's
//! buffers would move a record of 16 KiB at most; and a connection that has nothing to say holds no buffer at all.

use std::{
    fmt,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::{
    ClientConfig, ServerConfig,
    client::UnbufferedClientConnection,
    pki_types::{CertificateDer, ServerName},
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus},
};
use tokio::{io::AsyncWrite, net::TcpStream};
use tokio_util::io::poll_read_buf;

use super::buffers;

/// A record is no larger (RFC 8446, section 5.2), with what TLS 1.2 may add to it.
const RECORD: usize = 5 + 16_384 + 2_048;
/// What a record has around its content at most: header, content type, nonce, tag.
const AROUND: usize = 64;
/// The content of a record at most.
const CONTENT: usize = 16_384;

/// A socket, and TLS on it or not.
#[derive(Debug)]
pub struct Leg {
    socket: TcpStream,
    tls: Tls,
    /// A record that is not yet whole.
    partial: Vec<u8>,
    /// What the socket has not taken yet.
    outgoing: Vec<u8>,
    sent: usize,
}

enum Tls {
    Plain,
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plain => "Plain",
            Self::Server(_) => "Server",
            Self::Client(_) => "Client",
        })
    }
}

/// What a read led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Bytes came, be it not enough for a record.
    Some,
    /// There will be no more.
    End,
}

/// How far TLS is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Handshake,
    Open,
    Closed,
}

impl Leg {
    /// A socket without TLS.
    #[must_use]
    pub fn plain(socket: TcpStream) -> Self {
        Self { socket, tls: Tls::Plain, partial: Vec::new(), outgoing: Vec::new(), sent: 0 }
    }

    /// The server's part of TLS: to its handshake's end. `early` takes what came right behind it.
    pub async fn accept(
        socket: TcpStream,
        config: Arc<ServerConfig>,
        early: &mut Vec<u8>,
    ) -> io::Result<Self> {
        let connection = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
        let mut leg = Self { tls: Tls::Server(Box::new(connection)), ..Self::plain(socket) };
        leg.shake(early).await?;
        Ok(leg)
    }

    /// The client's part of TLS: to its handshake's end. `early` takes what came right behind it.
    pub async fn connect(
        socket: TcpStream,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        early: &mut Vec<u8>,
    ) -> io::Result<Self> {
        let connection = UnbufferedClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut leg = Self { tls: Tls::Client(Box::new(connection)), ..Self::plain(socket) };
        leg.shake(early).await?;
        Ok(leg)
    }

    async fn shake(&mut self, early: &mut Vec<u8>) -> io::Result<()> {
        let mut progress = self.open_records(&mut [], &mut |_| {})?.1;
        loop {
            self.flush().await?;
            match progress {
                Progress::Open => return Ok(()),
                Progress::Closed => return Err(io::ErrorKind::UnexpectedEof.into()),
                Progress::Handshake => {}
            }
            let read =
                poll_fn(|cx| self.poll_read_records(cx, &mut |bytes| early.extend_from_slice(bytes))).await;
            progress = match read {
                Ok(Some(progress)) => progress,
                Ok(None) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) => {
                    // What TLS thinks of the peer, it is told.
                    let _ = self.flush().await;
                    return Err(error);
                }
            };
        }
    }

    /// The certificate that the peer showed.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        let chain = match &self.tls {
            Tls::Plain => None,
            Tls::Server(connection) => connection.peer_certificates(),
            Tls::Client(connection) => connection.peer_certificates(),
        };
        chain?.first()
    }

    /// Where the peer is.
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    /// Reads once, and hands over what came.
    pub fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut dyn FnMut(&[u8]),
    ) -> Poll<io::Result<Received>> {
        let progress = ready!(self.poll_read_records(cx, take))?;
        Poll::Ready(Ok(match progress {
            Some(Progress::Handshake | Progress::Open) => Received::Some,
            Some(Progress::Closed) | None => Received::End,
        }))
    }

    /// None at the socket's end.
    fn poll_read_records(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut dyn FnMut(&[u8]),
    ) -> Poll<io::Result<Option<Progress>>> {
        let mut buffer = buffers::take();
        let kept = self.partial.len();
        buffer.reserve(kept + RECORD);
        buffer.extend_from_slice(&self.partial);
        let read = poll_read_buf(Pin::new(&mut self.socket), cx, &mut buffer);
        let outcome = match read {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(None)),
            Poll::Ready(Ok(_)) => {
                let came = &mut buffer[..];
                Poll::Ready(self.open_records(came, take).map(|(used, progress)| {
                    self.partial.clear();
                    self.partial.extend_from_slice(&came[used..]);
                    if self.partial.is_empty() {
                        self.partial = Vec::new();
                    }
                    Some(progress)
                }))
            }
        };
        buffers::give(buffer);
        outcome
    }

    /// Takes the TLS off whole records: how many bytes were used.
    fn open_records(
        &mut self,
        came: &mut [u8],
        take: &mut dyn FnMut(&[u8]),
    ) -> io::Result<(usize, Progress)> {
        match &mut self.tls {
            Tls::Plain => {
                take(came);
                Ok((came.len(), Progress::Open))
            }
            Tls::Server(connection) => open(&mut **connection, came, &mut self.outgoing, take),
            Tls::Client(connection) => open(&mut **connection, came, &mut self.outgoing, take),
        }
    }

    /// Puts bytes behind what is to be sent.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.outgoing.capacity() == 0 {
            self.outgoing = buffers::take();
        }
        match &mut self.tls {
            Tls::Plain => {
                self.outgoing.extend_from_slice(bytes);
                Ok(())
            }
            Tls::Server(connection) => seal(&mut **connection, bytes, &mut self.outgoing),
            Tls::Client(connection) => seal(&mut **connection, bytes, &mut self.outgoing),
        }
    }

    /// Whether the socket has taken all that was to be sent.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.sent == self.outgoing.len()
    }

    /// Hands to the socket what is to be sent.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.outgoing.len() {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.outgoing[self.sent..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written;
        }
        if self.outgoing.capacity() > 0 {
            buffers::give(std::mem::take(&mut self.outgoing));
            self.sent = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Hands to the socket what is to be sent.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Sends bytes, and waits for the socket to take them.
    pub async fn send_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.send(bytes)?;
        self.flush().await
    }

    /// Reads once, and appends what came.
    pub async fn receive(&mut self, to: &mut Vec<u8>) -> io::Result<Received> {
        poll_fn(|cx| self.poll_receive(cx, &mut |bytes| to.extend_from_slice(bytes))).await
    }

    /// Says that nothing more comes (TLS's `close_notify`, TCP's FIN), as far as the peer still listens.
    pub async fn end(&mut self) {
        let outgoing = &mut self.outgoing;
        match &mut self.tls {
            Tls::Plain => {}
            Tls::Server(connection) => notify(&mut **connection, outgoing),
            Tls::Client(connection) => notify(&mut **connection, outgoing),
        }
        let _ = self.flush().await;
        let _ = poll_fn(|cx| Pin::new(&mut self.socket).poll_shutdown(cx)).await;
    }
}

/// Either side of an unbuffered connection.
trait Records {
    type Side;

    fn process<'c, 'i>(&'c mut self, came: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Side>;
}

impl Records for UnbufferedServerConnection {
    type Side = rustls::server::ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, came: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Side> {
        self.process_tls_records(came)
    }
}

impl Records for UnbufferedClientConnection {
    type Side = rustls::client::ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, came: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Side> {
        self.process_tls_records(came)
    }
}

fn open<C: Records>(
    connection: &mut C,
    came: &mut [u8],
    outgoing: &mut Vec<u8>,
    take: &mut dyn FnMut(&[u8]),
) -> io::Result<(usize, Progress)> {
    let mut used = 0;
    loop {
        let UnbufferedStatus { mut discard, state } = connection.process(&mut came[used..]);
        let progress = match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let record = record.map_err(wrong)?;
                    discard += record.discard;
                    take(record.payload);
                }
                None
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                put(outgoing, RECORD, |to| match data.encode(to) {
                    Err(EncodeError::InsufficientSize(error)) => Err(Some(error)),
                    Err(EncodeError::AlreadyEncoded) => Err(None),
                    Ok(length) => Ok(length),
                })?;
                None
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                None
            }
            Ok(ConnectionState::BlockedHandshake) => Some(Progress::Handshake),
            Ok(ConnectionState::WriteTraffic(_)) => Some(Progress::Open),
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Some(Progress::Closed),
            // Early data is never offered.
            Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
            Err(error) => {
                // An alert says it to the peer.
                if let Ok(ConnectionState::EncodeTlsData(mut data)) = connection.process(&mut []).state {
                    let _ = put(outgoing, RECORD, |to| data.encode(to).map_err(|_| None));
                }
                return Err(wrong(error));
            }
        };
        used += discard;
        if let Some(progress) = progress {
            return Ok((used, progress));
        }
    }
}

fn seal<C: Records>(connection: &mut C, bytes: &[u8], outgoing: &mut Vec<u8>) -> io::Result<()> {
    loop {
        match connection.process(&mut []).state.map_err(wrong)? {
            ConnectionState::WriteTraffic(mut traffic) => {
                let room = bytes.len() + AROUND * (bytes.len() / CONTENT + 1);
                return put(outgoing, room, |to| match traffic.encrypt(bytes, to) {
                    Err(EncryptError::InsufficientSize(error)) => Err(Some(error)),
                    Err(EncryptError::EncryptExhausted) => Err(None),
                    Ok(length) => Ok(length),
                });
            }
            ConnectionState::EncodeTlsData(mut data) => {
                put(outgoing, RECORD, |to| data.encode(to).map_err(|_| None))?;
            }
            ConnectionState::TransmitTlsData(data) => data.done(),
            _ => return Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

fn notify<C: Records>(connection: &mut C, outgoing: &mut Vec<u8>) {
    if let Ok(ConnectionState::WriteTraffic(mut traffic)) = connection.process(&mut []).state {
        let _ = put(outgoing, AROUND, |to| traffic.queue_close_notify(to).map_err(|_| None));
    }
}

/// Lets something be written into room behind the buffer, more of it if it says that it needs more.
fn put(
    outgoing: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
) -> io::Result<()> {
    let begin = outgoing.len();
    outgoing.resize(begin + room, 0);
    let mut written = write(&mut outgoing[begin..]);
    if let Err(Some(InsufficientSizeError { required_size })) = written {
        outgoing.resize(begin + required_size, 0);
        written = write(&mut outgoing[begin..]);
    }
    outgoing.truncate(begin + *written.as_ref().unwrap_or(&0));
    written.map(|_| ()).map_err(|_| io::Error::other("TLS can encrypt no more on this connection"))
}

fn wrong(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
