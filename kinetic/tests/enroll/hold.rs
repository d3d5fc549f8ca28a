//! `kinetic clients`, and its `pause`, `disconnect` and `resume`, against a real registry.

use kinetic_redirector::enroll::IntakeSettings;
use serde_json::Value;

use crate::rig::{Rig, err, issue, out, rig};

async fn clients(rig: &Rig, who: &str, args: &[&str]) -> std::process::Output {
    let files = issue(&rig.folder, &format!("spiffe://kinetic.local{who}"), &rig.place.path().join("people"));
    let [cert, key, ca] = [files.certificate, files.key, files.trust].map(|path| path.display().to_string());
    let url = format!("https://{}", rig.registry);
    let place = ["--server", &url, "--cert", &cert, "--key", &key, "--ca", &ca];
    rig.kinetic(&[&["clients"], args, &place].concat(), None).await
}

async fn held(rig: &Rig) -> Vec<Value> {
    let listed = clients(rig, "/operator", &["--json"]).await;
    let all: Value = serde_json::from_str(&out(&listed)).unwrap_or_else(|_| panic!("{}", err(&listed)));
    all["customers"].as_array().unwrap().iter().map(|one| one["hold"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_paused_disconnected_and_resumed() {
    let rig = rig("", IntakeSettings::default()).await;
    assert!(held(&rig).await.is_empty());
    for (word, hold, said) in [
        ("pause", "paused", "nothing is read"),
        ("disconnect", "disconnected", "none is taken"),
        ("resume", "no", "may connect"),
    ] {
        let done = clients(&rig, "/operator", &[word, "acme"]).await;
        assert!(done.status.success(), "{}", err(&done));
        let text = out(&done);
        assert!(
            text.contains(said) && text.contains(&format!("by --server: https://{}", rig.registry)),
            "{text}"
        );
        assert_eq!(held(&rig).await, [hold]);
        let listed = out(&clients(&rig, "/customers/acme/control/ann", &[]).await);
        assert!(listed.starts_with("0 connections by --server: https://"), "{listed}");
        assert_eq!(listed.contains("`kinetic clients resume acme` lets it go on"), hold != "no", "{listed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_says_what_to_do() {
    let rig = rig("", IntakeSettings::default()).await;
    let own = clients(&rig, "/customers/acme/control/ann", &["pause", "acme"]).await;
    assert!(!own.status.success() && err(&own).contains("only the operator or the console"), "{}", err(&own));
    let client = clients(&rig, "/customers/acme/clients/web", &[]).await;
    assert!(!client.status.success() && err(&client).contains("may not ask here"), "{}", err(&client));
    let foreign = clients(&rig, "/customers/acme/control/ann", &["--customer", "beta"]).await;
    assert!(!foreign.status.success() && err(&foreign).contains("asks about acme only"), "{}", err(&foreign));
    let nobody = clients(&rig, "/operator", &["disconnect", "nobody"]).await;
    assert!(!nobody.status.success() && err(&nobody).contains("is it registered there?"), "{}", err(&nobody));
    assert!(held(&rig).await.is_empty());

    let nowhere = rig.kinetic(&["clients"], None).await;
    assert!(!nowhere.status.success() && err(&nowhere).contains("--data DIR"), "{}", err(&nowhere));
    let data = rig.data().display().to_string();
    let unserved = rig.kinetic(&["clients", "pause", "acme", "--data", &data], None).await;
    assert!(err(&unserved).contains("--data") && err(&unserved).contains("--amqps"), "{}", err(&unserved));
}
