//! Why a key is refused, for people.

use kinetic_api::{
    control::Refusal,
    plan::TopologyPlan,
    suggest::{closest, list},
};

use super::part::Part;

/// The longest part of a key that is repeated in an answer.
const SHOWN: usize = 80;

/// So many refusals are told of at most.
const MAX_TOLD: usize = 100;

/// A key that the configuration object does not have.
pub(super) fn unknown<'a>(
    key: &str,
    plan: &TopologyPlan,
    keys: impl Iterator<Item = &'a str> + Clone,
) -> Refusal {
    let (name, field) = key.split_once('.').unwrap_or((key, ""));
    let parts: Vec<Part> = Part::all(plan).filter(|part| part.name(plan) == name).collect();
    let reason = if parts.is_empty() {
        let names: Vec<_> = Part::all(plan).map(|part| part.name(plan)).collect();
        match closest(key, keys) {
            Some(close) => format!("there is no such key; did you mean {close}?"),
            None => format!("there is no analytic or source `{}`; there are: {}", shown(name), list(&names)),
        }
    } else if parts.iter().any(|part| part.needs_edit(plan, field)) {
        "it decides what is read, and changing it means to read the stream again: edit the Topology"
            .to_owned()
    } else {
        let of_part = |key| str::strip_prefix(key, name)?.strip_prefix('.');
        let fields: Vec<_> = keys.filter_map(of_part).collect();
        match closest(field, fields.iter().copied()) {
            Some(close) => format!("there is no such key; did you mean {name}.{close}?"),
            None => format!("there is no such key; {name} has: {}", list(&fields)),
        }
    };
    Refusal { key: Some(shown(key)), reason }
}

/// As much of a key as an answer repeats.
fn shown(key: &str) -> String {
    let mut text: String = key.chars().take(SHOWN).collect();
    if text.len() < key.len() {
        text.push('…');
    }
    text
}

/// The first refusals, and how many there are beyond.
pub(super) fn bounded(mut refused: Vec<Refusal>) -> Vec<Refusal> {
    if refused.len() > MAX_TOLD {
        let more = refused.len() - MAX_TOLD;
        refused.truncate(MAX_TOLD);
        refused.push(Refusal { key: None, reason: format!("{more} more keys were refused") });
    }
    refused
}
