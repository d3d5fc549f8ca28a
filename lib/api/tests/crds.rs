//! `crds/` is generated from `kinetic_api::resources`; these tests keep the two together, and the definitions sound.

use std::{env, fs, path::PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kinetic_api::resources::definitions;

#[test]
fn crds_are_up_to_date() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    for definition in definitions() {
        let wanted = format!(
            "# Generated from lib/api by UPDATE_CRDS=1 cargo test -p kinetic-api --test crds. Do not edit.\n{}",
            serde_saphyr::to_string(&definition).unwrap()
        );
        // Helm would take these for its own.
        assert!(!wanted.contains("{{"));
        for folder in ["crds", "charts/kinetic-crds/templates"] {
            let name = definition.metadata.name.as_deref().unwrap();
            let path = root.join(folder).join(format!("{name}.yaml"));
            if env::var_os("UPDATE_CRDS").is_some() {
                fs::create_dir_all(root.join(folder)).unwrap();
                fs::write(&path, &wanted).unwrap();
            } else {
                assert!(
                    fs::read_to_string(&path).is_ok_and(|found| found == wanted),
                    "{} is not what lib/api says; run: UPDATE_CRDS=1 cargo test -p kinetic-api --test crds",
                    path.display()
                );
            }
        }
    }
}

/// What Kubernetes and people need of every field: CEL's cost budget takes bounded texts and lists, `kubectl explain` a description,
/// server-side apply the keys of lists of named things.
fn unsound(props: &JSONSchemaProps, path: &str, found: &mut Vec<String>) {
    // The conditions' own schema is Kubernetes'.
    if path.ends_with(".conditions[]") {
        return;
    }
    let mut complain = |what: &str| found.push(format!("{path}: {what}"));
    let item = path.ends_with("[]") || path.ends_with("{}");
    if !item && props.description.as_ref().is_none_or(String::is_empty) {
        complain("no description");
    }
    match props.type_.as_deref() {
        Some("string") if props.enum_.is_none() && props.max_length.is_none() => complain("no maxLength"),
        Some("integer" | "number" | "boolean" | "string") => {}
        Some("array") => {
            if props.max_items.is_none() {
                complain("no maxItems");
            }
            if let Some(JSONSchemaPropsOrArray::Schema(items)) = &props.items {
                let fields = items.properties.iter().flatten();
                let named = fields.clone().any(|(name, _)| name == "name") || path.ends_with(".conditions");
                if named && props.x_kubernetes_list_map_keys.is_none() {
                    complain("no x-kubernetes-list-map-keys");
                }
            } else {
                complain("no items");
            }
        }
        Some("object") if props.x_kubernetes_preserve_unknown_fields == Some(true) => {}
        Some("object") => match (&props.properties, &props.additional_properties) {
            (Some(_), None) => {}
            (None, Some(JSONSchemaPropsOrBool::Schema(_))) if props.max_properties.is_some() => {}
            _ => complain("neither fields nor a bounded map"),
        },
        other => complain(&format!("the type {other:?}")),
    }
    for (name, field) in props.properties.iter().flatten() {
        unsound(field, &format!("{path}.{name}"), found);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &props.items {
        unsound(items, &format!("{path}[]"), found);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &props.additional_properties {
        unsound(values, &format!("{path}{{}}"), found);
    }
}

#[test]
fn definitions_are_sound() {
    let mut found = Vec::new();
    for definition in definitions() {
        for version in &definition.spec.versions {
            let schema = version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
            unsound(schema, &definition.spec.names.kind, &mut found);
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn definitions_are_found_by_their_short_names() {
    let names: Vec<_> = definitions()
        .into_iter()
        .map(|d| (d.spec.names.kind, d.spec.names.short_names, d.spec.names.categories, d.spec.scope))
        .collect();
    let each = |kind: &str, short: &str| {
        (
            kind.to_owned(),
            Some(vec![short.to_owned()]),
            Some(vec!["kinetic".to_owned()]),
            "Namespaced".to_owned(),
        )
    };
    let wanted =
        [("Customer", "kcust"), ("Topology", "ktopo"), ("Alert", "kalert"), ("Enrollment", "kenroll")];
    assert_eq!(names, wanted.map(|(kind, short)| each(kind, short)));
}
