//! A certificate where it should be: in a Secret, issued if there is none, renewed in time, and kept otherwise.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use k8s_openapi::{
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kinetic_pki::{Fingerprint, Subject};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    apply::{ApplyError, MANAGED_BY, MANAGER, apply, bring},
    build::{
        certificate::{Certificate, certificate},
        leaf_secret::leaf_secret,
    },
    config::IssuerRef,
    context::{Context, Failure},
    known::Key,
    leaf::{Pair, Wanted, issue, judge, read},
};

/// A certificate that should be, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// Its Secret's metadata.
    pub metadata: ObjectMeta,
    /// What it says.
    pub wanted: Wanted,
    /// Configuration to paste, by file name.
    pub files: BTreeMap<String, String>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certified {
    /// It is there; what it says, without the PEM.
    Held(Box<Pair>),
    /// Somebody else is asked for it; what is the matter.
    Awaited(String),
}

/// Brings a certificate to where it should be.
pub async fn certify(slot: Slot, context: &Context) -> Result<Certified, Failure> {
    match &context.config.issuer {
        Some(issuer) => asked_for(slot, issuer, context).await,
        None => issued(slot, context).await,
    }
}

/// A certificate that was seen or put in its place, and what that went by: while its Secret is known to be as it was, it need not be read.
#[derive(Clone, Debug)]
pub struct Kept {
    slot: Slot,
    issuing: Fingerprint,
    trust: String,
    /// Without the key.
    pair: Pair,
}

/// By the operator's own authority.
async fn issued(slot: Slot, context: &Context) -> Result<Certified, Failure> {
    let now = (context.clock)();
    let mut material = context.vault.material(now).await?;
    let name = slot.metadata.name.clone().unwrap_or_default();
    let key = Key::new::<Secret>(namespace(&slot.metadata, context), &name);
    let own = material.own()?;
    if let Some(kept) = context.known.memo(&key).and_then(|memo| memo.certificate)
        && kept.slot == slot
        && kept.issuing == own.issuing.fingerprint()
        && *kept.trust == *own.trust
        && !kept.pair.former
        && now < kept.pair.renewed_at
    {
        return Ok(Certified::Held(Box::new(kept.pair.clone())));
    }
    let Slot { metadata, wanted, files } = slot.clone();
    let there = secret(&metadata, context).await?;
    let pair = match judge(there.as_ref(), &wanted, own, now) {
        Ok(pair) if !(pair.former && context.reissues.takes(Instant::now())) => pair,
        judged => {
            if let Err(reason) = judged {
                tracing::info!(secret = name, ?reason, "issuing a certificate");
            }
            if is_copied(&wanted.subject) {
                context.vault.promise(wanted.lifetime, now).await?;
                // Whoever issues since the promise was made is bound by it.
                material = context.vault.material(now).await?;
            }
            issue(&wanted, &material.own()?.issuing, now)?
        }
    };
    let own = material.own()?;
    bring(context, &leaf_secret(metadata, &pair, &own.trust, files), there).await?;
    let pair = Pair { key: String::new(), certificate: String::new(), ..pair };
    let kept =
        Kept { slot, issuing: own.issuing.fingerprint(), trust: own.trust.clone(), pair: pair.clone() };
    context.known.amend(&key, |memo| memo.certificate = Some(Arc::new(kept)));
    Ok(Certified::Held(Box::new(pair)))
}

/// Who keeps an owner on a Secret that is otherwise cert-manager's.
const OWNING: &str = "kinetic-operator-owner";
/// By which cert-manager knows its Secrets.
const CERTIFICATE_NAME: &str = "cert-manager.io/certificate-name";

