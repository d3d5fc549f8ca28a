//! A document held against its schema: everything that is wrong with it, and what remains of it.

use std::collections::{BTreeMap, HashSet};

use kinetic_api::suggest::{closest, list};
use serde_json::{Map, Value as Json};

use super::{Property, Range, Schema};
use crate::{
    problem::{Fault, Position},
    yaml::{Node, Value, shorten},
};

/// Notes what is wrong with a document, and returns it without what is wrong, if that leaves something to go on with: later checks then
/// find what is wrong with the rest in the same run.
pub(crate) fn check(node: &Node, schema: &Schema, faults: &mut Vec<Fault>) -> Option<Json> {
    let mut walk = Walk { faults };
    walk.value(node, schema, Here { path: "", position: node.position })
}

struct Walk<'a> {
    faults: &'a mut Vec<Fault>,
}

/// Where the walk is: a field's path, and the place that a message about it names.
#[derive(Clone, Copy)]
struct Here<'a> {
    path: &'a str,
    position: Position,
}

impl Here<'_> {
    fn child(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl Walk<'_> {
    fn fault(&mut self, here: Here<'_>, message: impl Into<String>, fix: impl Into<String>) {
        self.faults.push(Fault {
            position: here.position,
            field: here.path.to_owned(),
            message: message.into(),
            fix: fix.into(),
        });
    }

    fn value(&mut self, node: &Node, schema: &Schema, here: Here<'_>) -> Option<Json> {
        match (schema, &node.value) {
            (Schema::Any, value) => Some(value.to_json()),
            (Schema::Object(properties), Value::Map(_)) => self.object(node, properties, here),
            (Schema::Map { values, max }, Value::Map(fields)) => {
                let fits = self.size(fields.len(), 0, *max, "entries", here);
                let mut map = Map::new();
                for field in fields.iter().take(*max) {
                    let path = here.child(&field.key);
                    let there = Here { path: &path, position: field.position };
                    if let Some(value) = self.value(&field.node, values, there) {
                        map.insert(field.key.clone(), value);
                    }
                }
                fits.map(|()| map.into())
            }
            (Schema::List { items, min, max, keys }, Value::List(nodes)) => {
                let fits = self.size(nodes.len(), *min, *max, "entries", here);
                // What is beyond the most that there may be is not looked at: it could be anything much.
                let mut list = Vec::new();
                for (n, item) in nodes.iter().take(*max).enumerate() {
                    let path = format!("{}[{n}]", here.path);
                    list.push(self.value(item, items, Here { path: &path, position: item.position }));
                }
                for key in keys {
                    self.distinct(&nodes[..list.len()], key, here);
                }
                fits?;
                list.into_iter().collect()
            }
            (Schema::Text { min, max, pattern }, Value::Text(text)) => {
                let length = text.chars().count();
                if length >= *min && length <= *max && pattern.as_ref().is_some_and(|p| !p.is_match(text)) {
                    let message = format!("`{}` is not allowed here", shorten(text));
                    self.fault(here, message, schema.advice());
                    return None;
                }
                self.size(length, *min, *max, "characters", here)?;
                Some(text.clone().into())
            }
            (Schema::Choice(choices), Value::Text(text)) => {
                if choices.contains(text) {
                    return Some(text.clone().into());
                }
                let message = format!("there is no `{}`", shorten(text));
                let fix = match closest(text, choices.iter().map(String::as_str)) {
                    Some(close) => format!("did you mean {close}? There are: {}", choices.join(", ")),
                    None => schema.advice(),
                };
                self.fault(here, message, fix);
                None
            }
            (Schema::Integer(range), Value::Number(number)) if !number.is_f64() => {
                self.number(number, *range, here)
            }
            (Schema::Number(range), Value::Number(number)) => self.number(number, *range, here),
            (Schema::Boolean, Value::Bool(value)) => Some((*value).into()),
            (schema, value) => {
                self.wrong_type(value, schema, here);
                None
            }
        }
    }

    fn object(
        &mut self,
        node: &Node,
        properties: &BTreeMap<String, Property>,
        here: Here<'_>,
    ) -> Option<Json> {
        let Value::Map(fields) = &node.value else { return None };
        let mut whole = true;
        let mut map = Map::new();
        for field in fields {
            let path = here.child(&field.key);
            let there = Here { path: &path, position: field.position };
            let Some(property) = properties.get(&field.key) else {
                self.unknown(&field.key, properties, there);
                continue;
            };
            // An empty optional field is as good as none: `mute:` with nothing behind it.
            if field.node.value == Value::Null && !property.required {
                // Except where it is a choice: `cluster:` is most likely meant to be one with all defaults.
                if property.nullable && matches!(property.schema, Schema::Object(_)) {
                    self.fault(
                        there,
                        "there is nothing behind the colon",
                        "write {} for the defaults, or leave it out",
                    );
                }
                continue;
            }
            match self.value(&field.node, &property.schema, there) {
                Some(value) => drop(map.insert(field.key.clone(), value)),
                None => whole &= !property.required,
            }
        }
        for (name, property) in properties.iter().filter(|(_, property)| property.required) {
            if !fields.iter().any(|field| field.key == *name) {
                whole = false;
                let path = here.child(name);
                let fix = match property.description.trim_end_matches('.') {
                    "" => "add it".to_owned(),
                    description => format!("add it: {}", lower_first(description)),
                };
                self.fault(Here { path: &path, ..here }, "the field is missing", fix);
            }
        }
        whole.then(|| map.into())
    }

    fn unknown(&mut self, key: &str, properties: &BTreeMap<String, Property>, here: Here<'_>) {
        let names: Vec<_> = properties.keys().map(String::as_str).collect();
        let fix = match closest(key, names.iter().copied()) {
            Some(close) => format!("did you mean {close}?"),
            None => format!("leave it out; there are: {}", list(&names)),
        };
        self.fault(here, format!("there is no field `{}`", shorten(key)), fix);
    }

    fn size(&mut self, size: usize, min: usize, max: usize, unit: &str, here: Here<'_>) -> Option<()> {
        if size > max {
            self.fault(here, format!("{size} {unit} are more than {max}"), format!("use {max} or fewer"));
        } else if size == 0 && min > 0 {
            self.fault(here, "this is empty", format!("there must be at least {min}"));
        } else if size < min {
            self.fault(here, format!("{size} {unit} are fewer than {min}"), format!("use {min} or more"));
        } else {
            return Some(());
        }
        None
    }

    fn number(&mut self, number: &serde_json::Number, range: Range, here: Here<'_>) -> Option<Json> {
        let value = number.as_f64()?;
        if let Some(min) = range.min.filter(|min| value < *min) {
            self.fault(here, format!("{number} is less than {min}"), format!("use {min} or more"));
        } else if let Some(max) = range.max.filter(|max| value > *max) {
            self.fault(here, format!("{number} is more than {max}"), format!("use {max} or less"));
        } else {
            return Some(number.clone().into());
        }
        None
    }

    /// Two items of a list that the same key names.
    fn distinct(&mut self, items: &[Node], key: &str, here: Here<'_>) {
        let mut seen = HashSet::new();
        for (n, item) in items.iter().enumerate() {
            let Some(field) = item.get(key) else { continue };
            let Value::Text(text) = &field.node.value else { continue };
            if !seen.insert(text) {
                let path = format!("{}[{n}].{key}", here.path);
                let there = Here { path: &path, position: field.position };
                let message = format!("there is another `{}`", shorten(text));
                self.fault(there, message, format!("give each a {key} of its own"));
            }
        }
    }

    fn wrong_type(&mut self, value: &Value, schema: &Schema, here: Here<'_>) {
        let wanted = schema.noun();
        let (message, fix) = match value {
            Value::Null => ("there is nothing behind the colon".to_owned(), schema.advice()),
            Value::Text(text) => (format!("`{}` is a text, not {wanted}", shorten(text)), schema.advice()),
            Value::List(_) => (format!("this is a list, not {wanted}"), schema.advice()),
            Value::Map(_) => (format!("this is a map of fields, not {wanted}"), schema.advice()),
            Value::Number(number) => match schema {
                Schema::Text { pattern: None, .. } => {
                    (format!("{number} is a number, not {wanted}"), format!("put it in quotes: \"{number}\""))
                }
                _ => (format!("{number} is not {wanted}"), schema.advice()),
            },
            Value::Bool(value) => match schema {
                Schema::Text { pattern: None, .. } => {
                    (format!("{value} is not {wanted}"), format!("put it in quotes: \"{value}\""))
                }
                _ => (format!("{value} is not {wanted}"), schema.advice()),
            },
        };
        self.fault(here, message, fix);
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}
