//! Which classes of clients are connected: all pods of a placement's front door are asked, and what they say is merged. One that does not answer says
//! nothing: nobody is absent because of it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kinetic_api::{fitness::Clients, resources::customer::ClientState};
use kube::{
    Api, ResourceExt,
    runtime::{
        WatchStreamExt,
        reflector::{self, Store},
        watcher::{self, watcher},
    },
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    build::{labels, redirector},
    config::Placement,
    context::Context,
};

/// So often the front doors are asked.
const EVERY: Duration = Duration::from_secs(25);
/// Who was connected so lately counts as connected: a front door that rolls sends everybody to another one, and not all hold a connection open.
const LATELY: Duration = Duration::from_mins(1);
/// What was known is believed for so long.
const BELIEVED: Duration = Duration::from_mins(2);

/// What the front doors have told, by placement.
#[derive(Debug, Default)]
pub struct Presence(Mutex<HashMap<String, Told>>);

impl Presence {
    /// Whether clients of this class are connected, where `before` was said last. Until somebody has looked, that stands.
    #[must_use]
    pub fn state(
        &self,
        placement: &Placement,
        customer: &str,
        client: &str,
        before: Option<ClientState>,
    ) -> Option<ClientState> {
        let told = self.told();
        let Some(told) = told.get(&placement.redirector_name()) else { return before };
        told.state(customer, client, before, Instant::now())
    }

    fn told(&self) -> MutexGuard<'_, HashMap<String, Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the front doors of one placement have told.
#[derive(Debug)]
struct Told {
    /// The first look.
    since: Instant,
    /// The last look that all of them answered.
    whole: Option<Instant>,
    /// When each class of a customer was connected last.
    seen: HashMap<(String, String), Instant>,
}

impl Told {
    fn new(now: Instant) -> Self {
        Self { since: now, whole: None, seen: HashMap::new() }
    }

    /// Takes the answers of all that there are.
    fn hear(&mut self, answers: Vec<Option<Clients>>, now: Instant) {
        if !answers.is_empty() && answers.iter().all(Option::is_some) {
            self.whole = Some(now);
        }
        for (customer, clients) in answers.into_iter().flatten().flat_map(|answer| answer.customers) {
            for client in clients {
                self.seen.insert((customer.clone(), client), now);
            }
        }
        let whole = self.whole;
        self.seen.retain(|_, seen| !missed(*seen, whole) && now.duration_since(*seen) < LATELY + BELIEVED);
    }

    fn state(
        &self,
        customer: &str,
        client: &str,
        before: Option<ClientState>,
        now: Instant,
    ) -> Option<ClientState> {
        let seen = self.seen.get(&(customer.to_owned(), client.to_owned())).copied();
        if seen.is_some_and(|seen| now.duration_since(seen) < LATELY) {
            return Some(ClientState::Connected);
        }
        let known = self.whole.unwrap_or(self.since);
        if now.duration_since(known) >= BELIEVED {
            return None;
        }
        if missed(seen.unwrap_or(self.since), self.whole) { Some(ClientState::Absent) } else { before }
    }
}

/// Whether all front doors have told that somebody was not there, long enough after it was.
fn missed(seen: Instant, whole: Option<Instant>) -> bool {
    whole.is_some_and(|whole| whole.saturating_duration_since(seen) >= LATELY)
}

/// Follows the front doors' pods, and asks them, until stopped.
pub async fn run(context: &Context, stop: &CancellationToken) {
    let (pods, writer) = reflector::store();
    let api = Api::<Pod>::namespaced(context.client.clone(), &context.config.namespace);
    let ours = format!("app.kubernetes.io/name=kinetic,{}={}", labels::COMPONENT, redirector::COMPONENT);
    let following = watcher(api, watcher::Config::default().labels(&ours))
        .default_backoff()
        .modify(|pod| {
            pod.managed_fields_mut().clear();
            pod.spec = None;
        })
        .reflect(writer)
        .for_each(async |event| {
            if let Err(error) = event {
                tracing::warn!(kind = "Pod", %error, "a watch was cut short; it goes on");
            }
        });
    let asking = async {
        loop {
            sleep(EVERY).await;
            join_all(context.config.placements.iter().map(|placement| look(context, placement, &pods))).await;
        }
    };
    pin_mut!(following, asking);
    let _ = stop.run_until_cancelled(futures_util::future::select(following, asking)).await;
}

/// Asks all pods of a placement's front door at once.
async fn look(context: &Context, placement: &Placement, pods: &Store<Pod>) {
    let name = placement.redirector_name();
    let addresses = addresses(&pods.state(), &name);
    let asked = addresses.into_iter().map(|address| context.asked.clients(address));
    let answers = join_all(asked).await;
    let now = Instant::now();
    let mut told = context.presence.told();
    told.entry(name).or_insert_with(|| Told::new(now)).hear(answers, now);
}

/// Where the pods of a front door are that somebody may be connected to.
fn addresses(pods: &[Arc<Pod>], name: &str) -> Vec<SocketAddr> {
    let ended = |phase: &str| matches!(phase, "Succeeded" | "Failed");
    let ours = labels::selected(redirector::COMPONENT, name);
    let of = |pod: &Arc<Pod>| {
        let status = pod.status.as_ref()?;
        let its = ours.iter().all(|(key, value)| pod.labels().get(key) == Some(value));
        let there = its && !status.phase.as_deref().is_some_and(ended);
        let address = status.pod_ip.as_ref().filter(|_| there)?.parse().ok()?;
        Some(SocketAddr::new(address, redirector::ADMIN))
    };
    pods.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests;
