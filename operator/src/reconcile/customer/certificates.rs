//! The certificates of a Customer's client classes, a Secret each.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kinetic_api::resources::{
    Customer,
    customer::{Client, ClientStatus},
};
use kinetic_pki::Subject;
use kube::ResourceExt;

use crate::{
    apply::{ApplyError, prune},
    build::{
        client_secret::{COMPONENT, ClientOf, client_secret, name},
        labels::Owned,
    },
    certificate::keep as keep_certificate,
    condition::Verdict,
    context::{Context, Failure},
    leaf::Wanted,
    vault::Material,
};

const KIND: &str = "CertificatesReady";

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
    Ok(prune::<Secret>(context, &owner, COMPONENT, &customer.name_any(), keep).await?)
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
        let wanted = match wanted(customer, client) {
            Ok(wanted) => wanted,
            Err(problem) => {
                problems.push(("InvalidLifetime", problem));
                continue;
            }
        };
        let of = client_of(customer, client, context);
        match keep_certificate(context, material, &wanted, |pair| {
            client_secret(&of, pair, &material.trust, &owner)
        })
        .await
        {
            Ok(kept) => {
                renewals.push(kept.renewed_at);
                clients.push(ClientStatus {
                    name: client.name.to_string(),
                    secret_name,
                    serial: kept.serial.to_string(),
                    not_after: kept.not_after.to_string(),
                });
            }
            Err(Failure::Apply(error @ ApplyError::Taken { .. })) => {
                problems.push(("SecretTaken", error.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    withdraw(customer, &keep, context).await?;
    let verdict = match problems.first() {
        None => Verdict::good(KIND, "Issued", format!("{} certificate(s) are in place", clients.len())),
        Some((reason, _)) => {
            let all: Vec<_> = problems.iter().map(|(_, problem)| problem.as_str()).collect();
            Verdict::bad(KIND, reason, all.join("; "))
        }
    };
    Ok(Certificates { clients, next_renewal: renewals.into_iter().min(), verdict })
}

fn wanted(customer: &Customer, client: &Client) -> Result<Wanted, String> {
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
