//! The front doors by which one certificate reaches every customer's vhost: the alert service's way on Kubernetes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use kinetic_api::resources::{Customer, Name};
use kinetic_bus::{AmqpConfig, Bus};
use kinetic_pki::{
    Client, ClientFiles, Peer, ServerIdentity, Subject, TlsMetrics, Trust, client::ClientIdentity,
    material::Pem,
};
use serde::Deserialize;
use url::Url;

/// Findings are few kilobytes: small frames keep hundreds of connections small.
const FRAME_MAX: u32 = 8192;

/// The files of a certificate: `tls: {cert: …, key: …, ca: …}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TlsConfig {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    /// The authorities that vouch for front doors.
    pub(crate) ca: PathBuf,
}

/// A placement's front door: `{region: us-west, provider: aws, amqp: "amqps://HOST:5671"}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DoorConfig {
    region: Name,
    provider: Name,
    amqp: String,
}

/// Which front door a customer is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Addresses {
    /// One is before all.
    One(Address),
    /// By region and provider.
    ByPlacement(BTreeMap<(String, String), Address>),
}

/// `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(String);

/// Front doors, and who comes.
#[derive(Clone)]
pub(crate) struct Doors {
    addresses: Addresses,
    tls: Client,
    /// What the connections are called in the broker's tools.
    role: &'static str,
}

impl Address {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let wrong = || format!("`{text}` is no front door's address: write amqps://HOST:5671");
        let url = Url::parse(text).with_context(wrong)?;
        let bare = url.username().is_empty() && url.password().is_none() && matches!(url.path(), "" | "/");
        match url.host_str() {
            Some(host) if url.scheme() == "amqps" && bare => {
                Ok(Self(format!("{host}:{}", url.port().unwrap_or(5671))))
            }
            _ => bail!("{}, with neither user nor vhost: the certificate says who comes", wrong()),
        }
    }
}

impl Addresses {
    /// The one that `amqp` names.
    pub(crate) fn one(amqp: &str) -> anyhow::Result<Self> {
        Address::parse(amqp).map(Self::One).context("amqp")
    }

    /// Those that `doors` lists.
    pub(crate) fn by_placement(doors: &[DoorConfig]) -> anyhow::Result<Self> {
        let mut addresses = BTreeMap::new();
        for (number, DoorConfig { region, provider, amqp }) in doors.iter().enumerate() {
            let address = Address::parse(amqp).with_context(|| format!("doors[{number}].amqp"))?;
            if addresses.insert((region.to_string(), provider.to_string()), address).is_some() {
                bail!("doors[{number}]: there is another for {region}/{provider}: leave out one of the two");
            }
        }
        Ok(Self::ByPlacement(addresses))
    }

    fn of(&self, customer: &Customer) -> anyhow::Result<&Address> {
        let (region, provider) = (&customer.spec.region, &customer.spec.provider);
        match self {
            Self::One(address) => Ok(address),
            Self::ByPlacement(addresses) => {
                addresses.get(&(region.to_string(), provider.to_string())).with_context(|| {
                    format!("no front door is configured for {region}/{provider}: add it to `doors`")
                })
            }
        }
    }
}

impl Doors {
    /// Follows the files of the certificate, which must be the alert service's: nobody else may choose among customers.
    pub(crate) fn new(
        addresses: Addresses,
        tls: &TlsConfig,
        role: &'static str,
        metrics: &TlsMetrics,
    ) -> anyhow::Result<Self> {
        let identity = whose(&tls.cert).context("tls.cert")?.identity;
        if identity.subject != Subject::Alert {
            bail!("tls.cert: {} is the certificate of {identity}, not of /alert", tls.cert.display());
        }
        let files = ClientFiles {
            identity: Some(ClientIdentity { certificate: tls.cert.clone(), key: tls.key.clone() }),
            trust: Trust::File(tls.ca.clone()),
        };
        let front_door = Subject::Redirector.within(identity.trust_domain);
        let tls = Client::watch(files, ServerIdentity::Named(front_door), metrics).context("tls")?;
        Ok(Self { addresses, tls, role })
    }

    /// The way to a customer's vhost, whose objects are the operator's to make. It is connected to in the background, for ever: one customer's trouble is not another's.
    pub(crate) fn bus(&self, customer: &Customer) -> anyhow::Result<Bus> {
        let (vhost, role) = (customer.vhost(), self.role);
        let Address(address) = self.addresses.of(customer)?;
        let tls = self.tls.clone();
        let config = AmqpConfig::new(&format!("amqps://{address}"), &vhost)?
            .with_identity(std::sync::Arc::new(move || tls.config()))
            .with_frame_max(FRAME_MAX)
            .with_connection_name(format!("kinetic {role} {vhost}"))
            .with_client_property("kinetic.role", role)
            .with_client_property("kinetic.version", env!("CARGO_PKG_VERSION"))
            .checking();
        Ok(Bus::amqp(config))
    }
}

fn whose(certificate: &Path) -> anyhow::Result<Peer> {
    let chain = Pem::read(certificate)?.certificates()?;
    Peer::of_chain(&chain).with_context(|| certificate.display().to_string())
}

impl std::fmt::Debug for Doors {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Doors").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn customer(region: &str) -> Customer {
        let spec = json!({"region": region, "provider": "aws"});
        serde_json::from_value(json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": "Customer",
            "metadata": {"name": "acme"}, "spec": spec}))
        .unwrap()
    }

    fn doors(text: &str) -> anyhow::Result<Addresses> {
        Addresses::by_placement(&serde_saphyr::from_str::<Vec<DoorConfig>>(text).unwrap())
    }

    #[test]
    fn a_customer_is_behind_the_door_of_its_placement() {
        let both = doors(
            "[{region: us-west, provider: aws, amqp: amqps://west}, {region: us-east, provider: aws, amqp: 'amqps://[::1]:9'}]",
        )
        .unwrap();
        assert_eq!(both.of(&customer("us-west")).unwrap(), &Address("west:5671".into()));
        assert_eq!(both.of(&customer("us-east")).unwrap(), &Address("[::1]:9".into()));
        let error = both.of(&customer("mars")).unwrap_err().to_string();
        assert!(error.contains("mars/aws") && error.contains("doors"), "{error}");
        let one = Addresses::one("amqps://door:5").unwrap();
        assert_eq!(one.of(&customer("mars")).unwrap(), &Address("door:5".into()));
    }

    #[test]
    fn what_is_no_door_is_named() {
        for (text, says) in [
            ("[{region: a, provider: b, amqp: 'amqp://x:5672'}]", "doors[0].amqp"),
            ("[{region: a, provider: b, amqp: 'amqps://u:p@x'}]", "certificate"),
            ("[{region: a, provider: b, amqp: 'amqps://x/vhost'}]", "neither user nor vhost"),
            ("[{region: a, provider: b, amqp: x}]", "amqps://HOST:5671"),
            (
                "[{region: a, provider: b, amqp: 'amqps://x'}, {region: a, provider: b, amqp: 'amqps://y'}]",
                "doors[1]",
            ),
        ] {
            let error = format!("{:#}", doors(text).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}
