//! Frames of a handshake, one at a time.

use std::{io, time::Duration};

use tokio::time::timeout;

use super::{
    leg::{Leg, Received},
    refusal::Refusal,
};
use crate::amqp::{
    FrameHead, FrameKind, Method, PROTOCOL_HEADER,
    frame::{END, FrameError, HEAD},
};

/// Before Tune a frame may be so large at most. The specification's 4,096 is little for what libraries tell of themselves; RabbitMQ allows
/// as much.
pub const FRAME_MAX: u32 = 8192;

/// How long a refused peer may take to read why.
const REFUSING: Duration = Duration::from_secs(2);

/// A leg, and what came on it and has not been read.
#[derive(Debug)]
pub struct Wire {
    /// The leg.
    pub leg: Leg,
    /// What came.
    pub buffer: Vec<u8>,
}

/// Why a handshake does not go on.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The peer is gone, or TLS has failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The peer broke the rules.
    #[error("{0}")]
    Refused(#[from] Refusal),
}

impl WireError {
    /// A method that has no place here.
    #[must_use]
    pub fn unexpected(payload: &[u8]) -> Self {
        let (class, method) = Method::read(payload).map_or((0, 0), |method| method.id());
        Refusal::Unexpected(class, method).into()
    }
}

impl From<FrameError> for WireError {
    fn from(error: FrameError) -> Self {
        Self::Refused(error.into())
    }
}

impl Wire {
    /// Ends the connection, and says why: by Close, with the method that `cause`d it.
    pub async fn refuse(mut self, refusal: &Refusal, cause: (u16, u16)) {
        let _ = timeout(REFUSING, self.close(refusal, cause)).await;
        self.leg.end().await;
    }

    async fn close(&mut self, refusal: &Refusal, cause: (u16, u16)) -> io::Result<()> {
        let text = format!("{}: {refusal}", refusal.code().name());
        self.leg.send_all(&Method::close(refusal.code(), &text, cause)).await?;
        // Its answer is not needed; but to end with bytes unread would take the reason from it.
        while self.leg.receive(&mut self.buffer).await? == Received::Some {
            if self.buffer.ends_with(&Method::CloseOk.frame()) {
                break;
            }
            self.buffer.clear();
        }
        Ok(())
    }

    /// What came, until there are so many bytes.
    async fn at_least(&mut self, number: usize) -> io::Result<()> {
        while self.buffer.len() < number {
            if self.leg.receive(&mut self.buffer).await? == Received::End && self.buffer.len() < number {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// The eight octets that a client begins with: whether they are AMQP 0-9-1's.
    pub async fn protocol_header(&mut self) -> io::Result<bool> {
        self.at_least(PROTOCOL_HEADER.len()).await?;
        let is_ours = self.buffer.starts_with(&PROTOCOL_HEADER);
        self.buffer.drain(..PROTOCOL_HEADER.len());
        Ok(is_ours)
    }

    /// The next method's payload. Heartbeats before it are passed over.
    pub async fn method(&mut self) -> Result<Vec<u8>, WireError> {
        loop {
            self.at_least(HEAD).await?;
            let head = self.buffer.first_chunk().copied().unwrap_or_default();
            let head = FrameHead::read(head, FRAME_MAX)?;
            self.at_least(head.whole()).await?;
            let frame: Vec<u8> = self.buffer.drain(..head.whole()).collect();
            if frame[frame.len() - 1] != END {
                return Err(FrameError::End(frame[frame.len() - 1]).into());
            }
            match head {
                FrameHead { kind: FrameKind::Heartbeat, .. } => {}
                FrameHead { kind: FrameKind::Method, channel: 0, .. } => {
                    return Ok(frame[HEAD..frame.len() - 1].to_vec());
                }
                _ => return Err(FrameError::Channel.into()),
            }
        }
    }
}
