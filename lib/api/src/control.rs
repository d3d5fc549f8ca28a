//! Control messages: what an analyzer is asked about its configuration object, what it answers, and what it tells everybody (DESIGN.md,
//! "Control messages"). The object is a flat map such as `slow-host.deviation: 1.0`.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Keys and values of a configuration object, or of a part of it: numbers and texts.
pub type Values = BTreeMap<String, Json>;

/// The longest body that is looked at, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// The most keys that a message may name.
pub const MAX_KEYS: usize = 1000;

/// What an analyzer is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Overrides these keys: all of them, or none if one is refused.
    Update(Values),
    /// Takes the overrides of these keys back; of all, where there are none.
    Delete(Vec<String>),
    /// Nothing: the answer is what is wanted.
    Read,
}

/// What a message asks for, by its header `opcode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Opcode {
    /// [`Command::Update`]; the body is a JSON map.
    Update,
    /// [`Command::Delete`]; the body is a JSON list of keys, or empty.
    Delete,
    /// [`Command::Read`]; the body is not looked at.
    Read,
}

impl Opcode {
    const ALL: [Self; 3] = [Self::Update, Self::Delete, Self::Read];

    /// As the header spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Read => "read",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|opcode| opcode.as_str() == text)
    }
}

/// A message that asks for nothing that there is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The header is missing, or no text.
    #[error("the header `opcode` is missing; set it to update, delete or read")]
    NoOpcode,
    /// The header says something else.
    #[error("there is no opcode `{0}`; use update, delete or read")]
    UnknownOpcode(String),
    /// The body is longer than [`MAX_BODY`].
    #[error("the body has {0} bytes, more than {MAX_BODY}; send fewer keys at a time")]
    TooLong(usize),
    /// The body is not what the opcode wants.
    #[error("the body is no {wanted} ({reason}); write for example {example}")]
    Malformed {
        /// What it should be.
        wanted: &'static str,
        /// What it should look like.
        example: &'static str,
        /// What the parser says.
        reason: String,
    },
    /// The body names more than [`MAX_KEYS`].
    #[error("the body names {0} keys, more than {MAX_KEYS}; send fewer at a time")]
    TooMany(usize),
}

impl Command {
    /// The command that a message's header `opcode` and its body say.
    pub fn parse(opcode: Option<&str>, body: &[u8]) -> Result<Self, CommandError> {
        let text = opcode.ok_or(CommandError::NoOpcode)?;
        let opcode = Opcode::parse(text)
            .ok_or_else(|| CommandError::UnknownOpcode(text.chars().take(40).collect()))?;
        if body.len() > MAX_BODY {
            return Err(CommandError::TooLong(body.len()));
        }
        let malformed = |wanted, example| {
            move |error: serde_json::Error| CommandError::Malformed {
                wanted,
                example,
                reason: error.to_string(),
            }
        };
        let (command, keys) = match opcode {
            Opcode::Read => (Self::Read, 0),
            Opcode::Update => {
                let example = r#"{"slow-host.deviation": 3}"#;
                let values: Values = serde_json::from_slice(body).map_err(malformed("JSON map", example))?;
                let keys = values.len();
                (Self::Update(values), keys)
            }
            Opcode::Delete if body.trim_ascii().is_empty() => (Self::Delete(Vec::new()), 0),
            Opcode::Delete => {
                let example = r#"["slow-host.deviation"]"#;
                let list: Vec<String> =
                    serde_json::from_slice(body).map_err(malformed("JSON list of keys", example))?;
                let keys = list.len();
                (Self::Delete(list), keys)
            }
        };
        if keys > MAX_KEYS {
            return Err(CommandError::TooMany(keys));
        }
        Ok(command)
    }

    /// What the header `opcode` says.
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        match self {
            Self::Update(_) => Opcode::Update,
            Self::Delete(_) => Opcode::Delete,
            Self::Read => Opcode::Read,
        }
    }

    /// What the body says; null for a command that has none.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Update(values) => values.clone().into_iter().collect(),
            Self::Delete(keys) => keys.iter().map(String::as_str).collect(),
            Self::Read => Json::Null,
        }
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        match self {
            Self::Read => Vec::new(),
            Self::Update(_) | Self::Delete(_) => self.to_json().to_string().into_bytes(),
        }
    }
}

/// Which analyzer something is said of: one share of a Topology's work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Controller {
    /// The customer's name.
    pub customer: String,
    /// The Topology's name.
    pub topology: String,
    /// The analyzer's number among the Topology's, from 0.
    pub analyzer: u32,
    /// How many the Topology has.
    pub analyzers: u32,
}

