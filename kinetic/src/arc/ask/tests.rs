use kinetic_api::control::{Cause, Controller, Values};
use serde_json::json;

use super::*;

/// One that takes control messages as analyzers do, and answers, or does not.
async fn analyzer(bus: &Bus, topology: &str, number: u32, analyzers: u32, answers: bool) {
    let keys =
        [names::control(topology, number), names::control_all(topology), names::CONTROL_ALL.to_owned()];
    let bindings = keys.into_iter().map(|key| (names::CONTROL_EXCHANGE.to_owned(), key)).collect();
    let mut queue = bus.consume_own(&OwnQueue { name: None, bindings, max_length: 100 }, 1).await.unwrap();
    let (bus, topology) = (bus.clone(), topology.to_owned());
    tokio::spawn(async move {
        while let Ok(delivery) = queue.next().await {
            let asked = delivery.message.clone();
            delivery.ack().await;
            if !answers {
                continue;
            }
            let opcode = asked.header(names::OPCODE_HEADER).and_then(HeaderValue::as_str).unwrap().to_owned();
            let controller = Controller {
                customer: "acme".into(),
                topology: topology.clone(),
                analyzer: number,
                analyzers,
            };
            let answer = Answer {
                controller,
                ok: true,
                configuration: Values::from([("opcode".into(), json!(opcode))]),
                overridden: Values::new(),
                refused: vec![],
            };
            let answer = Message {
                routing_key: asked.reply_to.unwrap(),
                correlation_id: asked.correlation_id,
                body: serde_json::to_vec(&answer).unwrap().into(),
                ..Message::default()
            };
            bus.publish(names::REPLIES_EXCHANGE, answer).await.unwrap();
        }
    });
}

fn question(target: Target, command: Command) -> Question {
    Question { target, command, by: "ada".into(), patience: Duration::from_millis(500), expect: None }
}

async fn ask(bus: &Bus, question: &Question) -> Report {
    Asker::open(bus.clone()).await.unwrap().ask(question, &mut |_| {}).await.unwrap()
}

fn answered(report: &Report) -> Vec<String> {
    report.answers.iter().map(|answer| answer.controller.to_string()).collect()
}

#[tokio::test]
async fn each_is_asked_by_name_and_told_of() {
    let bus = Bus::local();
    bus.declare(&service::control_exchanges()).await.unwrap();
    analyzer(&bus, "web", 0, 3, true).await;
    analyzer(&bus, "web", 1, 3, false).await;
    analyzer(&bus, "db", 0, 1, true).await;
    for target in [Target::All, Target::Topology("web".into())] {
        for command in [Command::Read, Command::Delete(vec![])] {
            let report = ask(&bus, &question(target.clone(), command.clone())).await;
            let expected: &[&str] = if target == Target::All { &["db.0", "web.0"] } else { &["web.0"] };
            assert_eq!(answered(&report), expected);
            assert_eq!(
                (&report.absent[..], &report.silent[..]),
                (&["web.2".into()][..], &["web.1".into()][..])
            );
            assert!(report.answers.iter().all(|a| a.configuration["opcode"] == command.opcode().as_str()));
            assert!(!report.is_ok(None));
        }
    }
    let db = ask(&bus, &question(Target::Topology("db".into()), Command::Delete(vec![]))).await;
    assert!(answered(&db) == ["db.0"] && db.is_ok(None) && !db.is_ok(Some(2)), "{db:?}");
    let nobody = ask(&bus, &question(Target::Topology("nobody".into()), Command::Read)).await;
    assert_eq!((&nobody.absent[..], nobody.is_ok(None)), (&["nobody".into()][..], false));
    let none = ask(&bus, &question(Target::Analyzer("db".into(), 1), Command::Read)).await;
    assert_eq!(none.absent, ["db.1"]);
    let silent = ask(&bus, &question(Target::Analyzer("web".into(), 1), Command::Read)).await;
    assert_eq!(silent.silent, ["web.1"]);
}

#[tokio::test]
async fn nobody_at_all_is_told_at_once() {
    let report = ask(&Bus::local(), &question(Target::All, Command::Read)).await;
    assert_eq!(report, Report { absent: vec!["all".into()], ..Report::default() });
}

#[tokio::test]
async fn what_is_told_meanwhile_is_heard_and_what_is_no_message_is_not() {
    let bus = Bus::local();
    let mut asker = Asker::open(bus.clone()).await.unwrap();
    let controller =
        Controller { customer: "acme".into(), topology: "web".into(), analyzer: 0, analyzers: 1 };
    let notice = Notice {
        controller,
        at: jiff::Timestamp::UNIX_EPOCH,
        cause: Cause::Delete,
        by: None,
        changes: vec![],
    };
    let publish = |body: Vec<u8>| {
        bus.publish(names::CONFIG_EXCHANGE, Message { body: body.into(), ..Message::default() })
    };
    publish(b"\xff{[".to_vec()).await.unwrap();
    publish(serde_json::to_vec(&notice).unwrap()).await.unwrap();
    assert_eq!(asker.hear().await.unwrap(), Heard::Notice(notice.clone()));
    publish(serde_json::to_vec(&notice).unwrap()).await.unwrap();
    analyzer(&bus, "web", 0, 1, true).await;
    let mut heard = Vec::new();
    let question = question(Target::Topology("web".into()), Command::Read);
    asker.ask(&question, &mut |what| heard.push(what)).await.unwrap();
    assert_eq!(heard, [Heard::Notice(notice)]);
}
