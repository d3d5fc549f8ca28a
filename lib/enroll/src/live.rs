//! Which machines have a certificate that has not run out.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use kinetic_api::resources::{
    Enrollment,
    enrollment::{EnrollmentSpec, EnrollmentState, EnrollmentStatus},
};

use crate::rules::Live;

/// Certificates that have not run out, by machine.
#[derive(Debug, Default)]
pub(crate) struct LiveMachines(HashMap<Machine, Vec<Certificate>>);

type Machine = (String, String, String);

#[derive(Debug)]
struct Certificate {
    key: String,
    end: Timestamp,
    status: EnrollmentStatus,
}

impl LiveMachines {
    pub(crate) fn of(all: &[Arc<Enrollment>], now: Timestamp) -> Self {
        let mut live = Self::default();
        for enrollment in all {
            if let Some(status) = &enrollment.status {
                live.add(&enrollment.spec, status, now);
            }
        }
        live
    }

    /// Counts a certificate, if it is one that has not run out.
    pub(crate) fn add(&mut self, spec: &EnrollmentSpec, status: &EnrollmentStatus, now: Timestamp) {
        let Some(end) = end(status).filter(|end| status.state == EnrollmentState::Issued && now < *end)
        else {
            return;
        };
        let certificate = Certificate { key: spec.key_fingerprint.clone(), end, status: status.clone() };
        self.0.entry(machine(spec)).or_default().push(certificate);
    }

    pub(crate) fn has(&self, spec: &EnrollmentSpec) -> Live {
        match self.0.get(&machine(spec)).map(Vec::as_slice) {
            None | Some([]) => Live::None,
            Some(all) if all.iter().any(|one| one.key == spec.key_fingerprint) => Live::SameKey,
            Some(_) => Live::OtherKey,
        }
    }

    /// The certificate for the key that asks, the one that lives longest.
    pub(crate) fn same_key(&self, spec: &EnrollmentSpec) -> Option<&EnrollmentStatus> {
        let all = self.0.get(&machine(spec))?.iter().filter(|one| one.key == spec.key_fingerprint);
        all.max_by_key(|one| one.end).map(|one| &one.status)
    }

    /// Whether others of this machine outlive this one: for the same key, or so many altogether.
    pub(crate) fn outlived(&self, spec: &EnrollmentSpec, status: &EnrollmentStatus, most: usize) -> bool {
        let Some(end) = end(status) else { return false };
        let longer = self.0.get(&machine(spec)).into_iter().flatten().filter(|one| one.end > end);
        longer.clone().any(|one| one.key == spec.key_fingerprint) || longer.count() >= most
    }
}

/// When a certificate ends.
pub(crate) fn end(status: &EnrollmentStatus) -> Option<Timestamp> {
    status.not_after.as_ref()?.parse().ok()
}

fn machine(spec: &EnrollmentSpec) -> Machine {
    (spec.customer.to_string(), spec.client.to_string(), spec.name.clone())
}
