//! One line for every certificate that is issued, denied or renewed: to the tracing target `kinetic::audit`.

use kinetic_api::resources::{Enrollment, enrollment::EnrollmentStatus};
use tracing::info;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A certificate was signed for a token holder.
    Issued,
    /// A certificate was signed for the holder of an older one.
    Renewed,
    /// A request was refused.
    Denied,
    /// Nobody decided in time.
    Expired,
}

impl Event {
    /// The event's name in the line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Renewed => "renewed",
            Self::Denied => "denied",
            Self::Expired => "expired",
        }
    }
}

/// Writes the line. A line may come twice after a crash; none is left out.
pub(crate) fn tell(event: Event, enrollment: &Enrollment, status: &EnrollmentStatus) {
    let spec = &enrollment.spec;
    info!(
        target: "kinetic::audit",
        event = event.as_str(),
        enrollment = enrollment.metadata.name.as_deref().unwrap_or_default(),
        customer = %spec.customer,
        client = %spec.client,
        machine = spec.name,
        key = spec.key_fingerprint,
        address = spec.address,
        token = spec.token.as_deref().unwrap_or_default(),
        serial = status.serial.as_deref().unwrap_or_default(),
        not_after = status.not_after.as_deref().unwrap_or_default(),
        by = status.decided_by.as_deref().unwrap_or_default(),
        reason = status.reason.as_deref().unwrap_or_default(),
        "enrolment {}", event.as_str()
    );
}
