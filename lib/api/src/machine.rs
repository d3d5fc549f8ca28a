//! Patterns for the names of machines.

use regex::{Regex, RegexBuilder};

use crate::{glob::Glob, resources::customer::Machines};

/// A compiled expression takes so many bytes at most.
const MOST: usize = 256 * 1024;

/// Names of machines: a glob whose `*` crosses dots (`web-*.acme.example`), or behind `re:` a regular expression. Either describes the
/// whole name, in lower case.
///
/// ```
/// use kinetic_api::machine::MachinePattern;
/// let pattern: MachinePattern = r"re:db[0-9]{1,4}\.acme\.example".parse().unwrap();
/// assert!(pattern.matches("db7.acme.example"));
/// assert!(!pattern.matches("evil-db7.acme.example.com"));
/// ```
#[derive(Clone, Debug)]
pub struct MachinePattern(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Glob(Glob),
    Regex(Regex),
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidPattern {
    /// There is nothing.
    #[error("the pattern is empty: write `*` for all names")]
    Empty,
    /// Behind `re:` is no regular expression.
    #[error("{0}")]
    Regex(#[from] regex::Error),
}

impl MachinePattern {
    /// Whether the whole name fits.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match &self.0 {
            Kind::Glob(glob) => glob.matches(name),
            Kind::Regex(regex) => regex.is_match(name),
        }
    }
}

impl std::str::FromStr for MachinePattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("re:") {
            None | Some("") if text.is_empty() || text == "re:" => Err(InvalidPattern::Empty),
            None => Ok(Self(Kind::Glob(Glob::flat(&text.to_ascii_lowercase())))),
            // On its own first: `a)|(b` must not become something else between our parentheses.
            Some(expression) => {
                RegexBuilder::new(expression).size_limit(MOST).build()?;
                let whole = RegexBuilder::new(&format!("^(?:{expression})$")).size_limit(MOST).build()?;
                Ok(Self(Kind::Regex(whole)))
            }
        }
    }
}

/// Which machines of which classes are meant. What is no pattern means nobody: a Customer that says so is refused before.
#[derive(Clone, Debug, Default)]
pub struct MachineSet(Vec<(String, Vec<MachinePattern>)>);

impl MachineSet {
    /// Reads what a Customer says.
    #[must_use]
    pub fn new(machines: &[Machines]) -> Self {
        let patterns = |names: &[String]| names.iter().filter_map(|name| name.parse().ok()).collect();
        Self(
            machines
                .iter()
                .map(|machines| (machines.client.to_string(), patterns(&machines.names)))
                .collect(),
        )
    }

    /// Whether a machine of a class is meant.
    #[must_use]
    pub fn contains(&self, client: &str, machine: &str) -> bool {
        self.0.iter().any(|(class, patterns)| class == client && patterns.iter().any(|p| p.matches(machine)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> MachinePattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_pattern_describes_the_whole_name() {
        for (text, name, expected) in [
            ("web-*.acme.example", "web-1.acme.example", true),
            ("web-*.acme.example", "web-1.eu.acme.example", true),
            ("web-*.acme.example", "web-1.acme.example.evil.com", false),
            ("WEB-?.acme.example", "web-1.acme.example", true),
            ("re:a|b", "a", true),
            ("re:a|b", "ab", false),
            ("re:a|b", "xb", false),
            ("re:db[0-9]{1,4}", "db12345", false),
            (r"re:db\d\n?", "db1\n", true),
            ("re:db1", "db1\n", false),
        ] {
            assert_eq!(pattern(text).matches(name), expected, "{text} {name}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        assert_eq!("".parse::<MachinePattern>().unwrap_err(), InvalidPattern::Empty);
        assert_eq!("re:".parse::<MachinePattern>().unwrap_err(), InvalidPattern::Empty);
        for text in ["re:(", "re:a)|(b", "re:x{1000}{1000}"] {
            assert!(text.parse::<MachinePattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_set_tells_classes_apart() {
        let machines = Machines {
            client: "web".parse().unwrap(),
            names: vec!["*.a".into(), "re:b".into(), "re:(".into()],
        };
        let set = MachineSet::new(&[machines]);
        assert!(set.contains("web", "x.a") && set.contains("web", "b"));
        assert!(!set.contains("db", "b") && !set.contains("web", "c"));
    }
}
