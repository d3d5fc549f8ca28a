//! Whom an analyzer's pod may talk to: the front door and the names' service.

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
        NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{
    config_map::{ANALYZER_ADMIN, COMPONENT, SIDECAR_ADMIN, name},
    labels,
    pod::TopologyOf,
    redirector,
};
use crate::config::AMQPS;

/// The policy of all of a Topology's pods. Containers of a pod share its network: what keeps the analyzer from going anywhere is this.
#[must_use]
pub fn network_policy(of: &TopologyOf) -> NetworkPolicy {
    let (door, namespace) = &of.redirector;
    let in_namespace = LabelSelector {
        match_labels: Some([("kubernetes.io/metadata.name".to_owned(), namespace.clone())].into()),
        ..LabelSelector::default()
    };
    let to_the_door = NetworkPolicyEgressRule {
        ports: Some(vec![port("TCP", AMQPS)]),
        to: Some(vec![NetworkPolicyPeer {
            namespace_selector: Some(in_namespace),
            pod_selector: Some(labels::selector(redirector::COMPONENT, door)),
            ..NetworkPolicyPeer::default()
        }]),
    };
    let to_dns = NetworkPolicyEgressRule { ports: Some(vec![port("UDP", 53), port("TCP", 53)]), to: None };
    let metrics = NetworkPolicyIngressRule {
        ports: Some(vec![port("TCP", ANALYZER_ADMIN), port("TCP", SIDECAR_ADMIN)]),
        ..NetworkPolicyIngressRule::default()
    };
    NetworkPolicy {
        metadata: labels::owned(name(&of.name), COMPONENT, &of.name, &of.owner),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(labels::selector(COMPONENT, &of.name)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![metrics]),
            egress: Some(vec![to_the_door, to_dns]),
        }),
    }
}

fn port(protocol: &str, port: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(port.into())),
        ..NetworkPolicyPort::default()
    }
}
