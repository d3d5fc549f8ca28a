//! The signer: the only one that issues. It looks at every request, and decides by the rules.

use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use kinetic_api::resources::{
    Enrollment,
    enrollment::{EnrollmentSpec, EnrollmentState, EnrollmentStatus, Renewal},
};
use kinetic_pki::{Folder, FolderError, Issued, Leaf, MachineName, PublicKey, Subject, Trusted, request};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    audit::{self, Event},
    live::{LiveMachines, end},
    metrics::SignerMetrics,
    renewal,
    rules::{By, Decision, Rulebook, Rules, Wait},
    store::{Decisions, StoreError},
};

/// How often all is looked through in case that changes were not seen, and for what time alone changes.
const ROUND: Duration = Duration::from_secs(5);
/// A certificate that has run out since its renewal was asked for is good for so long.
const AWAY: Duration = Duration::from_hours(1);
/// Certificates of one machine that are remembered at most.
const KEPT: usize = 4;

/// What signs: an authority, wherever it lies.
pub trait Certifier: Send + Sync + 'static {
    /// Why it does not.
    type Error: fmt::Display + Send;

    /// Issues a certificate for this key.
    fn issue(&self, leaf: &Leaf, key: &PublicKey, now: Timestamp) -> Result<Issued, Self::Error>;

    /// The authorities that are trusted, in PEM.
    fn trust(&self) -> Result<String, Self::Error>;
}

impl Certifier for Folder {
    type Error = FolderError;

    fn issue(&self, leaf: &Leaf, key: &PublicKey, now: Timestamp) -> Result<Issued, FolderError> {
        Self::issue(self, leaf, key, now)
    }

    fn trust(&self) -> Result<String, FolderError> {
        Self::trust(self)
    }
}

/// What the signer keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignerSettings {
    /// A request that nobody has decided for so long expires.
    pub patience: Duration,
    /// What is denied or expired is kept for so long, and then forgotten: the machine may ask again.
    pub memory: Duration,
}

impl Default for SignerSettings {
    fn default() -> Self {
        Self { patience: Duration::from_hours(24), memory: Duration::from_hours(24) }
    }
}

/// The signer of one authority.
pub struct Signer<S, C> {
    store: S,
    certifier: Arc<C>,
    rules: watch::Receiver<Arc<Rulebook>>,
    settings: SignerSettings,
    metrics: SignerMetrics,
    /// Denials of which the audit has a line.
    told: HashSet<String>,
}

impl<S: Decisions, C: Certifier> Signer<S, C> {
    /// A signer that has not begun.
    pub fn new(
        store: S,
        certifier: C,
        rules: watch::Receiver<Arc<Rulebook>>,
        settings: SignerSettings,
        metrics: SignerMetrics,
    ) -> Self {
        Self { store, certifier: Arc::new(certifier), rules, settings, metrics, told: HashSet::new() }
    }

