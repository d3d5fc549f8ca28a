//! The definitions of `kinetic_api`, made ready once: schema and CEL rules by kind.

use std::sync::LazyLock;

use kinetic_api::resources::definitions;
use kube::core::cel::{CompiledSchema, compile_schema};

use crate::{problem::Kind, schema::Schema};

/// What documents of a kind are held against.
pub(crate) struct Definition {
    pub schema: Schema,
    /// The definition's `x-kubernetes-validations`, as they stand in its tree.
    pub rules: CompiledSchema,
}

static DEFINITIONS: LazyLock<Vec<(String, Definition)>> = LazyLock::new(|| {
    let parts = |definition: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
        let schema = Schema::of(&definition);
        let json = definition
            .spec
            .versions
            .first()
            .and_then(|version| serde_json::to_value(version.schema.as_ref()?.open_api_v3_schema.as_ref()?).ok())
            .unwrap_or_default();
        (definition.spec.names.kind, Definition { schema, rules: compile_schema(&json) })
    };
    definitions().into_iter().map(parts).collect()
});

/// The definition of a kind.
pub(crate) fn of(kind: Kind) -> &'static Definition {
    let found = DEFINITIONS.iter().find(|(name, _)| name == kind.as_str());
    &found.expect("`definitions()` has every kind: the test beside this").1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(schema: &CompiledSchema) -> usize {
        schema.compilation_errors().len()
            + schema.properties.values().map(broken).sum::<usize>()
            + schema.items.as_deref().map_or(0, broken)
            + schema.additional_properties.as_deref().map_or(0, broken)
    }

    #[test]
    fn every_kind_has_one_and_its_rules_compile() {
        for kind in Kind::ALL {
            let definition = of(kind);
            assert_eq!(broken(&definition.rules), 0, "{kind}");
            assert!(!definition.rules.validations.is_empty(), "{kind}: the rule about the name");
        }
    }
}
