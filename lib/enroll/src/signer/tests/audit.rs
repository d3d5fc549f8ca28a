//! What became of a request is one line: who, as what, with which key and certificate, from where, decided how and by whom.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
};

use jiff::ToSpan;
use kinetic_pki::Subject;
use tracing::{
    Subscriber,
    field::{Field, Visit},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

use super::*;

type Line = BTreeMap<String, String>;

/// The lines of the audit, in order.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Line>>>);

struct Fields(Line);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "kinetic::audit" {
            let mut fields = Fields(Line::new());
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields.0);
        }
    }
}

impl Lines {
    /// Listens to this thread, on which the test and its signer are.
    fn listen() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
        (lines, guard)
    }

    /// The only line since the last look.
    fn only(&self) -> Line {
        let mut lines = std::mem::take(&mut *self.0.lock().unwrap());
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.remove(0)
    }
}

/// The line tells these, and what the request says of itself.
fn tells(line: &Line, id: &EnrollmentId, key: &PrivateKey, machine: &str, fields: &[(&str, &str)]) {
    let (id, key) = (id.to_string(), key.public().fingerprint().to_string());
    let identity = format!("/customers/acme/clients/web/machines/{machine}");
    let always = [
        ("enrollment", id.as_str()),
        ("customer", "acme"),
        ("client", "web"),
        ("machine", machine),
        ("identity", &identity),
        ("key", &key),
        ("address", "192.0.2.1"),
        ("token", "0123456789abcdef"),
    ];
    for (field, value) in always.iter().chain(fields) {
        assert_eq!(line.get(*field).map(String::as_str), Some(*value), "{field} of {line:?}");
    }
}

#[tokio::test]
async fn an_issue_a_denial_a_renewal_and_an_expiry_are_one_line_each() {
    let (lines, _listening) = Lines::listen();
    let mut rig = rig(ALLOW);
    let (listed, person, denied, late) = (key(), key(), key(), key());

    let id = rig.ask("web-1", &listed).await;
    let issued = rig.after(&id, now()).await;
    let (serial, end) = (issued.serial.clone().unwrap(), issued.not_after.clone().unwrap());
    let fields =
        [("event", "issued"), ("by", "allow-list"), ("serial", &serial), ("not_after", &end), ("reason", "")];
    tells(&lines.only(), &id, &listed, "web-1", &fields);
    // Looked at again, and asked for again: nothing new happened.
    rig.signer.round(now()).await.unwrap();

    let id = rig.ask("db-1", &person).await;
    rig.signer.round(now()).await.unwrap();
    rig.say(&id, Verdict::Approve).await.unwrap();
    let serial = rig.after(&id, now()).await.serial.unwrap();
    let fields = [("event", "issued"), ("by", "ann"), ("serial", &serial), ("reason", "looked at it")];
    tells(&lines.only(), &id, &person, "db-1", &fields);

    let id = rig.ask("db-2", &denied).await;
    rig.say(&id, Verdict::Deny).await.unwrap();
    rig.signer.round(now()).await.unwrap();
    rig.signer.round(now()).await.unwrap();
    let fields = [("event", "denied"), ("by", "ann"), ("serial", ""), ("reason", "looked at it")];
    tells(&lines.only(), &id, &denied, "db-2", &fields);

    let renewal = Renewal { certificate: issued.certificate.clone().unwrap(), proof: None };
    let at = now() + 16.hours();
    let id = rig.ask_as("web-1", &listed, Some(renewal.clone()), at).await;
    let renewed = rig.after(&id, at).await;
    let (next, end) = (renewed.serial.unwrap(), renewed.not_after.unwrap());
    assert_ne!(Some(&next), issued.serial.as_ref());
    let fields = [("event", "renewed"), ("by", "renewal"), ("serial", &next), ("not_after", &end)];
    tells(&lines.only(), &id, &listed, "web-1", &fields);

    let id = rig.ask_as("db-3", &late, None, now()).await;
    rig.signer.round(now() + 24.hours()).await.unwrap();
    tells(&lines.only(), &id, &late, "db-3", &[("event", "expired"), ("serial", "")]);
}

#[tokio::test]
async fn each_way_to_be_refused_is_told_with_its_reason() {
    let (lines, _listening) = Lines::listen();
    let mut rig = rig(ALLOW);
    let holder = key();
    let id = rig.ask("web-1", &holder).await;
    let certificate = rig.after(&id, now()).await.certificate.unwrap();
    let serial = lines.only()["serial"].clone();
    let renewal = |proof| Some(Renewal { certificate: certificate.clone(), proof });

    let thief = key();
    let id = rig.ask_as("web-1", &thief, renewal(None), now()).await;
    rig.signer.round(now()).await.unwrap();
    let line = lines.only();
    tells(&line, &id, &thief, "web-1", &[("event", "denied"), ("by", "renewal"), ("serial", "")]);
    assert!(line["reason"].contains("has not signed for it"), "{line:?}");

    let id = rig.ask_as("web-1", &holder, renewal(None), now()).await;
    rig.rules.send_replace(rulebook(&format!(", revoked: [{{serial: \"{serial}\"}}]")));
    rig.signer.round(now()).await.unwrap();
    let line = lines.only();
    tells(&line, &id, &holder, "web-1", &[("event", "denied"), ("by", "revoked")]);

    for (rules, by) in [
        (", enrollment: {policy: Deny}", "policy"),
        (", enrollment: {deny: [{client: web, names: [\"web-2\"]}]}", "deny-list"),
    ] {
        let asking = key();
        let id = rig.ask("web-2", &asking).await;
        rig.rules.send_replace(rulebook(rules));
        rig.signer.round(now()).await.unwrap();
        tells(&lines.only(), &id, &asking, "web-2", &[("event", "denied"), ("by", by), ("serial", "")]);
    }
}

#[test]
fn a_renewal_that_is_refused_at_the_door_is_told() {
    let (lines, _listening) = Lines::listen();
    let rig = rig("");
    let subject = Subject::Machine {
        customer: "acme".parse().unwrap(),
        client: "web".parse().unwrap(),
        machine: "web-1".parse().unwrap(),
    };
    let key = key();
    let issued = rig.folder.issue(&Leaf::new(subject, Duration::from_hours(1)), key.public(), now()).unwrap();
    let peer = Trusted::from_pem(&rig.folder.trust().unwrap()).vouch(&issued.certificate, now()).unwrap();
    crate::audit::tell_refused(&peer, "::ffff:192.0.2.7".parse().unwrap(), "the certificate is revoked");
    let line = lines.only();
    let (key, serial) = (key.public().fingerprint().to_string(), issued.serial.to_string());
    for (field, value) in [
        ("event", "denied"),
        ("identity", "/customers/acme/clients/web/machines/web-1"),
        ("trust_domain", "kinetic.local"),
        ("key", &key),
        ("serial", &serial),
        ("address", "192.0.2.7"),
        ("by", "front door"),
        ("reason", "the certificate is revoked"),
    ] {
        assert_eq!(line[field], value, "{field} of {line:?}");
    }
}
