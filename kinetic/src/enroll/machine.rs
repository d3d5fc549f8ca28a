//! `kinetic enroll`: a machine gets, and renews, its certificate.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use kinetic_api::resources::enrollment::EnrollmentState;
use kinetic_enroll::{
    Token, renewal,
    wire::{Answer, Ask, ENROLLMENTS, RENEWALS, Renew},
};
use kinetic_pki::{Fingerprint, PrivateKey, request};
use tokio::time::sleep;
use tracing::warn;
use url::Url;

use super::{
    client::{Refused, Server, discover},
    files::{Enrolled, Files},
};

/// How long the server is asked to wait each time.
const WAIT: Duration = Duration::from_secs(30);
/// After an error, at first and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// `EX_TEMPFAIL` of sysexits: not yet, try again.
const NOT_YET: u8 = 75;

/// Get a certificate for this machine. The key is made in --dir and never leaves it; the server is checked before the token is sent. To ask
/// again is harmless: the same key is the same request.
///
/// Ends with 0 once machine.crt, machine.key and trust.crt lie in --dir, and with 75 while a person must still approve.
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  KINETIC_ENROLL_TOKEN=ket_… kinetic enroll --server https://kinetic.example:8443 --customer acme --client web \\\n    \
                  --name \"$(hostname -f)\" --ca-hash sha256:… --dir /etc/kinetic --wait\n  \
                  kinetic enroll --renew --dir /etc/kinetic      daily: does nothing until two thirds of the certificate's life are over"
)]
pub(crate) struct EnrollArgs {
    /// Where requests are taken, such as `https://kinetic.example:8443`.
    #[arg(long, value_name = "URL", required_unless_present = "renew")]
    server: Option<Url>,
    /// The Customer that this machine belongs to.
    #[arg(long, value_name = "NAME", required_unless_present = "renew")]
    customer: Option<String>,
    /// The class of machines that it is of, one of the Customer's spec.clients.
    #[arg(long, value_name = "NAME", required_unless_present = "renew")]
    client: Option<String>,
    /// The machine's name: a DNS name in lower case, such as `hostname -f` prints.
    #[arg(long, value_name = "NAME", required_unless_present = "renew")]
    name: Option<String>,
    /// The token of `kinetic token create`. Everybody on the machine can see a flag: prefer the variable or --token-file.
    #[arg(long, value_name = "TOKEN", env = "KINETIC_ENROLL_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file that holds the token; it is taken before the variable.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The authority that vouches for the server: a file of certificates in PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The SHA-256 of the authority's certificate (of its whole DER, as `openssl x509 -fingerprint -sha256`, `kinetic pki inspect` and
    /// `kinetic token create` print it), instead of --ca: the certificate itself is fetched from the server.
    #[arg(long, value_name = "sha256:HEX", conflicts_with = "ca")]
    ca_hash: Option<Fingerprint>,
    /// This machine's folder: made, and for its owner only.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Wait until it is decided, through whatever happens to server and network.
    #[arg(long)]
    wait: bool,
    /// Renew the certificate in --dir by itself: no token, no person.
    #[arg(long, conflicts_with_all = ["server", "customer", "client", "name", "token_file", "ca", "ca_hash"])]
    renew: bool,
    /// Renew now, however long the certificate still lives.
    #[arg(long, requires = "renew")]
    force: bool,
    /// Renew with a new key.
    #[arg(long, requires = "renew")]
    new_key: bool,
}

/// Enrols, or renews.
pub(crate) async fn run(args: EnrollArgs) -> anyhow::Result<ExitCode> {
    let files = Files::open(&args.dir)?;
    if args.renew { renew(&args, &files).await } else { enroll(args, &files).await }
}

async fn enroll(args: EnrollArgs, files: &Files) -> anyhow::Result<ExitCode> {
    let token = token(&args)?;
    let (Some(server), Some(customer), Some(client), Some(name)) =
        (args.server, args.customer, args.client, args.name)
    else {
        bail!("--server, --customer, --client and --name are needed");
    };
    let wanted = Enrolled { server, customer, client, name };
    let key = files.key()?;
    match (args.ca, args.ca_hash) {
        (Some(ca), _) => {
            files.set_trust(
                &std::fs::read_to_string(&ca).with_context(|| format!("--ca {}", ca.display()))?,
            )?;
        }
        (None, Some(pin)) => {
            let found = persist(args.wait, || discover(&wanted.server, pin)).await?;
            files.set_trust(&found)?;
        }
        (None, None) if files.trust().exists() => {}
        (None, None) => bail!("how to recognise the server? Give --ca FILE or --ca-hash sha256:…"),
    }
    let server = Server::new(wanted.server.clone(), &files.trust(), None)?;
    files.set_enrolled(&wanted)?;
    let ask = Ask {
        customer: wanted.customer.clone(),
        client: wanted.client.clone(),
        name: wanted.name.clone(),
        csr: request::make(&key)?,
    };
    let answer: Answer = persist(args.wait, || server.post(ENROLLMENTS, Some(token.reveal()), &ask)).await?;
    finish(&server, files, &wanted, &key, answer, args.wait).await
}

