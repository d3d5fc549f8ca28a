//! Each role alone, over RabbitMQ only: `kinetic analyzer` finds, `kinetic alert` mails by SMTP; probes and metrics say how they are.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::Path};

use kinetic_tests::{
    http::get,
    process::{Kinetic, eventually, free_port},
    rabbitmq::RabbitMq,
    smtp::{Behaviour, SmtpServer},
};
use mail_parser::MessageParser;

fn start(role: &str, folder: &Path, config: &str) -> Kinetic {
    let file = folder.join(format!("{role}.yaml"));
    fs::write(&file, config).unwrap();
    Kinetic::start([role, "--config", file.to_str().unwrap()])
}

/// What a client sends: here over the broker's HTTP interface, which is one more publisher.
fn publish(broker: &RabbitMq, load: i64) {
    let message = format!(
        r#"{{"properties": {{"headers": {{"origin": "web-1"}}}}, "routing_key": "statsd.web.web-1",
            "payload": "host.load:{load}|g|#host:web-1", "payload_encoding": "string"}}"#
    );
    let answer = broker.http("POST", "/api/exchanges/test.local.shop/kinetic.metrics/publish", &message);
    assert!(answer.contains("\"routed\":true"), "{answer}");
}

#[test]
fn analyzer_and_alert_work_apart() {
    let broker = RabbitMq::start();
    let smtp = SmtpServer::start();
    smtp.set(Behaviour::Refuse("451 4.7.1 greylisted".into()));
    broker.add_vhost("test.local.shop");
    let folder = tempfile::tempdir().unwrap();
    let text = include_str!("resources/load.yaml").replace("above: 100", "above: 10");
    fs::write(folder.path().join("resources.yaml"), text).unwrap();
    let common = |data: &str, admin: u16| {
        let amqp = broker.amqp_url("");
        let amqp = amqp.trim_end_matches('/');
        format!("amqp: {amqp}\nfiles: [resources.yaml]\ndata: {data}\nadmin: 127.0.0.1:{admin}\n")
    };
    let (analyzer_port, alert_port) = (free_port(), free_port());
    let analyzer = start("analyzer", folder.path(), &common("analyzer", analyzer_port));
    let mail = format!("mail: {{smtp: \"smtp://{}\", from: kinetic@shop.example}}\n", smtp.address());
    let alert = start("alert", folder.path(), &(common("alert", alert_port) + &mail));
    for port in [analyzer_port, alert_port] {
        eventually("both to be ready", || get(port, "/readyz").is_some_and(|(status, _)| status == 200));
        assert_eq!(get(port, "/healthz"), Some((200, "ok\n".into())));
    }

    // No time of its own, as foreign publishers send it: the stream's ticks date it.
    eventually("the server to be tried, and to put the mail off", || {
        publish(&broker, 50);
        smtp.attempts("oncall@shop.example") > 0
    });
    smtp.set(Behaviour::Accept);
    let mails = smtp.wait_for(1);
    let mail = MessageParser::default().parse(&mails[0].data).unwrap();
    assert!(mail.subject().unwrap().contains("host.load 50"), "{:?}", mail.subject());
    assert_eq!(
        (mails[0].from.as_str(), &*mails[0].to),
        ("kinetic@shop.example", &["oncall@shop.example".to_owned()][..])
    );

    let metrics = get(analyzer_port, "/metrics").unwrap().1;
    let findings = r#"kinetic_analyzer_findings_total{customer="shop",topology="web",analytic="loaded",partition="0",state="firing"} 1"#;
    assert!(metrics.contains(findings), "{metrics}");
    assert!(get(alert_port, "/metrics").unwrap().1.contains("kinetic_alert_"));

    broker.stop();
    for port in [analyzer_port, alert_port] {
        eventually("a broker that is away to be told", || {
            get(port, "/readyz")
                .is_some_and(|(status, why)| status == 503 && why.contains("no connection to the broker"))
        });
    }
    for role in [analyzer, alert] {
        let (status, said) = role.interrupt();
        assert!(status.success(), "{status}\n{said}");
    }
}
