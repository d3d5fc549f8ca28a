use kinetic_api::anomaly::{Anomaly, State};
use mail_parser::{MessageParser, MimeHeaders};

use super::*;
use crate::{fixture, group::Phase, notification::Counts};

fn from() -> Mailbox {
    "Kinetic <kinetic@mail.example>".parse().unwrap()
}

fn parcel(notification: Notification) -> Parcel {
    let findings: Vec<Anomaly> =
        notification.entries.iter().map(|e| fixture::anomaly(&e.origin, State::Firing, 0)).collect();
    Parcel { notification, findings }
}

fn composed(change: impl FnOnce(&mut Notification)) -> Mail {
    let mut notification = fixture::notification();
    change(&mut notification);
    compose(&parcel(notification), &from()).unwrap()
}

#[test]
fn a_mail_has_words_html_and_a_chart() {
    let mail = composed(|_| {});
    if let Ok(folder) = std::env::var("KINETIC_CHARTS") {
        std::fs::write(format!("{folder}/mail.eml"), &mail.bytes).unwrap();
    }
    let parsed = MessageParser::new().parse(&mail.bytes).unwrap();
    let subject = "[kinetic] web-3: page.checkout.time 912 is 5.3 sigma above its 7 peers (slow-host)";
    assert_eq!((parsed.subject(), mail.subject.as_str()), (Some(subject), subject));
    assert_eq!(parsed.to().unwrap().first().unwrap().address(), Some("oncall@acme.example"));
    assert_eq!(parsed.from().unwrap().first().unwrap().address(), Some("kinetic@mail.example"));
    assert_eq!(parsed.date().unwrap().to_rfc3339(), "2026-11-21T10:33:50Z");
    assert_eq!(parsed.message_id(), Some(format!("{}@mail.example", fixture::notification().id()).as_str()));
    assert_eq!(parsed.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
    assert_eq!(parsed.header_raw("X-Kinetic-Incidents").map(str::trim), Some("incident-web-3"));
    assert!(parsed.in_reply_to().as_text().is_none());

    let text = parsed.body_text(0).unwrap();
    for part in
        ["912 (mean)", "118 ± 6.5", "+5.3σ", "2026-11-21 10:33:20 UTC", "Alert checkout", "kinetic incidents"]
    {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    let html = parsed.body_html(0).unwrap();
    let chart = parsed.attachments().find(|part| part.content_id().is_some()).unwrap();
    assert!(html.contains(&format!("cid:{}", chart.content_id().unwrap())));
    assert!(chart.contents().starts_with(b"\x89PNG\r\n\x1a\n"));
}

#[test]
fn the_same_message_is_the_same_mail() {
    assert_eq!(composed(|_| {}).bytes, composed(|_| {}).bytes);
}

#[test]
fn later_messages_are_threaded_to_the_first() {
    let mail = composed(|n| n.sequence = 3);
    let parsed = MessageParser::new().parse(&mail.bytes).unwrap();
    let first = format!("{}@mail.example", fixture::notification().first_id());
    assert_eq!(parsed.in_reply_to().as_text(), Some(first.as_str()));
    assert_eq!(parsed.references().as_text(), Some(first.as_str()));
    assert_ne!(parsed.message_id(), Some(first.as_str()));
}

#[test]
fn many_incidents_are_listed_and_counted() {
    let mail = composed(|n| {
        n.entries = (1..=6).map(|at| fixture::entry(&format!("web-{at}"), Phase::New)).collect();
        n.counts = Counts { new: 9, ..Counts::default() };
    });
    if let Ok(folder) = std::env::var("KINETIC_CHARTS") {
        std::fs::write(format!("{folder}/many.eml"), &mail.bytes).unwrap();
    }
    let parsed = MessageParser::new().parse(&mail.bytes).unwrap();
    assert_eq!(parsed.attachments().filter(|part| part.content_id().is_some()).count(), MAX_CHARTS);
    for body in [parsed.body_text(0).unwrap(), parsed.body_html(0).unwrap()] {
        assert!((1..=6).all(|at| body.contains(&format!("web-{at}"))), "{body}");
        assert!(body.contains("3 more incidents"), "{body}");
    }
}

#[test]
fn nothing_that_is_named_can_break_out() {
    let evil = "<script>alert(1)</script>\r\nBcc: everybody@acme.example";
    let mail = composed(|n| {
        n.entries[0].origin = evil.into();
        n.entries[0].metric = evil.into();
        n.entries[0].facts.explanation = evil.into();
        n.alert = evil.into();
        n.subject_template = Some("{{ incidents[0].origin }}\nBcc: a@acme.example\r\n\r\nbody".into());
    });
    let parsed = MessageParser::new().parse(&mail.bytes).unwrap();
    assert!(parsed.bcc().is_none());
    assert!(!parsed.body_html(0).unwrap().contains("<script"));
    assert!(!mail.subject.contains(['\r', '\n']));
    assert!(
        parsed.subject().unwrap().contains("Bcc: a@acme.example"),
        "it is words of the subject, no header"
    );
}

#[test]
fn templates_see_the_incidents() {
    let mail = composed(|n| {
        n.subject_template = Some("{{ alert }}: {{ firing }} × {{ group.metric }}".into());
        n.body_template = Some(
            "{% for i in incidents %}{{ i.origin }} <{{ i.tags.env }}> {{ i.value * 2 }}\n{% endfor %}"
                .into(),
        );
    });
    let parsed = MessageParser::new().parse(&mail.bytes).unwrap();
    assert_eq!(mail.subject, "checkout: 1 × page.checkout.time");
    assert!(
        parsed.body_text(0).unwrap().starts_with("web-3 <prod> 1824.0"),
        "{}",
        parsed.body_text(0).unwrap()
    );
    assert!(parsed.body_html(0).unwrap().contains("web-3 &lt;prod&gt; 1824.0"));
    assert_eq!(mail.broken_templates, 0);
}

#[test]
fn a_broken_template_falls_back_and_says_so() {
    let own = composed(|_| {}).subject;
    let mail = composed(|n| {
        n.subject_template = Some("{{ incident.origin }}".into());
        n.body_template = Some("{% if %}".into());
    });
    assert_eq!(mail.subject, own);
    assert_eq!(mail.broken_templates, 2);
    let parsed = MessageParser::new().parse(&mail.bytes).unwrap();
    let text = parsed.body_text(0).unwrap();
    assert!(text.contains("912 (mean)"), "{text}");
    assert!(text.contains("subjectTemplate") && text.contains("bodyTemplate"), "{text}");
}

#[test]
fn a_chart_that_is_gone_leaves_the_words() {
    let parcel = Parcel { notification: fixture::notification(), findings: vec![] };
    let mail = compose(&parcel, &from()).unwrap();
    let parsed = MessageParser::new().parse(&mail.bytes).unwrap();
    assert!(!parsed.body_html(0).unwrap().contains("<img"));
    assert!(parsed.body_text(0).unwrap().contains("912 (mean)"));
}

#[test]
fn without_an_address_there_is_no_mail() {
    let mut notification = fixture::notification();
    notification.to = vec!["no address\r\nBcc: a@b".into()];
    assert!(matches!(compose(&parcel(notification), &from()), Err(MailError::Nobody(_))));
}
