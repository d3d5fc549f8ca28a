//! What is wrong with somebody's files, where, and what to do: displayed as compilers do.

use std::{fmt, path::PathBuf, sync::Arc};

/// The kinds of resource that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A tenant with a vhost of its own.
    Customer,
    /// Which metrics are watched, and what counts as odd.
    Topology,
    /// Who is told.
    Alert,
}

impl Kind {
    /// All of them, in the order in which they refer to each other.
    pub const ALL: [Self; 3] = [Self::Customer, Self::Topology, Self::Alert];

    /// As resources spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "Customer",
            Self::Topology => "Topology",
            Self::Alert => "Alert",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The namespace of resources that name none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// What a resource is called; displayed as `Topology web`, with its namespace where that is not `default`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name; empty where a broken document has none.
    pub name: String,
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.as_str(), self.namespace.as_str()) {
            ("", _) => write!(f, "{}", self.kind),
            (name, DEFAULT_NAMESPACE) => write!(f, "{} {name}", self.kind),
            (name, namespace) => write!(f, "{} {namespace}/{name}", self.kind),
        }
    }
}

/// A place in a text: line and column, in characters, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// Where a text begins.
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

/// Where something stands: a file, and a place in it where one is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The file or folder, as it was named; of what an API server keeps, its path there.
    pub file: Arc<PathBuf>,
    /// The place in it.
    pub position: Option<Position>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        self.position.map_or(Ok(()), |Position { line, column }| write!(f, ":{line}:{column}"))
    }
}

/// Something wrong in a file.
///
/// Displayed as `shop.yaml:14:9: Topology web: spec.analytics[0].cluster.minFeeds: 2 is less than 3; use 3 or more`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// In which resource; `None` for a file or a document that is none.
    pub resource: Option<ResourceId>,
    /// In which field, as a JSON path without the root; empty for the whole resource.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(resource) = &self.resource {
            write!(f, "{resource}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{}; {}", self.message, self.fix)
    }
}

impl std::error::Error for Problem {}

/// Something wrong at a place of a text whose file is still to be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub position: Position,
    pub field: String,
    pub message: String,
    pub fix: String,
}

impl Fault {
    pub fn at(self, file: &Arc<PathBuf>, resource: Option<ResourceId>) -> Problem {
        Problem {
            place: Place { file: Arc::clone(file), position: Some(self.position) },
            resource,
            field: self.field,
            message: self.message,
            fix: self.fix,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        let fault = Fault {
            position: Position { line: 14, column: 9 },
            field: "spec.analytics[0].cluster.minFeeds".into(),
            message: "2 is less than 3".into(),
            fix: "use 3 or more".into(),
        };
        let id = ResourceId { kind: Kind::Topology, namespace: DEFAULT_NAMESPACE.into(), name: "web".into() };
        fault.at(&Arc::new("examples/x.yaml".into()), Some(id))
    }

    #[test]
    fn displays_as_compilers_do() {
        let mut problem = problem();
        assert_eq!(
            problem.to_string(),
            "examples/x.yaml:14:9: Topology web: spec.analytics[0].cluster.minFeeds: 2 is less than 3; use 3 or more"
        );
        problem.place.position = None;
        problem.resource.as_mut().unwrap().namespace = "shop".into();
        problem.field.clear();
        assert_eq!(
            problem.to_string(),
            "examples/x.yaml: Topology shop/web: 2 is less than 3; use 3 or more"
        );
    }
}
