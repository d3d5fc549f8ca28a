//! An Alert: checked against its Topology; the keys that it names are the alert service's to have.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::ByteString;
use kinetic_api::{
    fitness::AlertFitness,
    plan::AlertPlan,
    resources::{
        Alert, Topology,
        alert::{AlertState, AlertStatus},
    },
};
use kube::ResourceExt;

use super::{AGAIN, paused, tell};
use crate::{
    apply,
    condition::{self, Verdict},
    context::{Context, Failure},
    secrets,
};

/// What an Alert refers to.
#[derive(Clone, Debug, Default)]
pub struct Referred {
    /// Its Topology.
    pub topology: Option<Topology>,
    /// What is in the Secrets that it names, by name.
    pub secrets: BTreeMap<String, BTreeMap<String, ByteString>>,
}

/// Says of an Alert whether it can do what it should; says when to look again.
pub async fn reconcile(alert: &Alert, context: &Context) -> Result<Duration, Failure> {
    if paused(alert) || alert.metadata.deletion_timestamp.is_some() {
        context.keys.notify_one();
        return Ok(AGAIN);
    }
    let referred = dereference(alert, context).await?;
    let before = alert.status.as_ref();
    let told = told(alert, &referred, context).await;
    let mut verdicts = vec![validate(alert, &referred)];
    verdicts.extend(told.as_ref().map(delivering));
    let conditions = condition::conditions(
        before.map_or(&[], |status| &status.conditions),
        &verdicts,
        alert.metadata.generation,
        (context.clock)(),
    );
    // Whether it fires is the alert service's to know: what it said last stays.
    let said = before.and_then(|status| status.state).filter(|state| *state != AlertState::Inactive);
    let fires = |told: &AlertFitness| if told.firing > 0 { AlertState::Firing } else { AlertState::Quiet };
    let state = told.as_ref().map(fires).or(said);
    let status =
        AlertStatus { state: if alert.spec.active { state } else { Some(AlertState::Inactive) }, conditions };
    if apply::status(&context.client, alert, before, &status).await? == apply::Applied::Written {
        context.keys.notify_one();
    }
    tell(
        context,
        alert,
        condition::turned(before.map_or(&[], |status| &status.conditions), &status.conditions),
    )
    .await;
    Ok(AGAIN)
}

/// What the alert service tells of it, if that answers.
async fn told(alert: &Alert, referred: &Referred, context: &Context) -> Option<AlertFitness> {
    let customer = &referred.topology.as_ref()?.spec.customer;
    let all = context.asked.alerts(&context.client, &context.config.namespace).await?;
    let ours = |told: &AlertFitness| told.customer == **customer && told.alert == alert.name_any();
    Some(all.alerts.into_iter().find(ours).unwrap_or_default())
}

/// Whether what it has to say reaches people: pure.
#[must_use]
pub fn delivering(told: &AlertFitness) -> Verdict {
    const KIND: &str = "Delivering";
    if told.failing == 0 {
        return Verdict::good(KIND, "Delivering", "no message waits to be tried again");
    }
    let why = told.last_error.as_deref().unwrap_or("no reason was given");
    let message =
        format!("{} message(s) could not be delivered yet, and are tried again: {why}", told.failing);
    Verdict::bad(KIND, "Failing", message)
}

async fn dereference(alert: &Alert, context: &Context) -> Result<Referred, Failure> {
    let namespace = alert.namespace().unwrap_or_default();
    let topology = context.resources.get::<Topology>(&namespace, &alert.spec.topology).await?;
    let mut secrets = BTreeMap::new();
    for (secret, _) in keys(alert) {
        secrets.insert(secret.to_owned(), secrets::data(context, &namespace, secret).await?);
    }
    Ok(Referred { topology, secrets })
}

/// The keys that an Alert names: Secret and key.
pub(crate) fn keys(alert: &Alert) -> impl Iterator<Item = (&str, &str)> {
    let webhooks = alert.spec.receivers.iter().filter_map(|receiver| receiver.webhook.as_ref());
    webhooks
        .filter_map(|hook| hook.signing_secret_ref.as_ref())
        .map(|key| (key.name.as_str(), key.key.as_str()))
}

