//! A Topology and what it refers to, made one plain struct: pure.

use kinetic_api::{
    plan::TopologyPlan,
    resources::{Customer, Topology},
};
use kube::ResourceExt;

use super::told;
use crate::{
    build::{labels::Owned, pod::TopologyOf},
    condition::Verdict,
    config::{Config, pods, retained},
};

/// What a Topology refers to.
#[derive(Clone, Debug, Default)]
pub struct Referred {
    /// Its Customer.
    pub customer: Option<Customer>,
    /// All Topologies of that Customer, itself among them.
    pub siblings: Vec<Topology>,
}

const KIND: &str = "Accepted";

/// All that its objects are built from; or what has to be mended first.
pub fn validate(
    topology: &Topology,
    referred: &Referred,
    config: &Config,
) -> Result<(TopologyOf, TopologyPlan), Box<Verdict>> {
    let bad = |reason, message: String| Err(Box::new(Verdict::bad(KIND, reason, message)));
    let plan = match TopologyPlan::new(topology) {
        Ok(plan) => plan,
        Err(problems) => {
            let all: Vec<_> =
                problems.iter().map(|p| format!("{}: {}: {}", p.field, p.message, p.fix)).collect();
            return bad("Invalid", all.join("; "));
        }
    };
    let wanted = &topology.spec.customer;
    let Some(customer) = &referred.customer else {
        return bad(
            "CustomerMissing",
            format!("there is no Customer {wanted} in this namespace: create it, or correct spec.customer"),
        );
    };
    if customer.metadata.deletion_timestamp.is_some() {
        return bad(
            "CustomerDeleting",
            format!("the Customer {wanted} is being deleted: delete this Topology too"),
        );
    }
    let Some(placement) = config.placement(&customer.spec.region, &customer.spec.provider) else {
        return bad(
            "CustomerNotReady",
            format!("the Customer {wanted} has no placement: see its conditions"),
        );
    };
    if let Some(profile) = unknown_profile(&plan, customer) {
        let message = format!(
            "no client of the Customer {wanted} has the profile {profile}: correct spec.sources, or add the client"
        );
        return bad("UnknownProfile", message);
    }
    if let Some(message) = beyond_limits(topology, &plan, customer, &referred.siblings) {
        return bad("OverLimit", message);
    }
    let resources = match topology.spec.analyzer.resources.clone().map(pods::resources).transpose() {
        Ok(resources) => resources,
        Err(error) => {
            return bad(
                "Invalid",
                format!("spec.analyzer.resources: {error}: write it as a container's resources"),
            );
        }
    };
    let Some(owner) = Owned::by(topology) else {
        return bad("Invalid", "it has no UID: it did not come from an API server".to_owned());
    };
    let of = TopologyOf {
        name: topology.name_any(),
        vhost: customer.vhost(),
        owner,
        topology: topology.clone(),
        customer: customer.clone(),
        partitions: plan.partitions,
        upstream: placement.internal_host(&config.namespace),
        redirector: (placement.redirector_name(), config.namespace.clone()),
        image: config.image.clone(),
        pull_policy: config.image_pull_policy.clone(),
        analyzer_image: topology.spec.analyzer.image.clone().unwrap_or_else(|| config.image.clone()),
        active_since: topology
            .status
            .as_ref()
            .map(|status| told::active_since(&status.analytics))
            .unwrap_or_default(),
        resources,
        settings: Box::new(config.analyzer.clone()),
    };
    Ok((of, plan))
}

fn unknown_profile<'p>(plan: &'p TopologyPlan, customer: &Customer) -> Option<&'p String> {
    let clients = &customer.spec.clients;
    let known =
        |profile: &&String| clients.is_empty() || clients.iter().any(|client| *client.profile == ***profile);
    plan.sources.iter().flat_map(|source| &source.profiles).find(|profile| !known(profile))
}

