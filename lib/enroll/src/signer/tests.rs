mod audit;

use jiff::ToSpan;
use kinetic_api::resources::Customer;
use kinetic_pki::{Peer, PrivateKey};

use super::*;
use crate::{
    folder::FolderStore,
    id::{EnrollmentId, Wanted},
    person,
    renewal::proof,
    store::Requests,
    wire::{Say, Verdict},
};

struct Rig {
    _place: tempfile::TempDir,
    store: FolderStore,
    folder: Folder,
    rules: watch::Sender<Arc<Rulebook>>,
    signer: Signer<FolderStore, Folder>,
    metrics: SignerMetrics,
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn rulebook(enrollment: &str) -> Arc<Rulebook> {
    let text = format!(
        "apiVersion: kinetic.dev/v1alpha1\nkind: Customer\nmetadata: {{name: acme}}\nspec: {{region: us-west, provider: aws, \
         clients: [{{name: web, profile: web, certificate: {{lifetime: 24h, renewBefore: 8h}}}}]{enrollment}}}\n"
    );
    Arc::new(Rulebook::of([&serde_saphyr::from_str::<Customer>(&text).unwrap()]))
}

const ALLOW: &str = ", enrollment: {policy: AllowList, allow: [{client: web, names: [\"web-*\"]}]}";

fn rig(enrollment: &str) -> Rig {
    rig_at(enrollment, now())
}

fn rig_at(enrollment: &str, at: Timestamp) -> Rig {
    let place = tempfile::tempdir().unwrap();
    let store = FolderStore::open(place.path()).unwrap();
    let domain = "kinetic.local".parse().unwrap();
    let year = Duration::from_hours(24 * 365);
    let folder = Folder::init(&place.path().join("pki"), &domain, year, at).unwrap();
    let (rules, told) = watch::channel(rulebook(enrollment));
    let metrics = SignerMetrics::default();
    let signer = Signer::new(store.clone(), folder.clone(), told, SignerSettings::default(), metrics.clone());
    Rig { _place: place, store, folder, rules, signer, metrics }
}

impl Rig {
    async fn ask_as(
        &self,
        machine: &str,
        key: &PrivateKey,
        renewal: Option<Renewal>,
        at: Timestamp,
    ) -> EnrollmentId {
        let renews = renewal.as_ref().map(|_| kinetic_pki::Serial::from_bytes(b"any"));
        let wanted = Wanted {
            customer: "acme".parse().unwrap(),
            client: "web".parse().unwrap(),
            machine: machine.parse().unwrap(),
            key: key.public().fingerprint(),
            renews,
        };
        let id = self.store.id_key().id(&wanted, 0);
        let spec = EnrollmentSpec {
            customer: wanted.customer,
            client: wanted.client,
            name: machine.to_owned(),
            csr: request::make(key).unwrap(),
            key_fingerprint: key.public().fingerprint().to_string(),
            address: "192.0.2.1".to_owned(),
            requested_at: at.to_string(),
            token: Some("0123456789abcdef".to_owned()),
            renewal,
        };
        self.store.add(&id, spec).await.unwrap();
        id
    }

    async fn ask(&self, machine: &str, key: &PrivateKey) -> EnrollmentId {
        self.ask_as(machine, key, None, now()).await
    }

    async fn status(&self, id: &EnrollmentId) -> EnrollmentStatus {
        self.store.find(id).await.unwrap().unwrap().status.clone().unwrap_or_default()
    }

    async fn after(&mut self, id: &EnrollmentId, at: Timestamp) -> EnrollmentStatus {
        self.signer.round(at).await.unwrap();
        self.status(id).await
    }

