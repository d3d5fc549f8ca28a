//! A Customer's vhost: which broker holds it, and what is in it.

use kinetic_api::resources::Customer;

use crate::{
    broker::{
        Broker, BrokerError, desired,
        place::{Candidate, NoPlace, place as choose},
    },
    condition::Verdict,
    context::Context,
    vault::Material,
};

const KIND: &str = "BrokerReady";

/// Where a Customer's vhost is, and what became of it.
pub(super) struct Placed {
    /// The broker that it was given to, now or before.
    pub(super) broker: Option<String>,
    pub(super) verdict: Verdict,
}

pub(super) async fn place(customer: &Customer, material: &Material, context: &Context) -> Placed {
    let before = customer.status.as_ref().and_then(|status| status.broker.clone());
    let spec = &customer.spec;
    let Some((_, brokers)) = context.placement(&spec.region, &spec.provider) else {
        let known: Vec<_> =
            context.config.placements.iter().map(|p| format!("{}/{}", p.region, p.provider)).collect();
        let message = format!(
            "there is no placement {}/{}: configured are {}; ask the platform team to add it, or create the Customer elsewhere",
            spec.region,
            spec.provider,
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        );
        return Placed { broker: before, verdict: Verdict::bad(KIND, "NoPlacement", message) };
    };
    match chosen(customer, before.as_deref(), brokers).await {
        Ok(broker) => {
            let wanted = desired::customer(customer, &material.master, broker.user());
            let verdict = match broker.bring(&wanted).await {
                Ok(brought) if brought.conflicts.is_empty() => {
                    Verdict::good(KIND, "InPlace", format!("{} is on {}", wanted.vhost, broker.name))
                }
                Ok(brought) => Verdict::bad(KIND, "Conflict", brought.conflicts.join("; ")),
                Err(error) => failed(&broker.name, &error),
            };
            Placed { broker: Some(broker.name.clone()), verdict }
        }
        Err(Refused::Broker(name, error)) => Placed { broker: before, verdict: failed(&name, &error) },
        Err(Refused::Place(error)) => {
            let reason = match error {
                NoPlace::VhostTaken { .. } => "VhostTaken",
                NoPlace::Full { .. } => "NoCapacity",
            };
            // It never had one: whom it named before was not its own.
            Placed { broker: None, verdict: Verdict::bad(KIND, reason, error.to_string()) }
        }
    }
}

enum Refused {
    Broker(String, BrokerError),
    Place(NoPlace),
}

/// The broker to hold a Customer. All of a placement are asked: one that is away might hold it.
async fn chosen<'b>(
    customer: &Customer,
    before: Option<&str>,
    brokers: &'b [Broker],
) -> Result<&'b Broker, Refused> {
    let mut states = Vec::new();
    for broker in brokers {
        // Where it is known to be, the others do not matter.
        if before.is_none_or(|before| before == broker.name) {
            states.push((
                broker,
                broker.state().await.map_err(|error| Refused::Broker(broker.name.clone(), error))?,
            ));
        }
    }
    let candidates: Vec<_> = states
        .iter()
        .map(|(broker, state)| Candidate { name: &broker.name, state, max_customers: broker.max_customers })
        .collect();
    let name =
        choose(&customer.vhost(), &desired::owner(customer), before, &candidates).map_err(Refused::Place)?;
    let broker = brokers.iter().find(|broker| broker.name == name);
    Ok(broker.expect("a name that was chosen is one of the candidates', which are brokers"))
}

fn failed(broker: &str, error: &BrokerError) -> Verdict {
    let reason = match error {
        BrokerError::Unreachable { .. } => "BrokerUnreachable",
        BrokerError::Denied { .. } => "BrokerDenied",
        BrokerError::Address(_)
        | BrokerError::Tls(_)
        | BrokerError::Refused { .. }
        | BrokerError::Answer { .. } => "BrokerRefused",
    };
    let fix = match error {
        BrokerError::Unreachable { .. } => {
            ": see whether it runs, and whether the operator's pod can reach it"
        }
        _ => "",
    };
    Verdict::bad(KIND, reason, format!("{broker}: {error}{fix}; it is tried again"))
}
