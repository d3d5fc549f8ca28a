//! A Topology: streams in its Customer's vhost, and a pod for each partition of its analyzer.

mod objects;
mod remove;
mod validate;

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use kinetic_api::{
    plan::TopologyPlan,
    resources::{
        Customer, Topology,
        topology::{AnalyzersStatus, TopologyStatus},
    },
};
use kube::{Api, ResourceExt};

pub use self::validate::{Referred, validate};
use super::{AGAIN, paused, set_finalizer, tell};
use crate::{
    apply,
    broker::desired,
    build::{config_map::COMPONENT, labels::query, pod::TopologyOf, stateful_set},
    condition::{self, Verdict},
    context::{Context, Failure},
};

/// Brings a Topology to where it should be; says when to look again.
pub async fn reconcile(topology: &Topology, context: &Context) -> Result<Duration, Failure> {
    if paused(topology) {
        return Ok(AGAIN);
    }
    if topology.metadata.deletion_timestamp.is_some() {
        return remove::remove(topology, context).await;
    }
    set_finalizer(context, topology, true).await?;
    let referred = dereference(topology, context).await?;
    let verdicts = match validate(topology, &referred, &context.config) {
        // What runs goes on running as it is: a mistake in an edit stops nothing.
        Err(verdict) => {
            objects::renew(topology, context).await?;
            vec![*verdict]
        }
        Ok((of, plan)) => {
            let streams = streams(&of, &plan, context).await;
            // Without its streams an analyzer would have nothing to read, and may declare nothing.
            if streams.good { vec![streams, objects::apply_all(&of, context).await?] } else { vec![streams] }
        }
    };
    let analyzers = analyzers(topology, context).await?;
    let mut verdicts = verdicts;
    if let Some(verdict) =
        verdicts.iter_mut().find(|verdict| verdict.kind == "AnalyzersReady" && verdict.good)
        && analyzers.ready < analyzers.wanted
    {
        let message = format!(
            "{} of {} analyzers are ready: see `kubectl get pods -l {}`",
            analyzers.ready,
            analyzers.wanted,
            query(COMPONENT, &topology.name_any())
        );
        *verdict = Verdict::bad("AnalyzersReady", "Starting", message);
    }
    let before = topology.status.as_ref();
    let conditions = condition::conditions(
        before.map_or(&[], |status| &status.conditions),
        &verdicts,
        topology.metadata.generation,
        (context.clock)(),
    );
    let status = TopologyStatus {
        analyzers: Some(analyzers),
        analytics: before.map(|status| status.analytics.clone()).unwrap_or_default(),
        conditions,
    };
    apply::status(&context.client, topology, before, &status).await?;
    tell(
        context,
        topology,
        condition::turned(before.map_or(&[], |status| &status.conditions), &status.conditions),
    )
    .await;
    Ok(AGAIN)
}

async fn dereference(topology: &Topology, context: &Context) -> Result<Referred, Failure> {
    let namespace = topology.namespace().unwrap_or_default();
    let customer = context.resources.get::<Customer>(&namespace, &topology.spec.customer).await?;
    let same = |other: &Topology| other.spec.customer == topology.spec.customer;
    let siblings = context.resources.within(&namespace, same).await?;
    Ok(Referred { customer, siblings })
}

/// The streams, their bindings and how long they keep what.
async fn streams(of: &TopologyOf, plan: &TopologyPlan, context: &Context) -> Verdict {
    const KIND: &str = "StreamsReady";
    let spec = &of.customer.spec;
    let at = of.customer.status.as_ref().and_then(|status| status.broker.as_deref());
    let brokers = context.placement(&spec.region, &spec.provider).map_or(&[][..], |(_, brokers)| brokers);
    let Some(broker) = brokers.iter().find(|broker| Some(broker.name.as_str()) == at) else {
        let message =
            format!("the Customer {} has no broker yet: see its conditions", of.customer.name_any());
        return Verdict::bad(KIND, "CustomerNotReady", message);
    };
    match broker.bring(&desired::topology(&of.customer, plan)).await {
        Ok(brought) if brought.conflicts.is_empty() => Verdict::good(
            KIND,
            "InPlace",
            format!("{} stream(s) are declared in {}", plan.sources.len(), of.vhost),
        ),
        Ok(brought) => Verdict::bad(KIND, "Conflict", brought.conflicts.join("; ")),
        Err(error) => {
            Verdict::bad(KIND, "BrokerRefused", format!("{}: {error}; it is tried again", broker.name))
        }
    }
}

/// How many pods are ready, as each `StatefulSet` says.
async fn analyzers(topology: &Topology, context: &Context) -> Result<AnalyzersStatus, Failure> {
    let api =
        Api::<StatefulSet>::namespaced(context.client.clone(), &topology.namespace().unwrap_or_default());
    let mut ready = 0;
    // One by one: a list by label would have the server look at all of the namespace's.
    for partition in 0..topology.spec.analyzer.partitions {
        let Ok(partition) = u8::try_from(partition) else { break };
        let set = api.get_opt(&stateful_set::name(&topology.name_any(), partition)).await?;
        ready += set.and_then(|set| set.status?.ready_replicas).unwrap_or_default();
    }
    Ok(AnalyzersStatus {
        ready: u32::try_from(ready).unwrap_or_default(),
        wanted: topology.spec.analyzer.partitions,
    })
}
