//! One line for every certificate that is issued, denied or renewed: to the tracing target `kinetic::audit`.

use std::net::IpAddr;

use kinetic_api::resources::{Enrollment, enrollment::EnrollmentStatus};
use kinetic_pki::Peer;
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
        identity = format!("/customers/{}/clients/{}/machines/{}", spec.customer, spec.client, spec.name),
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

/// Writes the line of a renewal that was refused at the door, and not kept: whose certificate asked, from where, and why it gets no other.
pub fn tell_refused(peer: &Peer, address: IpAddr, reason: &str) {
    let event = Event::Denied.as_str();
    info!(
        target: "kinetic::audit",
        event,
        identity = %peer.identity.subject,
        trust_domain = %peer.identity.trust_domain,
        key = %peer.key,
        address = %address.to_canonical(),
        serial = %peer.serial,
        not_after = %peer.not_after,
        by = "front door",
        reason,
        "renewal {event}"
    );
}
