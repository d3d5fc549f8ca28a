//! The way to a broker: its nodes tried in turn, and the handshake there, in the role of the somebody who came in here.

use std::{
    fmt,
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use kinetic_pki::Client as Tls;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, time::timeout};
use tracing::{debug, info, warn};

use super::{
    leg::Leg,
    proxy_protocol,
    refusal::Refusal,
    sasl,
    wire::{Wire, WireError},
};
use crate::amqp::{Method, Open, PROTOCOL_HEADER, StartOk, Table, Tune};

/// How long a node may take for TCP and TLS.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long it may take for an answer of the handshake.
const ANSWERING: Duration = Duration::from_secs(10);

/// A broker cluster.
pub struct Broker {
    /// Its name.
    pub name: String,
    nodes: Vec<Node>,
    tls: Option<Tls>,
    proxy_protocol: bool,
    /// The node that answered last.
    latest: AtomicUsize,
    /// None answered the last time.
    away: AtomicBool,
}

/// One of a cluster's nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// A DNS name or address: what its certificate must name, if TLS is spoken.
    pub host: String,
    /// Where it takes AMQP.
    pub port: u16,
}

/// A broker that has presented itself.
#[derive(Debug)]
pub struct Greeted<'a> {
    broker: &'a Broker,
    wire: Wire,
    /// The Start method's payload.
    start: Vec<u8>,
}

/// A broker that has let somebody in.
#[derive(Debug)]
pub struct LoggedIn<'a> {
    broker: &'a Broker,
    wire: Wire,
    /// What it offers.
    pub offer: Tune,
}

impl Broker {
    /// A cluster; `proxy_protocol` says that its nodes want the client's address before all else.
    #[must_use]
    pub fn new(name: String, nodes: Vec<Node>, tls: Option<Tls>, proxy_protocol: bool) -> Self {
        Self { name, nodes, tls, proxy_protocol, latest: AtomicUsize::new(0), away: AtomicBool::new(false) }
    }

    /// Connects to the first node that answers, beginning with the one that did last.
    pub async fn greet(&self, client: SocketAddr) -> Result<Greeted<'_>, Refusal> {
        let begin = self.latest.load(Relaxed);
        let mut last = None;
        for turn in 0..self.nodes.len() {
            let number = (begin + turn) % self.nodes.len();
            let node = &self.nodes[number];
            match self.connect(node, client).await {
                Ok((wire, start)) => {
                    self.latest.store(number, Relaxed);
                    if self.away.swap(false, Relaxed) {
                        info!(broker = self.name, host = node.host, port = node.port, "a broker is back");
                    }
                    return Ok(Greeted { broker: self, wire, start });
                }
                Err(error) => {
                    debug!(broker = self.name, host = node.host, port = node.port, %error, "a node does not answer");
                    last = Some((node, error));
                }
            }
        }
        // Once, not for each of the thousands that come meanwhile.
        if let Some((node, error)) = last
            && !self.away.swap(true, Relaxed)
        {
            warn!(broker = self.name, host = node.host, port = node.port, %error, "no node of a broker answers");
        }
        Err(Refusal::BrokerAway(self.name.clone()))
    }

    async fn connect(&self, node: &Node, client: SocketAddr) -> Result<(Wire, Vec<u8>), WireError> {
        let connecting = async {
            let mut socket = TcpStream::connect((node.host.as_str(), node.port)).await?;
            keep_alive(&socket);
            if self.proxy_protocol {
                let header = proxy_protocol::version_2(client, socket.peer_addr()?);
                tokio::io::AsyncWriteExt::write_all(&mut socket, &header).await?;
            }
            let mut buffer = Vec::new();
            let leg = match &self.tls {
                None => Leg::plain(socket),
                Some(tls) => {
                    let name = ServerName::try_from(node.host.clone()).map_err(std::io::Error::other)?;
                    Leg::connect(socket, tls.config(), name, &mut buffer).await?
                }
            };
            Ok::<_, WireError>(Wire { leg, buffer })
        };
        let mut wire = timeout(CONNECTING, connecting).await.map_err(std::io::Error::from)??;
        wire.leg.send_all(&PROTOCOL_HEADER).await?;
        let start = timeout(ANSWERING, wire.method()).await.map_err(std::io::Error::from)??;
        match Method::read(&start) {
            Ok(Method::Start(_)) => Ok((wire, start)),
            Ok(other) => Err(Refusal::Unexpected(other.id().0, other.id().1).into()),
            Err(error) => Err(Refusal::from(error).into()),
        }
    }

    fn refused(&self, reason: impl fmt::Display) -> Refusal {
        let refusal = Refusal::BrokerRefused { broker: self.name.clone(), reason: reason.to_string() };
        warn!(%refusal, "a broker does not let a client's user in");
        refusal
    }

    /// The next method of the handshake, which a refusing broker says as Close, or not at all.
    async fn next<T>(
        &self,
        wire: &mut Wire,
        at: &str,
        take: impl FnOnce(Method<'_>) -> Option<T>,
    ) -> Result<T, Refusal> {
        let payload = match timeout(ANSWERING, wire.method()).await {
            Ok(Ok(payload)) => payload,
            Ok(Err(WireError::Refused(error))) => return Err(self.refused(error)),
            Ok(Err(WireError::Io(error))) => return Err(self.refused(format_args!("at {at}: {error}"))),
            Err(_) => return Err(self.refused(format_args!("at {at}: no answer"))),
        };
        match Method::read(&payload) {
            Ok(Method::Close(close)) => {
                Err(self.refused(format_args!("{} {}", close.code, String::from_utf8_lossy(close.text))))
            }
            Ok(method) => take(method).ok_or_else(|| self.refused(format_args!("at {at}: another method"))),
            Err(error) => Err(self.refused(format_args!("at {at}: {error}"))),
        }
    }
}

