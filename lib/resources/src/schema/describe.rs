//! Schemas in words: what to write instead of what was written.

use std::fmt;

use kinetic_api::{
    address, duration, quantity,
    resources::{name, topology::ORIGIN_PATTERN},
    suggest::list,
};

use super::{Range, Schema};

impl Schema {
    /// What to write: `write a whole number from 3 to 1000`.
    pub(super) fn advice(&self) -> String {
        match self {
            Self::Object(fields) => {
                let names: Vec<_> = fields.keys().map(String::as_str).collect();
                format!("write fields under it: {}", list(&names))
            }
            Self::Map { .. } => "write `name: value` lines under it".into(),
            Self::List { .. } => {
                "write a list: a line that begins with `- ` for each entry, or [a, b]".into()
            }
            Self::Text { pattern: Some(pattern), .. } => pattern_advice(pattern.as_str()),
            Self::Text { .. } => "write a text".into(),
            Self::Choice(choices) => format!("use one of: {}", choices.join(", ")),
            Self::Integer(range) => format!("write a whole number{range}"),
            Self::Number(range) => format!("write a number{range}"),
            Self::Boolean => "write true or false".into(),
            Self::Any => "write a value".into(),
        }
    }

    /// What it is called: `a whole number`.
    pub(super) const fn noun(&self) -> &'static str {
        match self {
            Self::Object(_) | Self::Map { .. } => "a map of fields",
            Self::List { .. } => "a list",
            Self::Text { .. } | Self::Choice(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Number(_) => "a number",
            Self::Boolean => "true or false",
            Self::Any => "a value",
        }
    }
}

/// What a pattern means to people, where it is one that they meet.
fn pattern_advice(pattern: &str) -> String {
    match pattern {
        name::PATTERN => "use a to z, 0 to 9 and inner hyphens, such as web-1".into(),
        duration::PATTERN => "write numbers with the units h, m, s or ms, such as 10s or 1h30m".into(),
        quantity::PATTERN => {
            "write a whole number with Ki, Mi, Gi, Ti, k, M, G, T or nothing, such as \"5Gi\"".into()
        }
        address::PATTERN => "write it as user@host".into(),
        address::URL => "write it as https://host/path".into(),
        ORIGIN_PATTERN => {
            "write {origin} once, as a whole dotted segment with no ** before it, such as servers.{origin}.**"
                .into()
        }
        other => format!("write it so that it matches {other}"),
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (Some(min), Some(max)) => write!(f, " from {min} to {max}"),
            (Some(min), None) => write!(f, " of {min} or more"),
            (None, Some(max)) => write!(f, " of {max} or less"),
            (None, None) => Ok(()),
        }
    }
}
