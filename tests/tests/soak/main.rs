//! Analyzer, alert service and broker killed at random moments: the same findings and incidents as of a run that nobody disturbed, and each
//! told of once (DESIGN.md, "Time, and what survives a crash", the promise).
//!
//! The run that nobody disturbs is a fresh analyzer that reads the same stream from its beginning. `make soak` makes 200 kills;
//! `KINETIC_SOAK_SEED` reproduces a run, `KINETIC_SOAK_KILLS` sets their number.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod schedule;
mod spy;
mod traffic;

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path, thread::sleep, time::Duration};

use jiff::Timestamp;
use kinetic_tests::{
    http::{get, metric},
    process::{Kinetic, eventually, free_port, incidents},
    rabbitmq::RabbitMq,
    smtp::SmtpServer,
};
use mail_parser::MessageParser;
use serde_json::Value;

use crate::{
    schedule::{Victim, kills},
    spy::{Findings, Spy, by_id},
    traffic::Traffic,
};

const VHOST: &str = "test.local.shop";

#[test]
fn kills_change_nothing() {
    let setting = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seed = setting("KINETIC_SOAK_SEED").unwrap_or(1);
    let count = setting("KINETIC_SOAK_KILLS").unwrap_or(20);
    println!("KINETIC_SOAK_SEED={seed} KINETIC_SOAK_KILLS={count}");

    let broker = RabbitMq::start();
    broker.add_vhost(VHOST);
    let url = broker.amqp_url("");
    let folder = tempfile::tempdir().unwrap();
    let place = Place {
        folder: folder.path(),
        amqp: url.trim_end_matches('/'),
        smtp: SmtpServer::start(),
        admin: free_port(),
    };
    fs::write(folder.path().join("resources.yaml"), include_str!("resources.yaml")).unwrap();
    let spy = Spy::start(place.amqp, VHOST);
    let mut analyzer = place.start("analyzer", "analyzer");
    let mut alert = place.start("alert", "alert");
    eventually("the analyzer to be ready", || {
        get(place.admin, "/readyz").is_some_and(|(status, _)| status == 200)
    });
    let traffic = Traffic::start(seed, place.amqp, VHOST);

    for (n, kill) in kills(seed, usize::try_from(count).unwrap()).into_iter().enumerate() {
        sleep(kill.after);
        println!("kill {n}: {:?}", kill.victim);
        if matches!(kill.victim, Victim::Analyzer | Victim::Both) {
            analyzer.kill();
        }
        if matches!(kill.victim, Victim::Alert | Victim::Both) {
            alert.kill();
        }
        if kill.victim == Victim::Broker {
            broker.kill9();
        }
        sleep(kill.dead);
        match kill.victim {
            Victim::Broker => broker.start_again(),
            Victim::Analyzer => analyzer = place.start("analyzer", "analyzer"),
            Victim::Alert => alert = place.start("alert", "alert"),
            Victim::Both => {
                analyzer = place.start("analyzer", "analyzer");
                alert = place.start("alert", "alert");
            }
        }
    }

    traffic.get_well();
    sleep(Duration::from_secs(15));
    let data = place.folder.join("alert");
    eventually("everything to be over", || incidents(&data).iter().all(|i| i["state"] == "resolved"));
    let samples = traffic.stop();
    let end = Timestamp::now();
    eventually("everybody to be told", || incidents(&data).iter().all(is_told_of));
    for role in [analyzer, alert] {
        let (status, said) = role.interrupt();
        assert!(status.success(), "{status}\n{said}");
    }
    let found = until(end, by_id(spy.take()));

    let analyzer = place.start("analyzer", "undisturbed");
    let read = "kinetic_analyzer_samples_total";
    #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
    eventually("the stream to be read again", || {
        metric(place.admin, read).is_some_and(|read| read >= samples as f64)
    });
    let undisturbed = until(end, by_id(spy.take()));
    let (status, said) = analyzer.interrupt();
    assert!(status.success(), "{status}\n{said}");
    println!("{samples} samples, {} findings", undisturbed.len());
    same(&undisturbed, &found);
    assert!(undisturbed.len() > usize::try_from(count).unwrap(), "too little happened to prove anything");

    let incidents = incidents(&data);
    assert_eq!(made_of(&incidents), expected(&undisturbed));
    for incident in &incidents {
        assert!(incident["silence"].is_null(), "{incident:#}");
        let told = incident["notifications"].as_array().unwrap();
        let first = |told: &&Value| told["reason"] == "FirstNotification" || told["reason"] == "NewIncidents";
        assert!(told.iter().filter(first).count() >= 1, "{incident:#}");
        let sequences: BTreeSet<_> =
            told.iter().map(|t| (t["sequence"].as_u64(), t["reason"].as_str())).collect();
        assert_eq!(sequences.len(), told.len(), "told of twice: {incident:#}");
    }
    let sent: usize = deliveries(&incidents).len();
    let mails: BTreeSet<_> = place.smtp.received().iter().map(|mail| message_id(&mail.data)).collect();
    assert_eq!(mails.len(), sent, "a mail may come twice, but never under two ids");
}

