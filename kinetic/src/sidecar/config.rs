//! A sidecar's configuration: the file, with flags over it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, anyhow, bail};
use kinetic_api::{duration::Duration, quantity::Bytes, resources::Name};
use kinetic_pki::{ClientFiles, ClientIdentity, Identity, Peer, Subject, Trust, material::Pem};
use kinetic_redirector::sidecar::{Origin, SidecarConfig, SpoolConfig};
use serde::Deserialize;

use super::args::{SidecarArgs, address};
use crate::listen::Listen;

/// Between what one line needs and what all memory for messages in flight is.
const BATCH: std::ops::RangeInclusive<u64> = 512..=256 * 1024;
/// A smaller spool would hold a few messages only.
const SMALLEST_SPOOL: u64 = 1024 * 1024;

/// What the file may say.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct File {
    upstream: UpstreamFile,
    amqp: Option<String>,
    statsd: Option<String>,
    statsd_socket: Option<PathBuf>,
    statsd_stream_socket: Option<PathBuf>,
    profile: Option<Name>,
    origin: Option<String>,
    batch: BatchFile,
    spool: SpoolFile,
    admin: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct UpstreamFile {
    address: Option<String>,
    vhost: Option<String>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    ca: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct BatchFile {
    size: Option<Bytes>,
    age: Option<Duration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct SpoolFile {
    directory: Option<PathBuf>,
    size: Option<Bytes>,
    max_age: Option<Duration>,
}

/// What a sidecar runs by.
#[derive(Debug)]
pub(super) struct Settings {
    /// `HOST:PORT`.
    pub(super) upstream: String,
    pub(super) vhost: String,
    pub(super) files: ClientFiles,
    /// Who the front door must be, if its certificate is of our trust domain.
    pub(super) front_door: Identity,
    pub(super) admin: Option<SocketAddr>,
    /// Where AMQP is taken.
    pub(super) amqp: Option<SocketAddr>,
    pub(super) relay: SidecarConfig,
}

impl Settings {
    /// Reads the file, puts the flags over it, and asks the certificate for what neither says.
    pub(super) fn read(args: SidecarArgs) -> anyhow::Result<Self> {
        let (file, place) = match &args.config {
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).with_context(|| format!("--config {}", path.display()))?;
                let file: File = serde_saphyr::from_str(&text).with_context(|| path.display().to_string())?;
                (file, Place(Some(path.clone())))
            }
            None => (File::default(), Place(None)),
        };
        let path =
            |flag: Option<PathBuf>, field: Option<PathBuf>| flag.or(field.map(|path| place.relative(&path)));
        let needed = |value, field, flag: &str, hint| place.needed(value, field, flag, hint);
        let upstream = needed(
            args.upstream.or(file.upstream.address),
            "upstream.address",
            "upstream",
            "where the front door is: HOST:PORT",
        )?;
        let vhost = needed(
            args.vhost.or(file.upstream.vhost),
            "upstream.vhost",
            "vhost",
            "the customer's: {region}.{provider}.{customer}",
        )?;
        let pem = |flag, field, name: &str, hint| {
            place.needed(path(flag, field), &format!("upstream.{name}"), name, hint)
        };
        let certificate = pem(args.cert, file.upstream.cert, "cert", "the certificate to show, in PEM")?;
        let key = pem(args.key, file.upstream.key, "key", "the certificate's private key, in PEM")?;
        let ca = pem(args.ca, file.upstream.ca, "ca", "the authorities to trust, in PEM")?;

        let listen = |flag: Option<Listen>, field: Option<String>, name| -> anyhow::Result<Option<Listen>> {
            Ok(match flag {
                Some(listen) => Some(listen),
                None => field.map(|text| place.parsed(&text, name)).transpose()?,
            })
        };
        let local = |port| Listen::At((Ipv4Addr::LOCALHOST, port).into());
        let statsd = address(listen(args.statsd, file.statsd, "statsd")?.unwrap_or(local(8125)));
        let amqp = address(listen(args.amqp, file.amqp, "amqp")?.unwrap_or(local(5672)));
        let admin = listen(args.admin, file.admin, "admin")?.and_then(address);
        let peer = whose(&certificate)?;
        let origin = match (args.origin, file.origin) {
            (Some(origin), _) => origin,
            (None, Some(text)) => place.parsed(&text, "origin")?,
            (None, None) => origin_of(&peer)?,
        };
        let Some(profile) = args.profile.or(file.profile).or_else(|| profile_of(&peer)) else {
            bail!(
                "{}: name the profile of the metrics by --profile: {} is the certificate of {}, no client's",
                place.field("profile"),
                certificate.display(),
                peer.identity
            );
        };
        let batch = args.batch_size.or(file.batch.size).map_or(32 * 1024, Bytes::get);
        if !BATCH.contains(&batch) {
            bail!(
                "{}: {batch} bytes: between {} and {} make a message",
                place.field("batch.size"),
                BATCH.start(),
                BATCH.end()
            );
        }
        let spool = path(args.spool, file.spool.directory)
            .map(|directory| {
                let size = args.spool_size.or(file.spool.size);
                spool(&place, directory, size, args.spool_max_age.or(file.spool.max_age))
            })
            .transpose()?;
        Ok(Self {
            upstream,
            vhost,
            files: ClientFiles {
                identity: Some(ClientIdentity { certificate, key }),
                trust: Trust::File(ca),
            },
            front_door: Subject::Redirector.within(peer.identity.trust_domain),
            admin,
            amqp,
            relay: SidecarConfig {
                statsd,
                statsd_socket: path(args.statsd_socket, file.statsd_socket),
                statsd_stream_socket: path(args.statsd_stream_socket, file.statsd_stream_socket),
                profile,
                origin,
                batch_bytes: usize::try_from(batch).expect("a batch is small"),
                batch_age: args.batch_age.or(file.batch.age).unwrap_or(Duration::from_millis(100)).std(),
                spool,
            },
        })
    }
}

