//! A resource's `metadata`: the part that people write, and what the API server adds to it.

use kinetic_api::resources::name;
use regex::Regex;

use super::{Property, Schema};

/// The schema of `metadata`, from `kubectl explain customers.metadata`.
pub(super) fn property() -> Property {
    let text = |max, pattern: Option<&str>| Schema::Text {
        min: usize::from(pattern.is_some()),
        max,
        pattern: pattern.and_then(|pattern| Regex::new(pattern).ok()),
    };
    let texts = || Schema::Map { values: Box::new(text(262_144, None)), max: usize::MAX };
    let written = [
        ("name", true, "the resource's name", text(name::MAX_LENGTH, Some(name::PATTERN))),
        ("namespace", false, "its namespace; `default` where absent", text(63, Some(name::PATTERN))),
        ("labels", false, "labels, to select resources by", texts()),
        ("annotations", false, "notes of any kind", texts()),
    ];
    let added = [
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    ];
    let any = |name: &str| (name.to_owned(), Property::any());
    let fields = written
        .into_iter()
        .map(|(name, required, description, schema)| {
            (
                name.to_owned(),
                Property { schema, required, nullable: false, description: description.to_owned() },
            )
        })
        .chain(added.into_iter().map(any));
    Property {
        schema: Schema::Object(fields.collect()),
        required: true,
        nullable: false,
        description: "what the resource is called".into(),
    }
}
