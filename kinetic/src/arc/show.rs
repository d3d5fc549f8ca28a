//! What a person, or a program, sees of answers and notices.

use kinetic_api::control::{Answer, Change, Notice, Opcode, Refusal};
use serde_json::{Value as Json, json};

use super::ask::{Heard, Report};

/// The lines that tell of a report. Of a change it is the overrides that matter, of a question all.
pub(super) fn report(report: &Report, opcode: Opcode, expect: Option<usize>, as_json: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for said in &report.answers {
        if as_json {
            lines.push(json!({ "answer": said }).to_string());
        } else {
            answer(said, opcode, &mut lines);
        }
    }
    for name in &report.absent {
        lines.push(if as_json {
            json!({ "absent": name }).to_string()
        } else {
            format!("{name}  is not there")
        });
    }
    for name in &report.silent {
        lines.push(if as_json {
            json!({ "silent": name }).to_string()
        } else {
            format!("{name}  has not answered in time")
        });
    }
    if let Some(expect) = expect.filter(|expect| report.answers.len() < *expect) {
        lines.push(error(&format!("{} of {expect} analyzers have answered", report.answers.len()), as_json));
    }
    lines
}

/// What comes in without being asked for.
pub(super) fn heard(heard: &Heard, as_json: bool) -> Vec<String> {
    match heard {
        Heard::Notice(notice) if as_json => vec![json!({ "notice": notice }).to_string()],
        Heard::Late(said) if as_json => vec![json!({ "answer": said }).to_string()],
        Heard::Notice(notice) => notice_lines(notice),
        Heard::Late(said) => {
            let mut lines = vec!["late:".to_owned()];
            answer(said, Opcode::Update, &mut lines);
            lines
        }
    }
}

/// What is wrong with a line that was typed, or with the way to the analyzers.
pub(super) fn error(text: &str, as_json: bool) -> String {
    if as_json { json!({ "error": text }).to_string() } else { text.to_owned() }
}

fn answer(said: &Answer, opcode: Opcode, lines: &mut Vec<String>) {
    let outcome = if said.ok { "ok" } else { "refused, nothing was changed" };
    lines.push(format!("{}  {outcome}", said.controller));
    for Refusal { key, reason } in &said.refused {
        let key = key.as_ref().map_or_else(String::new, |key| format!("{key}: "));
        lines.push(format!("  {key}{reason}"));
    }
    if !said.ok {
        return;
    }
    for (key, value) in &said.configuration {
        match said.overridden.get(key) {
            Some(topology) => {
                lines.push(format!("  {key}: {}  (the Topology has {})", plain(value), plain(topology)));
            }
            None if opcode == Opcode::Read => lines.push(format!("  {key}: {}", plain(value))),
            None => {}
        }
    }
    if said.overridden.is_empty() {
        lines.push("  nothing is overridden".to_owned());
    }
}

fn notice_lines(notice: &Notice) -> Vec<String> {
    let by = notice.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
    let cause = match serde_json::to_value(notice.cause) {
        Ok(Json::String(cause)) => cause,
        _ => String::new(),
    };
    let at = notice.at.strftime("%H:%M:%SZ");
    let value = |value: &Option<Json>| value.as_ref().map_or_else(|| "none".to_owned(), plain);
    let line = |Change { key, old, new, .. }: &Change| {
        format!("{at}  {}  {key}: {} → {}  ({cause}{by})", notice.controller, value(old), value(new))
    };
    notice.changes.iter().map(line).collect()
}

/// A value without the quotes of JSON; control characters stay escaped.
fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.escape_debug().to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use kinetic_api::control::{Cause, Controller, Values};

    use super::*;

    fn said(ok: bool) -> Answer {
        let refused = vec![Refusal { key: Some("slow.after".into()), reason: "there is no such key".into() }];
        Answer {
            controller: Controller {
                customer: "acme".into(),
                topology: "web".into(),
                analyzer: 0,
                analyzers: 1,
            },
            ok,
            configuration: Values::from([
                ("slow.after".into(), json!("2m")),
                ("slow.deviation".into(), json!(1.0)),
            ]),
            overridden: Values::from([("slow.deviation".into(), json!(4.0))]),
            refused: if ok { vec![] } else { refused },
        }
    }

    #[test]
    fn people_see_what_matters() {
        let one = |ok| Report { answers: vec![said(ok)], ..Report::default() };
        assert_eq!(
            report(&one(true), Opcode::Read, None, false),
            ["web.0  ok", "  slow.after: 2m", "  slow.deviation: 1.0  (the Topology has 4.0)"]
        );
        assert_eq!(
            report(&one(true), Opcode::Update, None, false),
            ["web.0  ok", "  slow.deviation: 1.0  (the Topology has 4.0)"]
        );
        assert_eq!(
            report(&one(false), Opcode::Update, None, false),
            ["web.0  refused, nothing was changed", "  slow.after: there is no such key"]
        );
        let missing =
            Report { absent: vec!["web.1".into()], silent: vec!["web.2".into()], ..Report::default() };
        assert_eq!(
            report(&missing, Opcode::Read, Some(3), false),
            ["web.1  is not there", "web.2  has not answered in time", "0 of 3 analyzers have answered"]
        );
        let notice = Notice {
            controller: said(true).controller,
            at: jiff::Timestamp::UNIX_EPOCH,
            cause: Cause::Update,
            by: Some("ada".into()),
            changes: vec![Change {
                key: "slow.after".into(),
                old: Some(json!("1m")),
                new: None,
                overridden: false,
            }],
        };
        assert_eq!(
            heard(&Heard::Notice(notice), false),
            ["00:00:00Z  web.0  slow.after: 1m → none  (update by ada)"]
        );
    }

    #[test]
    fn programs_see_an_object_a_line() {
        let all =
            Report { answers: vec![said(true)], absent: vec!["web.1".into()], silent: vec!["web.2".into()] };
        let lines = report(&all, Opcode::Read, Some(3), true);
        let keys: Vec<_> = lines
            .iter()
            .map(|line| {
                serde_json::from_str::<Json>(line)
                    .unwrap()
                    .as_object()
                    .unwrap()
                    .keys()
                    .next()
                    .unwrap()
                    .clone()
            })
            .collect();
        assert_eq!(keys, ["answer", "absent", "silent", "error"]);
    }
}