fn spool(
    place: &Place,
    directory: PathBuf,
    size: Option<Bytes>,
    max_age: Option<Duration>,
) -> anyhow::Result<SpoolConfig> {
    let size = size.map_or(256 << 20, Bytes::get);
    if size < SMALLEST_SPOOL {
        bail!("{}: {size} bytes: give it 1Mi at least", place.field("spool.size"));
    }
    let max_age = max_age.unwrap_or(Duration::from_secs(24 * 3600));
    Ok(SpoolConfig { directory, size, max_age: max_age.std() })
}

/// The file that fields stand in, if there is one.
struct Place(Option<PathBuf>);

impl Place {
    /// A path of the file's is relative to it.
    fn relative(&self, path: &Path) -> PathBuf {
        self.0.as_deref().and_then(Path::parent).map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    /// Where a field is set.
    fn field(&self, field: &str) -> String {
        self.0.as_ref().map_or_else(|| field.to_owned(), |file| format!("{}: {field}", file.display()))
    }

    fn needed<T>(&self, value: Option<T>, field: &str, flag: &str, hint: &str) -> anyhow::Result<T> {
        let variable = flag.to_uppercase();
        value.ok_or_else(|| {
            anyhow!("{}: missing: give --{flag} or KINETIC_{variable}: {hint}", self.field(field))
        })
    }

    fn parsed<T: FromStr<Err: std::fmt::Display>>(&self, text: &str, field: &str) -> anyhow::Result<T> {
        text.parse().map_err(|error| anyhow!("{}: {error}", self.field(field)))
    }
}

/// Who the certificate says we are.
fn whose(certificate: &Path) -> anyhow::Result<Peer> {
    let chain = Pem::read(certificate).and_then(|pem| pem.certificates()).context("--cert")?;
    Peer::of_chain(&chain).with_context(|| certificate.display().to_string())
}

fn profile_of(peer: &Peer) -> Option<Name> {
    match &peer.identity.subject {
        Subject::Client { client, .. } | Subject::Machine { client, .. } => Some(client.clone()),
        _ => None,
    }
}

fn origin_of(peer: &Peer) -> anyhow::Result<Origin> {
    let name = match &peer.identity.subject {
        Subject::Machine { machine, .. } => machine.to_string(),
        _ => hostname::get()
            .context("this machine's name cannot be read: give --origin")?
            .to_string_lossy()
            .into_owned(),
    };
    name.parse().map_err(|error| anyhow!("this machine's name: {error}; give --origin"))
}

#[cfg(test)]
mod tests;
