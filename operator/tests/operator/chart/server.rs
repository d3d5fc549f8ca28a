//! A real API server takes all of the chart, its pods pass as restricted, and the rights that it gives are those that operator and hook need.

use std::time::{Duration, Instant};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kinetic_api::resources::{Customer, Enrollment, Topology, definitions};
use kinetic_operator::{
    metrics::Metrics,
    run::Operator,
    uninstall::{Left, Uninstall, uninstall},
};
use kinetic_tests::{
    helm,
    kubernetes::{self, Kubernetes},
    rabbitmq::RabbitMq,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{GroupVersionKind, TypeMeta},
    discovery::{Scope, pinned_kind},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{VALUES, made, objects, operators, pods, text};
use crate::site::{OWN, broker, config};

const PATIENCE: Duration = Duration::from_mins(1);
/// What the chart has for operators that are not here.
const FOREIGN: &str = "monitoring.coreos.com/v1";

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_takes_it_and_its_rights_suffice() {
    if let Some(reason) = kubernetes::missing().or(helm::missing().map(str::to_owned)) {
        return kinetic_tests::skip(&reason);
    }
    let cluster = Cluster::start().await;
    for values in VALUES {
        cluster.pods_are_admitted(values).await;
    }
    cluster.install("everything").await;
    cluster.may("incidents", "shops").await;
    Box::pin(cluster.operate("everything", "control", &["shops", "hosts"])).await;
    cluster.forget("everything").await;
    cluster.install("all-namespaces").await;
    cluster.may("kinetic-alert", "anywhere").await;
    Box::pin(cluster.operate("all-namespaces", "kinetic-operator", &[])).await;
}

struct Cluster {
    kubernetes: Kubernetes,
    client: Client,
}

impl Cluster {
    async fn start() -> Self {
        let kubernetes = Kubernetes::start();
        let client = client(&kubernetes, None).await;
        let cluster = Self { kubernetes, client };
        let restricted = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        for name in [OWN, "shops", "hosts"] {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": restricted}});
            cluster.apply(&namespace).await.unwrap();
        }
        for definition in definitions() {
            cluster.apply(&serde_json::to_value(definition).unwrap()).await.unwrap();
        }
        let deadline = Instant::now() + PATIENCE;
        while Api::<Customer>::all(cluster.client.clone()).list(&ListParams::default()).await.is_err() {
            assert!(Instant::now() < deadline, "the definitions are not served");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        cluster
    }

    /// An object's kind and namespace, as an interface.
    async fn api(&self, object: &Value) -> Result<Api<DynamicObject>, kube::Error> {
        let types: TypeMeta = serde_json::from_value(object.clone()).unwrap();
        let kind = GroupVersionKind::try_from(&types).unwrap();
        let (resource, capabilities) = pinned_kind(&self.client, &kind).await?;
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or(OWN);
        Ok(match capabilities.scope {
            Scope::Cluster => Api::all_with(self.client.clone(), &resource),
            Scope::Namespaced => Api::namespaced_with(self.client.clone(), namespace, &resource),
        })
    }

    /// Applies an object as Helm does; unknown fields are refused.
    async fn apply(&self, object: &Value) -> Result<(), kube::Error> {
        let parameters = PatchParams::apply("helm").force().validation_strict();
        let name = text(object, "/metadata/name");
        self.api(object).await?.patch(name, &parameters, &Patch::Apply(object)).await.map(drop)
    }

    /// Deletes a release.
    async fn forget(&self, values: &str) {
        for object in objects(values).iter().filter(|object| text(object, "/apiVersion") != FOREIGN) {
            let api = self.api(object).await.unwrap();
            api.delete(text(object, "/metadata/name"), &DeleteParams::background()).await.unwrap();
        }
    }

    /// Applies a release, hooks too.
    async fn install(&self, values: &str) {
        for object in objects(values).iter().filter(|object| text(object, "/apiVersion") != FOREIGN) {
            if let Err(error) = self.apply(object).await {
                panic!("{values}: {} {}: {error}", text(object, "/kind"), text(object, "/metadata/name"));
            }
        }
    }

    /// The API server's own judgement of each pod, in a namespace that takes restricted ones only.
    async fn pods_are_admitted(&self, values: &str) {
        let api = Api::<Pod>::namespaced(self.client.clone(), OWN);
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let objects = objects(values);
        for (name, template) in pods(&objects).into_iter().chain(made(&operators(&objects))) {
            let mut pod = json!({"metadata": {"name": "tried"}, "spec": template["spec"]});
            // Its classes are the cluster's.
            for class in ["priorityClassName", "runtimeClassName"] {
                pod["spec"].as_object_mut().unwrap().remove(class);
            }
            let admitted = api.create(&dry, &serde_json::from_value(pod.clone()).unwrap()).await;
            assert!(admitted.is_ok(), "{values}: {name}: {}", admitted.unwrap_err());
            pod["spec"]["hostNetwork"] = json!(true);
            let refused = api.create(&dry, &serde_json::from_value(pod).unwrap()).await.unwrap_err();
            assert!(refused.to_string().contains("PodSecurity"), "{refused}");
        }
    }

    async fn as_account(&self, account: &str) -> Client {
        client(&self.kubernetes, Some(format!("system:serviceaccount:{OWN}:{account}"))).await
    }

    /// The front doors and the alert service may follow resources, and nothing else.
    async fn may(&self, alert: &str, namespace: &str) {
        for (account, group, resource, verb, wanted) in [
            ("kinetic-redirector", "kinetic.dev", "customers", "watch", true),
            ("kinetic-redirector", "kinetic.dev", "topologies", "list", true),
            ("kinetic-redirector", "kinetic.dev", "customers", "patch", false),
            ("kinetic-redirector", "kinetic.dev", "alerts", "list", false),
            ("kinetic-redirector", "", "secrets", "get", false),
            (alert, "kinetic.dev", "alerts", "watch", true),
            (alert, "kinetic.dev", "customers", "list", true),
            (alert, "kinetic.dev", "alerts", "patch", false),
            (alert, "", "secrets", "get", false),
            (alert, "", "configmaps", "list", false),
            ("kinetic-uninstall", "kinetic.dev", "customers", "patch", true),
            ("kinetic-uninstall", "kinetic.dev", "customers", "delete", false),
            ("kinetic-uninstall", "", "secrets", "get", false),
        ] {
            let asked = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes: Some(ResourceAttributes {
                        namespace: Some(namespace.to_owned()),
                        group: Some(group.to_owned()),
                        resource: Some(resource.to_owned()),
                        verb: Some(verb.to_owned()),
                        ..ResourceAttributes::default()
                    }),
                    ..SelfSubjectAccessReviewSpec::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let api = Api::<SelfSubjectAccessReview>::all(self.as_account(account).await);
            // What was applied a moment ago is known to the authorizer a moment later.
            let deadline = Instant::now() + Duration::from_secs(10);
            loop {
                let answer = api.create(&PostParams::default(), &asked).await.unwrap();
                if answer.status.as_ref().is_some_and(|status| status.allowed == wanted) {
                    break;
                }
                assert!(
                    Instant::now() < deadline,
                    "{account} {verb} {resource} in {namespace}: wanted {wanted}"
                );
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }

    /// Operator and hook do all that they do, with the chart's rights only.
    async fn operate(&self, values: &str, operator: &str, namespaces: &[&str]) {
        let region = if namespaces.is_empty() { "ch-all" } else { "ch-some" };
        let site = || {
            let (mut config, folder) = config(&broker(), region);
            config.watch_namespaces = namespaces.iter().map(|name| (*name).to_owned()).collect();
            (config, folder)
        };
        for (kind, name, spec) in [
            (
                "Customer",
                "acme",
                json!({"region": region, "provider": "aws", "clients": [{"name": "web", "profile": "web"}], "deletionPolicy": "Delete"}),
            ),
            (
                "Topology",
                "web",
                json!({
                    "customer": "acme", "sources": [{"name": "pages", "type": "statsd", "profiles": ["web"]}],
                    "analyzer": {"checkpoint": {"size": "2Gi"}},
                }),
            ),
            (
                "Alert",
                "checkout",
                json!({"topology": "web", "receivers": [{"name": "ops", "email": {"to": ["ops@acme.example"]}}]}),
            ),
        ] {
            let metadata = json!({"name": name, "namespace": "shops"});
            let object = json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
            self.apply(&object).await.unwrap();
        }
        let request = json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": "Enrollment", "metadata": {"name": "web-1", "namespace": "shops"},
            "spec": {"customer": "acme", "client": "web", "name": "web-1", "csr": "none", "address": "192.0.2.1",
                "keyFingerprint": format!("sha256:{}", "0".repeat(64)), "requestedAt": "2026-11-22T00:00:00Z"}});
        self.apply(&request).await.unwrap();
        let (config, _folder) = site();
        let once = Operator::new(self.as_account(operator).await, config, "once".into(), Metrics::default())
            .unwrap();
        Box::pin(once.once(CancellationToken::new()))
            .await
            .unwrap_or_else(|error| panic!("{values}: {error}"));
        let claims = Api::<PersistentVolumeClaim>::namespaced(self.client.clone(), "shops");
        assert!(claims.get_opt("web-analyzer-0").await.unwrap().is_some(), "{values}");
        let secrets = Api::<Secret>::namespaced(self.client.clone(), "shops");
        assert!(secrets.get_opt("acme-client-web").await.unwrap().is_some(), "{values}");
        assert!(RabbitMq::shared().http("GET", "/api/vhosts", "").contains(region));

        let how = Uninstall { deployment: Some("kinetic-operator".into()), patience: PATIENCE };
        let (config, _folder) = site();
        let left = uninstall(self.as_account("kinetic-uninstall").await, config, "hook".into(), &how).await;
        assert_eq!(left.unwrap_or_else(|error| panic!("{values}: {error}")), Left::new());
        assert!(!RabbitMq::shared().http("GET", "/api/vhosts", "").contains(region));
        assert_eq!(self.made().await, Vec::<String>::new(), "{values}");
        let asked = Api::<Enrollment>::all(self.client.clone()).list(&ListParams::default()).await.unwrap();
        assert!(asked.items.is_empty(), "{values}: the authority is gone, and what it vouched for");
        let deployment =
            Api::<Deployment>::namespaced(self.client.clone(), OWN).get("kinetic-operator").await.unwrap();
        assert_eq!(deployment.spec.unwrap().replicas, Some(0));
        let customer = Api::<Customer>::namespaced(self.client.clone(), "shops").get("acme").await.unwrap();
        let topology = Api::<Topology>::namespaced(self.client.clone(), "shops").get("web").await.unwrap();
        assert!(customer.finalizers().is_empty() && topology.finalizers().is_empty());
        for (kind, name) in [("Alert", "checkout"), ("Topology", "web"), ("Customer", "acme")] {
            let metadata = json!({"name": name, "namespace": "shops"});
            let object = json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": kind, "metadata": metadata});
            let api = self.api(&object).await.unwrap();
            api.delete(name, &DeleteParams::default()).await.unwrap();
        }
    }

    /// All that is the operator's, wherever.
    async fn made(&self) -> Vec<String> {
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=kinetic-operator");
        let mut names = Vec::new();
        macro_rules! list {
            ($($kind:ty),*) => {$(
                let listed = Api::<$kind>::all(self.client.clone()).list_metadata(&ours).await.unwrap();
                // Nobody is here who would let a claim go that no pod uses.
                let stays = listed.iter().filter(|object| object.metadata.deletion_timestamp.is_none());
                names.extend(stays.map(|object| format!("{} {}", stringify!($kind), object.name_any())));
            )*};
        }
        list!(
            Secret,
            ConfigMap,
            Service,
            Deployment,
            StatefulSet,
            NetworkPolicy,
            PodDisruptionBudget,
            PersistentVolumeClaim
        );
        names
    }
}

/// An administrator, or whom he plays.
async fn client(kubernetes: &Kubernetes, account: Option<String>) -> Client {
    let read = Kubeconfig::read_from(kubernetes.kubeconfig()).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
    config.auth_info.impersonate = account;
    Client::try_from(config).unwrap()
}
