//! The pods that the operator makes, as a real API server takes them: with all that the platform may say of them, and with checkpoints on claims.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{PersistentVolumeClaim, Pod, PodTemplateSpec},
    node::v1::RuntimeClass,
    scheduling::v1::PriorityClass,
};
use kinetic_api::resources::{Customer, Topology};
use kinetic_operator::config::Config;
use kinetic_tests::kubernetes;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::{Cluster, Conditions, eventually, made, reason},
    site::OWN,
};

const REGION: &str = "c-pods";

#[tokio::test(flavor = "multi_thread")]
async fn pods_are_as_the_platform_and_their_topology_say() {
    if let Some(reason) = kubernetes::missing() {
        return kinetic_tests::skip(&reason);
    }
    let cluster = Cluster::start().await;
    let stop = CancellationToken::new();
    let (running, _) = cluster.operator_in(REGION, settled, "one", &stop);
    let acme = json!({"region": REGION, "provider": "aws", "deletionPolicy": "Delete", "clients": [{"name": "web", "profile": "web"}]});
    cluster.apply("Customer", "acme", acme).await.unwrap();
    reason::<Customer>(&cluster, "acme", "Ready").await;
    Box::pin(every_setting_is_admitted(&cluster)).await;
    what_the_api_server_refuses_is_told(&cluster).await;
    what_cannot_be_changed_is_made_anew(&cluster).await;
    a_checkpoint_has_a_claim_for_as_long_as_it_is_asked_for(&cluster).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    an_operator_that_starts_anew_finds_them_as_they_should_be(&cluster).await;
}

/// Amounts are not as an API server would write them.
fn settled(config: &mut Config) {
    let pod = json!({
        "podLabels": {"example.com/team": "platform"},
        "podAnnotations": {"example.com/note": "pod"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution":
            [{"weight": 1, "preference": {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}}]}},
        "topologySpreadConstraints":
            [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}],
        "priorityClassName": "high",
        "runtimeClassName": "gvisor",
        "imagePullSecrets": [{"name": "pull"}],
        "podSecurityContext": {"runAsUser": 1_000_650_000, "fsGroup": null},
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    });
    let container = json!({
        "resources": {"requests": {"cpu": 0.5, "memory": "1024Mi"}, "limits": {"memory": "1.5Gi", "ephemeral-storage": "2048Mi"}},
        "securityContext": {"readOnlyRootFilesystem": false},
        "extraEnv": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ssl/own"}],
    });
    let analyzer = json!({"pod": pod, "container": container, "sidecar": container});
    config.analyzer = serde_json::from_value(analyzer).unwrap();
    let door = json!({"pod": pod, "container": container});
    config.placements[0].redirector = serde_json::from_value(door).unwrap();
}

fn web(analyzer: &Value) -> Value {
    json!({"customer": "acme", "sources": [{"name": "pages", "type": "statsd", "profiles": ["web"]}], "analyzer": analyzer})
}

/// By the API server's own judgement, in a namespace that takes restricted pods only.
async fn every_setting_is_admitted(cluster: &Cluster) {
    let class = json!({"metadata": {"name": "high"}, "value": 5});
    made::<PriorityClass>(&cluster.client, &serde_json::from_value(class).unwrap()).await;
    let class = json!({"metadata": {"name": "gvisor"}, "handler": "runsc"});
    made::<RuntimeClass>(&cluster.client, &serde_json::from_value(class).unwrap()).await;
    let strict = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    let namespaces = Api::<k8s_openapi::api::core::v1::Namespace>::all(cluster.client.clone());
    for name in [OWN, "shops"] {
        namespaces.patch(name, &PatchParams::default(), &Patch::Merge(&strict)).await.unwrap();
    }
    cluster.apply("Topology", "web", web(&json!({}))).await.unwrap();
    reason::<Topology>(cluster, "web", "Starting").await;
    let set = cluster.api::<StatefulSet>().get("web-analyzer-0").await.unwrap();
    admitted(cluster, "shops", set.spec.unwrap().template).await;
    let doors = Api::<Deployment>::namespaced(cluster.client.clone(), OWN);
    let name = format!("kinetic-redirector-{REGION}-aws");
    eventually("the front door", async || doors.get_opt(&name).await.unwrap().is_some()).await;
    admitted(cluster, OWN, doors.get(&name).await.unwrap().spec.unwrap().template).await;
}

