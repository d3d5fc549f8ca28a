//! What is not the operator's, beside what is: some of it where the operator would like to put its own.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kinetic_tests::rabbitmq::RabbitMq;
use kube::{Api, Client, ResourceExt, api::PostParams};
use serde_json::{Value, json};

pub struct Foreign {
    region: &'static str,
    objects: Vec<(String, &'static str, String)>,
    broker: Vec<String>,
}

impl Foreign {
    pub async fn put(client: &Client, region: &'static str, namespaces: &[String; 2]) -> Self {
        let [red, blue] = namespaces;
        let mut objects = Vec::new();
        for (namespace, kind, name) in [
            (red, "Secret", "theirs"),
            // Where a client's certificate, and an analyzer's configuration, would go.
            (red, "Secret", "c2-client-old"),
            (blue, "ConfigMap", "t3-analyzer"),
            (blue, "ConfigMap", "theirs"),
        ] {
            let text = json!({"metadata": {"name": name}});
            let made = &PostParams::default();
            let version = if kind == "Secret" {
                let api = Api::<Secret>::namespaced(client.clone(), namespace);
                api.create(made, &serde_json::from_value(text).unwrap()).await.unwrap().resource_version()
            } else {
                let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
                api.create(made, &serde_json::from_value(text).unwrap()).await.unwrap().resource_version()
            };
            objects.push((format!("{namespace}/{name}"), kind, version.unwrap()));
        }
        let broker = RabbitMq::shared();
        let queue = r#"{"durable":true}"#;
        let everything = r#"{"configure":".*","write":".*","read":".*"}"#;
        // Vhosts, one of them called like a Customer's; queues, called like a Topology's; users.
        for vhost in [format!("{region}-theirs"), format!("{region}.aws.c9")] {
            broker.http("PUT", &format!("/api/vhosts/{vhost}"), r#"{"description":"by hand"}"#);
            broker.http("PUT", &format!("/api/permissions/{vhost}/guest"), everything);
            broker.http("PUT", &format!("/api/queues/{vhost}/kinetic.metrics.t0.pages"), queue);
        }
        broker.http("PUT", &format!("/api/users/{region}-somebody"), r#"{"password":"x","tags":""}"#);
        let mut foreign = Self { region, objects, broker: Vec::new() };
        foreign.broker = foreign.on_the_broker();
        foreign
    }

    fn on_the_broker(&self) -> Vec<String> {
        let mut all = Vec::new();
        for kind in ["vhosts", "queues", "users", "permissions"] {
            let listed: Vec<Value> =
                serde_json::from_str(&RabbitMq::shared().http("GET", &format!("/api/{kind}"), "")).unwrap();
            for item in listed {
                let of = item.get("vhost").unwrap_or(&item["name"]).as_str().unwrap();
                if of.starts_with(&format!("{}-", self.region))
                    || of.starts_with(&format!("{}.aws.c9", self.region))
                {
                    all.push(format!(
                        "{kind} {of} {} {} {}",
                        item["name"], item["user"], item["description"]
                    ));
                }
            }
        }
        assert!(all.len() >= 7, "{all:?}");
        all.sort();
        all
    }

    pub async fn is_untouched(&self, client: &Client) {
        for (object, kind, version) in &self.objects {
            let (namespace, name) = object.split_once('/').unwrap();
            let found = if *kind == "Secret" {
                Api::<Secret>::namespaced(client.clone(), namespace)
                    .get(name)
                    .await
                    .unwrap()
                    .resource_version()
            } else {
                Api::<ConfigMap>::namespaced(client.clone(), namespace)
                    .get(name)
                    .await
                    .unwrap()
                    .resource_version()
            };
            assert_eq!(found.as_ref(), Some(version), "{kind} {object}");
        }
        assert_eq!(self.on_the_broker(), self.broker);
    }
}
