//! `kinetic probe`: whether what was installed answers. It runs in an image that holds nothing but Kinetic.

use std::{future::Future, path::PathBuf, process::ExitCode, str::FromStr, sync::Arc, time::Duration as Std};

use anyhow::{Context, bail, ensure};
use clap::Args;
use futures_util::future::join_all;
use kinetic_api::duration::Duration;
use kinetic_pki::{
    Client, ClientFiles, ServerIdentity, TlsMetrics, Trust, client::believing_nobody, material::MaterialError,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_rustls::TlsConnector;
use url::Url;

/// How long one attempt may take, and the pause before the next.
const ATTEMPT: Std = Std::from_secs(5);
const AGAIN: Std = Std::from_secs(1);
/// The port of AMQP over TLS.
const AMQPS: u16 = 5671;
/// What an AMQP connection begins with (0-9-1, 4.2.2), and where the class and method of the answer stand in it.
const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";
const START: [u8; 4] = [0, 10, 0, 10];

/// Asks until all answer, or time is up: then it says what is missing, and fails.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  kinetic probe http://kinetic-operator:8080/readyz amqps://kinetic-redirector-us-west-aws.kinetic-system.svc:5671 --ca ca.crt\n\nThe chart's `helm test` runs it."
)]
pub(crate) struct ProbeArgs {
    /// `http://HOST:PORT/readyz` is well if the answer is 200; `amqps://HOST[:PORT]` if the certificate holds and AMQP 0-9-1 is spoken.
    #[arg(required = true, value_name = "URL")]
    targets: Vec<Target>,
    /// The authorities to trust, in PEM.  [default: the system's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How long to ask.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    patience: Duration,
}

/// What is asked.
#[derive(Clone, Debug)]
enum Target {
    Http(Url),
    Amqps { host: String, port: u16, url: Url },
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        let host = url.host_str().unwrap_or_default().to_owned();
        match url.scheme() {
            "http" => Ok(Self::Http(url)),
            "amqps" if !host.is_empty() => Ok(Self::Amqps { host, port: url.port().unwrap_or(AMQPS), url }),
            _ => Err("write http://HOST:PORT/readyz or amqps://HOST[:PORT]".to_owned()),
        }
    }
}

/// Asks all at once.
pub(crate) async fn run(args: ProbeArgs) -> anyhow::Result<ExitCode> {
    let tls = trusting(args.ca).context("--ca")?;
    let http = http()?;
    let deadline = Instant::now() + args.patience.std();
    let asked = args.targets.iter().map(|target| {
        let (tls, http) = (tls.clone(), http.clone());
        async move {
            match target {
                Target::Http(url) => (url, until(deadline, || ready(&http, url)).await),
                Target::Amqps { host, port, url } => {
                    (url, until(deadline, || speaks(tls.config(), host, *port)).await)
                }
            }
        }
    });
    let mut code = ExitCode::SUCCESS;
    for (url, answer) in join_all(asked).await {
        match answer {
            Ok(()) => println!("ok      {url}"),
            Err(error) => {
                println!("failed  {url}: {error:#}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

fn http() -> anyhow::Result<reqwest::Client> {
    let without_tls = believing_nobody()?;
    Ok(reqwest::Client::builder().timeout(ATTEMPT).tls_backend_preconfigured(without_tls).build()?)
}

fn trusting(ca: Option<PathBuf>) -> Result<Client, MaterialError> {
    let files = ClientFiles { identity: None, trust: ca.map_or(Trust::Platform, Trust::File) };
    Client::watch(files, ServerIdentity::Name, &TlsMetrics::default())
}

/// Asks again and again; the last answer counts.
async fn until<F: Future<Output = anyhow::Result<()>>>(
    deadline: Instant,
    ask: impl Fn() -> F,
) -> anyhow::Result<()> {
    loop {
        let answer = timeout(ATTEMPT, ask()).await.unwrap_or_else(|_| bail_slow());
        if answer.is_ok() || timeout_at(deadline, sleep(AGAIN)).await.is_err() {
            return answer;
        }
    }
}

fn bail_slow() -> anyhow::Result<()> {
    bail!("no answer within {} s", ATTEMPT.as_secs())
}

async fn ready(http: &reqwest::Client, url: &Url) -> anyhow::Result<()> {
    let answer = http.get(url.clone()).send().await?;
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    ensure!(status.is_success(), "{status}: {}", text.trim());
    Ok(())
}

async fn speaks(tls: Arc<ClientConfig>, host: &str, port: u16) -> anyhow::Result<()> {
    let bare = host.trim_matches(['[', ']']);
    let name = ServerName::try_from(bare.to_owned())?;
    let socket = TcpStream::connect((bare, port)).await?;
    let mut stream = TlsConnector::from(tls).connect(name, socket).await?;
    stream.write_all(HEADER).await?;
    // Frame type, channel and length; then class and method.
    let mut begin = [0; 11];
    stream.read_exact(&mut begin).await.context("it speaks TLS, but not AMQP")?;
    ensure!(begin[0] == 1 && begin[7..] == START, "it speaks TLS, but not AMQP 0-9-1");
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each request so, in turn; the last for ever.
    async fn server(answers: &'static [&'static str]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut answers = answers.iter();
            let mut answer = answers.next().unwrap();
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let _ = socket.read(&mut [0; 4096]).await;
                let text = format!("HTTP/1.1 {answer}\r\nconnection: close\r\n\r\nstarting\n");
                socket.write_all(text.as_bytes()).await.unwrap();
                answer = answers.next().unwrap_or(answer);
            }
        });
        port
    }

    async fn asked(port: u16, patience: Std) -> Result<(), String> {
        let url = Url::parse(&format!("http://127.0.0.1:{port}/readyz")).unwrap();
        let http = super::http().unwrap();
        let answer = until(Instant::now() + patience, || ready(&http, &url)).await;
        answer.map_err(|error| format!("{error:#}"))
    }

    #[tokio::test]
    async fn what_becomes_ready_in_time_is_well_and_what_does_not_says_why() {
        let late = server(&["503 Service Unavailable", "200 OK"]).await;
        assert_eq!(asked(late, Std::from_mins(1)).await, Ok(()));
        let never = server(&["503 Service Unavailable"]).await;
        let error = asked(never, Std::from_millis(10)).await.unwrap_err();
        assert!(error.contains("503") && error.contains("starting"), "{error}");
    }

    #[test]
    fn says_what_can_be_asked() {
        for wrong in ["kinetic-operator", "https://x/", "amqps:", "tcp://x:1"] {
            let refused = wrong.parse::<Target>().unwrap_err();
            assert!(!refused.is_empty(), "{wrong}");
        }
        let Target::Amqps { host, port, .. } = "amqps://door.example".parse().unwrap() else { panic!() };
        assert_eq!((host.as_str(), port), ("door.example", 5671));
    }
}
