//! A publisher that costs as little as one can: frames made once, sent over and over, and confirms counted.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use kinetic_redirector::{
    amqp::{
        FrameHead, FrameKind, Method, Open, PROTOCOL_HEADER, StartOk, Tune, frame::HEAD, table::TableBuf,
    },
    door::leg::{Leg, Received},
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;

/// Bytes on the wire before they are confirmed, at most.
const WINDOW: usize = 4 * 1024 * 1024;
/// What is handed to TLS at a time, about.
const CHUNK: usize = 256 * 1024;
const FRAME_MAX: u32 = 131_072;
const ACK: [u8; 4] = [0, 60, 0, 80];

/// Where to connect, and as whom.
#[derive(Clone)]
pub struct Target {
    /// On 127.0.0.1.
    pub port: u16,
    /// With the client's certificate.
    pub tls: Arc<ClientConfig>,
    /// The vhost.
    pub vhost: String,
    /// The SASL mechanism, and what it says.
    pub sasl: (&'static str, Vec<u8>),
}

/// A connection with one channel, in confirm mode.
pub struct Publisher {
    leg: Leg,
    came: Vec<u8>,
    confirmed: u64,
}

impl Publisher {
    /// Connects, and opens the vhost and a channel.
    pub async fn connect(target: &Target) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", target.port)).await?;
        socket.set_nodelay(true)?;
        let mut came = Vec::new();
        let leg =
            Leg::connect(socket, Arc::clone(&target.tls), ServerName::try_from("localhost")?, &mut came)
                .await?;
        let mut publisher = Self { leg, came, confirmed: 0 };
        publisher.leg.send_all(&PROTOCOL_HEADER).await?;
        publisher.method(0, [0, 10, 0, 10]).await.context("Start")?;
        let properties = TableBuf::default().text("product", "kinetic-bench");
        let ok = StartOk {
            client_properties: properties.as_table(),
            mechanism: target.sasl.0,
            response: &target.sasl.1,
            locale: "en_US",
        };
        let ok = Method::StartOk(ok).frame();
        publisher.leg.send_all(&ok).await?;
        publisher.method(0, [0, 10, 0, 30]).await.context("Tune")?;
        let tune = Tune { channel_max: 10, frame_max: FRAME_MAX, heartbeat: 0 };
        let both =
            [Method::TuneOk(tune).frame(), Method::Open(Open { vhost: &target.vhost }).frame()].concat();
        publisher.leg.send_all(&both).await?;
        publisher.method(0, [0, 10, 0, 41]).await.context("OpenOk")?;
        let channel = [frame(1, &[0, 20, 0, 10, 0]), frame(1, &[0, 85, 0, 10, 0])].concat();
        publisher.leg.send_all(&channel).await?;
        publisher.method(1, [0, 20, 0, 11]).await.context("channel.open-ok")?;
        publisher.method(1, [0, 85, 0, 11]).await.context("confirm.select-ok")?;
        Ok(publisher)
    }

    /// Publishes for so long, and waits until all is confirmed: how many messages.
    pub async fn publish(&mut self, size: usize, time: Duration) -> anyhow::Result<u64> {
        let message = message(size);
        let each = (CHUNK / message.len()).max(1);
        let chunk = message.repeat(each);
        let window = (WINDOW / message.len()).max(1) as u64;
        let before = self.confirmed;
        let mut sent = before;
        let start = Instant::now();
        while start.elapsed() < time {
            self.leg.send_all(&chunk).await?;
            sent += each as u64;
            while sent - self.confirmed > window {
                self.confirms().await?;
            }
        }
        while self.confirmed < sent {
            self.confirms().await?;
        }
        Ok(sent - before)
    }

    /// Publishes one, and waits for its confirm.
    pub async fn round_trip(&mut self, message: &[u8]) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let next = self.confirmed + 1;
        self.leg.send_all(message).await?;
        while self.confirmed < next {
            self.confirms().await?;
        }
        Ok(start.elapsed())
    }

    async fn confirms(&mut self) -> anyhow::Result<()> {
        ensure!(self.leg.receive(&mut self.came).await? == Received::Some, "the connection ended");
        let mut used = 0;
        while let Some((_, payload, length)) = whole(&self.came[used..])? {
            match payload.split_first_chunk::<4>() {
                Some((&ACK, rest)) => {
                    let tag =
                        rest.first_chunk().copied().map(u64::from_be_bytes).context("a delivery tag")?;
                    self.confirmed = self.confirmed.max(tag);
                }
                Some(([0, 10, 0, 50], rest)) => bail!("closed: {}", String::from_utf8_lossy(rest)),
                _ => {}
            }
            used += length;
        }
        self.came.drain(..used);
        Ok(())
    }

    async fn method(&mut self, channel: u16, expected: [u8; 4]) -> anyhow::Result<()> {
        loop {
            if let Some((head, payload, length)) = whole(&self.came)? {
                let is_expected = head.channel == channel && payload.starts_with(&expected);
                ensure!(is_expected, "another method: {}", String::from_utf8_lossy(payload));
                self.came.drain(..length);
                return Ok(());
            }
            ensure!(self.leg.receive(&mut self.came).await? == Received::Some, "the connection ended");
        }
    }
}

/// The first frame, if it is whole: its head, its payload, its length.
fn whole(bytes: &[u8]) -> anyhow::Result<Option<(FrameHead, &[u8], usize)>> {
    let Some(head) = bytes.first_chunk::<HEAD>() else { return Ok(None) };
    let head = FrameHead::read(*head, FRAME_MAX)?;
    let Some(frame) = bytes.get(..head.whole()) else { return Ok(None) };
    ensure!(head.kind != FrameKind::Body, "nobody consumes");
    Ok(Some((head, &frame[HEAD..frame.len() - 1], frame.len())))
}

/// A message of so many bytes, as frames.
pub fn message(size: usize) -> Vec<u8> {
    let mut publish = vec![0, 60, 0, 40, 0, 0];
    for text in ["kinetic.metrics", "statsd.web.web-1"] {
        publish.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        publish.extend_from_slice(text.as_bytes());
    }
    publish.push(0);
    // Basic, and its delivery mode: transient.
    let header = [&[0, 60, 0, 0][..], &(size as u64).to_be_bytes(), &[0x10, 0, 1]].concat();
    let mut frames = [frame(1, &publish), framed(2, 1, &header)].concat();
    for part in vec![b'x'; size].chunks(FRAME_MAX as usize - 8) {
        frames.extend(framed(3, 1, part));
    }
    frames
}

fn frame(channel: u16, payload: &[u8]) -> Vec<u8> {
    framed(1, channel, payload)
}

fn framed(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = kinetic_redirector::amqp::frame::method(payload);
    frame[0] = kind;
    frame[1..3].copy_from_slice(&channel.to_be_bytes());
    frame
}
