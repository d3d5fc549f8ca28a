//! What a customer uses of what it may use, over all its connections here.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use kinetic_api::{registry::Hold, resources::customer::Limits};

use super::{refusal::Refusal, routes::CustomerRoute};
use crate::pace::Pace;

/// So much of a second's traffic may come at once.
const BURST: Duration = Duration::from_millis(250);
/// And of its new connections: a fleet starts together.
const OPENING_BURST: Duration = Duration::from_secs(2);

/// The accounts of all customers.
#[derive(Debug)]
pub struct Accounts {
    customers: Mutex<HashMap<String, Arc<Account>>>,
    /// What a customer's messages may hold in a second on the average.
    bytes_per_second: u64,
    connections_per_second: u32,
}

/// One customer's account.
#[derive(Debug)]
pub struct Account {
    began: Instant,
    connections: Mutex<u32>,
    messages: Pace,
    bytes: Pace,
    opening: Pace,
    connections_per_second: u32,
    held: AtomicU8,
    /// All that clients sent.
    pub received: Traffic,
    /// All that clients were sent.
    pub sent: Traffic,
}

/// Bytes and messages, since the start.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Bytes, frames and all.
    pub bytes: AtomicU64,
    /// Messages.
    pub messages: AtomicU64,
}

impl Traffic {
    /// Counts.
    #[inline]
    pub fn add(&self, bytes: usize, messages: u32) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
        if messages > 0 {
            self.messages.fetch_add(u64::from(messages), Relaxed);
        }
    }
}

impl Accounts {
    /// No customer yet.
    #[must_use]
    pub fn new(bytes_per_second: u64, connections_per_second: u32) -> Self {
        Self { customers: Mutex::default(), bytes_per_second, connections_per_second }
    }

    /// A customer's account, which outlives its routes: their limits count from now on.
    pub fn of(&self, route: &CustomerRoute) -> Arc<Account> {
        let mut customers = self.customers.lock().unwrap_or_else(PoisonError::into_inner);
        let account = customers.entry(route.name.clone()).or_insert_with(|| {
            Arc::new(Account {
                began: Instant::now(),
                connections: Mutex::new(0),
                messages: Pace::new(route.limits.messages_per_second.into(), BURST),
                bytes: Pace::new(self.bytes_per_second, BURST),
                opening: Pace::new(self.connections_per_second.into(), OPENING_BURST),
                connections_per_second: self.connections_per_second,
                held: AtomicU8::new(Hold::No as u8),
                received: Traffic::default(),
                sent: Traffic::default(),
            })
        });
        account.messages.set(route.limits.messages_per_second.into());
        Arc::clone(account)
    }

    /// All accounts, by customer.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Arc<Account>)> {
        let customers = self.customers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> =
            customers.iter().map(|(name, account)| (name.clone(), Arc::clone(account))).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    /// A customer's account, if it ever had a connection here.
    #[must_use]
    pub fn find(&self, customer: &str) -> Option<Arc<Account>> {
        self.customers.lock().unwrap_or_else(PoisonError::into_inner).get(customer).cloned()
    }
}

/// A connection that counts, until it is dropped.
#[derive(Debug)]
pub struct Seat(Arc<Account>);

impl Seat {
    /// Whose it is.
    #[must_use]
    pub fn account(&self) -> &Arc<Account> {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        *self.0.connections.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    }
}

impl Account {
    /// One connection more, if the customer may have it.
    pub fn sit(self: &Arc<Self>, customer: &str, limits: &Limits) -> Result<Seat, Refusal> {
        if self.hold() == Hold::Disconnected {
            return Err(Refusal::Disconnected(customer.to_owned()));
        }
        if !self.opening.try_take(self.now()) {
            return Err(Refusal::ConnectionRate {
                customer: customer.to_owned(),
                limit: self.connections_per_second,
            });
        }
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if *connections >= limits.connections {
            return Err(Refusal::Connections { customer: customer.to_owned(), limit: limits.connections });
        }
        *connections += 1;
        Ok(Seat(Arc::clone(self)))
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> u32 {
        *self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what a client sent, and says for how long nothing more may be read of this customer's.
    pub fn charge(&self, bytes: usize, messages: u32) -> Option<Duration> {
        self.received.add(bytes, messages);
        let now = self.now();
        let for_bytes = self.bytes.take(bytes as u64, now);
        let for_messages = if messages > 0 { self.messages.take(messages.into(), now) } else { None };
        for_bytes.max(for_messages)
    }

    /// Holds the customer up, or lets it go on. Its connections must be told to look.
    pub(super) fn set_hold(&self, hold: Hold) {
        self.held.store(hold as u8, Relaxed);
    }

    /// Whether it is held up.
    #[must_use]
    pub fn hold(&self) -> Hold {
        match self.held.load(Relaxed) {
            held if held == Hold::Paused as u8 => Hold::Paused,
            held if held == Hold::Disconnected as u8 => Hold::Disconnected,
            _ => Hold::No,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
