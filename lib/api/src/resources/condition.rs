//! Conditions as the Kubernetes API conventions have them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition as MetaCondition;

/// A condition of a resource's status: `metav1.Condition`.
pub type Condition = MetaCondition;
