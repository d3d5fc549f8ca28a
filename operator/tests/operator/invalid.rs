//! What the definitions' schemas and rules refuse: the table that files are held against too.

use kinetic_api::resources::{Alert, Customer, Topology};
use kinetic_tests::invalid::Table;
use kube::api::DeleteParams;
use serde_json::Value;

use crate::cluster::Cluster;

/// Each is refused, with the field that the message must name.
pub async fn invalid_resources_are_refused(cluster: &Cluster) {
    let table = Table::read();
    let name = |resource: &Value| resource["metadata"]["name"].as_str().unwrap().to_owned();
    for (kind, resource) in &table.sound {
        cluster.apply(kind, &name(resource), resource["spec"].clone()).await.unwrap();
    }
    assert!(table.cases.len() >= 60, "{}", table.cases.len());
    for case in &table.cases {
        let changed = table.changed(case);
        // A name that the case does not change is not there yet, unless it is a change of what is there.
        let own = name(&changed);
        let name = if case.later || own != name(&table.sound[&case.kind]) { own } else { "new".to_owned() };
        let applied = cluster.apply(&case.kind, &name, changed["spec"].clone()).await;
        let error = applied.map(|()| panic!("taken: {case:?}")).unwrap_err();
        let kube::Error::Api(status) = error else { panic!("{error}") };
        assert!(
            status.message.contains(&case.names),
            "{case:?}: the message does not name it: {}",
            status.message
        );
    }
    for (kind, resource) in &table.sound {
        let (name, parameters) = (name(resource), DeleteParams::default());
        match kind.as_str() {
            "Customer" => drop(cluster.api::<Customer>().delete(&name, &parameters).await.unwrap()),
            "Topology" => drop(cluster.api::<Topology>().delete(&name, &parameters).await.unwrap()),
            _ => drop(cluster.api::<Alert>().delete(&name, &parameters).await.unwrap()),
        }
    }
}
