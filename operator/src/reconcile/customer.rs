//! A Customer: a vhost with its users on a broker, and a certificate for each class of its clients.

mod certificates;
mod remove;
mod vhost;

use std::time::Duration;

use kinetic_api::resources::{
    Customer,
    customer::{ClientStatus, CustomerStatus},
};
use kube::ResourceExt;

use super::{AGAIN, paused, set_finalizer, tell};
use crate::{
    apply,
    condition::{self, Verdict},
    config::AMQPS,
    context::{Context, Failure},
};

/// Brings a Customer to where it should be; says when to look again.
pub async fn reconcile(customer: &Customer, context: &Context) -> Result<Duration, Failure> {
    if paused(customer) {
        return Ok(AGAIN);
    }
    if customer.metadata.deletion_timestamp.is_some() {
        return remove::remove(customer, context).await;
    }
    set_finalizer(context, customer, true).await?;
    let material = context.vault.material((context.clock)()).await?;
    let placed = match first_of_its_name(customer, context).await? {
        None => vhost::place(customer, &material, context).await,
        Some(first) => vhost::Placed { broker: None, verdict: name_taken(customer, &first) },
    };
    // Certificates are issued and renewed while a broker is away; but nobody is vouched for who has no vhost to go to.
    let certificates = if placed.broker.is_some() {
        certificates::certificates(customer, &material, context).await?
    } else {
        certificates::none(customer, context).await?
    };

    let now = (context.clock)();
    let before = customer.status.as_ref();
    let conditions = condition::conditions(
        before.map_or(&[], |status| &status.conditions),
        &[placed.verdict, certificates.verdict],
        customer.metadata.generation,
        now,
    );
    let endpoint = context.placement(&customer.spec.region, &customer.spec.provider).map(|(placement, _)| {
        format!("amqps://{}:{AMQPS}/{}", placement.public_host(&context.config.namespace), customer.vhost())
    });
    let clients = if placed.broker.is_some() {
        connected(customer, certificates.clients, context)
    } else {
        certificates.clients
    };
    let status = CustomerStatus {
        vhost: Some(customer.vhost()),
        endpoint: endpoint.filter(|_| placed.broker.is_some()),
        broker: placed.broker,
        clients,
        conditions,
    };
    write(customer, &status, context).await?;
    let renewal = certificates.next_renewal.map(|at| Duration::try_from(at - now).unwrap_or_default());
    Ok(renewal.map_or(AGAIN, |renewal| renewal.clamp(Duration::from_secs(1), AGAIN)))
}

/// The classes, with whether they are connected; those without a certificate only where that is known.
fn connected(customer: &Customer, mut certified: Vec<ClientStatus>, context: &Context) -> Vec<ClientStatus> {
    let Some((placement, _)) = context.placement(&customer.spec.region, &customer.spec.provider) else {
        return certified;
    };
    let before = customer.status.as_ref().map_or(&[][..], |status| &status.clients);
    let mut all = Vec::new();
    for client in customer.spec.clients.iter().map(|client| client.name.to_string()) {
        let before = before.iter().find(|known| known.name == client).and_then(|known| known.state);
        let state = context.presence.state(placement, &customer.name_any(), &client, before);
        let at = certified.iter().position(|certified| certified.name == client);
        match at.map(|at| certified.swap_remove(at)) {
            Some(certified) => all.push(ClientStatus { state, ..certified }),
            None if state.is_some() => {
                all.push(ClientStatus { name: client, state, ..ClientStatus::default() });
            }
            None => {}
        }
    }
    all
}

/// The Customer that had this name before, in another namespace. An identity names a customer without its namespace: two of one name would be let in as each
/// other.
async fn first_of_its_name(customer: &Customer, context: &Context) -> Result<Option<Customer>, Failure> {
    let age = |customer: &Customer| (customer.metadata.creation_timestamp.clone(), customer.namespace());
    let same = |other: &Customer| other.name_any() == customer.name_any() && age(other) < age(customer);
    Ok(context.resources.all(same).await?.into_iter().min_by_key(age))
}

fn name_taken(customer: &Customer, first: &Customer) -> Verdict {
    let (name, namespace) = (customer.name_any(), first.namespace().unwrap_or_default());
    let message = format!(
        "there is a Customer {name} in the namespace {namespace} already, and certificates name customers without their namespaces: choose another name"
    );
    Verdict::bad("BrokerReady", "NameTaken", message)
}

async fn write(customer: &Customer, status: &CustomerStatus, context: &Context) -> Result<(), Failure> {
    let before = customer.status.as_ref();
    apply::status(&context.client, customer, before, status).await?;
    let before = before.map_or(&[][..], |status| &status.conditions);
    tell(context, customer, condition::turned(before, &status.conditions)).await;
    // While the authority is replaced, there may be copies to be fetched anew.
    tell(context, customer, condition::differs(before, &status.conditions, "CertificatesReady")).await;
    Ok(())
}