/// Those that were there first keep their place.
fn beyond_limits(
    topology: &Topology,
    plan: &TopologyPlan,
    customer: &Customer,
    siblings: &[Topology],
) -> Option<String> {
    let age = |topology: &Topology| (topology.metadata.creation_timestamp.clone(), topology.name_any());
    let mut earlier: Vec<_> = siblings
        .iter()
        .filter(|other| other.metadata.deletion_timestamp.is_none() && age(other) < age(topology))
        .collect();
    earlier.sort_by_key(|other| age(other));
    let limits = &customer.spec.limits;
    if earlier.len() >= usize::try_from(limits.topologies).unwrap_or(usize::MAX) {
        return Some(format!(
            "the Customer {} may have {} Topologies: delete one, or raise its spec.limits.topologies",
            customer.name_any(),
            limits.topologies
        ));
    }
    let others =
        earlier.into_iter().filter_map(|other| TopologyPlan::new(other).ok()).map(|other| retained(&other));
    let sum = others.fold(retained(plan), u64::saturating_add);
    (sum > limits.retention.get()).then(|| {
        format!(
            "with this Topology the streams of the Customer {} could hold {sum} bytes, and its spec.limits.retention is {}: lower a source's retention.size, or raise the limit",
            customer.name_any(),
            limits.retention
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn config() -> Config {
        serde_json::from_value(json!({
            "namespace": "kinetic-system", "image": "kinetic:1",
            "placements": [{"region": "us-west", "provider": "aws", "brokers": [
                {"name": "aws-1", "nodes": ["rabbit:5672"], "admin": {"url": "http://rabbit:15672", "credentials": "c"}}]}],
        }))
        .unwrap()
    }

    fn customer(more: &Value) -> Customer {
        let mut spec =
            json!({"region": "us-west", "provider": "aws", "clients": [{"name": "web", "profile": "web"}]});
        spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        let metadata = json!({"name": "acme", "namespace": "shops", "uid": "c"});
        let whole = json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": "Customer", "metadata": metadata, "spec": spec});
        serde_json::from_value(whole).unwrap()
    }

    fn topology(name: &str, created: &str, more: &Value) -> Topology {
        let mut spec = json!({"customer": "acme", "sources": [{"name": "pages", "type": "statsd", "profiles": ["web"]}]});
        spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        let metadata = json!({"name": name, "namespace": "shops", "uid": name, "creationTimestamp": created});
        let whole = json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": "Topology", "metadata": metadata, "spec": spec});
        serde_json::from_value(whole).unwrap()
    }

    const FIRST: &str = "2026-11-22T00:00:00Z";
    const LATER: &str = "2026-11-22T01:00:00Z";

    fn refused(
        topology: &Topology,
        customer: Option<Customer>,
        siblings: Vec<Topology>,
    ) -> (&'static str, String) {
        let referred = Referred { customer, siblings };
        let verdict = validate(topology, &referred, &config()).map(drop).unwrap_err();
        (verdict.reason, verdict.message)
    }

    #[test]
    fn what_fits_is_taken() {
        let web = topology("web", FIRST, &json!({}));
        let referred = Referred { customer: Some(customer(&json!({}))), siblings: vec![web.clone()] };
        let (of, plan) = validate(&web, &referred, &config()).unwrap();
        assert_eq!((of.vhost.as_str(), of.partitions, plan.sources.len()), ("us-west.aws.acme", 1, 1));
        assert_eq!(of.upstream, "kinetic-redirector-us-west-aws.kinetic-system.svc");
    }

    #[test]
    fn each_mistake_says_what_to_do() {
        let web = topology("web", LATER, &json!({}));
        let plain = || Some(customer(&json!({})));
        let mut going = customer(&json!({}));
        going.metadata.deletion_timestamp = web.metadata.creation_timestamp.clone();
        let tight = json!({"limits": {"retention": "1Gi"}});
        let earlier = topology("a", FIRST, &json!({}));
        let cases = [
            ("CustomerMissing", "create it", refused(&web, None, vec![])),
            ("CustomerDeleting", "being deleted", refused(&web, Some(going), vec![])),
            (
                "CustomerNotReady",
                "conditions",
                refused(&web, Some(customer(&json!({"region": "mars"}))), vec![]),
            ),
            (
                "UnknownProfile",
                "web",
                refused(&web, Some(customer(&json!({"clients": [{"name": "db", "profile": "db"}]}))), vec![]),
            ),
            (
                "OverLimit",
                "topologies",
                refused(
                    &web,
                    Some(customer(&json!({"limits": {"topologies": 1}}))),
                    vec![earlier.clone(), web.clone()],
                ),
            ),
            ("OverLimit", "retention", refused(&web, Some(customer(&tight)), vec![earlier, web.clone()])),
            (
                "Invalid",
                "spec.analyzer.resources",
                refused(
                    &topology("web", FIRST, &json!({"analyzer": {"resources": {"limits": 5}}})),
                    plain(),
                    vec![],
                ),
            ),
            (
                "Invalid",
                "spec.analytics[0]",
                refused(
                    &topology(
                        "web",
                        FIRST,
                        &json!({"analytics": [{"name": "x", "source": "pages", "match": {"metric": "**"}, "statistic": "mean"}]}),
                    ),
                    plain(),
                    vec![],
                ),
            ),
        ];
        for (reason, says, (found, message)) in cases {
            assert!(found == reason && message.contains(says), "{found}: {message}");
        }
    }

    #[test]
    fn who_was_there_first_stays() {
        let first = topology("web", FIRST, &json!({}));
        let later = topology("a", LATER, &json!({}));
        let customer = customer(&json!({"limits": {"topologies": 1}}));
        let referred = Referred { customer: Some(customer), siblings: vec![later.clone(), first.clone()] };
        assert!(validate(&first, &referred, &config()).is_ok());
        assert!(validate(&later, &referred, &config()).is_err());
    }
}
