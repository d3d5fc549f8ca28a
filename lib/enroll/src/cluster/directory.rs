//! What the Customers' metadata says of enrolment: whose requests lie where, and which tokens there are. Pure.
//!
//! A token's hash is an annotation of its Customer. It need not be hidden: nobody finds 256 random bits by their hash; and who may write a Customer may say in it who
//! is let in anyhow.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kinetic_api::resources::Customer;
use kube::Resource;
use serde::{Deserialize, Serialize};

use crate::token::{TokenId, TokenRecord};

/// How the annotations of tokens begin; the token's id follows.
pub const TOKEN: &str = "token.enrollment.kinetic.dev/";

/// What an annotation says of its token.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    hash: String,
    created_at: Timestamp,
    expires_at: Timestamp,
}

/// All Customers, as far as enrolment goes.
#[derive(Debug, Default)]
pub struct Directory {
    homes: BTreeMap<String, Home>,
    tokens: HashMap<TokenId, TokenRecord>,
}

/// Where a Customer is.
#[derive(Clone, Debug, PartialEq)]
pub struct Home {
    /// Its namespace.
    pub namespace: String,
    /// What its requests go with.
    pub owner: OwnerReference,
}

impl Directory {
    /// Of several Customers of one name the first counts, as it does for the operator.
    pub fn of<'m>(customers: impl IntoIterator<Item = &'m ObjectMeta>) -> Self {
        let mut sorted: Vec<_> =
            customers.into_iter().filter(|metadata| metadata.deletion_timestamp.is_none()).collect();
        sorted.sort_by_key(|metadata| (metadata.creation_timestamp.clone(), metadata.namespace.clone()));
        let mut directory = Self::default();
        for metadata in sorted {
            let name = metadata.name.clone().unwrap_or_default();
            if directory.homes.contains_key(&name) {
                continue;
            }
            directory.tokens.extend(tokens(metadata).map(|record| (record.id.clone(), record)));
            directory.homes.insert(name, home(metadata));
        }
        directory
    }

    /// Where a Customer is.
    #[must_use]
    pub fn home(&self, customer: &str) -> Option<&Home> {
        self.homes.get(customer)
    }

    /// What is kept of a token.
    #[must_use]
    pub fn token(&self, id: &TokenId) -> Option<&TokenRecord> {
        self.tokens.get(id)
    }
}

fn home(metadata: &ObjectMeta) -> Home {
    Home {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        owner: OwnerReference {
            api_version: Customer::api_version(&()).into_owned(),
            kind: Customer::kind(&()).into_owned(),
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            ..OwnerReference::default()
        },
    }
}

/// The tokens of a Customer. What is unreadable is left out: its token is worth nothing.
pub fn tokens(customer: &ObjectMeta) -> impl Iterator<Item = TokenRecord> {
    let name = customer.name.as_deref().and_then(|name| name.parse().ok());
    let annotations = customer.annotations.iter().flatten();
    annotations.filter_map(move |(key, value)| {
        let id = TokenId::try_from(key.strip_prefix(TOKEN)?.to_owned()).ok()?;
        let Kept { hash, created_at, expires_at } = serde_json::from_str(value).ok()?;
        Some(TokenRecord { id, customer: name.clone()?, hash, created_at, expires_at })
    })
}

/// The annotation that keeps a token: key and value.
#[must_use]
pub fn annotation(record: &TokenRecord) -> (String, String) {
    let TokenRecord { id, hash, created_at, expires_at, .. } = record.clone();
    let kept = Kept { hash, created_at, expires_at };
    (format!("{TOKEN}{id}"), serde_json::to_string(&kept).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::token::{Token, admits};

    fn customer(namespace: &str, made: i64, annotations: &[(String, String)]) -> ObjectMeta {
        ObjectMeta {
            name: Some("acme".to_owned()),
            namespace: Some(namespace.to_owned()),
            uid: Some(format!("uid-{namespace}")),
            creation_timestamp: Some(Time(Timestamp::from_second(made).unwrap())),
            annotations: Some(annotations.iter().cloned().collect()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn a_token_lies_with_its_customer_and_only_the_first_of_a_name_counts() {
        let (now, token) = (Timestamp::from_second(1000).unwrap(), Token::generate());
        let record = TokenRecord::of(&token, "acme".parse().unwrap(), now, now + 1.hour());
        let broken = (format!("{TOKEN}0123456789abcdef"), "{}".to_owned());
        let first = customer("shops", 1, &[annotation(&record), broken, ("other".into(), "x".into())]);
        let other = Token::generate();
        let stolen = TokenRecord::of(&other, "acme".parse().unwrap(), now, now + 1.hour());
        let second = customer("elsewhere", 2, &[annotation(&stolen)]);
        let directory = Directory::of([&second, &first]);
        assert_eq!(directory.token(&token.id()), Some(&record));
        assert!(admits(directory.token(&token.id()), &token, &"acme".parse().unwrap(), now));
        assert_eq!(directory.token(&other.id()), None, "whoever takes a name lets nobody in by it");
        let home = directory.home("acme").unwrap();
        assert_eq!((home.namespace.as_str(), home.owner.uid.as_str()), ("shops", "uid-shops"));
        assert_eq!(tokens(&first).count(), 1);
    }
}
