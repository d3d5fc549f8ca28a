//! Which front doors are asked, and as whom.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::Args;
use kinetic_pki::{
    ClientIdentity, Folder, Subject,
    durable::{self, Readers},
    folder::file_name,
};
use url::Url;

use crate::{enroll::client::Server, run::PKI};

/// Where the front doors are.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// The data folder of a `kinetic run --amqps` on this machine: who may read it is its operator.
    /// [default: kinetic-data, where it is one]
    #[arg(long, alias = "dir", value_name = "DIR", conflicts_with = "server")]
    data: Option<PathBuf>,
    /// A front door's registry (its `registry` setting); several are merged. Needs --cert, --key and --ca.
    #[arg(long, value_name = "URL", num_args = 1.., env = "KINETIC_REGISTRY", value_delimiter = ',', requires_all = ["cert", "key", "ca"])]
    server: Vec<Url>,
    /// A certificate of the operator, the console, or of a customer's control (…/control/NAME), which sees its own customer and holds up none.
    #[arg(long, value_name = "FILE", env = "KINETIC_CERT")]
    cert: Option<PathBuf>,
    /// The certificate's key.
    #[arg(long, value_name = "FILE", env = "KINETIC_KEY")]
    key: Option<PathBuf>,
    /// The authority that vouches for the servers.
    #[arg(long, value_name = "FILE", env = "KINETIC_CA")]
    ca: Option<PathBuf>,
}

/// The front doors, and how they were found.
pub(crate) struct Place {
    pub(crate) servers: Vec<Server>,
    /// The data folder, if it was by one.
    data: Option<PathBuf>,
}

impl PlaceArgs {
    /// Whether front doors are named, rather than found.
    pub(crate) fn names_servers(&self) -> bool {
        !self.server.is_empty()
    }

    /// The data folder, whether or not it is one.
    pub(crate) fn data_folder(&self) -> PathBuf {
        let set = self.data.clone().or_else(|| std::env::var_os("KINETIC_DATA").map(PathBuf::from));
        set.unwrap_or_else(|| PathBuf::from("kinetic-data"))
    }

    pub(crate) fn open(&self) -> anyhow::Result<Place> {
        if let ([_, ..], Some(cert), Some(key), Some(ca)) =
            (&self.server[..], &self.cert, &self.key, &self.ca)
        {
            let identity = ClientIdentity { certificate: cert.clone(), key: key.clone() };
            let server = |url: &Url| Server::new(url.clone(), ca, Some(identity.clone()));
            let servers = self.server.iter().map(server).collect::<anyhow::Result<_>>()?;
            return Ok(Place { servers, data: None });
        }
        let data = self.data.clone().or_else(|| std::env::var_os("KINETIC_DATA").map(PathBuf::from));
        let Some(data) = data.or_else(|| Some(PathBuf::from("kinetic-data")).filter(|dir| dir.is_dir()))
        else {
            bail!(
                "where is the front door? Give --data DIR, the data folder of `kinetic run --amqps`, or --server URL with --cert, --key and --ca"
            );
        };
        let server = FrontDoor::find(&data).with_context(|| format!("--data {}", data.display()))?;
        Ok(Place { servers: vec![server], data: Some(data) })
    }
}

impl Place {
    /// How the front doors were found, and which they are.
    pub(super) fn name(&self) -> String {
        let urls: Vec<_> = self.servers.iter().map(|server| server.url().to_string()).collect();
        match &self.data {
            Some(data) => format!("by the data folder {}: {}", data.display(), urls.join(", ")),
            None => format!("by --server: {}", urls.join(", ")),
        }
    }

    /// What to look at when a front door does not answer.
    pub(super) fn hint(&self, server: &Server) -> String {
        match &self.data {
            Some(data) => {
                format!("--data {}: does its `kinetic run --amqps` still run?", data.display())
            }
            None => format!("--server {}", server.url()),
        }
    }
}

/// How `kinetic clients` finds the front door of a `kinetic run`: by a note under its data folder, and the operator's certificate there.
pub(crate) struct FrontDoor;

/// The note: a URL.
const NOTE: &str = "registry.url";

impl FrontDoor {
    /// Notes where the registry is.
    pub(crate) fn note(data: &Path, bound: SocketAddr) -> anyhow::Result<()> {
        let ip = match bound.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let url = format!("https://{}\n", SocketAddr::new(ip, bound.port()));
        let path = data.join(NOTE);
        durable::write(&path, &url, Readers::All).with_context(|| path.display().to_string())
    }

    /// Takes the note of an earlier process away.
    pub(crate) fn forget(data: &Path) -> anyhow::Result<()> {
        match fs::remove_file(data.join(NOTE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| data.join(NOTE).display().to_string())
            }
            _ => Ok(()),
        }
    }

    fn find(data: &Path) -> anyhow::Result<Server> {
        let url = match fs::read_to_string(data.join(NOTE)) {
            Ok(url) => url,
            Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
                "no front door was served from here: there is no {NOTE}; start `kinetic run` with --amqps and this --data, without `--registry off`"
            ),
            Err(error) => return Err(error).context(NOTE),
        };
        let url = url.trim().parse().with_context(|| format!("{NOTE}: start `kinetic run` anew"))?;
        let issued = Folder::open(&data.join(PKI))?.issued();
        let own = |extension| issued.join(file_name(&Subject::Operator) + extension);
        let identity = ClientIdentity { certificate: own(".crt"), key: own(".key") };
        Server::new(url, &issued.join("trust.crt"), Some(identity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_tells_an_address_that_can_be_asked() {
        let data = tempfile::tempdir().unwrap();
        for (bound, url) in [
            ("0.0.0.0:1", "https://127.0.0.1:1\n"),
            ("[::]:2", "https://[::1]:2\n"),
            ("192.0.2.1:3", "https://192.0.2.1:3\n"),
        ] {
            FrontDoor::note(data.path(), bound.parse().unwrap()).unwrap();
            assert_eq!(fs::read_to_string(data.path().join(NOTE)).unwrap(), url);
        }
        FrontDoor::forget(data.path()).unwrap();
        FrontDoor::forget(data.path()).unwrap();
        let error = FrontDoor::find(data.path()).err().unwrap().to_string();
        assert!(error.contains("--amqps"), "{error}");
    }
}