async fn renew(args: &EnrollArgs, files: &Files) -> anyhow::Result<ExitCode> {
    let (Some(wanted), Some(peer)) = (files.enrolled()?, files.certificate()?) else {
        bail!("--dir {}: there is no certificate to renew: enrol first, without --renew", args.dir.display());
    };
    let due = peer.renewal_due();
    if !args.force && Timestamp::now() < due {
        println!(
            "{} is good until {}; it is renewed from {due} on (--force: now)",
            peer.identity, peer.not_after
        );
        return Ok(ExitCode::SUCCESS);
    }
    let old = files.key()?;
    let server = Server::new(wanted.server.clone(), &files.trust(), Some(files.identity()))?;
    let (key, proof) = if args.new_key {
        let new = files.next_key()?;
        let proof = renewal::proof(&old, new.public())?;
        (new, Some(proof))
    } else {
        (old, None)
    };
    let ask = Renew { csr: request::make(&key)?, proof };
    let answer: Answer = persist(args.wait, || server.post(RENEWALS, None, &ask)).await?;
    // Nobody must be asked: the signer needs a moment.
    finish(&server, files, &wanted, &key, answer, true).await
}

async fn finish(
    server: &Server,
    files: &Files,
    wanted: &Enrolled,
    key: &PrivateKey,
    mut answer: Answer,
    wait: bool,
) -> anyhow::Result<ExitCode> {
    let mut told = None;
    loop {
        let reason = answer.reason.clone().unwrap_or_default();
        match answer.state {
            EnrollmentState::Issued => {
                let peer = files.take(&answer, wanted, key)?;
                println!(
                    "{} has its certificate, serial {}, until {}",
                    peer.identity, peer.serial, peer.not_after
                );
                return Ok(ExitCode::SUCCESS);
            }
            EnrollmentState::Denied => bail!("{}: enrolment {} is denied: {reason}", server.url(), answer.id),
            EnrollmentState::Expired => {
                bail!("{}: enrolment {} has expired: {reason}", server.url(), answer.id)
            }
            EnrollmentState::Pending | EnrollmentState::Approved => {
                if told.as_ref() != Some(&reason) {
                    eprintln!(
                        "enrolment {}, key {}: {}",
                        answer.id,
                        answer.key_fingerprint,
                        waiting(&reason)
                    );
                    told = Some(reason);
                }
            }
        }
        if !wait {
            return Ok(ExitCode::from(NOT_YET));
        }
        let path = format!("{ENROLLMENTS}/{}?wait={}s", answer.id, WAIT.as_secs());
        answer = persist(true, || server.get(&path, WAIT)).await?;
    }
}

fn waiting(reason: &str) -> &str {
    if reason.is_empty() { "not looked at yet" } else { reason }
}

/// Again and again, if so wished, until the server says something that will not change by itself.
async fn persist<T, F: Future<Output = anyhow::Result<T>>>(
    wished: bool,
    mut ask: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let (mut pause, longest) = BACK_OFF;
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let passing = match error.downcast_ref::<Refused>() {
            Some(Refused(problem)) => problem.status == 429 || problem.status >= 500,
            None => is_network(&error),
        };
        if !wished || !passing {
            return Err(error);
        }
        warn!(error = format!("{error:#}"), again_in = ?pause, "the server cannot be asked");
        sleep(pause.mul_f64(0.5 + rand::random::<f64>())).await;
        pause = (pause * 2).min(longest);
    }
}

/// A network comes back; a server with the wrong certificate is not to be waited for.
fn is_network(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        let tls = io
            .and_then(|io| io.get_ref())
            .is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>);
        (io.is_some() && !tls) || cause.is::<hyper::Error>() || cause.is::<tokio::time::error::Elapsed>()
    })
}

fn token(args: &EnrollArgs) -> anyhow::Result<Token> {
    let text = match (&args.token, &args.token_file) {
        (_, Some(file)) => {
            std::fs::read_to_string(file).with_context(|| format!("--token-file {}", file.display()))?
        }
        (Some(token), None) => token.clone(),
        (None, None) => bail!(
            "a token is needed: set KINETIC_ENROLL_TOKEN, or give --token-file; `kinetic token create` makes one"
        ),
    };
    Ok(text.parse()?)
}
