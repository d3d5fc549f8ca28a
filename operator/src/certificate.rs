//! A certificate in a Secret: read, judged, issued where that is due, applied; and nothing of all that for as long as the Secret is known to be as it was.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kinetic_pki::{Fingerprint, Serial};
use kube::Api;

use crate::{
    apply::{bring, fingerprint},
    context::{Context, Failure},
    known::Key,
    leaf::{Pair, Wanted, issue, judge},
    vault::Material,
};

/// A certificate that is in place.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Its serial number.
    pub serial: Serial,
    /// Valid until.
    pub not_after: Timestamp,
    /// When it will be renewed.
    pub renewed_at: Timestamp,
    wanted: Wanted,
    authority: Fingerprint,
    /// The hash of all else that is in the Secret.
    frame: String,
}

/// Brings a Secret to hold the certificate that is wanted. `build` says what is round it.
pub async fn keep(
    context: &Context,
    material: &Material,
    wanted: &Wanted,
    build: impl Fn(&Pair) -> Secret,
) -> Result<Arc<Kept>, Failure> {
    let now = (context.clock)();
    let frame = build(&Pair {
        certificate: String::new(),
        key: String::new(),
        serial: Serial::from_bytes(&[]),
        not_after: now,
        renewed_at: Timestamp::MAX,
    });
    let key = Key::of(&frame);
    let (namespace, name) = (frame.metadata.namespace.clone(), frame.metadata.name.clone());
    let (namespace, name) = (namespace.unwrap_or_default(), name.unwrap_or_default());
    let frame = fingerprint(&serde_json::to_value(&frame).map_err(crate::apply::ApplyError::from)?);
    let authority = material.authority.fingerprint();
    if let Some(kept) = context.known.memo(&key).and_then(|memo| memo.certificate)
        && kept.wanted == *wanted
        && kept.authority == authority
        && kept.frame == frame
        && now < kept.renewed_at
    {
        return Ok(kept);
    }
    let there = Api::<Secret>::namespaced(context.client.clone(), &namespace).get_opt(&name).await?;
    let pair = match judge(there.as_ref(), wanted, &material.authority, now) {
        Ok(pair) => pair,
        Err(reason) => {
            tracing::info!(namespace, secret = name, ?reason, "issuing a certificate");
            issue(wanted, &material.authority, now)?
        }
    };
    bring(context, &build(&pair), there).await?;
    let kept = Arc::new(Kept {
        serial: pair.serial,
        not_after: pair.not_after,
        renewed_at: pair.renewed_at,
        wanted: wanted.clone(),
        authority,
        frame,
    });
    context.known.amend(&key, |memo| memo.certificate = Some(Arc::clone(&kept)));
    Ok(kept)
}
