//! Whose object it is, by its keys.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::text::Text;

/// Whose object it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A value list of collectd's.
    Collectd,
    /// A notification of collectd's.
    Notification,
    /// A metric of Telegraf's.
    Telegraf,
    /// A metric of Vector's.
    Vector,
    /// It holds metrics: Telegraf's batch, Vector's `native_json`.
    Holder,
    /// None of these.
    Unknown,
}

/// The metrics in an object that holds others.
#[derive(Deserialize)]
pub(super) struct Held<'a> {
    #[serde(borrow, default)]
    pub(super) metrics: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) metric: Option<&'a RawValue>,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
                let mut shape = Shape::Unknown;
                while let Some(Text(key)) = map.next_key()? {
                    map.next_value::<IgnoredAny>()?;
                    if shape == Shape::Unknown {
                        shape = by_key(&key);
                    }
                }
                Ok(shape)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// What an object is that has this key.
fn by_key(key: &str) -> Shape {
    match key {
        "values" | "dsnames" | "dstypes" => Shape::Collectd,
        "severity" | "annotations" => Shape::Notification,
        "fields" => Shape::Telegraf,
        "counter"
        | "gauge"
        | "set"
        | "distribution"
        | "aggregated_histogram"
        | "aggregated_summary"
        | "sketch" => Shape::Vector,
        "metrics" | "metric" => Shape::Holder,
        _ => Shape::Unknown,
    }
}

/// A list, taken element by element.
pub(super) struct List<F>(F);

impl<F: FnMut(&RawValue)> List<F> {
    /// Hands out each element. An error, and no more elements, where it is no list.
    pub(super) fn each(value: &RawValue, take: F) -> Result<(), serde_json::Error> {
        serde_json::Deserializer::from_str(value.get()).deserialize_seq(Self(take))
    }
}

impl<'de, F: FnMut(&RawValue)> Visitor<'de> for List<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element::<&'de RawValue>()? {
            (self.0)(element);
        }
        Ok(())
    }
}