/// By cert-manager, which owns the Secret: what is to be pasted lies in a `ConfigMap` of the same name.
async fn asked_for(slot: Slot, issuer: &IssuerRef, context: &Context) -> Result<Certified, Failure> {
    let Slot { metadata, wanted, files } = slot;
    let (client, trust_domain) = (&context.client, context.vault.trust_domain());
    let there = secret(&metadata, context).await?;
    let (name, namespace) =
        (metadata.name.clone().unwrap_or_default(), namespace(&metadata, context).to_owned());
    let foreign = |secret: &Secret| {
        secret.annotations().get(CERTIFICATE_NAME) != Some(&name)
            && secret.labels().get(MANAGED_BY).is_none_or(|by| by != MANAGER)
    };
    if there.as_ref().is_some_and(foreign) {
        return Err(ApplyError::Taken { kind: "Secret".to_owned(), namespace, name }.into());
    }
    apply(context, &certificate(metadata.clone(), &wanted, trust_domain, issuer)).await?;
    if !files.is_empty() {
        apply(context, &ConfigMap { metadata, data: Some(files), ..ConfigMap::default() }).await?;
    }
    let certificates = Api::<Certificate>::namespaced(client.clone(), &namespace);
    match read(there.as_ref(), &wanted, trust_domain) {
        Ok(pair) if (context.clock)() < pair.not_after => {
            if let Some(secret) = there.filter(|secret| secret.owner_references().is_empty()) {
                own(&certificates.get(&name).await?, &secret, context).await?;
            }
            Ok(Certified::Held(Box::new(pair)))
        }
        _ => {
            let status = certificates.get(&name).await?.status.unwrap_or_default();
            let said: Vec<_> = status
                .conditions
                .into_iter()
                .map(|said| format!("{}: {}", said.kind, said.message))
                .collect();
            let said = if said.is_empty() {
                "it has not answered: is cert-manager there?".to_owned()
            } else {
                said.join("; ")
            };
            Ok(Certified::Awaited(format!(
                "cert-manager has not issued what the Certificate {namespace}/{name} asks {} {} for ({said}): see `kubectl -n {namespace} describe certificate {name}`",
                issuer.kind, issuer.name
            )))
        }
    }
}

/// Has a Secret go with its `Certificate`, as cert-manager does where it is told to (`--enable-certificate-owner-ref`).
async fn own(certificate: &Certificate, secret: &Secret, context: &Context) -> Result<(), Failure> {
    let namespace = secret.namespace().unwrap_or_default();
    let name = secret.name_any();
    let patch = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "ownerReferences": [certificate.controller_owner_ref(&())]},
    });
    Api::<Secret>::namespaced(context.client.clone(), &namespace)
        .patch_metadata(&name, &PatchParams::apply(OWNING), &Patch::Apply(&patch))
        .await?;
    Ok(())
}

async fn secret(metadata: &ObjectMeta, context: &Context) -> Result<Option<Secret>, Failure> {
    let api = Api::<Secret>::namespaced(context.client.clone(), namespace(metadata, context));
    Ok(api.get_opt(metadata.name.as_deref().unwrap_or_default()).await?)
}

fn namespace<'m>(metadata: &'m ObjectMeta, context: &'m Context) -> &'m str {
    metadata.namespace.as_deref().unwrap_or(&context.config.namespace)
}

/// Whether people carry such a certificate to machines of theirs.
const fn is_copied(subject: &Subject) -> bool {
    matches!(subject, Subject::Client { .. } | Subject::Machine { .. } | Subject::Control { .. })
}

/// So many a second, and as many at once.
#[derive(Debug)]
pub struct Pace {
    per_second: f64,
    left: Mutex<Option<(Instant, f64)>>,
}

impl Pace {
    /// One a second at least.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self { per_second: f64::from(per_second.max(1)), left: Mutex::default() }
    }

    /// Whether it is one's turn; it is then taken.
    pub fn takes(&self, now: Instant) -> bool {
        let mut held = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, left) = held.unwrap_or((now, self.per_second));
        let grown = now.saturating_duration_since(at).as_secs_f64() * self.per_second;
        let left = (left + grown).min(self.per_second);
        let takes = left >= 1.0;
        *held = Some((now, if takes { left - 1.0 } else { left }));
        takes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn so_many_a_second() {
        let (pace, start) = (Pace::new(10), Instant::now());
        let taken = |after: u64| {
            let now = start + Duration::from_millis(after);
            (0..50).filter(|_| pace.takes(now)).count()
        };
        assert_eq!([taken(0), taken(50), taken(500), taken(9000)], [10, 0, 5, 10]);
    }
}
