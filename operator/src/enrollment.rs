//! The signer of machines' requests for certificates, with the operator's own authority. What it decides is [`kinetic_enroll::signer`]'s to say.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use kinetic_api::resources::{Customer, enrollment::EnrollmentState};
use kinetic_enroll::{
    Certifier, ClusterStore, Requests, Rulebook, Signer, SignerMetrics, SignerSettings, rules::LIFETIME,
};
use kinetic_pki::{Issued, Leaf, PublicKey};
use kube::ResourceExt;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    context::{Context, Failure},
    vault::{Material, VaultError},
};

/// How often all is looked through for what time alone changes.
const ROUND: Duration = Duration::from_secs(5);

/// Signs until stopped.
pub async fn run(context: &Context, metrics: &SignerMetrics, stop: &CancellationToken) {
    let watching = ClusterStore::watch(&context.client, &context.config.watch_namespaces);
    let Some(store) = stop.run_until_cancelled(watching).await else { return };
    context.resources.listed().await;
    let (rules, told) = watch::channel(Arc::default());
    let authority = Authority::default();
    let mut signer =
        Signer::new(store.clone(), authority.clone(), told, SignerSettings::default(), metrics.clone());
    let mut changes = store.changes();
    while !stop.is_cancelled() {
        if let Err(error) = round(context, &store, &rules, &authority, &mut signer).await {
            tracing::warn!(%error, "enrolments cannot be looked through; it is tried again");
        }
        let woken = stop.run_until_cancelled(changes.changed());
        let _ = timeout(ROUND, woken).await;
    }
}

async fn round(
    context: &Context,
    store: &ClusterStore,
    rules: &watch::Sender<Arc<Rulebook>>,
    authority: &Authority,
    signer: &mut Signer<ClusterStore, Authority>,
) -> Result<(), Failure> {
    let (all, now) = (store.list().await?, (context.clock)());
    if all.is_empty() {
        return Ok(signer.round(now).await?);
    }
    let directory = store.directory();
    let customers = context
        .resources
        .all(|customer: &Customer| {
            let home = directory.home(&customer.name_any());
            admitted(customer)
                && home.is_some_and(|home| customer.namespace().as_ref() == Some(&home.namespace))
        })
        .await?;
    let rulebook = Rulebook::of(&customers);
    let undecided = all.iter().filter(|enrollment| {
        matches!(enrollment.state(), EnrollmentState::Pending | EnrollmentState::Approved)
    });
    let lifetimes = undecided.map(|enrollment| {
        let rules = rulebook.customer(&enrollment.spec.customer);
        rules.and_then(|rules| rules.lifetime(&enrollment.spec.client)).unwrap_or(LIFETIME)
    });
    if let Some(longest) = lifetimes.max() {
        context.vault.promise(longest, now).await?;
    }
    authority.set(context.vault.material(now).await?);
    rules.send_replace(Arc::new(rulebook));
    Ok(signer.round(now).await?)
}

/// Nobody is vouched for whose Customer has no vhost to go to.
fn admitted(customer: &Customer) -> bool {
    customer.metadata.deletion_timestamp.is_none()
        && customer.status.as_ref().is_some_and(|status| status.broker.is_some())
}

/// The authority as it is in a round.
#[derive(Clone, Default)]
struct Authority(Arc<Mutex<Option<Arc<Material>>>>);

impl Authority {
    fn set(&self, material: Arc<Material>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(material);
    }

    fn material(&self) -> Result<Arc<Material>, VaultError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(VaultError::Foreign)
    }
}

impl Certifier for Authority {
    type Error = VaultError;

    fn issue(&self, leaf: &Leaf, key: &PublicKey, now: Timestamp) -> Result<Issued, VaultError> {
        Ok(self.material()?.own()?.issuing.issue(leaf, key, now)?)
    }

    fn trust(&self) -> Result<String, VaultError> {
        Ok(self.material()?.own()?.trust.clone())
    }
}
