//! RabbitMQ, by its HTTP interface: what is there ([`state`]), what should be ([`desired`]), what that takes ([`diff`], pure), and who carries it out
//! ([`client`]).
//!
//! What is there is asked by list-all calls, a handful a broker however many customers it holds, and kept for a while: whoever asks within it is answered
//! from memory, and what was changed since is known, because it was changed here.

pub mod client;
pub mod desired;
pub mod diff;
pub mod place;
pub mod state;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

pub use self::client::BrokerError;
use self::{
    client::Client,
    desired::Desired,
    diff::{Difference, difference},
    state::{BrokerState, Change},
};

/// What was seen of a broker is believed for so long: drift is found within it.
pub const BELIEVED: Duration = Duration::from_secs(20);

/// A broker cluster.
#[derive(Debug)]
pub struct Broker {
    /// What the configuration calls it.
    pub name: String,
    /// So many customers at most.
    pub max_customers: usize,
    client: Client,
    seen: Mutex<Option<Seen>>,
}

#[derive(Debug)]
struct Seen {
    state: Arc<BrokerState>,
    at: Instant,
}

/// What it took to bring a broker to where it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// What was changed.
    pub changes: Vec<Change>,
    /// What cannot be changed, in a sentence each.
    pub conflicts: Vec<String>,
}

impl Broker {
    /// A broker that nobody has looked at yet.
    #[must_use]
    pub fn new(name: String, max_customers: usize, client: Client) -> Self {
        Self { name, max_customers, client, seen: Mutex::new(None) }
    }

    /// As whom the operator comes.
    #[must_use]
    pub fn user(&self) -> &str {
        self.client.user()
    }

    /// What is there, as of [`BELIEVED`] ago at most.
    pub async fn state(&self) -> Result<Arc<BrokerState>, BrokerError> {
        let mut seen = self.seen.lock().await;
        if let Some(seen) = &*seen
            && seen.at.elapsed() < BELIEVED
        {
            return Ok(Arc::clone(&seen.state));
        }
        *seen = None;
        let at = Instant::now();
        let state = Arc::new(self.client.state().await?);
        *seen = Some(Seen { state: Arc::clone(&state), at });
        Ok(state)
    }

    /// Makes what should be there, there.
    pub async fn bring(&self, desired: &Desired) -> Result<Brought, BrokerError> {
        let Difference { changes, conflicts } = difference(&*self.state().await?, desired);
        self.carry_out(&changes).await?;
        Ok(Brought { changes, conflicts })
    }

    /// Removes what a customer had; of the vhost itself its data stays unless `with_data`.
    pub async fn remove(
        &self,
        vhost: &str,
        owner: &desired::Owner,
        with_data: bool,
    ) -> Result<Brought, BrokerError> {
        let mut state = self.state().await?;
        // What was seen some time ago does not do to delete by: whose it is may have been changed since.
        if state.vhosts.contains_key(vhost) {
            let now = self.client.description(vhost).await?;
            if now.as_deref() != state.vhosts.get(vhost).map(|vhost| vhost.description.as_str()) {
                *self.seen.lock().await = None;
                state = self.state().await?;
            }
        }
        let changes = diff::removal(&state, vhost, owner, with_data);
        self.carry_out(&changes).await?;
        Ok(Brought { changes, conflicts: Vec::new() })
    }

    async fn carry_out(&self, changes: &[Change]) -> Result<(), BrokerError> {
        if let Some(first) = changes.first() {
            tracing::info!(broker = %self.name, changes = changes.len(), %first, "changing the broker");
        }
        for change in changes {
            if let Err(error) = self.client.carry_out(change).await {
                // Whether it was carried out is not known: the next one looks.
                *self.seen.lock().await = None;
                return Err(error);
            }
            tracing::debug!(broker = %self.name, %change, "changed");
            if let Some(seen) = &mut *self.seen.lock().await {
                Arc::make_mut(&mut seen.state).apply(change);
            }
        }
        Ok(())
    }
}