impl<'a> Greeted<'a> {
    /// What it says of itself.
    #[must_use]
    pub fn server_properties(&self) -> Option<Table<'_>> {
        match Method::read(&self.start) {
            Ok(Method::Start(start)) => Some(start.server_properties),
            _ => None,
        }
    }

    /// For a handshake that somebody else leads.
    #[must_use]
    pub fn into_wire(self) -> Wire {
        self.wire
    }

    /// Logs in as a role's user.
    pub async fn log_in(
        mut self,
        properties: Table<'_>,
        user: &str,
        password: &str,
    ) -> Result<LoggedIn<'a>, Refusal> {
        let response = sasl::plain(user, password);
        let ok = StartOk {
            client_properties: properties,
            mechanism: "PLAIN",
            response: &response,
            locale: "en_US",
        };
        let sent = self.wire.leg.send_all(&Method::StartOk(ok).frame()).await;
        sent.map_err(|error| self.broker.refused(error))?;
        let offer = self
            .broker
            .next(&mut self.wire, &format!("the log-in of user {user}"), |method| match method {
                Method::Tune(tune) => Some(tune),
                _ => None,
            })
            .await?;
        Ok(LoggedIn { broker: self.broker, wire: self.wire, offer })
    }
}

impl LoggedIn<'_> {
    /// Opens the vhost under these limits.
    pub async fn open(mut self, tune: Tune, vhost: &str) -> Result<Wire, Refusal> {
        let both = [Method::TuneOk(tune).frame(), Method::Open(Open { vhost }).frame()].concat();
        self.wire.leg.send_all(&both).await.map_err(|error| self.broker.refused(error))?;
        let opened = |method: Method<'_>| matches!(method, Method::OpenOk).then_some(());
        self.broker.next(&mut self.wire, &format!("the opening of vhost {vhost}"), opened).await?;
        Ok(self.wire)
    }
}

/// A peer that is gone without a word is noticed within two minutes, whether it agreed to heartbeats or not.
pub fn keep_alive(socket: &TcpStream) {
    let often = TcpKeepalive::new()
        .with_time(Duration::from_mins(1))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    // A socket that cannot do it works all the same.
    let _ = SockRef::from(socket).set_tcp_keepalive(&often);
    let _ = socket.set_nodelay(true);
}

impl fmt::Debug for Broker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Broker")
            .field("name", &self.name)
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}
