//! Who acts: the holder of a Lease. Exactly one operator writes; another takes over in less than twenty seconds.
//!
//! As Kubernetes' own components do it (client-go, `leaderelection`): clocks are not compared. A Lease has run out for somebody who has seen it unchanged for
//! its whole duration; its holder gives up well before that.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{Api, Client, ResourceExt, api::PostParams};
use tokio::time::{sleep, timeout};

use crate::{apply::MANAGER, build::labels};

/// What the Lease is called.
pub const NAME: &str = "kinetic-operator";
/// After so long unchanged a Lease may be taken.
const DURATION: Duration = Duration::from_secs(15);
/// A holder that could not renew for so long acts no more.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(5);
/// How often it is looked at by who waits for it.
const LOOK: Duration = Duration::from_secs(2);

/// Somebody who wants the Lease.
pub struct Elector {
    api: Api<Lease>,
    namespace: String,
    me: String,
    seen: Seen,
}

/// What was seen of a Lease, and since when it is unchanged.
#[derive(Clone, Debug, Default)]
struct Seen(Option<(LeaseSpec, Instant)>);

/// What to do about a Lease.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// Write this.
    Write(Box<LeaseSpec>),
    /// Somebody else has it.
    Wait,
}

impl std::fmt::Debug for Elector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Elector({} in {})", self.me, self.namespace)
    }
}

/// The next step: pure.
fn step(lease: Option<&LeaseSpec>, me: &str, seen: &mut Seen, now: Timestamp, instant: Instant) -> Step {
    let whole = i32::try_from(DURATION.as_secs()).unwrap_or(i32::MAX);
    let transitions = lease.and_then(|lease| lease.lease_transitions).unwrap_or_default();
    let take = |transitions, acquired: MicroTime| {
        Step::Write(Box::new(LeaseSpec {
            holder_identity: Some(me.to_owned()),
            lease_duration_seconds: Some(whole),
            acquire_time: Some(acquired),
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }))
    };
    let Some(lease) = lease else { return take(0, MicroTime(now)) };
    match lease.holder_identity.as_deref() {
        Some(holder) if holder == me => {
            return take(transitions, lease.acquire_time.clone().unwrap_or(MicroTime(now)));
        }
        None | Some("") => return take(transitions.saturating_add(1), MicroTime(now)),
        Some(_) => {}
    }
    let since = match &seen.0 {
        Some((same, since)) if same == lease => *since,
        _ => {
            seen.0 = Some((lease.clone(), instant));
            instant
        }
    };
    // Its holder may have been told of another duration.
    let duration = lease
        .lease_duration_seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map_or(DURATION, Duration::from_secs);
    if instant.duration_since(since) > duration {
        take(transitions.saturating_add(1), MicroTime(now))
    } else {
        Step::Wait
    }
}

