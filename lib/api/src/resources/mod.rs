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

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub use self::{alert::Alert, customer::Customer, enrollment::Enrollment, name::Name, topology::Topology};

/// The definitions of every resource, in the order in which they refer to each other.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![Customer::crd(), Topology::crd(), Alert::crd(), Enrollment::crd()]
}
