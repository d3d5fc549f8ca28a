//! The server's enrolment routes, over TLS.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, body::Body, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use kinetic_enroll::wire::{Problem, TRUST};
use kinetic_pki::{
    Client, ClientFiles, ClientIdentity, Fingerprint, ServerIdentity, TlsMetrics, Trust, discovery,
};
use rustls::{ClientConfig, pki_types::ServerName};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use url::Url;

/// How long connecting, and an answer that nothing is waited for, may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// No answer is longer.
const LONGEST: usize = 64 << 20;

/// A server, and how it is believed.
pub(crate) struct Server {
    url: Url,
    tls: Arc<ClientConfig>,
}

/// An answer that is no success.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", .0.title, .0.detail)]
pub(crate) struct Refused(pub(super) Problem);

impl Refused {
    /// Whether the server has no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        self.0.status == StatusCode::NOT_FOUND.as_u16()
    }
}

impl Server {
    /// A server that the authorities in this file vouch for; to which we show this certificate, if any.
    pub(crate) fn new(url: Url, trust: &Path, identity: Option<ClientIdentity>) -> anyhow::Result<Self> {
        check(&url)?;
        let bundle = std::fs::read(trust).with_context(|| trust.display().to_string())?;
        // An authority of ours says who the front door is, wherever it is reached; others' servers are known by their names.
        let server = discovery::front_door(&bundle).map_or(ServerIdentity::Name, ServerIdentity::Spiffe);
        let files = ClientFiles { identity, trust: Trust::File(trust.to_owned()) };
        let tls = Client::watch(files, server, &TlsMetrics::default())?.config();
        Ok(Self { url, tls })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, wait: Duration) -> anyhow::Result<T> {
        let request = Request::get(path).body(Full::default())?;
        json(&send(&self.url, Arc::clone(&self.tls), request, wait).await?)
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&str>,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::from(serde_json::to_vec(body)?))?;
        json(&send(&self.url, Arc::clone(&self.tls), request, Duration::ZERO).await?)
    }

    /// Puts something, and takes success for an answer.
    pub(crate) async fn put(&self, path: &str, body: &impl Serialize) -> anyhow::Result<()> {
        let request = Request::put(path).header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Full::from(serde_json::to_vec(body)?))?;
        send(&self.url, Arc::clone(&self.tls), request, Duration::ZERO).await.map(drop)
    }
}

/// The certificate (PEM) of the authority with this fingerprint, as the server gives it. Nothing else of the server is believed.
pub(crate) async fn discover(url: &Url, pin: Fingerprint) -> anyhow::Result<String> {
    check(url)?;
    let request = Request::get(TRUST).body(Full::default())?;
    let bundle = send(url, discovery::believing_anybody()?, request, Duration::ZERO).await?;
    let Some(der) = discovery::pinned(&bundle, pin) else {
        bail!(
            "{url}: the server is not the one that --ca-hash means: none of its authorities has the SHA-256 {pin}; nothing was sent to it. \
             Check the URL, and compare with `openssl x509 -in ca.crt -noout -fingerprint -sha256` where the authority lies"
        );
    };
    Ok(kinetic_enroll::renewal::pem(&der))
}

fn check(url: &Url) -> anyhow::Result<()> {
    if url.scheme() != "https" || url.host_str().is_none() {
        bail!("{url}: the server's URL must be https://HOST:PORT");
    }
    Ok(())
}

async fn send(
    url: &Url,
    tls: Arc<ClientConfig>,
    mut request: Request<Full<Bytes>>,
    wait: Duration,
) -> anyhow::Result<Bytes> {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let authority = format!("{}:{port}", url.host_str().unwrap_or_default());
    request.headers_mut().insert(header::HOST, authority.parse()?);
    let exchange = async {
        let socket = TcpStream::connect((host.as_str(), port)).await?;
        let stream = TlsConnector::from(tls).connect(ServerName::try_from(host.clone())?, socket).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request).await;
        let answer = match answer {
            Ok(answer) => {
                let status = answer.status();
                (status, collect(answer.into_body()).await?)
            }
            Err(error) => bail!(error),
        };
        connection.abort();
        anyhow::Ok(answer)
    };
    let exchanged = timeout(PATIENCE + wait, exchange).await.with_context(|| format!("{url}: no answer"))?;
    let (status, body) = exchanged.with_context(|| format!("{url}: cannot be asked"))?;
    if status.is_success() {
        return Ok(body);
    }
    Err(Refused(problem(status, &body)).into())
}

async fn collect(body: impl Body<Data = Bytes, Error = hyper::Error>) -> anyhow::Result<Bytes> {
    let collected = Limited::new(body, LONGEST).collect().await;
    Ok(collected.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?.to_bytes())
}

fn problem(status: StatusCode, body: &[u8]) -> Problem {
    serde_json::from_slice(body).unwrap_or_else(|_| Problem {
        kind: "about:blank".to_owned(),
        title: status.to_string(),
        status: status.as_u16(),
        detail: "this is no answer of Kinetic's: check the URL".to_owned(),
    })
}

fn json<T: DeserializeOwned>(body: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(body).context("this is no answer of Kinetic's: check the URL")
}
