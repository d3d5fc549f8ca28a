//! The authority and the master key, each in a Secret of the operator's namespace: made once, never overwritten.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kinetic_pki::{Authority, AuthorityError, TrustDomain};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::sync::Mutex;

use crate::{
    apply::MANAGER,
    authority::{Ring, Unusable},
    broker::desired::MasterKey,
    build::labels,
    config::Config,
    known::{Key, Known},
    leaf::LIFETIME,
    secrets,
};

/// The Secret of the authority: `ca.crt`, `ca.key`, and `trust.crt`, all that is trusted; while it is replaced, `next.crt` and `next.key`, or `former.crt`.
pub const CA: &str = "kinetic-ca";
/// The Secret of the master key, `master.key`, which the redirectors have mounted.
pub const MASTER: &str = "kinetic-master-key";
/// What was read is believed for so long.
const BELIEVED: Duration = Duration::from_secs(30);

/// What certificates and passwords follow from.
#[derive(Debug)]
pub struct Material {
    /// Who issues; none where an issuer that is not the operator's does.
    pub authority: Option<Own>,
    /// What the passwords of roles follow from.
    pub master: MasterKey,
}

impl Material {
    /// The operator's own authority.
    pub fn own(&self) -> Result<&Own, VaultError> {
        self.authority.as_ref().ok_or(VaultError::Foreign)
    }
}

/// The operator's own authority.
#[derive(Debug)]
pub struct Own {
    /// It issues.
    pub issuing: Authority,
    /// It, and during a replacement the other one.
    pub ring: Ring,
    /// The certificates of all that are trusted, in PEM.
    pub trust: String,
}

impl Own {
    /// As its Secret says.
    #[must_use]
    pub fn new(ring: Ring, issuing: Authority) -> Self {
        Self { trust: ring.authorities.bundle(), issuing, ring }
    }
}

/// A Secret's data and annotations.
type Contents = (BTreeMap<String, ByteString>, BTreeMap<String, String>);

/// Where they are.
pub struct Vault {
    client: Client,
    known: Arc<Known>,
    namespace: String,
    trust_domain: TrustDomain,
    version: u32,
    /// Whether somebody else issues.
    foreign: bool,
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
    /// There is none of the operator's own.
    #[error("certificates are issued by the configuration's issuer, and nothing else signs")]
    Foreign,
    /// The authority does not issue.
    #[error(transparent)]
    Issue(#[from] AuthorityError),
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
    pub fn new(client: Client, known: Arc<Known>, config: &Config, trust_domain: TrustDomain) -> Self {
        Self {
            client,
            known,
            namespace: config.namespace.clone(),
            trust_domain,
            version: config.master_key_version,
            foreign: config.issuer.is_some(),
            read: Mutex::new(None),
        }
    }

    /// What is there, made if it is not there.
    pub async fn material(&self, now: Timestamp) -> Result<Arc<Material>, VaultError> {
        let mut read = self.read.lock().await;
        if let Some((at, material)) = &*read
            && at.elapsed() < BELIEVED
        {
            return Ok(Arc::clone(material));
        }
        let authority = if self.foreign { None } else { Some(self.own(now).await?.1) };
        let master = self
            .secret(MASTER, || {
                let key = ByteString(hex::encode(rand::random::<[u8; 32]>()).into_bytes());
                Ok(([("master.key".to_owned(), key)].into(), BTreeMap::new()))
            })
            .await?;
        let key =
            master.data.as_ref().and_then(|data| data.get("master.key")).filter(|key| !key.0.is_empty());
        let key = key.ok_or_else(|| VaultError::Incomplete {
            namespace: self.namespace.clone(),
            name: MASTER,
            key: "master.key",
        })?;
        let master = MasterKey { key: key.0.clone(), version: self.version };
        let material = Arc::new(Material { authority, master });
        *read = Some((Instant::now(), Arc::clone(&material)));
        Ok(material)
    }

    /// The authority as its Secret says at this moment.
    pub async fn own(&self, now: Timestamp) -> Result<(Secret, Own), VaultError> {
        let made = || Ring::new(&self.trust_domain, now).map(|ring| ring.contents());
        let secret = self.secret(CA, || made().map_err(|error| self.unusable(error))).await?;
        let (ring, issuing) = Ring::of(&secret, LIFETIME, now).map_err(|problem| match problem {
            Unusable::Missing(key) => {
                VaultError::Incomplete { namespace: self.namespace.clone(), name: CA, key }
            }
            Unusable::Authority(_, error) => self.unusable(error),
        })?;
        Ok((secret, Own::new(ring, issuing)))
    }

    /// Writes what the authority's Secret should say, unless somebody else has written it since it was read.
    pub async fn write(&self, read: &Secret, ring: &Ring) -> Result<(), VaultError> {
        let mut believed = self.read.lock().await;
        self.patch(read, ring).await?;
        *believed = None;
        Ok(())
    }

    async fn patch(&self, read: &Secret, ring: &Ring) -> Result<(), VaultError> {
        let mut patch = ring.patch();
        patch["metadata"]["resourceVersion"] = json!(read.resource_version());
        let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let api = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        // Whatever becomes of it, what was known before is not what is there.
        self.known.forget(&Key::new::<Secret>(&self.namespace, CA));
        api.patch(CA, &parameters, &Patch::Merge(&patch)).await?;
        self.known.forget(&Key::new::<Secret>(&self.namespace, CA));
        Ok(())
    }

    /// Notes that a certificate of this lifetime goes to where nobody sees it, before it is issued: the authority will be trusted for as long after it has
    /// issued the last.
    pub async fn promise(&self, lifetime: Duration, now: Timestamp) -> Result<(), VaultError> {
        let mut believed = self.read.lock().await;
        let known = believed.as_ref().and_then(|(_, material)| material.authority.as_ref());
        if known.is_some_and(|own| own.ring.longest >= lifetime) {
            return Ok(());
        }
        let (secret, own) = self.own(now).await?;
        if own.ring.longest < lifetime {
            self.patch(&secret, &Ring { longest: lifetime, ..own.ring }).await?;
        }
        *believed = None;
        Ok(())
    }

    /// Whose identities are vouched for.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// A Secret; one that is not there is created, unless somebody else was faster.
    async fn secret(
        &self,
        name: &'static str,
        make: impl FnOnce() -> Result<Contents, VaultError>,
    ) -> Result<Secret, VaultError> {
        let api = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        if let Some(secret) = secrets::read(&self.client, &self.known, &self.namespace, name).await? {
            return Ok(Arc::unwrap_or_clone(secret));
        }
        let (data, annotations) = make()?;
        let mut metadata = labels::unowned(name.to_owned(), &self.namespace, "pki", name);
        metadata.annotations = Some(annotations).filter(|annotations| !annotations.is_empty());
        let secret = Secret { metadata, data: Some(data), ..Secret::default() };
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

    fn unusable(&self, error: AuthorityError) -> VaultError {
        VaultError::Authority { namespace: self.namespace.clone(), error }
    }
}
