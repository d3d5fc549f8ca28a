//! The authority's replacement: looked at now and then, one step at a time, each told by an Event. What each step waits for is [`kinetic_pki::rotation`]'s to say.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kinetic_pki::{
    Trusted,
    rotation::{Facts, Next, Stage, Step, two_thirds},
};
use kube::{
    Api, Resource, ResourceExt,
    api::ListParams,
    runtime::events::{Event, EventType},
};

use super::{AGAIN, SOON, release::ALERT_TLS};
use crate::{
    apply::{MANAGED_BY, MANAGER},
    authority::Ring,
    build::{client_files, config_map},
    context::{Context, Failure},
    vault::{Own, VaultError},
};

/// What was begun with the authorities of the stage before is written by then.
const IN_FLIGHT: Duration = Duration::from_secs(5);

/// How a replacement stands, and when to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Where it stands.
    pub stage: Stage,
    /// When to look again.
    pub again: Duration,
}

/// Takes the next step, if it is time.
pub async fn reconcile(context: &Context) -> Result<Looked, Failure> {
    if context.config.issuer.is_some() {
        // Whoever issues replaces itself.
        return Ok(Looked { stage: Stage::Settled, again: AGAIN });
    }
    let now = (context.clock)();
    let (secret, own) = context.vault.own(now).await?;
    let stage = own.ring.authorities.stage();
    let complete = complete(&own, stage, now, context).await?;
    let facts = Facts {
        stage,
        due: two_thirds(own.issuing.not_before(), own.issuing.not_after()),
        complete,
        settle: context.config.rotation.settle.std(),
        unseen_until: own.ring.unseen_until,
        asked: own.ring.is_asked(),
    };
    let ring = match facts.next(now) {
        Next::Take(step) => {
            let ring = own.ring.after(step, context.vault.trust_domain(), now).map_err(|error| {
                VaultError::Authority { namespace: context.config.namespace.clone(), error }
            })?;
            context.vault.write(&secret, &ring).await?;
            tell(step, &ring, &secret, context).await;
            ring
        }
        Next::At(..) | Next::Waits(_) if complete != own.ring.complete => {
            let ring = Ring { complete, ..own.ring };
            context.vault.write(&secret, &ring).await?;
            ring
        }
        Next::At(..) | Next::Waits(_) => own.ring,
    };
    let stage = ring.authorities.stage();
    Ok(Looked { stage, again: if stage == Stage::Settled { AGAIN } else { SOON } })
}

/// Since when every Secret that the operator looks after has what the stage brought.
async fn complete(
    own: &Own,
    stage: Stage,
    now: Timestamp,
    context: &Context,
) -> Result<Option<Timestamp>, Failure> {
    if stage == Stage::Settled || Duration::try_from(now - own.ring.since).unwrap_or_default() < IN_FLIGHT {
        return Ok(None);
    }
    let behind: Vec<_> =
        secrets(context).await?.iter().filter(|held| !has(held, own, stage, now)).map(named).collect();
    if behind.is_empty() {
        return Ok(Some(own.ring.complete.unwrap_or(now)));
    }
    tracing::info!(
        ?stage,
        count = behind.len(),
        first = behind[0],
        "the authority's replacement waits for Secrets to be brought up to date"
    );
    Ok(None)
}

fn named(secret: &Secret) -> String {
    format!("{}/{}", secret.namespace().unwrap_or_default(), secret.name_any())
}

/// Whether a Secret has what is trusted now, and, once the new authority is used, a certificate of its.
fn has(secret: &Secret, own: &Own, stage: Stage, now: Timestamp) -> bool {
    let text = |key: &str| {
        let data = secret.data.as_ref().and_then(|data| data.get(key));
        data.map(|text| String::from_utf8_lossy(&text.0)).unwrap_or_default()
    };
    let issued = || Trusted::from_pem(own.issuing.certificate()).vouch(&text("tls.crt"), now).is_ok();
    text("ca.crt") == own.trust && (stage == Stage::Trusted || issued())
}

/// Every Secret with a certificate that the operator looks after.
async fn secrets(context: &Context) -> Result<Vec<Secret>, Failure> {
    let components = [client_files::COMPONENT, config_map::COMPONENT].join(",");
    let labels = format!("{MANAGED_BY}={MANAGER},app.kubernetes.io/component in ({components})");
    let mut found = Vec::new();
    for namespace in context.namespaces() {
        found.extend(context.api::<Secret>(namespace).list(&ListParams::default().labels(&labels)).await?);
    }
    found.retain(|secret: &Secret| secret.metadata.deletion_timestamp.is_none());
    let own = Api::<Secret>::namespaced(context.client.clone(), &context.config.namespace);
    let doors = context.config.placements.iter().map(crate::config::Placement::redirector_name);
    for name in doors.chain([ALERT_TLS.to_owned()]) {
        found.extend(own.get_opt(&name).await?);
    }
    Ok(found)
}

/// Tells people what was done, and what is for them to do.
async fn tell(step: Step, ring: &Ring, secret: &Secret, context: &Context) {
    let until = ring.unseen_until.map(|until| until.to_string()).unwrap_or_default();
    let (reason, note) = match step {
        Step::Trusted => (
            "NewAuthorityTrusted",
            "1 of 3: there is a new authority; it is trusted and not used yet. Whoever keeps a copy of a Secret's ca.crt fetches it anew".to_owned(),
        ),
        Step::Used => (
            "NewAuthorityUsed",
            format!("2 of 3: the new authority issues; the former one is trusted until {until} at least. Whoever keeps copies of a Secret fetches them anew"),
        ),
        Step::Removed => (
            "FormerAuthorityRemoved",
            "3 of 3: the former authority is trusted no longer: the replacement is complete".to_owned(),
        ),
    };
    tracing::info!(reason, "{note}");
    let event = Event {
        type_: EventType::Normal,
        reason: reason.to_owned(),
        note: Some(note),
        action: "Rotate".to_owned(),
        secondary: None,
    };
    if let Err(error) = context.recorder.publish(&event, &secret.object_ref(&())).await {
        tracing::warn!(%error, "an Event could not be written");
    }
}
