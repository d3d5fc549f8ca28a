//! Which kind of resource is meant: `customer`, `customers`, `kcust`, …, as `kubectl` takes them.

use std::str::FromStr;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kinetic_api::{
    resources::definitions,
    suggest::{closest, list},
};
use kinetic_resources::Kind;

/// A kind, or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kinds(pub(crate) Vec<Kind>);

/// One kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct One(pub(crate) Kind);

/// The definition of a kind.
pub(super) fn definition(kind: Kind) -> CustomResourceDefinition {
    let found = definitions().into_iter().find(|definition| definition.spec.names.kind == kind.as_str());
    found.expect("every kind has a definition: the test below")
}

/// What a kind may be called.
fn names(kind: Kind) -> Vec<String> {
    let names = definition(kind).spec.names;
    let mut all = vec![kind.as_str().to_lowercase(), names.plural];
    all.extend(names.short_names.unwrap_or_default());
    all
}

impl FromStr for One {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = text.to_lowercase();
        let plain = wanted.split('.').next().unwrap_or_default();
        if let Some(kind) = Kind::ALL.into_iter().find(|kind| names(*kind).iter().any(|name| name == plain)) {
            return Ok(Self(kind));
        }
        let known: Vec<_> = Kind::ALL.into_iter().flat_map(names).collect();
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        Err(match closest(plain, known.iter().copied()) {
            Some(close) => format!("did you mean {close}?"),
            None => format!("use one of: {}", list(&known)),
        })
    }
}

impl FromStr for Kinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" || text == "kinetic" {
            Ok(Self(Kind::ALL.to_vec()))
        } else {
            One::from_str(text).map(|one| Self(vec![one.0]))
        }
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
        assert_eq!("all".parse(), Ok(Kinds(Kind::ALL.to_vec())));
        assert_eq!("topolgy".parse::<One>().unwrap_err(), "did you mean topology?");
        assert!("pods".parse::<Kinds>().unwrap_err().contains("kcust"));
    }
}
