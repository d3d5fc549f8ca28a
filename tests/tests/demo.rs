//! `make demo` as a newcomer runs it: it ends by itself, with exit code 0 only if the mail arrived.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use kinetic_tests::process::{Kinetic, binary, eventually, free_port};
use mail_parser::{MessageParser, MimeHeaders};

fn demo(data: &Path) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut command = Command::new(root.join("examples/web-shop/demo"));
    command.env("KINETIC", binary()).env("STATSD_PORT", free_port().to_string()).env("DEMO_DATA", data);
    command
}

#[test]
fn ends_by_itself_with_a_mail_about_the_slow_host() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let output = demo(&data).env("DURATION", "90s").stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));

    let truth: serde_json::Value =
        serde_json::from_slice(&fs::read(data.join("truth.json")).unwrap()).unwrap();
    let origin = truth["anomalies"][0]["origin"].as_str().unwrap();
    let mut mails: Vec<_> = fs::read_dir(data.join("mail")).unwrap().map(|e| e.unwrap().path()).collect();
    mails.sort();
    let mail = fs::read(&mails[0]).unwrap();
    let mail = MessageParser::default().parse(&mail).unwrap();
    let subject = mail.subject().unwrap();
    assert!(subject.contains(origin) && subject.contains("page.checkout.time"), "{subject}");
    assert!(mail.body_text(0).unwrap().contains(origin));
    assert!(mail.body_html(0).unwrap().contains(origin));
    let chart =
        mail.attachments().find(|part| part.content_type().is_some_and(|t| t.subtype() == Some("png")));
    assert!(chart.unwrap().contents().starts_with(b"\x89PNG"), "no chart");
    assert!(said.contains("Look at next") && said.contains(subject.trim()), "{said}");
}

#[test]
fn an_interrupt_ends_it_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut demo = Kinetic::spawn(&mut demo(&data));
    demo.wait_for("Sending");
    eventually("traffic to arrive", || demo.printed().contains("series"));
    let (status, said) = demo.interrupt();
    assert!(status.success(), "{status}\n{said}");
    assert!(said.contains("Stopped."), "{said}");
}