/// Where the roles find what they need.
struct Place<'a> {
    folder: &'a Path,
    amqp: &'a str,
    smtp: SmtpServer,
    /// The analyzer's.
    admin: u16,
}

impl Place<'_> {
    fn start(&self, role: &str, data: &str) -> Kinetic {
        let file = self.folder.join(format!("{role}.yaml"));
        let mut config = format!("amqp: {}\nfiles: [resources.yaml]\ndata: {data}\n", self.amqp);
        if role == "analyzer" {
            writeln!(config, "admin: 127.0.0.1:{}", self.admin).unwrap();
        } else {
            let server = self.smtp.address();
            writeln!(config, "mail: {{smtp: \"smtp://{server}\", from: kinetic@shop.example}}").unwrap();
        }
        fs::write(&file, config).unwrap();
        Kinetic::start([role, "--config", file.to_str().unwrap()])
    }
}

fn until(end: Timestamp, mut findings: Findings) -> Findings {
    findings.retain(|_, event| event["time"].as_str().unwrap().parse::<Timestamp>().unwrap() <= end);
    findings
}

fn same(undisturbed: &Findings, found: &Findings) {
    let line = |event: &Value| {
        let data = &event["data"];
        format!("{} {} {} {}", event["time"], data["analytic"], event["subject"], data["state"])
    };
    let only = |a: &Findings, b: &Findings| -> Vec<String> {
        a.iter().filter(|(id, _)| !b.contains_key(*id)).map(|(_, event)| line(event)).collect()
    };
    let (missed, invented) = (only(undisturbed, found), only(found, undisturbed));
    assert!(missed.is_empty() && invented.is_empty(), "missed: {missed:#?}\ninvented: {invented:#?}");
    for (id, event) in undisturbed {
        assert_eq!(event, &found[id]);
    }
}

/// Analytic, series, beginning and end of each incident that these findings make.
fn expected(findings: &Findings) -> BTreeSet<[String; 4]> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |state: &'static str| findings.values().filter(move |event| event["data"]["state"] == state);
    of("firing")
        .map(|fired| {
            let end = of("resolved")
                .filter(|over| over["subject"] == fired["subject"] && over["source"] == fired["source"])
                .map(|over| text(&over["time"]))
                .filter(|time| *time > text(&fired["time"]))
                .min();
            let data = &fired["data"];
            [text(&data["analytic"]), text(&fired["subject"]), text(&data["since"]), end.unwrap()]
        })
        .collect()
}

fn made_of(incidents: &[Value]) -> BTreeSet<[String; 4]> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    incidents
        .iter()
        .map(|i| [text(&i["analytic"]), text(&i["series"]), text(&i["startsAt"]), text(&i["endsAt"])])
        .collect()
}

fn is_told_of(incident: &Value) -> bool {
    let told = incident["notifications"].as_array().unwrap();
    !told.is_empty() && told.iter().all(|t| t["state"] == "sent")
}

/// Each message that was to be sent, once, though it may tell of several incidents.
fn deliveries(incidents: &[Value]) -> BTreeSet<String> {
    let told = |i: &Value| {
        let group = format!("{} {}", i["analytic"], i["origin"]);
        let told = i["notifications"].as_array().unwrap().clone();
        told.into_iter().map(move |t| format!("{group} {} {}", t["decidedAt"], t["sequence"]))
    };
    incidents.iter().flat_map(told).collect()
}

fn message_id(mail: &[u8]) -> String {
    MessageParser::default().parse(mail).unwrap().message_id().unwrap().to_owned()
}
