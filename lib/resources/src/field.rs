//! One value held against one field's schema, by the same rules and in the same words as a file that has it.

use kinetic_api::plan::Problem;
use serde_json::Value as Json;

use crate::{
    definition,
    problem::{Kind, Position},
    schema,
    yaml::Node,
};

/// Whether a field of a kind of resource may have this value; `path` is such as `spec.analytics.cluster.deviation`, through
/// lists as if they were their items.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check_field(kind: Kind, path: &str, value: &Json) -> Result<(), Problem> {
    let Some(schema) = definition::of(kind).schema.at(&path.split('.').collect::<Vec<_>>()) else {
        return Err(Problem::new(path, format!("a {kind} has no such field"), "leave it out"));
    };
    let mut faults = Vec::new();
    schema::check(&Node { position: Position::START, value: value.into() }, schema, &mut faults);
    match faults.into_iter().next() {
        None => Ok(()),
        Some(fault) => Err(Problem::new(path, fault.message, fault.fix)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(path: &str, value: &Json) -> String {
        check_field(Kind::Topology, path, value).unwrap_err().to_string()
    }

    #[test]
    fn a_value_is_held_against_its_fields_schema() {
        let deviation = "spec.analytics.cluster.deviation";
        assert_eq!(check_field(Kind::Topology, deviation, &json!(3)), Ok(()));
        assert!(fault(deviation, &json!(0)).ends_with("0 is less than 0.1; use 0.1 or more"));
        assert!(fault(deviation, &json!("x")).contains("`x` is a text, not a number"));
        assert!(fault(deviation, &json!([[[1]]])).contains("this is a list"));
        assert!(fault(deviation, &json!(null)).contains("nothing behind the colon"));
        assert!(fault("spec.analytics.cluster.direction", &json!("Abov")).contains("did you mean Above?"));
        assert!(fault("spec.analytics.persistence.of", &json!(2.5)).contains("not a whole number"));
        assert!(fault("spec.sources.lateness", &json!("10")).contains("such as 10s or 1h30m"));
        assert!(fault("spec.sources.latenes", &json!("10s")).contains("no such field"));
    }
}
