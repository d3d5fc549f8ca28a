//! Names that are the same in every life: hashes of what they name.

use sha2::{Digest, Sha256};

/// The first 128 bits of SHA-256 over the parts, in hexadecimal. Length prefixes keep neighbours from running into each other.
fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(&hash.finalize()[..16])
}

/// The incident that an Alert makes of a finding.
#[must_use]
pub fn incident(customer: &str, alert: &str, anomaly: &str) -> String {
    hash(&["incident", customer, alert, anomaly])
}

/// The group that begins with an incident.
#[must_use]
pub fn group(customer: &str, alert: &str, labels: &str, first_incident: &str) -> String {
    hash(&["group", customer, alert, labels, first_incident])
}

/// A message about a group to a receiver: the part of its Message-ID before the `@`.
#[must_use]
pub fn notification(customer: &str, alert: &str, receiver: &str, group: &str, sequence: u32) -> String {
    hash(&["notification", customer, alert, receiver, group, &sequence.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts_and_stays_apart() {
        let id = notification("acme", "checkout", "oncall", "g", 1);
        assert_eq!(id.len(), 32);
        assert_eq!(id, notification("acme", "checkout", "oncall", "g", 1));
        for other in [
            notification("acm", "echeckout", "oncall", "g", 1),
            notification("acme", "checkout", "oncall", "g", 2),
            notification("acme", "checkout", "oncall", "h", 1),
            notification("acme", "checkout", "hook", "g", 1),
        ] {
            assert_ne!(id, other);
        }
    }
}
