//! What a user writes: Customer, Topology and Alert in their wire form, with schemas and CEL rules; and Enrollment, which machines write.
//!
//! A choice (kind of analytic, receiver or origin) is one optional field a variant with a rule that exactly one is set; [`crate::plan`]
//! turns it into an enum. Rules that a schema can say stand here as schema, rules across fields as CEL, rules across resources in `plan`.

pub mod alert;
pub mod condition;
pub mod customer;
pub mod enrollment;
pub mod name;
pub mod topology;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

pub use self::{alert::Alert, customer::Customer, enrollment::Enrollment, name::Name, topology::Topology};

/// The definitions of every resource, in the order in which they refer to each other.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![Customer::crd(), Topology::crd(), Alert::crd(), Enrollment::crd()].into_iter().map(bounded).collect()
}

/// API servers know signed formats of integers only, and warn of others: of an unsigned one the bound says the same.
fn bounded(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    fn walk(schema: &mut JSONSchemaProps) {
        let largest = match schema.format.as_deref() {
            Some("uint8") => Some(f64::from(u8::MAX)),
            Some("uint16") => Some(f64::from(u16::MAX)),
            Some("uint32") => Some(f64::from(u32::MAX)),
            _ => None,
        };
        if let Some(largest) = largest {
            schema.format = None;
            schema.maximum.get_or_insert(largest);
        }
        schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(walk);
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
            walk(items);
        }
        if let Some(JSONSchemaPropsOrBool::Schema(more)) = &mut schema.additional_properties {
            walk(more);
        }
    }
    for version in &mut definition.spec.versions {
        version.schema.iter_mut().filter_map(|schema| schema.open_api_v3_schema.as_mut()).for_each(walk);
    }
    definition
}
