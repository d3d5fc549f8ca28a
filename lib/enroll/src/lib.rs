//! How machines get certificates without anyone copying a private key.
//!
//! ```text
//! machine ─ token, CSR ─▶ front door ─▶ store ◀─ signer ◀─ rules (Customers), people
//! ```
//!
//! The front door only takes requests in ([`store::Requests`]); people say yes or no ([`person`]); the [`signer`] alone decides by the
//! [`rules`] and issues. What it needs to believe a request lies in the request itself ([`renewal`]), not in who brought it.

pub mod audit;
pub mod cluster;
pub mod folder;
pub mod id;
mod live;
pub mod metrics;
pub mod person;
pub mod renewal;
pub mod rules;
pub mod signer;
pub mod store;
pub mod token;
pub mod wire;

pub use self::{
    cluster::ClusterStore,
    folder::FolderStore,
    id::{EnrollmentId, IdKey},
    metrics::SignerMetrics,
    rules::{Decision, Rulebook, Rules},
    signer::{Certifier, Signer, SignerSettings},
    store::{Decisions, Requests, StoreError},
    token::{Token, TokenId, TokenRecord},
};
