//! The authority as its Secret holds it: who issues, who is trusted, how far its replacement is. Pure.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kinetic_pki::{
    Authority, AuthorityError, TrustDomain,
    rotation::{Authorities, Stage, Step},
};
use kube::ResourceExt;
use serde_json::{Value, json};

/// From an authority's making to its end.
pub const LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);
/// By hand: any value that was not there before asks for the next step.
pub const ROTATE: &str = "kinetic.dev/rotate";
/// The value that was acted upon.
const ROTATED: &str = "kinetic.dev/rotated";
/// Where the replacement stands, for people: the keys are what counts.
const STAGE: &str = "kinetic.dev/stage";
/// Since when.
const SINCE: &str = "kinetic.dev/stage-since";
/// Since when every certificate's Secret has what the stage brought.
const COMPLETE: &str = "kinetic.dev/complete-since";
/// The longest life of a certificate that the issuing authority has handed out to where nobody sees it, in seconds.
const LONGEST: &str = "kinetic.dev/longest-lifetime-seconds";
/// When the last of those of the former authority ends.
const UNSEEN_UNTIL: &str = "kinetic.dev/former-trusted-until";

/// A certificate of an authority, with its key for as long as it issues or will.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The certificate, in PEM.
    pub certificate: String,
    key: Option<String>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({})", self.certificate)
    }
}

impl AsRef<str> for Entry {
    fn as_ref(&self) -> &str {
        &self.certificate
    }
}

impl Entry {
    fn of(authority: &Authority) -> Self {
        Self { certificate: authority.certificate().to_owned(), key: Some(authority.key_pem()) }
    }
}

/// All that the Secret says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Who issues, who is trusted.
    pub authorities: Authorities<Entry>,
    /// Since when the replacement stands where it does.
    pub since: Timestamp,
    /// Since when everybody that is known of has taken that up.
    pub complete: Option<Timestamp>,
    /// The longest life of a certificate that the issuing authority has handed out to where nobody sees it.
    pub longest: Duration,
    /// When the last such certificate of the former authority ends.
    pub unseen_until: Option<Timestamp>,
    /// The value by which somebody asks for the next step.
    pub asked: Option<String>,
    /// The value that was acted upon.
    pub done: Option<String>,
}

/// Why a Secret holds no authority.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// This key of it is not there, or empty.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The pair is none.
    #[error("{0}: {1}")]
    Authority(&'static str, AuthorityError),
}

impl Ring {
    /// The first of its trust domain.
    pub fn new(trust_domain: &TrustDomain, now: Timestamp) -> Result<Self, AuthorityError> {
        let authority = Authority::generate(trust_domain, LIFETIME, now)?;
        Ok(Self {
            authorities: Authorities::Settled(Entry::of(&authority)),
            since: now,
            complete: None,
            longest: Duration::ZERO,
            unseen_until: None,
            asked: None,
            done: None,
        })
    }

    /// Reads a Secret. Which stage it is in is told by its keys; a time that was lost, as by a backup without annotations, is `now`, a lifetime `unknown`: it
    /// then takes longer.
    pub fn of(secret: &Secret, unknown: Duration, now: Timestamp) -> Result<(Self, Authority), Unusable> {
        let text = |key: &'static str| {
            let found = secret.data.as_ref().and_then(|data| data.get(key)).filter(|text| !text.0.is_empty());
            found.map(|text| String::from_utf8_lossy(&text.0).into_owned()).ok_or(Unusable::Missing(key))
        };
        let pair = |certificate, key| {
            let entry = Entry { certificate: text(certificate)?, key: Some(text(key)?) };
            Authority::from_pem(&entry.certificate, entry.key.as_deref().unwrap_or_default())
                .map(|authority| (entry, authority))
                .map_err(|error| Unusable::Authority(certificate, error))
        };
        let (issuing, authority) = pair("ca.crt", "ca.key")?;
        let authorities = if text("next.crt").is_ok() {
            Authorities::Trusted { issuing, next: pair("next.crt", "next.key")?.0 }
        } else if let Ok(certificate) = text("former.crt") {
            Authorities::Used { former: Entry { certificate, key: None }, issuing }
        } else {
            Authorities::Settled(issuing)
        };
        let annotation = |key: &str| secret.annotations().get(key).filter(|value| !value.is_empty());
        let time = |key: &str| annotation(key).and_then(|value| value.parse::<Timestamp>().ok());
        let longest =
            annotation(LONGEST).and_then(|value| value.parse().ok()).map_or(unknown, Duration::from_secs);
        let used = authorities.stage() == Stage::Used;
        let ring = Self {
            authorities,
            since: time(SINCE).unwrap_or(now),
            complete: time(COMPLETE),
            longest,
            unseen_until: used.then(|| time(UNSEEN_UNTIL).unwrap_or_else(|| after(now, unknown))),
            asked: annotation(ROTATE).cloned(),
            done: annotation(ROTATED).cloned(),
        };
        Ok((ring, authority))
    }

    /// Whether somebody asks for the next step.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.is_some() && self.asked != self.done
    }

    /// After this step.
    pub fn after(
        self,
        step: Step,
        trust_domain: &TrustDomain,
        now: Timestamp,
    ) -> Result<Self, AuthorityError> {
        let new = || Authority::generate(trust_domain, LIFETIME, now).map(|new| Entry::of(&new));
        let (longest, unseen_until) = match step {
            Step::Trusted | Step::Removed => (self.longest, None),
            Step::Used => (Duration::ZERO, Some(after(now, self.longest))),
        };
        Ok(Self {
            authorities: self.authorities.advanced(new)?,
            since: now,
            complete: None,
            longest,
            unseen_until,
            done: self.asked.clone(),
            asked: self.asked,
        })
    }

    /// What the Secret should hold, with `null` for what it should no longer: a merge patch.
    #[must_use]
    pub fn patch(&self) -> Value {
        let (next, former) = match &self.authorities {
            Authorities::Settled(_) => (None, None),
            Authorities::Trusted { next, .. } => (Some(next), None),
            Authorities::Used { former, .. } => (None, Some(former)),
        };
        let issuing = self.authorities.issuing();
        let bytes = |text: Option<&String>| text.map(|text| ByteString(text.clone().into_bytes()));
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        json!({
            "metadata": {"annotations": {
                STAGE: format!("{:?}", self.authorities.stage()),
                SINCE: self.since.to_string(),
                COMPLETE: time(self.complete),
                LONGEST: self.longest.as_secs().to_string(),
                UNSEEN_UNTIL: time(self.unseen_until),
                ROTATED: self.done,
            }},
            "data": {
                "ca.crt": bytes(Some(&issuing.certificate)),
                "ca.key": bytes(issuing.key.as_ref()),
                "trust.crt": bytes(Some(&self.authorities.bundle())),
                "next.crt": bytes(next.map(|next| &next.certificate)),
                "next.key": bytes(next.and_then(|next| next.key.as_ref())),
                "former.crt": bytes(former.map(|former| &former.certificate)),
            },
        })
    }

    /// What a new Secret holds, and is annotated with.
    #[must_use]
    pub fn contents(&self) -> (BTreeMap<String, ByteString>, BTreeMap<String, String>) {
        let mut patch = self.patch();
        let annotations = patch["metadata"]["annotations"].take();
        (present(patch["data"].take()), present(annotations))
    }
}

