//! Tokens of Customers on an API server, for whoever may write Customers; and who that is.

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kinetic_api::resources::Customer;
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Map, Value, json};

use super::directory::{TOKEN, annotation, tokens};
use crate::{
    store::StoreError,
    token::{TokenId, TokenRecord},
};

/// The tokens of a namespace's Customers.
#[derive(Clone)]
pub struct ClusterTokens {
    api: Api<Customer>,
}

impl ClusterTokens {
    /// In this namespace.
    #[must_use]
    pub fn new(client: &Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(client.clone(), namespace) }
    }

    /// Keeps a token's record with its Customer, which must be there. Those that have run out are forgotten.
    pub async fn keep(&self, record: &TokenRecord, now: Timestamp) -> Result<(), StoreError> {
        let customer = self.api.get_metadata_opt(&record.customer).await.map_err(failed)?;
        let customer = customer.ok_or_else(|| StoreError::NoCustomer(record.customer.to_string()))?;
        let over = tokens(&customer.metadata).filter(|token| token.expires_at <= now);
        let mut annotations: Map<String, Value> =
            over.map(|token| (format!("{TOKEN}{}", token.id), Value::Null)).collect();
        let (key, value) = annotation(record);
        annotations.insert(key, Value::String(value));
        self.annotate(&record.customer, annotations).await
    }

    /// What is kept of all tokens, in no order.
    pub async fn all(&self) -> Result<Vec<TokenRecord>, StoreError> {
        let customers = self.api.list_metadata(&ListParams::default()).await.map_err(failed)?;
        Ok(customers.iter().flat_map(|customer| tokens(&customer.metadata)).collect())
    }

    /// Forgets a token: who shows it from now on is refused.
    pub async fn revoke(&self, customer: &str, id: &TokenId) -> Result<(), StoreError> {
        self.annotate(customer, Map::from_iter([(format!("{TOKEN}{id}"), Value::Null)])).await
    }

    async fn annotate(&self, customer: &str, annotations: Map<String, Value>) -> Result<(), StoreError> {
        let patch = json!({"metadata": {"annotations": annotations}});
        let parameters = PatchParams { field_manager: Some("kinetic".to_owned()), ..PatchParams::default() };
        let patched = self.api.patch_metadata(customer, &parameters, &Patch::Merge(&patch)).await;
        patched.map(drop).map_err(failed)
    }
}

/// As whom an API server knows its client.
pub async fn whoami(client: &Client) -> Result<String, StoreError> {
    let api = Api::<SelfSubjectReview>::all(client.clone());
    let review = api.create(&PostParams::default(), &SelfSubjectReview::default()).await.map_err(failed)?;
    let name = review.status.and_then(|status| status.user_info?.username);
    Ok(name.unwrap_or_else(|| "somebody without a name".to_owned()))
}

fn failed(error: kube::Error) -> StoreError {
    StoreError::Cluster(Box::new(error))
}