    async fn say(&self, id: &EnrollmentId, verdict: Verdict) -> Result<Enrollment, person::NotDecided> {
        let say = Say { verdict, reason: Some("looked at it".to_owned()) };
        person::decide(&self.store, id, &say, "ann", now()).await
    }
}

fn key() -> PrivateKey {
    PrivateKey::generate().unwrap()
}

fn peer(rig: &Rig, status: &EnrollmentStatus) -> Peer {
    let trust = Trusted::from_pem(&rig.folder.trust().unwrap());
    trust.vouch(status.certificate.as_ref().unwrap(), now()).unwrap()
}

#[tokio::test]
async fn a_person_decides_and_the_signer_signs() {
    let mut rig = rig("");
    let key = key();
    let id = rig.ask("db-1", &key).await;
    let waits = rig.after(&id, now()).await;
    assert_eq!((waits.state, waits.certificate), (EnrollmentState::Pending, None));
    assert!(waits.reason.unwrap().contains("waits for a person"));

    rig.say(&id, Verdict::Approve).await.unwrap();
    rig.say(&id, Verdict::Approve).await.unwrap();
    let refused = rig.say(&id, Verdict::Deny).await.unwrap_err().to_string();
    assert!(refused.contains("Approved already (by ann)"), "{refused}");
    let issued = rig.after(&id, now()).await;
    assert_eq!((issued.state, issued.decided_by.as_deref()), (EnrollmentState::Issued, Some("ann")));
    let peer = peer(&rig, &issued);
    assert_eq!(peer.identity.to_string(), "spiffe://kinetic.local/customers/acme/clients/web/machines/db-1");
    assert_eq!(peer.key, key.public().fingerprint());
    assert_eq!(peer.not_after, now() + 24.hours());
    assert_eq!(Some(peer.serial.to_string()), issued.serial);

    // Nothing is signed twice.
    assert_eq!(rig.after(&id, now()).await, issued);
    assert_eq!(rig.folder.records().unwrap().len(), 1);
    assert_eq!(rig.metrics.decisions(Event::Issued), 1);
}

#[tokio::test]
async fn the_list_decides_for_the_first_key_only() {
    let mut rig = rig(ALLOW);
    let (one, other) = (key(), key());
    // In one round, and in the next.
    let (first, second) = (rig.ask("web-1", &one).await, rig.ask("web-1", &other).await);
    rig.signer.round(now()).await.unwrap();
    let states = [rig.status(&first).await.state, rig.status(&second).await.state];
    assert!(
        states.contains(&EnrollmentState::Issued) && states.contains(&EnrollmentState::Pending),
        "{states:?}"
    );
    let third = rig.ask("web-1", &key()).await;
    let waits = rig.after(&third, now()).await;
    assert!(waits.reason.unwrap().contains("another key"));
    rig.say(&third, Verdict::Approve).await.unwrap();
    assert_eq!(rig.after(&third, now()).await.state, EnrollmentState::Issued);
    // A day later nothing of the machine is alive: the list decides again.
    let fourth = rig.ask_as("web-1", &key(), None, now() + 25.hours()).await;
    assert_eq!(rig.after(&fourth, now() + 25.hours()).await.state, EnrollmentState::Issued);
    let unlisted = rig.ask("mail-1", &key()).await;
    assert_eq!(rig.after(&unlisted, now()).await.state, EnrollmentState::Pending);
}

#[tokio::test]
async fn what_nobody_decides_expires_and_is_forgotten() {
    let mut rig = rig("");
    let id = rig.ask("web-1", &key()).await;
    assert_eq!(rig.after(&id, now() + 1439.minutes()).await.state, EnrollmentState::Pending);
    assert_eq!(rig.after(&id, now() + 24.hours()).await.state, EnrollmentState::Expired);
    assert_eq!(rig.metrics.decisions(Event::Expired), 1);
    rig.signer.round(now() + 48.hours()).await.unwrap();
    assert!(rig.store.find(&id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_denial_is_told_and_a_changed_rule_counts_at_once() {
    let mut rig = rig("");
    let (by_person, by_list) = (rig.ask("web-1", &key()).await, rig.ask("web-2", &key()).await);
    rig.say(&by_person, Verdict::Deny).await.unwrap();
    rig.signer.round(now()).await.unwrap();
    assert_eq!(rig.metrics.decisions(Event::Denied), 1);
    rig.rules.send_replace(rulebook(", enrollment: {deny: [{client: web, names: [\"web-2\"]}]}"));
    rig.say(&by_list, Verdict::Approve).await.unwrap();
    let denied = rig.after(&by_list, now()).await;
    assert_eq!((denied.state, denied.decided_by.as_deref()), (EnrollmentState::Denied, Some("deny-list")));
    assert_eq!(rig.metrics.decisions(Event::Denied), 2);
    assert!(rig.folder.records().unwrap().is_empty());
}

async fn enrolled(rig: &mut Rig, key: &PrivateKey) -> String {
    let id = rig.ask("web-1", key).await;
    rig.after(&id, now()).await.certificate.unwrap()
}

#[tokio::test]
async fn the_current_certificate_renews_itself() {
    let mut rig = rig(ALLOW);
    let (old, new) = (key(), key());
    let certificate = enrolled(&mut rig, &old).await;
    let at = now() + 16.hours();
    let same = Renewal { certificate: certificate.clone(), proof: None };
    let id = rig.ask_as("web-1", &old, Some(same), at).await;
    let renewed = rig.after(&id, at).await;
    assert_eq!((renewed.state, renewed.decided_by.as_deref()), (EnrollmentState::Issued, Some("renewal")));
    assert_eq!(renewed.not_after, Some((at + 24.hours()).to_string()));

    let passed = Renewal { certificate, proof: Some(proof(&old, new.public()).unwrap()) };
    let id = rig.ask_as("web-1", &new, Some(passed), at).await;
    let renewed = rig.after(&id, at).await;
    assert_eq!(renewed.state, EnrollmentState::Issued);
    assert_eq!(PublicKey::of_certificate(&renewed.certificate.unwrap()).as_ref(), Some(new.public()));
    assert_eq!(rig.metrics.decisions(Event::Renewed), 2);
}

/// Whoever brings the request in cannot make one up.
#[tokio::test]
async fn nobody_else_renews() {
    let mut rig = rig(ALLOW);
    let (old, thief) = (key(), key());
    let certificate = enrolled(&mut rig, &old).await;
    let renewal = |proof: Option<String>| Some(Renewal { certificate: certificate.clone(), proof });
    let stolen = proof(&thief, thief.public()).unwrap();
    let cases = [
        (rig.ask_as("web-1", &thief, renewal(None), now()).await, "has not signed for it"),
        (rig.ask_as("web-2", &old, renewal(None), now()).await, "only a machine renews its own"),
        (rig.ask_as("web-1", &key(), renewal(Some(stolen)), now()).await, "has not signed for it"),
    ];
    rig.signer.round(now()).await.unwrap();
    for (id, reason) in cases {
        let denied = rig.status(&id).await;
        assert_eq!(denied.state, EnrollmentState::Denied);
        assert!(denied.reason.as_ref().unwrap().contains(reason), "{denied:?}");
    }
    // Nor with a certificate that has run out, whenever the request says that it was made.
    let at = now() + 1530.minutes();
    for asked in [now() + 2.hours(), at] {
        let late = rig.ask_as("web-1", &old, renewal(None), asked).await;
        let denied = rig.after(&late, at).await;
        assert!(denied.state == EnrollmentState::Denied && denied.reason.unwrap().contains("valid from"));
        rig.store.remove(&(*rig.store.find(&late).await.unwrap().unwrap()).clone()).await.unwrap();
    }
}

#[tokio::test]
async fn revoked_serials_do_not_renew() {
    let mut rig = rig(ALLOW);
    let key = key();
    let certificate = enrolled(&mut rig, &key).await;
    let serial = peer(
        &rig,
        &EnrollmentStatus { certificate: Some(certificate.clone()), ..EnrollmentStatus::default() },
    )
    .serial;
    rig.rules.send_replace(rulebook(&format!(", revoked: [{{serial: \"{serial}\"}}]")));
    let id = rig.ask_as("web-1", &key, Some(Renewal { certificate, proof: None }), now()).await;
    let denied = rig.after(&id, now()).await;
    assert_eq!((denied.state, denied.decided_by.as_deref()), (EnrollmentState::Denied, Some("revoked")));
}

#[tokio::test]
async fn a_fingerprint_that_is_not_the_request_s_is_not_signed() {
    let mut rig = rig(ALLOW);
    let (shown, real) = (key(), key());
    let id = rig.ask("web-1", &shown).await;
    let seen = rig.store.find(&id).await.unwrap().unwrap();
    rig.store.remove(&seen).await.unwrap();
    rig.store
        .add(&id, EnrollmentSpec { csr: request::make(&real).unwrap(), ..seen.spec.clone() })
        .await
        .unwrap();
    assert_eq!(rig.after(&id, now()).await.state, EnrollmentState::Denied);
    assert!(rig.folder.records().unwrap().is_empty());
}

#[tokio::test]
async fn runs_until_it_is_cancelled_and_sees_changes() {
    let Rig { _place, store, folder, rules, metrics, .. } = rig_at(ALLOW, Timestamp::now());
    let signer = Signer::new(store.clone(), folder, rules.subscribe(), SignerSettings::default(), metrics);
    let stop = CancellationToken::new();
    let running = tokio::spawn(signer.run(stop.clone()));
    let wanted = Wanted {
        customer: "acme".parse().unwrap(),
        client: "web".parse().unwrap(),
        machine: "web-1".parse().unwrap(),
        key: key().public().fingerprint(),
        renews: None,
    };
    let id = store.id_key().id(&wanted, 0);
    let key = key();
    let spec = EnrollmentSpec {
        customer: wanted.customer,
        client: wanted.client,
        name: "web-1".to_owned(),
        csr: request::make(&key).unwrap(),
        key_fingerprint: key.public().fingerprint().to_string(),
        address: String::new(),
        requested_at: Timestamp::now().to_string(),
        token: None,
        renewal: None,
    };
    store.add(&id, spec).await.unwrap();
    let mut changes = store.changes();
    let state = || async { store.find(&id).await.unwrap().unwrap().state() };
    for _ in 0..100 {
        if state().await == EnrollmentState::Issued {
            break;
        }
        let _ = timeout(Duration::from_millis(300), changes.changed()).await;
    }
    assert_eq!(state().await, EnrollmentState::Issued);
    stop.cancel();
    running.await.unwrap();
}
