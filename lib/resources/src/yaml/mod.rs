//! YAML as a tree that knows where each field stands.

mod parse;
mod scalar;

use serde_json::Number;

pub(crate) use self::parse::{Budget, parse, shorten};
use crate::problem::Position;

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub position: Position,
    pub value: Value,
}

/// What JSON can say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Field>),
}

/// A field of a map; the keys of a map differ from each other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub key: String,
    /// Where the key stands.
    pub position: Position,
    pub node: Node,
}

impl Value {
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Number(value) => value.clone().into(),
            Self::Text(value) => value.clone().into(),
            Self::List(items) => items.iter().map(|item| item.value.to_json()).collect(),
            Self::Map(fields) => fields.iter().map(|f| (f.key.clone(), f.node.value.to_json())).collect(),
        }
    }
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        let node = |json: &serde_json::Value| Node { position: Position::START, value: json.into() };
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(value) => Self::Number(value.clone()),
            serde_json::Value::String(value) => Self::Text(value.clone()),
            serde_json::Value::Array(items) => Self::List(items.iter().map(node).collect()),
            serde_json::Value::Object(fields) => Self::Map(
                fields
                    .iter()
                    .map(|(key, json)| Field {
                        key: key.clone(),
                        position: Position::START,
                        node: node(json),
                    })
                    .collect(),
            ),
        }
    }
}

impl Node {
    /// The field of this name, if this is a map that has one.
    pub fn get(&self, key: &str) -> Option<&Field> {
        match &self.value {
            Value::Map(fields) => fields.iter().find(|field| field.key == key),
            _ => None,
        }
    }

    /// The text of the field of this name, if it is one.
    pub fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.node.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Where the field of a JSON path such as `spec.sources[0].name` stands, or what of it is there.
    pub fn locate(&self, path: &str) -> Position {
        let (mut node, mut position) = (self, self.position);
        for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
            match (&node.value, step.strip_suffix(']').and_then(|n| n.parse::<usize>().ok())) {
                (Value::List(items), Some(n)) => {
                    let Some(item) = items.get(n) else { break };
                    (node, position) = (item, item.position);
                }
                (Value::Map(_), None) => {
                    let Some(field) = node.get(step) else { break };
                    (node, position) = (&field.node, field.position);
                }
                _ => break,
            }
        }
        position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locates_fields_or_what_is_there_of_them() {
        let text = "spec:\n  list:\n  - name: a\n    deep: {x: 1}\n";
        let (documents, faults) = parse(text, &mut Budget::default());
        assert!(faults.is_empty());
        let at = |path| {
            let Position { line, column } = documents[0].locate(path);
            (line, column)
        };
        assert_eq!(at(""), (1, 1));
        assert_eq!(at("spec"), (1, 1));
        assert_eq!(at("spec.list"), (2, 3));
        assert_eq!(at("spec.list[0]"), (3, 5));
        assert_eq!(at("spec.list[0].deep.x"), (4, 12));
        assert_eq!(at("spec.list[0].deep.missing"), (4, 5));
        assert_eq!(at("spec.list[7].name"), (2, 3));
        assert_eq!(at("other.thing"), (1, 1));
    }
}