/// As commands and routing keys name it: `web.0`.
impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.topology, self.analyzer)
    }
}

/// What an analyzer answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Who answers.
    #[serde(flatten)]
    pub controller: Controller,
    /// Whether all that was asked is done, and durable.
    pub ok: bool,
    /// The configuration object as it is now.
    pub configuration: Values,
    /// The keys that are overridden, with the values that the Topology has.
    pub overridden: Values,
    /// What was refused; then nothing was changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refusal>,
}

/// Something that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The key; none where it is about the whole message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Why, and what to do.
    pub reason: String,
}

/// A change of an analyzer's configuration object, for whoever subscribes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Whose object it is.
    #[serde(flatten)]
    pub controller: Controller,
    /// When it was changed.
    pub at: Timestamp,
    /// By what.
    pub cause: Cause,
    /// By whom, as the asker says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What has changed; never empty.
    pub changes: Vec<Change>,
}

/// What changed a configuration object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// A control message that overrode keys.
    Update,
    /// A control message that took overrides back.
    Delete,
    /// An edit of the Topology.
    Topology,
}

/// One key's change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The key.
    pub key: String,
    /// What it was; none where there was no such key.
    pub old: Option<Json>,
    /// What it is; none where there is no such key any more.
    pub new: Option<Json>,
    /// Whether that is an override.
    pub overridden: bool,
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*};
    use serde_json::json;

    use super::*;

    fn any_value() -> impl Strategy<Value = Json> {
        prop_oneof![
            any::<i32>().prop_map(Json::from),
            (-1e9..1e9).prop_map(|n: f64| Json::from(n.round())),
            ".{0,20}".prop_map(Json::from),
        ]
    }

    fn any_command() -> impl Strategy<Value = Command> {
        prop_oneof![
            collection::btree_map(".{0,40}", any_value(), 0..8).prop_map(Command::Update),
            collection::vec(".{0,40}", 0..8).prop_map(Command::Delete),
            Just(Command::Read),
        ]
    }

    proptest! {
        #[test]
        fn what_is_sent_is_understood(command in any_command()) {
            prop_assert_eq!(Command::parse(Some(command.opcode().as_str()), &command.body()), Ok(command));
        }

        #[test]
        fn anything_is_an_answer_or_an_error(opcode in ".{0,8}|update|delete|read", body in collection::vec(any::<u8>(), 0..200)) {
            if let Err(error) = Command::parse(Some(&opcode), &body) {
                prop_assert!(error.to_string().len() < 1000);
            }
        }
    }

    #[test]
    fn hostile_bodies_are_refused_with_the_reason() {
        let parse = |opcode, body: &str| Command::parse(opcode, body.as_bytes()).unwrap_err().to_string();
        assert!(parse(None, "{}").contains("set it to update, delete or read"));
        assert!(parse(Some("uptade"), "{}").contains("no opcode `uptade`"));
        assert!(parse(Some("update"), "").contains(r#"{"slow-host.deviation": 3}"#));
        assert!(parse(Some("update"), "[1]").contains("JSON map"));
        assert!(parse(Some("update"), r#"{"a": 1e999}"#).contains("out of range"));
        assert!(parse(Some("update"), &"[".repeat(60_000)).contains("JSON map"));
        assert!(parse(Some("delete"), "{}").contains("JSON list"));
        assert!(parse(Some("update"), &" ".repeat(MAX_BODY + 1)).contains("more than 65536"));
        let many: Values = (0..=MAX_KEYS).map(|n| (format!("k{n}"), json!(1))).collect();
        assert!(parse(Some("update"), &json!(many).to_string()).contains("1001 keys"));
    }

    #[test]
    fn a_delete_without_keys_is_of_all() {
        for body in ["", " \n", "[]"] {
            assert_eq!(Command::parse(Some("delete"), body.as_bytes()), Ok(Command::Delete(Vec::new())));
        }
    }

    #[test]
    fn an_answer_is_flat() {
        let controller =
            Controller { customer: "acme".into(), topology: "web".into(), analyzer: 0, analyzers: 1 };
        let answer = Answer {
            controller,
            ok: true,
            configuration: Values::from([("slow.deviation".into(), json!(1.0))]),
            overridden: Values::from([("slow.deviation".into(), json!(4.0))]),
            refused: vec![],
        };
        let text = r#"{"customer":"acme","topology":"web","analyzer":0,"analyzers":1,"ok":true,"configuration":{"slow.deviation":1.0},"overridden":{"slow.deviation":4.0}}"#;
        assert_eq!(serde_json::to_string(&answer).unwrap(), text);
        assert_eq!(serde_json::from_str::<Answer>(text).unwrap(), answer);
    }
}