/// Whether it fits together: pure.
#[must_use]
pub fn validate(alert: &Alert, referred: &Referred) -> Verdict {
    const KIND: &str = "Accepted";
    if let Err(problems) = AlertPlan::new(alert) {
        let all: Vec<_> = problems.iter().map(|p| format!("{}: {}: {}", p.field, p.message, p.fix)).collect();
        return Verdict::bad(KIND, "Invalid", all.join("; "));
    }
    let wanted = &alert.spec.topology;
    let Some(topology) =
        referred.topology.as_ref().filter(|topology| topology.metadata.deletion_timestamp.is_none())
    else {
        let message =
            format!("there is no Topology {wanted} in this namespace: create it, or delete this Alert");
        return Verdict::bad(KIND, "TopologyMissing", message);
    };
    let matches = &alert.spec.matches;
    let analytics = |name: &str| topology.spec.analytics.iter().any(|analytic| &*analytic.name == name);
    let sources = |name: &str| topology.spec.sources.iter().any(|source| &*source.name == name);
    let unknown = matches.analytics.iter().find(|name| !analytics(name)).map(|name| ("analytics", name));
    if let Some((list, name)) =
        unknown.or_else(|| matches.sources.iter().find(|name| !sources(name)).map(|name| ("sources", name)))
    {
        let message = format!(
            "spec.match.{list}: the Topology {wanted} has none called {name}: correct it, or add it there"
        );
        return Verdict::bad(KIND, "UnknownReference", message);
    }
    if let Some((name, key)) = missing_key(alert, referred) {
        let message = format!(
            "there is no key {key} in a Secret {name} of this namespace: create it, and it is taken up"
        );
        return Verdict::bad(KIND, "SecretMissing", message);
    }
    Verdict::good(KIND, "Accepted", "it fits its Topology")
}

/// The first key that it names and no Secret holds.
fn missing_key<'a>(alert: &'a Alert, referred: &Referred) -> Option<(&'a str, &'a str)> {
    let holds = |name: &str, key: &str| referred.secrets.get(name).is_some_and(|data| data.contains_key(key));
    keys(alert).find(|(name, key)| !holds(name, key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alert(more: &serde_json::Value) -> Alert {
        let mut spec =
            json!({"topology": "web", "receivers": [{"name": "ops", "email": {"to": ["ops@acme.example"]}}]});
        spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        let metadata = json!({"name": "checkout", "namespace": "shops"});
        serde_json::from_value(json!({"apiVersion": "kinetic.dev/v1alpha1", "kind": "Alert", "metadata": metadata, "spec": spec}))
            .unwrap()
    }

    fn web() -> Topology {
        serde_json::from_value(json!({
            "apiVersion": "kinetic.dev/v1alpha1", "kind": "Topology", "metadata": {"name": "web", "namespace": "shops"},
            "spec": {"customer": "acme", "sources": [{"name": "pages", "type": "statsd"}], "analytics": [
                {"name": "slow", "source": "pages", "match": {"metric": "**"}, "statistic": "mean", "cluster": {}}]},
        }))
        .unwrap()
    }

    #[test]
    fn what_an_alert_refers_to_must_be_there() {
        let hook = json!({"receivers": [{"name": "hook", "webhook": {
            "url": "https://x.example", "signingSecretRef": {"name": "hook-secret", "key": "key"}}}]});
        let there = Referred { topology: Some(web()), ..Referred::default() };
        let data = BTreeMap::from([("key".to_owned(), ByteString(b"secret".to_vec()))]);
        let secrets = BTreeMap::from([("hook-secret".to_owned(), data)]);
        let with_secret = Referred { secrets, ..there.clone() };
        for (spec, referred, reason) in [
            (json!({"match": {"analytics": ["slow"]}}), &there, "Accepted"),
            (json!({}), &Referred::default(), "TopologyMissing"),
            (json!({"match": {"analytics": ["slo"]}}), &there, "UnknownReference"),
            (json!({"match": {"sources": ["hosts"]}}), &there, "UnknownReference"),
            // Not delivered to yet, whatever its key.
            (hook.clone(), &with_secret, "Invalid"),
        ] {
            let verdict = validate(&alert(&spec), referred);
            assert_eq!(verdict.reason, reason, "{}", verdict.message);
        }
        let hook = alert(&hook);
        assert_eq!(missing_key(&hook, &there), Some(("hook-secret", "key")));
        assert_eq!(missing_key(&hook, &with_secret), None);
    }
}
