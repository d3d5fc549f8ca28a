//! Customers, against an API server in memory and a real RabbitMQ.

use kinetic_operator::reconcile::release;
use kinetic_tests::rabbitmq::RabbitMq;
use serde_json::json;

use crate::site::{OWN, Site, core, path};

/// All of it with one broker, whose start takes longer.
#[tokio::test(flavor = "multi_thread")]
async fn customers_end_where_their_resources_say() {
    a_customer_gets_its_vhost_and_certificates_and_then_nothing_is_written().await;
    what_is_taken_out_of_it_goes_and_what_it_loses_comes_back().await;
    a_deleted_customer_takes_its_users_and_keeps_its_data_if_it_says_so().await;
    neither_a_name_nor_a_vhost_is_had_twice().await;
    a_secret_of_somebody_else_is_left_alone().await;
    what_cannot_be_says_why_and_recovers().await;
    whatever_the_api_server_refuses_it_gets_there_in_the_end().await;
    a_paused_customer_is_left_as_it_is().await;
    a_key_is_missed_until_it_is_there_and_told_as_a_hash().await;
    a_role_logs_in_with_the_password_that_follows_from_the_master_key().await;
}

async fn a_customer_gets_its_vhost_and_certificates_and_then_nothing_is_written() {
    let site = Site::new("r-first");
    site.customer("shops", &json!({}));
    site.reconcile_customer("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "customers"), "Ready");
    let status = site.api.get(&path("shops", "customers", "acme")).unwrap()["status"].clone();
    assert_eq!(status["broker"], "aws-1");
    assert_eq!(status["endpoint"], "amqps://door.example:5671/r-first.aws.acme");
    assert_eq!(status["clients"][0]["secretName"], "acme-client-web");
    let secret = site.api.get(&core("shops", "secrets", "acme-client-web")).unwrap();
    let keys: Vec<_> = secret["data"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["ca.crt", "collectd.conf", "sidecar.yaml", "statsd.js", "tls.crt", "tls.key"]);
    assert_eq!(secret["metadata"]["ownerReferences"][0]["kind"], "Customer");
    let users = site.broker("users");
    assert_eq!(users.len(), 4, "{users:?}");
    assert_eq!(site.broker("queues"), ["kinetic.anomalies.alert"]);
    assert_eq!(site.api.events(), ["Ready"]);

    site.api.writes();
    for _ in 0..3 {
        site.reconcile_customer("shops").await.unwrap().unwrap();
    }
    assert_eq!(site.api.writes(), Vec::<String>::new());
    assert_eq!(site.api.events().len(), 1);
}

async fn what_is_taken_out_of_it_goes_and_what_it_loses_comes_back() {
    let site = Site::new("r-change");
    site.customer(
        "shops",
        &json!({"clients": [{"name": "web", "profile": "web"}, {"name": "db", "profile": "db"}]}),
    );
    site.reconcile_customer("shops").await.unwrap().unwrap();
    assert!(site.api.get(&core("shops", "secrets", "acme-client-db")).is_some());
    site.customer("shops", &json!({}));
    site.reconcile_customer("shops").await.unwrap().unwrap();
    assert!(site.api.get(&core("shops", "secrets", "acme-client-db")).is_none());
    assert!(!site.broker("users").iter().any(|user| user.ends_with("clients/db")));
    site.api.delete(&core("shops", "secrets", "acme-client-web"));
    site.reconcile_customer("shops").await.unwrap().unwrap();
    assert!(site.api.get(&core("shops", "secrets", "acme-client-web")).is_some());
}

async fn a_deleted_customer_takes_its_users_and_keeps_its_data_if_it_says_so() {
    for (region, policy, left) in [("r-retain", "Retain", 1), ("r-delete", "Delete", 0)] {
        let site = Site::new(region);
        site.customer("shops", &json!({"deletionPolicy": policy}));
        site.reconcile_customer("shops").await.unwrap().unwrap();
        site.topology("shops", &json!({}));
        site.api.delete(&path("shops", "customers", "acme"));
        site.reconcile_customer("shops").await.unwrap().unwrap();
        assert_eq!(site.ready("shops", "customers"), "InUse");
        assert_eq!(site.broker("users").len(), 4, "in use");
        site.api.delete(&path("shops", "topologies", "web"));
        site.reconcile_customer("shops").await.unwrap().unwrap();
        assert!(site.api.get(&path("shops", "customers", "acme")).is_none(), "the finalizer is off");
        assert_eq!(site.broker("users"), Vec::<String>::new());
        assert_eq!(site.broker("vhosts").len(), left, "{policy}");
    }
}

async fn neither_a_name_nor_a_vhost_is_had_twice() {
    let site = Site::new("r-twice");
    site.customer("first", &json!({}));
    site.customer("second", &json!({}));
    for namespace in ["first", "second"] {
        site.reconcile_customer(namespace).await.unwrap().unwrap();
    }
    assert_eq!(
        (site.ready("first", "customers"), site.ready("second", "customers")),
        ("Ready".into(), "NameTaken".into())
    );
    assert!(
        site.api.get(&core("second", "secrets", "acme-client-web")).is_none(),
        "nobody is vouched for as another"
    );
    // The first goes, its data stays: still nobody else's.
    site.api.delete(&path("first", "customers", "acme"));
    site.reconcile_customer("first").await.unwrap().unwrap();
    site.reconcile_customer("second").await.unwrap().unwrap();
    assert_eq!(site.ready("second", "customers"), "VhostTaken");
    assert!(site.api.get(&core("second", "secrets", "acme-client-web")).is_none());
    site.api.delete(&path("second", "customers", "acme"));
    site.reconcile_customer("second").await.unwrap().unwrap();
    assert_eq!(site.broker("vhosts").len(), 1, "what is not its own stays");
}

async fn a_secret_of_somebody_else_is_left_alone() {
    let site = Site::new("r-secret");
    let theirs = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"labels": {"whose": "theirs"}}, "data": {"x": "eA=="}});
    site.api.put(&core("shops", "secrets", "acme-client-web"), theirs);
    site.customer("shops", &json!({}));
    site.reconcile_customer("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "customers"), "SecretTaken");
    assert_eq!(site.api.get(&core("shops", "secrets", "acme-client-web")).unwrap()["data"]["x"], "eA==");
    site.api.delete(&core("shops", "secrets", "acme-client-web"));
    site.reconcile_customer("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "customers"), "Ready");
}

async fn what_cannot_be_says_why_and_recovers() {
    let nobody = Site::with_broker("r-away", "http://127.0.0.1:9");
    nobody.customer("shops", &json!({}));
    nobody.reconcile_customer("shops").await.unwrap().unwrap();
    assert_eq!(nobody.ready("shops", "customers"), "BrokerUnreachable");
    let elsewhere = Site::new("r-elsewhere");
    elsewhere.customer("shops", &json!({"region": "mars"}));
    elsewhere.reconcile_customer("shops").await.unwrap().unwrap();
    assert_eq!(elsewhere.ready("shops", "customers"), "NoPlacement");
    let wrong = Site::new("r-lifetime");
    let client =
        json!({"name": "web", "profile": "web", "certificate": {"lifetime": "1h", "renewBefore": "2h"}});
    wrong.customer("shops", &json!({"clients": [client]}));
    wrong.reconcile_customer("shops").await.unwrap().unwrap();
    assert_eq!(wrong.ready("shops", "customers"), "InvalidLifetime");
    wrong.customer("shops", &json!({}));
    wrong.reconcile_customer("shops").await.unwrap().unwrap();
    assert_eq!(wrong.ready("shops", "customers"), "Ready");
}

async fn whatever_the_api_server_refuses_it_gets_there_in_the_end() {
    let site = Site::new("r-faults");
    site.customer("shops", &json!({}));
    // Each of the first so many requests fails once, with each of the usual codes, one after the other.
    for (nth, code) in (0..40).zip([409, 429, 500, 503].into_iter().cycle()) {
        let mut count = 0;
        site.api.refuse(move |_, _| {
            count += 1;
            (count == nth + 1).then_some(code)
        });
        // Whether it fails is none of this test's: that it goes on from there is.
        let _ = site.reconcile_customer("shops").await;
    }
    site.api.refuse_nothing();
    site.reconcile_customer("shops").await.unwrap().unwrap();
    site.reconcile_customer("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "customers"), "Ready");
    assert_eq!(site.broker("users").len(), 4);
    site.api.writes();
    site.reconcile_customer("shops").await.unwrap().unwrap();
    assert_eq!(site.api.writes(), Vec::<String>::new());
}

async fn a_key_is_missed_until_it_is_there_and_told_as_a_hash() {
    let site = Site::new("r-keys");
    let old =
        json!({"name": "old", "profile": "old", "apiKey": {"secretRef": {"name": "keys", "key": "old"}}});
    site.customer("shops", &json!({"clients": [old]}));
    site.reconcile_customer("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "customers"), "ApiKeyMissing");
    let told = async || {
        release::reconcile(&site.context).await.unwrap();
        let secret = site.api.get(&core(OWN, "secrets", "kinetic-redirector-r-keys-aws-keys")).unwrap();
        secret["data"].as_object().cloned().unwrap_or_default()
    };
    assert!(told().await.is_empty(), "a front door has the folder from its start");
    let keys = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "data": {"old": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"}});
    site.api.put(&core("shops", "secrets", "keys"), keys);
    site.reconcile_customer("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "customers"), "Ready");
    let hashes = told().await;
    assert_eq!(hashes.keys().collect::<Vec<_>>(), ["acme.old"]);
    assert!(
        !serde_json::to_string(&hashes).unwrap().contains("MDEyMzQ1"),
        "the key itself stays where it is"
    );
    site.api.delete(&core("shops", "secrets", "keys"));
    site.reconcile_customer("shops").await.unwrap().unwrap();
    assert_eq!(site.ready("shops", "customers"), "ApiKeyMissing");
}

async fn a_paused_customer_is_left_as_it_is() {
    let site = Site::new("r-paused");
    let spec = json!({"region": "r-paused", "provider": "aws"});
    let metadata = json!({"annotations": {"kinetic.dev/paused": "true"}});
    let object =
        json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": "Customer", "metadata": metadata, "spec": spec});
    site.api.put(&path("shops", "customers", "acme"), object);
    site.reconcile_customer("shops").await.unwrap().unwrap();
    assert_eq!(site.api.writes(), Vec::<String>::new());
    assert!(site.broker("vhosts").is_empty());
}

async fn a_role_logs_in_with_the_password_that_follows_from_the_master_key() {
    let site = Site::new("r-password");
    site.customer("shops", &json!({}));
    site.reconcile_customer("shops").await.unwrap().unwrap();
    let material = site.context.vault.material(jiff::Timestamp::now()).await.unwrap();
    let vhost = "r-password.aws.acme";
    let password =
        kinetic_api::role::Role::Analyzer.password(&material.master.key, vhost, material.master.version);
    let answer = RabbitMq::shared().ctl(&["authenticate_user", &format!("{vhost}/analyzer"), &password]);
    assert!(answer.is_empty() || answer.contains("Success"), "{answer}");
}