    /// Decides until it is cancelled. A store or authority that fails is logged, counted, and tried again.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.store.changes();
        while !stop.is_cancelled() {
            if let Err(error) = self.round(Timestamp::now()).await {
                self.metrics.errors.inc();
                warn!(%error, "enrolments cannot be looked through");
            }
            let woken = async {
                tokio::select! {
                    Ok(()) = changes.changed() => {}
                    Ok(()) = self.rules.changed() => {}
                    () = stop.cancelled() => {}
                    else => std::future::pending().await,
                }
            };
            let _ = timeout(ROUND, woken).await;
        }
    }

    /// Looks at every request once, the oldest first.
    pub async fn round(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let mut all = self.store.list().await?;
        all.sort_by(|a, b| {
            (&a.spec.requested_at, &a.metadata.name).cmp(&(&b.spec.requested_at, &b.metadata.name))
        });
        let mut live = LiveMachines::of(&all, now);
        let rules = self.rules.borrow_and_update().clone();
        let mut pending = 0;
        for enrollment in &all {
            let outcome = match enrollment.state() {
                EnrollmentState::Pending | EnrollmentState::Approved => {
                    pending += 1;
                    self.consider(enrollment, &rules, &mut live, now).await
                }
                _ => self.tidy(enrollment, &live, now).await,
            };
            match outcome {
                // In the second case a person was faster: the next round sees what it is now.
                Ok(()) | Err(NotSigned::Store(StoreError::Changed(_))) => {}
                Err(error) => {
                    self.metrics.errors.inc();
                    let id = enrollment.metadata.name.as_deref().unwrap_or_default();
                    warn!(enrollment = id, %error, "an enrolment cannot be decided");
                }
            }
        }
        self.metrics.pending.set(pending);
        let ids: HashSet<_> = all.iter().filter_map(|enrollment| enrollment.metadata.name.as_ref()).collect();
        self.told.retain(|id| ids.contains(id));
        Ok(())
    }

    async fn consider(
        &mut self,
        enrollment: &Enrollment,
        rules: &Rulebook,
        live: &mut LiveMachines,
        now: Timestamp,
    ) -> Result<(), NotSigned> {
        let spec = &enrollment.spec;
        let pending = enrollment.state() == EnrollmentState::Pending;
        if pending && older(&spec.requested_at, self.settings.patience, now) {
            return self.expire(enrollment, now).await;
        }
        let customer = rules.customer(&spec.customer);
        let decision = match (customer, &spec.renewal) {
            (None, _) => Decision::Wait(Wait::NoCustomer),
            (Some(rules), None) => rules.decide(&spec.client, &spec.name, live.has(spec), !pending),
            (Some(rules), Some(renewal)) => match self.renews(spec, renewal, rules, now)? {
                Ok(decision) => decision,
                Err(reason) => return self.deny(enrollment, "renewal", reason, now).await,
            },
        };
        match decision {
            Decision::Deny(denial) => self.deny(enrollment, denial.by(), denial.to_string(), now).await,
            Decision::Wait(wait) => self.wait(enrollment, wait).await,
            Decision::Again => {
                let Some(status) = live.same_key(spec).cloned() else { return Ok(()) };
                let reason = Some("this key has a certificate already: here it is again".to_owned());
                self.store.set_status(enrollment, EnrollmentStatus { reason, ..status }).await?;
                Ok(())
            }
            Decision::Issue(by) => {
                let lifetime =
                    customer.and_then(|rules| rules.lifetime(&spec.client)).unwrap_or(crate::rules::LIFETIME);
                match self.sign(spec, lifetime, now).await? {
                    Ok(issued) => {
                        let status = issued_status(enrollment, &issued, by, now);
                        let event = if by == By::Renewal { Event::Renewed } else { Event::Issued };
                        // Before the machine has it: what was signed is told in any case.
                        audit::tell(event, enrollment, &status);
                        self.metrics.decided(event);
                        self.store.set_status(enrollment, status.clone()).await?;
                        live.add(spec, &status, now);
                        Ok(())
                    }
                    Err(reason) => self.deny(enrollment, "signer", reason, now).await,
                }
            }
        }
    }

    /// What becomes of a renewal, or why it is none.
    fn renews(
        &self,
        spec: &EnrollmentSpec,
        renewal: &Renewal,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Result<Decision, String>, NotSigned> {
        let trust = self.certifier.trust().map_err(|error| NotSigned::Certifier(error.to_string()))?;
        // What was valid when it was asked is valid: the signer may have been away. But the time is who took it in's word: not for long.
        let earliest = now.checked_sub(AWAY).unwrap_or(now);
        let asked = spec.requested_at.parse().unwrap_or(now).clamp(earliest, now);
        Ok(match renewal::check(spec, renewal, &Trusted::from_pem(&trust), asked) {
            Ok(peer) => Ok(rules.renew(&spec.client, &spec.name, &peer.serial)),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Issues; the inner error is the request's fault.
    async fn sign(
        &self,
        spec: &EnrollmentSpec,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<Result<Issued, String>, NotSigned> {
        let (request, machine) = match (request::read(&spec.csr), spec.name.parse::<MachineName>()) {
            (Ok(request), Ok(machine)) => (request, machine),
            (Err(error), _) => return Ok(Err(error.to_string())),
            (_, Err(error)) => return Ok(Err(error.to_string())),
        };
        let key = request.public_key().clone();
        if key.fingerprint().to_string() != spec.key_fingerprint {
            return Ok(Err("the fingerprint that was shown is not the request's".to_owned()));
        }
        let subject =
            Subject::Machine { customer: spec.customer.clone(), client: spec.client.clone(), machine };
        let leaf = Leaf::new(subject, lifetime);
        let certifier = Arc::clone(&self.certifier);
        let signed = tokio::task::spawn_blocking(move || {
            certifier.issue(&leaf, &key, now).map_err(|error| NotSigned::Certifier(error.to_string()))
        });
        signed.await.unwrap_or(Err(StoreError::Stopping.into())).map(Ok)
    }

    async fn deny(
        &mut self,
        enrollment: &Enrollment,
        by: &str,
        reason: String,
        now: Timestamp,
    ) -> Result<(), NotSigned> {
        let status = EnrollmentStatus {
            state: EnrollmentState::Denied,
            reason: Some(reason.chars().take(500).collect()),
            decided_by: Some(by.to_owned()),
            decided_at: Some(now.to_string()),
            ..EnrollmentStatus::default()
        };
        let denied = self.store.set_status(enrollment, status).await?;
        self.tell_denied(&denied);
        Ok(())
    }

    /// A denial is told once a process, be it a person's.
    fn tell_denied(&mut self, enrollment: &Enrollment) {
        let id = enrollment.metadata.name.clone().unwrap_or_default();
        if let Some(status) = &enrollment.status
            && self.told.insert(id)
        {
            audit::tell(Event::Denied, enrollment, status);
            self.metrics.decided(Event::Denied);
        }
    }

    /// Says why it waits.
    async fn wait(&self, enrollment: &Enrollment, wait: Wait) -> Result<(), NotSigned> {
        let before = enrollment.status.clone().unwrap_or_default();
        let status = EnrollmentStatus { reason: Some(wait.to_string()), ..before };
        if enrollment.status.as_ref() != Some(&status) {
            self.store.set_status(enrollment, status).await?;
        }
        Ok(())
    }

    async fn expire(&self, enrollment: &Enrollment, now: Timestamp) -> Result<(), NotSigned> {
        let status = EnrollmentStatus {
            state: EnrollmentState::Expired,
            reason: Some("nobody decided in time: ask again".to_owned()),
            decided_at: Some(now.to_string()),
            ..EnrollmentStatus::default()
        };
        self.store.set_status(enrollment, status.clone()).await?;
        audit::tell(Event::Expired, enrollment, &status);
        self.metrics.decided(Event::Expired);
        Ok(())
    }

    /// Forgets what is over.
    async fn tidy(
        &mut self,
        enrollment: &Enrollment,
        live: &LiveMachines,
        now: Timestamp,
    ) -> Result<(), NotSigned> {
        let status = enrollment.status.clone().unwrap_or_default();
        let decided = status.decided_at.as_deref().unwrap_or_default();
        let over = match status.state {
            EnrollmentState::Issued => {
                let ended = end(&status).is_none_or(|end| end <= now);
                // For an hour its holder may still fetch it.
                let fetched = older(decided, Duration::from_hours(1), now);
                ended || (fetched && live.outlived(&enrollment.spec, &status, KEPT))
            }
            EnrollmentState::Denied => {
                self.tell_denied(enrollment);
                older(decided, self.settings.memory, now)
            }
            _ => older(decided, self.settings.memory, now),
        };
        if over {
            self.store.remove(enrollment).await?;
        }
        Ok(())
    }
}

fn issued_status(enrollment: &Enrollment, issued: &Issued, by: By, now: Timestamp) -> EnrollmentStatus {
    let before = enrollment.status.clone().unwrap_or_default();
    let person = before.decided_by.filter(|_| by == By::Person);
    EnrollmentStatus {
        state: EnrollmentState::Issued,
        reason: before.reason.filter(|_| by == By::Person),
        decided_by: Some(person.unwrap_or_else(|| by.as_str().to_owned())),
        decided_at: Some(now.to_string()),
        certificate: Some(issued.certificate.clone()),
        serial: Some(issued.serial.to_string()),
        not_after: Some(issued.not_after.to_string()),
    }
}

/// Whether a time is so long ago; what is no time is.
fn older(time: &str, than: Duration, now: Timestamp) -> bool {
    time.parse::<Timestamp>().ok().and_then(|time| time.checked_add(than).ok()).is_none_or(|end| end <= now)
}

/// Why a request stays as it is for now.
#[derive(Debug, thiserror::Error)]
enum NotSigned {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the authority does not sign: {0}")]
    Certifier(String),
}

#[cfg(test)]
mod tests;
