//! The certificates of a Customer's client classes, a Secret each; and whether the keys are there of those that have keys instead.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kinetic_api::resources::{
    Customer,
    customer::{Client, ClientStatus},
};
use kinetic_pki::{Subject, rotation::Stage};
use kube::ResourceExt;

use crate::{
    apply::{ApplyError, prune},
    build::{
        certificate::Certificate,
        client_files::{COMPONENT, ClientOf, client_files, name},
        labels::{Owned, owned},
    },
    certify::{Certified, Slot, certify},
    condition::Verdict,
    context::{Context, Failure},
    leaf::Wanted,
    reconcile::{SOON, api_keys},
    vault::Material,
};

const KIND: &str = "CertificatesReady";

/// The shortest lifetime, and the latest renewal, that cert-manager takes.
const SHORTEST: (Duration, Duration) = (Duration::from_hours(1), Duration::from_mins(5));

/// What became of them.
pub(super) struct Certificates {
    pub(super) clients: Vec<ClientStatus>,
    pub(super) next_renewal: Option<Timestamp>,
    pub(super) verdict: Verdict,
}

/// None, and those that there were are withdrawn.
pub(super) async fn none(customer: &Customer, context: &Context) -> Result<Certificates, Failure> {
    withdraw(customer, &BTreeSet::new(), context).await?;
    let message = "certificates are issued once the vhost is the customer's";
    let verdict = Verdict::bad(KIND, "Waiting", message);
    Ok(Certificates { clients: Vec::new(), next_renewal: None, verdict })
}

/// Deletes the Secrets of classes that are no more.
async fn withdraw(customer: &Customer, keep: &BTreeSet<String>, context: &Context) -> Result<(), Failure> {
    let Some(owner) = Owned::by(customer) else { return Ok(()) };
    let name = customer.name_any();
    prune::<Secret>(context, &owner, COMPONENT, &name, keep).await?;
    if context.config.issuer.is_some() {
        prune::<Certificate>(context, &owner, COMPONENT, &name, keep).await?;
        prune::<ConfigMap>(context, &owner, COMPONENT, &name, keep).await?;
    }
    Ok(())
}

pub(super) async fn certificates(
    customer: &Customer,
    material: &Material,
    context: &Context,
) -> Result<Certificates, Failure> {
    let mut clients = Vec::new();
    let mut renewals = Vec::new();
    let mut keep = BTreeSet::new();
    let mut problems = Vec::new();
    let owner = Owned::by(customer)
        .unwrap_or_else(|| unreachable!("what an API server gave has a namespace and a UID"));
    // A class that is allowed a key instead has a certificate only if it asks for one.
    let certified = customer
        .spec
        .clients
        .iter()
        .filter(|client| client.api_key.is_none() || client.certificate.is_some());
    for client in certified {
        let secret_name = name(&customer.name_any(), &client.name);
        keep.insert(secret_name.clone());
        let wanted = match wanted(customer, client, context.config.issuer.is_some()) {
            Ok(wanted) => wanted,
            Err(problem) => {
                problems.push(("InvalidLifetime", problem));
                continue;
            }
        };
        let files = client_files(&client_of(customer, client, context));
        let metadata = owned(secret_name.clone(), COMPONENT, &customer.name_any(), &owner);
        match certify(Slot { metadata, wanted, files }, context).await {
            Ok(Certified::Awaited(problem)) => {
                problems.push(("AwaitingIssuer", problem));
                renewals.extend((context.clock)().checked_add(SOON));
            }
            Ok(Certified::Held(pair)) => {
                renewals.push(pair.renewed_at);
                clients.push(ClientStatus {
                    name: client.name.to_string(),
                    secret_name,
                    serial: pair.serial.to_string(),
                    not_after: pair.not_after.to_string(),
                    state: None,
                });
            }
            Err(Failure::Apply(error @ ApplyError::Taken { .. })) => {
                problems.push(("SecretTaken", error.to_string()));
            }
            Err(failure) => return Err(failure),
        }
    }
    for client in &customer.spec.clients {
        if let Some(Err(problem)) = api_keys::of(customer, client, context).await? {
            problems.push(("ApiKeyMissing", problem));
        }
    }
    withdraw(customer, &keep, context).await?;
    let verdict = match problems.first() {
        None => issued(clients.len(), material),
        Some((reason, _)) => {
            let all: Vec<_> = problems.iter().map(|(_, problem)| problem.as_str()).collect();
            Verdict::bad(KIND, reason, all.join("; "))
        }
    };
    Ok(Certificates { clients, next_renewal: renewals.into_iter().min(), verdict })
}

/// All is in place; and what those do who have copied it, while the authority is replaced.
fn issued(count: usize, material: &Material) -> Verdict {
    let ring = material.authority.as_ref().map(|own| &own.ring);
    let (reason, more) = match ring.map_or(Stage::Settled, |ring| ring.authorities.stage()) {
        Stage::Settled => ("Issued", String::new()),
        Stage::Trusted => (
            "NewAuthorityTrusted",
            "; the authority is being replaced (1 of 3): a new one is trusted besides: whoever keeps a copy of ca.crt fetches it anew now".to_owned(),
        ),
        Stage::Used => (
            "NewAuthorityUsed",
            format!(
                "; the authority is being replaced (2 of 3): the new one issues: whoever keeps copies fetches tls.crt, tls.key and ca.crt anew{}",
                ring.and_then(|ring| ring.unseen_until).map(|until| format!(" before {until}")).unwrap_or_default()
            ),
        ),
    };
    Verdict::good(KIND, reason, format!("{count} certificate(s) are in place{more}"))
}

fn wanted(customer: &Customer, client: &Client, foreign: bool) -> Result<Wanted, String> {
    let customer = customer.name_any().parse().map_err(|error| format!("metadata.name: {error}"))?;
    let mut wanted = Wanted::new(Subject::Client { customer, client: client.name.clone() });
    if let Some(certificate) = &client.certificate {
        (wanted.lifetime, wanted.renew_before) = (certificate.lifetime.std(), certificate.renew_before.std());
        if wanted.renew_before >= wanted.lifetime {
            return Err(format!(
                "clients[{}].certificate: renewBefore ({}) must be shorter than lifetime ({}); a third of it is usual",
                client.name, certificate.renew_before, certificate.lifetime
            ));
        }
        if foreign && (wanted.lifetime < SHORTEST.0 || wanted.renew_before < SHORTEST.1) {
            return Err(format!(
                "clients[{}].certificate: cert-manager issues for an hour at least, and renews five minutes before the end at the latest: lengthen lifetime ({}) or renewBefore ({})",
                client.name, certificate.lifetime, certificate.renew_before
            ));
        }
    }
    Ok(wanted)
}

fn client_of(customer: &Customer, client: &Client, context: &Context) -> ClientOf {
    let placement = context.placement(&customer.spec.region, &customer.spec.provider);
    ClientOf {
        customer: customer.name_any(),
        vhost: customer.vhost(),
        client: client.name.to_string(),
        profile: client.profile.to_string(),
        host: placement.map(|(p, _)| p.public_host(&context.config.namespace)).unwrap_or_default(),
    }
}