impl Elector {
    /// `me` must be a name that nobody else has.
    #[must_use]
    pub fn new(client: Client, namespace: &str, me: String) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            me,
            seen: Seen::default(),
        }
    }

    /// Waits until it holds the Lease.
    pub async fn acquire(&mut self) {
        let mut told = false;
        loop {
            match self.attempt().await {
                Ok(true) => {
                    tracing::info!(holder = self.me, "holding the Lease: acting");
                    return;
                }
                Ok(false) if !told => {
                    told = true;
                    tracing::info!(
                        lease = NAME,
                        namespace = self.namespace,
                        "another instance acts: standing by"
                    );
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the Lease cannot be had; trying again"),
            }
            sleep(LOOK).await;
        }
    }

    /// Renews the Lease until that was not possible for too long: whoever held it must not act any more.
    pub async fn keep(&mut self) {
        let mut renewed = Instant::now();
        loop {
            sleep(if renewed.elapsed() < RENEW { RENEW } else { LOOK }).await;
            match timeout(PATIENCE.saturating_sub(renewed.elapsed()), self.attempt()).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => {
                    tracing::error!("another instance took the Lease");
                    return;
                }
                Ok(Err(error)) => tracing::warn!(%error, "the Lease was not renewed; trying again"),
                Err(_) => {}
            }
            if renewed.elapsed() >= PATIENCE {
                tracing::error!("the Lease could not be renewed for {} s", PATIENCE.as_secs());
                return;
            }
        }
    }

    /// Lets go, so that another need not wait.
    pub async fn release(&mut self) {
        let released = async {
            let mut lease = self.api.get(NAME).await?;
            if let Some(spec) =
                lease.spec.as_mut().filter(|spec| spec.holder_identity.as_deref() == Some(&self.me))
            {
                spec.holder_identity = None;
                self.api.replace(NAME, &parameters(), &lease).await?;
            }
            Ok::<_, kube::Error>(())
        };
        match timeout(LOOK, released).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the Lease runs out by itself"),
            Err(_) => tracing::debug!("the Lease runs out by itself"),
        }
    }

    /// Whether it holds the Lease now. Two who write at once are told apart by the version that they saw.
    async fn attempt(&mut self) -> Result<bool, kube::Error> {
        let lease = self.api.get_opt(NAME).await?;
        let spec = lease.as_ref().and_then(|lease| lease.spec.as_ref());
        let Step::Write(spec) = step(spec, &self.me, &mut self.seen, Timestamp::now(), Instant::now()) else {
            return Ok(false);
        };
        let mut wanted = Lease { spec: Some(*spec), ..Lease::default() };
        wanted.metadata = labels::unowned(NAME.to_owned(), &self.namespace, "operator", NAME);
        let written = match &lease {
            Some(lease) => {
                wanted.metadata.resource_version = lease.resource_version();
                self.api.replace(NAME, &parameters(), &wanted).await
            }
            None => self.api.create(&parameters(), &wanted).await,
        };
        match written {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn parameters() -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T03:00:00Z".parse().unwrap()
    }

    fn written(step: Step) -> LeaseSpec {
        match step {
            Step::Write(spec) => *spec,
            Step::Wait => panic!("waits"),
        }
    }

    #[test]
    fn the_first_takes_it_and_keeps_it() {
        let start = Instant::now();
        let first = written(step(None, "a", &mut Seen::default(), now(), start));
        let later = now() + Duration::from_secs(5);
        let again = written(step(Some(&first), "a", &mut Seen::default(), later, start));
        assert_eq!(again.acquire_time, first.acquire_time);
        assert_eq!(again.renew_time, Some(MicroTime(later)));
        assert_eq!(again.lease_transitions, Some(0));
    }

    #[test]
    fn another_waits_for_as_long_as_it_changes() {
        let start = Instant::now();
        let mut seen = Seen::default();
        let mut lease = written(step(None, "a", &mut Seen::default(), now(), start));
        // The holder's clock is an hour off: what counts is that it changes.
        for second in [0, 10, 20, 30] {
            lease.renew_time = Some(MicroTime(now() - Duration::from_secs(3600 - second)));
            let at = start + Duration::from_secs(second);
            assert_eq!(step(Some(&lease), "b", &mut seen, now(), at), Step::Wait);
        }
        assert_eq!(step(Some(&lease), "b", &mut seen, now(), start + Duration::from_secs(45)), Step::Wait);
        let taken = written(step(Some(&lease), "b", &mut seen, now(), start + Duration::from_secs(46)));
        assert_eq!((taken.holder_identity.as_deref(), taken.lease_transitions), (Some("b"), Some(1)));
    }

    #[test]
    fn one_that_was_let_go_is_taken_at_once() {
        let mut lease = written(step(None, "a", &mut Seen::default(), now(), Instant::now()));
        lease.holder_identity = None;
        let taken = written(step(Some(&lease), "b", &mut Seen::default(), now(), Instant::now()));
        assert_eq!(taken.holder_identity.as_deref(), Some("b"));
    }

    #[test]
    fn a_standby_takes_over_in_under_twenty_seconds_and_never_before_the_holder_gave_up() {
        assert!(DURATION + 2 * LOOK < Duration::from_secs(20));
        assert!(PATIENCE + RENEW <= DURATION, "the last renewal may have been under way when patience began");
    }
}
