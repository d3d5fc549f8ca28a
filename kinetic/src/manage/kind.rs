//! Which kind of resource is meant: `customer`, `customers`, `kcust`, …, as `kubectl` takes them.

use std::str::FromStr;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kinetic_api::{
    resources::definitions,
    suggest::{closest, list},
};
use kinetic_resources::Kind;

/// A kind that can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// People write it.
    Resource(Kind),
    /// Machines ask for their certificates by it, and only a cluster holds it: a folder's are shown by `kinetic enrollments`.
    Enrollment,
}

/// Kinds to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kinds(pub(crate) Vec<Shown>);

/// One kind that people write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct One(pub(crate) Kind);

impl Shown {
    /// As objects spell it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Resource(kind) => kind.as_str(),
            Self::Enrollment => "Enrollment",
        }
    }
}

/// The definition of a kind.
pub(super) fn definition(kind: Shown) -> CustomResourceDefinition {
    let found = definitions().into_iter().find(|definition| definition.spec.names.kind == kind.as_str());
    found.expect("every kind has a definition: the test below")
}

/// What a kind may be called.
fn names(kind: Shown) -> Vec<String> {
    let names = definition(kind).spec.names;
    let mut all = vec![kind.as_str().to_lowercase(), names.plural];
    all.extend(names.short_names.unwrap_or_default());
    all
}

/// The one of these that is called so.
fn called(text: &str, among: &[Shown]) -> Result<Shown, String> {
    let wanted = text.to_lowercase();
    let plain = wanted.split('.').next().unwrap_or_default();
    if let Some(kind) = among.iter().find(|kind| names(**kind).iter().any(|name| name == plain)) {
        return Ok(*kind);
    }
    let known: Vec<_> = among.iter().copied().flat_map(names).collect();
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    Err(match closest(plain, known.iter().copied()) {
        Some(close) => format!("did you mean {close}?"),
        None => format!("use one of: {}", list(&known)),
    })
}

impl FromStr for One {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match called(text, &Kind::ALL.map(Shown::Resource))? {
            Shown::Resource(kind) => Ok(Self(kind)),
            Shown::Enrollment => unreachable!("it is not among those that people write"),
        }
    }
}

impl FromStr for Kinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Kind::ALL.map(Shown::Resource).to_vec();
        // What people have written, and may want to apply elsewhere.
        if text == "all" || text == "kinetic" {
            return Ok(Self(all));
        }
        all.push(Shown::Enrollment);
        called(text, &all).map(|one| Self(vec![one]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_called_as_their_definitions_say() {
        for (text, kind) in [
            ("customer", Kind::Customer),
            ("Topologies", Kind::Topology),
            ("kalert", Kind::Alert),
            ("alerts.kinetic.dev", Kind::Alert),
        ] {
            assert_eq!(text.parse(), Ok(One(kind)), "{text}");
        }
        assert_eq!("all".parse(), Ok(Kinds(Kind::ALL.map(Shown::Resource).to_vec())));
        for text in ["enrollments", "Enrollment", "kenroll", "enrollments.kinetic.dev"] {
            assert_eq!(text.parse(), Ok(Kinds(vec![Shown::Enrollment])), "{text}");
        }
        assert!("enrollment".parse::<One>().is_err());
        assert_eq!("topolgy".parse::<One>().unwrap_err(), "did you mean topology?");
        assert!("pods".parse::<Kinds>().unwrap_err().contains("kcust"));
    }
}
