//! Where requests and tokens lie: two interfaces, as there are two rights.

use std::{future::Future, io, path::PathBuf, sync::Arc, time::Duration};

use kinetic_api::resources::{
    Enrollment,
    enrollment::{EnrollmentSpec, EnrollmentStatus},
};
use tokio::sync::watch;

use crate::{
    id::EnrollmentId,
    token::{TokenId, TokenRecord},
};

/// Why a store does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file that does not hold what it should.
    #[error("{}: {reason}; remove it, its machine will ask again", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Somebody else was faster.
    #[error("{0} has changed meanwhile, or is gone: look at it again")]
    Changed(String),
    /// The API server refused, or was away.
    #[error("the API server: {0}")]
    Cluster(Box<kube::Error>),
    /// A request for nobody.
    #[error("there is no Customer {0}")]
    NoCustomer(String),
    /// The program is ending.
    #[error("stopping")]
    Stopping,
}

/// What the front door may: look, and add.
pub trait Requests: Clone + Send + Sync + 'static {
    /// What is kept of a token.
    fn token(&self, id: &TokenId) -> impl Future<Output = Result<Option<TokenRecord>, StoreError>> + Send;

    /// A request.
    fn find(
        &self,
        id: &EnrollmentId,
    ) -> impl Future<Output = Result<Option<Arc<Enrollment>>, StoreError>> + Send;

    /// All requests. What is unreadable is logged and left out.
    fn list(&self) -> impl Future<Output = Result<Vec<Arc<Enrollment>>, StoreError>> + Send;

    /// Adds a request, unless there is one of this id: what there is now.
    fn add(
        &self,
        id: &EnrollmentId,
        spec: EnrollmentSpec,
    ) -> impl Future<Output = Result<Arc<Enrollment>, StoreError>> + Send;

    /// Counts changes of requests, whoever makes them. It may miss some: look again now and then.
    fn changes(&self) -> watch::Receiver<u64>;

    /// How long it may take until what another process has added shows here.
    fn lag(&self) -> Duration {
        Duration::ZERO
    }
}

/// What signer and people may besides.
pub trait Decisions: Requests {
    /// Writes what became of a request that is still as it was seen.
    fn set_status(
        &self,
        seen: &Enrollment,
        status: EnrollmentStatus,
    ) -> impl Future<Output = Result<Arc<Enrollment>, StoreError>> + Send;

    /// Removes a request that is still as it was seen.
    fn remove(&self, seen: &Enrollment) -> impl Future<Output = Result<(), StoreError>> + Send;
}