async fn admitted(cluster: &Cluster, namespace: &str, template: PodTemplateSpec) {
    let pod = json!({"metadata": {"name": "tried"}, "spec": template.spec});
    let api = Api::<Pod>::namespaced(cluster.client.clone(), namespace);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let pod = api.create(&dry, &serde_json::from_value(pod).unwrap()).await.unwrap();
    let spec = pod.spec.unwrap();
    assert_eq!((spec.priority, spec.runtime_class_name.as_deref()), (Some(5), Some("gvisor")));
    assert_eq!(spec.image_pull_secrets.unwrap()[0].name, "pull");
    let security = spec.security_context.unwrap();
    assert_eq!((security.run_as_user, security.fs_group), (Some(1_000_650_000), None));
    assert!(spec.tolerations.unwrap().iter().any(|bears| bears.toleration_seconds == Some(60)));
    let container = &spec.containers[0];
    assert_eq!(container.resources.as_ref().unwrap().limits.as_ref().unwrap()["ephemeral-storage"].0, "2Gi");
    let mounts = container.volume_mounts.as_ref().unwrap();
    assert!(mounts.iter().any(|mount| mount.mount_path == "/etc/ssl/own"));
}

async fn what_the_api_server_refuses_is_told(cluster: &Cluster) {
    let more_than_allowed =
        json!({"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}});
    cluster.apply("Topology", "web", web(&more_than_allowed)).await.unwrap();
    reason::<Topology>(cluster, "web", "Refused").await;
    let message = message(cluster).await;
    assert!(message.contains("web-analyzer-0") && message.contains("resources.requests"), "{message}");
    cluster.apply("Topology", "web", web(&json!({}))).await.unwrap();
    reason::<Topology>(cluster, "web", "Starting").await;
}

/// As an earlier version of the operator may have made it.
async fn what_cannot_be_changed_is_made_anew(cluster: &Cluster) {
    let sets = cluster.api::<StatefulSet>();
    let mut earlier = sets.get("web-analyzer-0").await.unwrap();
    earlier.spec.as_mut().unwrap().pod_management_policy = Some("OrderedReady".to_owned());
    (earlier.metadata.resource_version, earlier.metadata.managed_fields) = (None, None);
    // The operator may be faster, with one of today's.
    let made = tokio::time::timeout(std::time::Duration::from_mins(1), async {
        loop {
            drop(sets.delete("web-analyzer-0", &kube::api::DeleteParams::default()).await);
            if let Ok(made) = sets.create(&PostParams::default(), &earlier).await {
                break made;
            }
        }
    });
    let uid = made.await.unwrap().uid();
    eventually("another in its place", async || {
        let there = sets.get_opt("web-analyzer-0").await.unwrap();
        there.is_some_and(|set| {
            set.uid() != uid && set.spec.unwrap().pod_management_policy.as_deref() == Some("Parallel")
        })
    })
    .await;
    reason::<Topology>(cluster, "web", "Starting").await;
}

async fn message(cluster: &Cluster) -> String {
    let topology = cluster.api::<Topology>().get("web").await.unwrap();
    topology.conditions().iter().find(|condition| condition.type_ == "Ready").unwrap().message.clone()
}

async fn a_checkpoint_has_a_claim_for_as_long_as_it_is_asked_for(cluster: &Cluster) {
    let of = |partitions: u8, size: &str| {
        web(&json!({"partitions": partitions, "checkpoint": {"size": size, "storageClassName": "fast"}}))
    };
    cluster.apply("Topology", "web", of(2, "1Gi")).await.unwrap();
    let claims = cluster.api::<PersistentVolumeClaim>();
    eventually("a claim for each partition", async || {
        size(&claims, "web-analyzer-0").await == "1Gi" && size(&claims, "web-analyzer-1").await == "1Gi"
    })
    .await;
    let claim = claims.get("web-analyzer-1").await.unwrap();
    assert_eq!(
        (claim.owner_references()[0].kind.as_str(), claim.owner_references()[0].name.as_str()),
        ("Topology", "web")
    );
    assert_eq!(claim.spec.unwrap().storage_class_name.as_deref(), Some("fast"));
    eventually("it to be mounted", async || mounted(cluster, 1).await.as_deref() == Some("web-analyzer-1"))
        .await;
    reason::<Topology>(cluster, "web", "Starting").await;

    // A claim that nothing is bound to cannot grow: what there is goes on, and whoever looks is told what to do.
    cluster.apply("Topology", "web", of(2, "2Gi")).await.unwrap();
    reason::<Topology>(cluster, "web", "ClaimRefused").await;
    let message = message(cluster).await;
    assert!(message.contains("web-analyzer-") && message.contains("spec.analyzer.checkpoint"), "{message}");
    assert!(!message.contains('\n'), "{message}");
    for name in ["web-analyzer-0", "web-analyzer-1"] {
        claims.delete(name, &kube::api::DeleteParams::default()).await.unwrap();
        let_go(&claims, name).await;
    }
    eventually("larger claims", async || {
        size(&claims, "web-analyzer-0").await == "2Gi" && size(&claims, "web-analyzer-1").await == "2Gi"
    })
    .await;
    reason::<Topology>(cluster, "web", "Starting").await;

    cluster.apply("Topology", "web", of(1, "2Gi")).await.unwrap();
    eventually("the second claim to go", async || going(&claims, "web-analyzer-1").await).await;
    let_go(&claims, "web-analyzer-1").await;
    assert!(!going(&claims, "web-analyzer-0").await);
    cluster.apply("Topology", "web", web(&json!({}))).await.unwrap();
    eventually("the first claim to go", async || going(&claims, "web-analyzer-0").await).await;
    let_go(&claims, "web-analyzer-0").await;
    assert_eq!(mounted(cluster, 0).await, None);
}

/// What it asks for; nothing if it is not there.
async fn size(claims: &Api<PersistentVolumeClaim>, name: &str) -> String {
    let claim = claims.get_opt(name).await.unwrap();
    let spec = claim.and_then(|claim| claim.spec);
    spec.map(|spec| spec.resources.unwrap().requests.unwrap()["storage"].0.clone()).unwrap_or_default()
}

/// The claim that a partition's pod keeps its checkpoint on.
async fn mounted(cluster: &Cluster, partition: u8) -> Option<String> {
    let set = cluster.api::<StatefulSet>().get(&format!("web-analyzer-{partition}")).await.unwrap();
    let volumes = set.spec.unwrap().template.spec.unwrap().volumes.unwrap();
    let data = volumes.into_iter().find(|volume| volume.name == "data").unwrap();
    assert_eq!(data.empty_dir.is_none(), data.persistent_volume_claim.is_some());
    data.persistent_volume_claim.map(|of| of.claim_name)
}

async fn going(claims: &Api<PersistentVolumeClaim>, name: &str) -> bool {
    claims.get_opt(name).await.unwrap().is_none_or(|claim| claim.metadata.deletion_timestamp.is_some())
}

/// As the controller does when no pod uses it: here there is none.
async fn let_go(claims: &Api<PersistentVolumeClaim>, name: &str) {
    let patch = json!({"metadata": {"finalizers": null}});
    claims.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
}

async fn an_operator_that_starts_anew_finds_them_as_they_should_be(cluster: &Cluster) {
    let before = cluster.kubernetes.requests().len();
    let stop = CancellationToken::new();
    let (running, metrics) = cluster.operator_in(REGION, settled, "two", &stop);
    eventually("it to act", async || metrics.leads.get() == 1).await;
    let since = || cluster.kubernetes.requests().drain(before..).collect::<Vec<_>>();
    eventually("it to have looked at both", async || {
        let read =
            |resource: &str| since().iter().any(|asked| asked.resource == resource && asked.verb == "get");
        read("statefulsets") && read("deployments") && read("poddisruptionbudgets")
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let written: Vec<_> = since().into_iter().filter(|asked| asked.verb == "patch").collect();
    assert!(written.is_empty(), "{written:?}");
    stop.cancel();
    running.await.unwrap().unwrap();
}
