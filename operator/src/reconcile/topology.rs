//! A Topology: streams in its Customer's vhost, and a pod for each partition of its analyzer.

mod objects;
mod remove;
mod told;
mod validate;

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use kinetic_api::{
    fitness::AnalyzerFitness,
    plan::TopologyPlan,
    resources::{
        Customer, Topology,
        topology::{AnalyticStatus, AnalyzersStatus, TopologyStatus},
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
    known::Key,
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
    let topology = &activated(topology, context).await?;
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
            if streams.good {
                vec![streams, Box::pin(objects::apply_all(&of, context)).await?]
            } else {
                vec![streams]
            }
        }
    };
    let analyzers = analyzers(topology, context).await?;
    let mut verdicts = verdicts;
    if let Some(verdict) =
        verdicts.iter_mut().find(|verdict| verdict.kind == "AnalyzersReady" && verdict.good)
        && analyzers.ready < analyzers.wanted
    {
        let message = format!(
            "{} of {} analyzers are ready: see `kubectl get pods -n {} -l {}`, and their logs",
            analyzers.ready,
            analyzers.wanted,
            topology.namespace().unwrap_or_default(),
            query(COMPONENT, &topology.name_any())
        );
        *verdict = Verdict::bad("AnalyzersReady", "Starting", message);
    }
    let told = told(topology, analyzers, context).await;
    verdicts.extend(told::sources_live(topology, &told, (context.clock)()));
    let before = topology.status.as_ref();
    let conditions = condition::conditions(
        before.map_or(&[], |status| &status.conditions),
        &verdicts,
        topology.metadata.generation,
        (context.clock)(),
    );
    let status = TopologyStatus {
        analyzers: Some(analyzers),
        analytics: analytics_of(topology, &told, context),
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

/// The Topology, with it written down since when each analytic is active: before any analyzer is told.
async fn activated(topology: &Topology, context: &Context) -> Result<Topology, Failure> {
    let before = topology.status.as_ref();
    let analytics = analytics_of(topology, &[], context);
    let mut topology = topology.clone();
    if before.is_none_or(|before| told::active_since(&before.analytics) != told::active_since(&analytics)) {
        let status = TopologyStatus { analytics, ..before.cloned().unwrap_or_default() };
        apply::status(&context.client, &topology, before, &status).await?;
        topology.status = Some(status);
    }
    Ok(topology)
}

fn analytics_of(topology: &Topology, told: &[AnalyzerFitness], context: &Context) -> Vec<AnalyticStatus> {
    let before = topology.status.as_ref().map_or(&[][..], |status| &status.analytics);
    told::analytics(topology, before, told, (context.clock)())
}

/// What its analyzers tell of themselves; of those in ready pods, for others have nothing to tell.
async fn told(topology: &Topology, analyzers: AnalyzersStatus, context: &Context) -> Vec<AnalyzerFitness> {
    let mut told = Vec::new();
    if analyzers.ready < analyzers.wanted {
        return told;
    }
    let (namespace, name) = (topology.namespace().unwrap_or_default(), topology.name_any());
    for partition in 0..u8::try_from(analyzers.wanted).unwrap_or(u8::MAX) {
        let pod = format!("{}-0", stateful_set::name(&name, partition));
        let answer = context.asked.analyzer(&context.client, &namespace, &pod).await;
        let ours = |of: &AnalyzerFitness| of.topology == name && of.partition == partition;
        told.extend(answer.and_then(|answer| answer.analyzers.into_iter().find(ours)));
    }
    told
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
    let namespace = topology.namespace().unwrap_or_default();
    let api = Api::<StatefulSet>::namespaced(context.client.clone(), &namespace);
    let mut ready = 0;
    // One by one: a list by label would have the server look at all of the namespace's.
    for partition in 0..topology.spec.analyzer.partitions {
        let Ok(partition) = u8::try_from(partition) else { break };
        let name = stateful_set::name(&topology.name_any(), partition);
        let key = Key::new::<StatefulSet>(&namespace, &name);
        ready += match context.known.memo(&key).and_then(|memo| memo.ready) {
            Some(ready) => ready,
            None if context.known.absent(&key) => 0,
            None => {
                let set = api.get_opt(&name).await?;
                let ready = set.and_then(|set| set.status?.ready_replicas).unwrap_or_default();
                u32::try_from(ready).unwrap_or_default()
            }
        };
    }
    Ok(AnalyzersStatus { ready, wanted: topology.spec.analyzer.partitions })
}
