//! The authority and the master key, each in a Secret of the operator's namespace: made once, never overwritten.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kinetic_pki::{Authority, AuthorityError, TrustDomain};
use kube::{Api, Client, api::PostParams};
use tokio::sync::Mutex;

use crate::{
    apply::{MANAGED_BY, MANAGER},
    broker::desired::MasterKey,
    build::labels,
};

/// The Secret of the authority: `ca.crt`, `ca.key`, and `trust.crt`, all that is trusted.
pub const CA: &str = "kinetic-ca";
/// The Secret of the master key, `master.key`, which the redirectors have mounted.
pub const MASTER: &str = "kinetic-master-key";
/// From an authority's making to its end.
const CA_LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);
/// What was read is believed for so long.
const BELIEVED: Duration = Duration::from_secs(30);

/// What certificates and passwords follow from.
#[derive(Debug)]
pub struct Material {
    /// Who issues.
    pub authority: Authority,
    /// The certificates of all authorities that are trusted, in PEM.
    pub trust: String,
    /// What the passwords of roles follow from.
    pub master: MasterKey,
}

/// Where they are.
pub struct Vault {
    client: Client,
    namespace: String,
    trust_domain: TrustDomain,
    version: u32,
    read: Mutex<Option<(Instant, Arc<Material>)>>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({} in {})", self.trust_domain, self.namespace)
    }
}

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The API server refused, or was away.
    #[error(transparent)]
    Api(#[from] kube::Error),
    /// The Secret does not hold what it should.
    #[error(
        "the Secret {namespace}/{name} lacks a usable {key}: put it back from your backup; deleting the Secret makes a new one, and every certificate is issued anew"
    )]
    Incomplete {
        /// Where.
        namespace: String,
        /// Which.
        name: &'static str,
        /// What of it.
        key: &'static str,
    },
    /// The authority cannot be used.
    #[error("the Secret {namespace}/{CA}: {error}")]
    Authority {
        /// Where.
        namespace: String,
        /// Why not.
        error: AuthorityError,
    },
}

impl Vault {
    /// In this namespace; nothing is read yet.
    #[must_use]
    pub fn new(client: Client, namespace: String, trust_domain: TrustDomain, version: u32) -> Self {
        Self { client, namespace, trust_domain, version, read: Mutex::new(None) }
    }

    /// What is there, made if it is not there.
    pub async fn material(&self, now: Timestamp) -> Result<Arc<Material>, VaultError> {
        let mut read = self.read.lock().await;
        if let Some((at, material)) = &*read
            && at.elapsed() < BELIEVED
        {
            return Ok(Arc::clone(material));
        }
        let authority = self.secret(CA, || self.new_authority(now)).await?;
        let master =
            self.secret(MASTER, || Ok(vec![("master.key", hex::encode(rand::random::<[u8; 32]>()))])).await?;
        let text =
            |key| Ok::<_, VaultError>(String::from_utf8_lossy(self.value(&authority, CA, key)?).into_owned());
        let material = Arc::new(Material {
            authority: Authority::from_pem(&text("ca.crt")?, &text("ca.key")?)
                .map_err(|error| self.unusable(error))?,
            trust: text("trust.crt")?,
            master: MasterKey {
                key: self.value(&master, MASTER, "master.key")?.to_vec(),
                version: self.version,
            },
        });
        *read = Some((Instant::now(), Arc::clone(&material)));
        Ok(material)
    }

    fn new_authority(&self, now: Timestamp) -> Result<Vec<(&'static str, String)>, VaultError> {
        let authority = Authority::generate(&self.trust_domain, CA_LIFETIME, now)
            .map_err(|error| self.unusable(error))?;
        let certificate = authority.certificate().to_owned();
        Ok(vec![("ca.crt", certificate.clone()), ("ca.key", authority.key_pem()), ("trust.crt", certificate)])
    }

    /// A Secret; one that is not there is created, unless somebody else was faster.
    async fn secret(
        &self,
        name: &'static str,
        make: impl FnOnce() -> Result<Vec<(&'static str, String)>, VaultError>,
    ) -> Result<Secret, VaultError> {
        let api = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        if let Some(secret) = api.get_opt(name).await? {
            return Ok(secret);
        }
        let mut secret = Secret::default();
        secret.metadata.name = Some(name.to_owned());
        secret.metadata.namespace = Some(self.namespace.clone());
        secret.metadata.labels = Some(labels::of("pki", name));
        debug_assert_eq!(labels::of("pki", name)[MANAGED_BY], MANAGER);
        let data = make()?.into_iter().map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes())));
        secret.data = Some(data.collect());
        match api
            .create(&PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }, &secret)
            .await
        {
            Ok(created) => {
                tracing::info!(namespace = %self.namespace, name, "made");
                Ok(created)
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(api.get(name).await?),
            Err(error) => Err(error.into()),
        }
    }

    fn value<'a>(
        &self,
        secret: &'a Secret,
        name: &'static str,
        key: &'static str,
    ) -> Result<&'a [u8], VaultError> {
        let found = secret.data.as_ref().and_then(|data| data.get(key)).filter(|value| !value.0.is_empty());
        found.map(|value| value.0.as_slice()).ok_or_else(|| VaultError::Incomplete {
            namespace: self.namespace.clone(),
            name,
            key,
        })
    }

    fn unusable(&self, error: AuthorityError) -> VaultError {
        VaultError::Authority { namespace: self.namespace.clone(), error }
    }
}
