//! A certificate where it should be: in a Secret, issued if there is none, renewed in time, and kept otherwise.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kinetic_pki::Subject;
use kube::Api;

use crate::{
    apply::apply,
    build::leaf_secret::leaf_secret,
    context::{Context, Failure},
    leaf::{Pair, Wanted, issue, judge},
};

/// A certificate that should be, and where.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Its Secret's metadata.
    pub metadata: ObjectMeta,
    /// What it says.
    pub wanted: Wanted,
    /// Configuration to paste, by file name.
    pub files: BTreeMap<String, String>,
}

/// Brings a certificate to where it should be.
pub async fn certify(slot: Slot, context: &Context) -> Result<Pair, Failure> {
    let Slot { metadata, wanted, files } = slot;
    let now = (context.clock)();
    let mut material = context.vault.material(now).await?;
    let name = metadata.name.clone().unwrap_or_default();
    let api = Api::<Secret>::namespaced(
        context.client.clone(),
        metadata.namespace.as_deref().unwrap_or(&context.config.namespace),
    );
    let pair = match judge(api.get_opt(&name).await?.as_ref(), &wanted, &material.authority, now) {
        Ok(pair) if !(pair.former && context.reissues.takes(Instant::now())) => pair,
        judged => {
            if let Err(reason) = judged {
                tracing::info!(secret = name, ?reason, "issuing a certificate");
            }
            if is_copied(&wanted.subject) {
                context.vault.promise(wanted.lifetime, now).await?;
                // Whoever issues since the promise was made is bound by it.
                material = context.vault.material(now).await?;
            }
            issue(&wanted, &material.authority.issuing, now)?
        }
    };
    apply(&context.client, &leaf_secret(metadata, &pair, &material.authority.trust, files)).await?;
    Ok(pair)
}

/// Whether people carry such a certificate to machines of theirs.
const fn is_copied(subject: &Subject) -> bool {
    matches!(subject, Subject::Client { .. } | Subject::Machine { .. } | Subject::Control { .. })
}

/// So many a second, and as many at once.
#[derive(Debug)]
pub struct Pace {
    per_second: f64,
    left: Mutex<Option<(Instant, f64)>>,
}

impl Pace {
    /// One a second at least.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self { per_second: f64::from(per_second.max(1)), left: Mutex::default() }
    }

    /// Whether it is one's turn; it is then taken.
    pub fn takes(&self, now: Instant) -> bool {
        let mut held = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, left) = held.unwrap_or((now, self.per_second));
        let grown = now.saturating_duration_since(at).as_secs_f64() * self.per_second;
        let left = (left + grown).min(self.per_second);
        let takes = left >= 1.0;
        *held = Some((now, if takes { left - 1.0 } else { left }));
        takes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn so_many_a_second() {
        let (pace, start) = (Pace::new(10), Instant::now());
        let taken = |after: u64| {
            let now = start + Duration::from_millis(after);
            (0..50).filter(|_| pace.takes(now)).count()
        };
        assert_eq!([taken(0), taken(50), taken(500), taken(9000)], [10, 0, 5, 10]);
    }
}
