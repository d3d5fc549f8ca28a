//! What people say about requests.

use jiff::Timestamp;
use kinetic_api::resources::{
    Enrollment,
    enrollment::{EnrollmentState, EnrollmentStatus},
};

use crate::{
    id::EnrollmentId,
    store::{Decisions, StoreError},
    wire::{Say, Verdict},
};

/// Why a person's word does not count.
#[derive(Debug, thiserror::Error)]
pub enum NotDecided {
    /// There is no such request.
    #[error("there is no enrolment {0}: `kinetic enrollments` lists them")]
    Unknown(String),
    /// It was decided before.
    #[error("this enrolment is {state} already{by}: only a pending one can be approved or denied")]
    Already {
        /// How far it is.
        state: &'static str,
        /// Who decided.
        by: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The longest reason.
const REASON: usize = 500;

/// Says yes or no to a pending request, in somebody's name. To say the same again is harmless.
pub async fn decide(
    store: &impl Decisions,
    id: &EnrollmentId,
    say: &Say,
    by: &str,
    now: Timestamp,
) -> Result<Enrollment, NotDecided> {
    let seen = store.find(id).await?.ok_or_else(|| NotDecided::Unknown(id.to_string()))?;
    let state = match say.verdict {
        Verdict::Approve => EnrollmentState::Approved,
        Verdict::Deny => EnrollmentState::Denied,
    };
    match seen.state() {
        EnrollmentState::Pending => {}
        same if same == state => return Ok((*seen).clone()),
        other => {
            let by = seen.status.as_ref().and_then(|status| status.decided_by.as_ref());
            let by = by.map_or_else(String::new, |by| format!(" (by {by})"));
            return Err(NotDecided::Already { state: other.as_str(), by });
        }
    }
    let reason = say.reason.as_ref().map(|reason| reason.chars().take(REASON).collect());
    let status = EnrollmentStatus {
        state,
        reason,
        decided_by: Some(by.chars().take(REASON).collect()),
        decided_at: Some(now.to_string()),
        ..EnrollmentStatus::default()
    };
    Ok((*store.set_status(&seen, status).await?).clone())
}
