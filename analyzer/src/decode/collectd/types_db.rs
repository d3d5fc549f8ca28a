//! How many values a type has, what they are called and what they mean (types.db(5)).

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use super::{
    data_source::{DataSource, SourceKind},
    standard_types,
};
use crate::decode::{number, sample::Bounds};

static STANDARD: LazyLock<Arc<TypesDb>> = LazyLock::new(|| Arc::new(standard_types::all()));
static ONE_LEVEL: LazyLock<[DataSource; 1]> = LazyLock::new(|| {
    [DataSource { name: "value".to_owned(), kind: SourceKind::Gauge, bounds: Bounds::NONE }]
});

/// The types by name. A type that it does not know has one gauge, named `value`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TypesDb {
    types: HashMap<String, Vec<DataSource>>,
}

/// A line that is not as types.db(5) says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: `{text}` is no data source: write name:GAUGE|COUNTER|DERIVE|ABSOLUTE:min:max, with U for an open bound"
)]
pub struct TypesDbError {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong.
    pub text: String,
}

impl TypesDb {
    /// The types that collectd 5 comes with.
    #[must_use]
    pub fn standard() -> Arc<Self> {
        Arc::clone(&STANDARD)
    }

    /// Adds the types of a types.db; one that is known already is replaced.
    pub fn add(&mut self, text: &str) -> Result<(), TypesDbError> {
        for (n, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split([' ', '\t', ',', '\r']).filter(|word| !word.is_empty());
            let Some(name) = words.next() else { continue };
            let error = |text: &str| TypesDbError { line: n + 1, text: text.to_owned() };
            let sources = words
                .map(|word| data_source(word).ok_or_else(|| error(word)))
                .collect::<Result<Vec<_>, _>>()?;
            if sources.is_empty() {
                return Err(error(name));
            }
            self.types.insert(name.to_owned(), sources);
        }
        Ok(())
    }

    /// Adds a type.
    pub(super) fn insert(&mut self, name: &str, sources: Vec<DataSource>) {
        self.types.insert(name.to_owned(), sources);
    }

    /// The values of a type, in order.
    #[must_use]
    pub fn sources(&self, kind: &str) -> &[DataSource] {
        self.types.get(kind).map_or(&ONE_LEVEL[..], Vec::as_slice)
    }

    /// The rates that are possible of a type's value with this name.
    #[must_use]
    pub fn bounds(&self, kind: &str, source: &str) -> Bounds {
        self.sources(kind)
            .iter()
            .find(|known| known.name == source)
            .map_or(Bounds::NONE, |known| known.bounds)
    }

    /// The types by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[DataSource])> {
        self.types.iter().map(|(name, sources)| (name.as_str(), sources.as_slice()))
    }
}

fn data_source(text: &str) -> Option<DataSource> {
    let mut parts = text.split(':');
    let (name, kind, min, max) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if name.is_empty() || parts.next().is_some() {
        return None;
    }
    let bound = |text: &str, open: f64| if text == "U" { Some(open) } else { number::parse(text.as_bytes()) };
    Some(DataSource {
        name: name.to_owned(),
        kind: SourceKind::parse(kind)?,
        bounds: Bounds { min: bound(min, f64::NEG_INFINITY)?, max: bound(max, f64::INFINITY)? },
    })
}

#[cfg(test)]
mod tests;
