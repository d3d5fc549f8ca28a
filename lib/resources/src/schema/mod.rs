//! What a resource may hold: the structural schemas of the definitions in `kinetic_api`, read once.

mod check;
mod describe;
mod metadata;

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use regex::Regex;

pub(crate) use self::check::check;

/// What a value may be.
#[derive(Clone, Debug)]
pub(crate) enum Schema {
    /// Named fields, and no others.
    Object(BTreeMap<String, Property>),
    /// Fields of any name.
    Map { values: Box<Schema>, max: usize },
    /// Items; the values of `keys` set each apart from the others.
    List { items: Box<Schema>, min: usize, max: usize, keys: Vec<String> },
    /// A text, its length in characters.
    Text { min: usize, max: usize, pattern: Option<Regex> },
    /// One of these texts.
    Choice(Vec<String>),
    /// A whole number.
    Integer(Range),
    /// A number.
    Number(Range),
    /// `true` or `false`.
    Boolean,
    /// Anything at all.
    Any,
}

/// A field of an object.
#[derive(Clone, Debug)]
pub(crate) struct Property {
    schema: Schema,
    required: bool,
    /// Whether `null` is kept as a value, not taken as absence.
    nullable: bool,
    description: String,
}

/// Bounds that belong to what they bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    min: Option<f64>,
    max: Option<f64>,
}

impl Schema {
    /// The schema of whole documents of a kind. What the definition leaves to Kubernetes (`metadata`) is added; `status` may be anything:
    /// it is nobody's to write in a file.
    pub fn of(definition: &CustomResourceDefinition) -> Self {
        let spec = definition.spec.versions.first().and_then(|version| {
            version.schema.as_ref()?.open_api_v3_schema.as_ref()?.properties.as_ref()?.get("spec")
        });
        let mut fields: BTreeMap<_, _> = ["apiVersion", "kind", "status"]
            .into_iter()
            .map(|name| (name.to_owned(), Property::any()))
            .collect();
        fields.insert("metadata".into(), metadata::property());
        if let Some(spec) = spec {
            fields.insert("spec".into(), Property { required: true, ..Property::of(spec, false) });
        }
        Self::Object(fields)
    }

    /// What stands at a path of fields; the items of a list for the list itself.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        match (self, path) {
            (Self::List { items, .. }, _) => items.at(path),
            (_, []) => Some(self),
            (Self::Object(fields), [first, rest @ ..]) => fields.get(*first)?.schema.at(rest),
            _ => None,
        }
    }

    /// The dotted paths of all fields below, those that hold further fields first; and whether a field of any name may follow.
    pub fn paths(&self) -> Vec<(String, bool)> {
        let Self::Object(fields) = self else { return Vec::new() };
        let mut paths = Vec::new();
        for (name, Property { schema, .. }) in fields {
            paths.push((name.clone(), matches!(schema, Self::Map { .. } | Self::Any)));
            paths.extend(schema.paths().into_iter().map(|(path, open)| (format!("{name}.{path}"), open)));
        }
        paths
    }

    fn from_props(props: &JSONSchemaProps) -> Self {
        let size = |bound: Option<i64>, default: usize| {
            bound.and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
        };
        let range = Range { min: props.minimum, max: props.maximum };
        match (props.type_.as_deref(), &props.properties, &props.additional_properties, &props.items) {
            (Some("object"), Some(properties), _, _) => {
                let required = |name| props.required.as_ref().is_some_and(|names| names.contains(name));
                let fields =
                    properties.iter().map(|(name, p)| (name.clone(), Property::of(p, required(name))));
                Self::Object(fields.collect())
            }
            (Some("object"), None, Some(JSONSchemaPropsOrBool::Schema(values)), _) => Self::Map {
                values: Box::new(Self::from_props(values)),
                max: size(props.max_properties, usize::MAX),
            },
            (Some("array"), _, _, Some(JSONSchemaPropsOrArray::Schema(items))) => Self::List {
                items: Box::new(Self::from_props(items)),
                min: size(props.min_items, 0),
                max: size(props.max_items, usize::MAX),
                keys: props.x_kubernetes_list_map_keys.clone().unwrap_or_default(),
            },
            (Some("string"), ..) => match &props.enum_ {
                // The generated schemas of optional choices list null too; absence is said by `required`.
                Some(choices) => {
                    Self::Choice(choices.iter().filter_map(|c| c.0.as_str()).map(str::to_owned).collect())
                }
                None => Self::Text {
                    min: size(props.min_length, 0),
                    max: size(props.max_length, usize::MAX),
                    pattern: props.pattern.as_deref().and_then(|pattern| Regex::new(pattern).ok()),
                },
            },
            (Some("integer"), ..) => Self::Integer(range),
            (Some("number"), ..) => Self::Number(range),
            (Some("boolean"), ..) => Self::Boolean,
            _ => Self::Any,
        }
    }
}

impl Property {
    /// A field that is nobody's to write in a file.
    const fn any() -> Self {
        Self { schema: Schema::Any, required: false, nullable: false, description: String::new() }
    }

    fn of(props: &JSONSchemaProps, required: bool) -> Self {
        Self {
            schema: Schema::from_props(props),
            required,
            nullable: props.nullable == Some(true),
            description: props.description.clone().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use kinetic_api::resources::definitions;

    use super::*;

    /// Nothing that the definitions say may be lost on the way: only `resources` is free in shape.
    #[test]
    fn every_definition_is_understood() {
        fn anys(schema: &Schema, path: &str, found: &mut Vec<String>) {
            match schema {
                Schema::Any => found.push(path.to_owned()),
                Schema::Object(fields) => {
                    for (name, property) in fields {
                        anys(&property.schema, &format!("{path}.{name}"), found);
                    }
                }
                Schema::Map { values, .. } => anys(values, path, found),
                Schema::List { items, .. } => anys(items, path, found),
                _ => {}
            }
        }
        let mut found = Vec::new();
        for definition in definitions() {
            anys(&Schema::of(&definition), &definition.spec.names.kind, &mut found);
        }
        found.retain(|path| {
            !path.contains(".metadata.")
                && ![".apiVersion", ".kind", ".status"].iter().any(|end| path.ends_with(end))
        });
        assert_eq!(found, ["Topology.spec.analyzer.resources"]);
    }

    #[test]
    fn every_pattern_compiles() {
        fn patterns(props: &JSONSchemaProps, check: &mut impl FnMut(&str)) {
            props.pattern.iter().for_each(|pattern| check(pattern));
            props.properties.iter().flatten().for_each(|(_, p)| patterns(p, check));
            if let Some(JSONSchemaPropsOrArray::Schema(items)) = &props.items {
                patterns(items, check);
            }
            if let Some(JSONSchemaPropsOrBool::Schema(values)) = &props.additional_properties {
                patterns(values, check);
            }
        }
        let mut count = 0;
        for definition in definitions() {
            let root = definition.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
            patterns(&root, &mut |pattern| {
                assert!(Regex::new(pattern).is_ok(), "{pattern}");
                count += 1;
            });
        }
        assert!(count > 10, "{count}");
    }
}