/// What of a merge patch is there to stay.
fn present<T: serde::de::DeserializeOwned>(patch: Value) -> BTreeMap<String, T> {
    let fields = serde_json::from_value::<BTreeMap<String, Option<T>>>(patch).unwrap_or_default();
    fields.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

/// So long after, and as long as clocks differ.
fn after(now: Timestamp, lifetime: Duration) -> Timestamp {
    now.checked_add(lifetime + Duration::from_mins(1)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONTH: Duration = Duration::from_hours(720);

    fn now() -> Timestamp {
        "2026-11-22T03:00:00Z".parse().unwrap()
    }

    fn domain() -> TrustDomain {
        "kinetic.local".parse().unwrap()
    }

    fn secret(ring: &Ring) -> Secret {
        let (data, annotations) = ring.contents();
        let mut secret = Secret { data: Some(data), ..Secret::default() };
        secret.metadata.annotations = Some(annotations);
        secret
    }

    fn read(secret: &Secret) -> Ring {
        Ring::of(secret, MONTH, now()).unwrap().0
    }

    #[test]
    fn what_is_written_is_read_again_at_every_stage() {
        let mut ring = Ring { longest: MONTH * 3, ..Ring::new(&domain(), now()).unwrap() };
        let first = ring.authorities.issuing().clone();
        for step in [Step::Trusted, Step::Used, Step::Removed] {
            ring = ring.after(step, &domain(), now()).unwrap();
            if let Authorities::Used { former, .. } = &mut ring.authorities {
                assert_eq!(former.certificate, first.certificate);
                assert_eq!(ring.unseen_until, Some(now() + MONTH * 3 + Duration::from_mins(1)));
                // Whoever does not issue keeps no key.
                former.key = None;
            }
            assert_eq!(read(&secret(&ring)), ring, "{step:?}");
        }
        assert_eq!((ring.authorities.stage(), ring.longest), (Stage::Settled, Duration::ZERO));
        assert_ne!(ring.authorities.issuing(), &first);
        let keys: Vec<_> = ring.contents().0.into_keys().collect();
        assert_eq!(keys, ["ca.crt", "ca.key", "trust.crt"]);
    }

    #[test]
    fn a_backup_without_annotations_takes_longer_and_loses_nothing() {
        let ring = Ring::new(&domain(), now()).unwrap().after(Step::Trusted, &domain(), now()).unwrap();
        let mut secret = secret(&ring.after(Step::Used, &domain(), now()).unwrap());
        secret.metadata.annotations = None;
        let later = now() + Duration::from_hours(5);
        let (ring, _) = Ring::of(&secret, MONTH, later).unwrap();
        assert_eq!((ring.authorities.stage(), ring.since, ring.longest), (Stage::Used, later, MONTH));
        assert_eq!(ring.unseen_until, Some(later + MONTH + Duration::from_mins(1)));
    }

    #[test]
    fn each_new_value_asks_once() {
        let ring = Ring::new(&domain(), now()).unwrap();
        let mut secret = secret(&ring);
        assert!(!read(&secret).is_asked());
        secret.metadata.annotations.as_mut().unwrap().insert(ROTATE.to_owned(), "1".to_owned());
        let ring = read(&secret);
        assert!(ring.is_asked());
        assert!(!ring.after(Step::Trusted, &domain(), now()).unwrap().is_asked());
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut secret = secret(&Ring::new(&domain(), now()).unwrap());
        secret.data.as_mut().unwrap().remove("ca.key");
        assert_eq!(Ring::of(&secret, MONTH, now()).map(drop), Err(Unusable::Missing("ca.key")));
    }
}
