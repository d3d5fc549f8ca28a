//! A lock on a broker: an exclusive queue, which lives as long as the connection that declared it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use lapin::{
    Connection,
    options::{QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    config::{Place, short},
    failure::Failure,
    supervisor::Session,
};
use crate::{BusError, Lock};

/// What the broker says to whoever wants an exclusive queue of another connection (405).
const TAKEN: &str = "RESOURCE_LOCKED";

/// The broker may notice the end of the connection that held a lock after we do: so often, and with such pauses, it is asked again.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

/// The locks that this session holds, and how each holder learns that it holds one no more.
#[derive(Debug, Default)]
pub(super) struct Locks(HashMap<String, CancellationToken>);

impl Locks {
    /// Takes a name within the process; None if it is taken.
    fn take(&mut self, name: &str) -> Option<CancellationToken> {
        if self.0.contains_key(name) {
            return None;
        }
        let lost = CancellationToken::new();
        self.0.insert(name.to_owned(), lost.clone());
        Some(lost)
    }

    /// The names that are held.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// Another has the name.
    pub(super) fn lose(&mut self, name: &str) {
        if let Some(lost) = self.0.remove(name) {
            lost.cancel();
        }
    }

    /// The holder is gone; one that lost the name has nothing to give back.
    pub(super) fn forget(&mut self, name: &str, lost: &CancellationToken) {
        if !lost.is_cancelled() {
            self.0.remove(name);
        }
    }
}

/// One attempt to take a name: None if another has it. Waits for the connection.
pub(crate) async fn lock(session: &Arc<Session>, name: &str) -> Result<Option<Lock>, BusError> {
    loop {
        let up = session.up_or_refused().await?;
        let Some(lost) = session.locks().take(name) else { return Ok(None) };
        // From here on dropping it gives the name back.
        let held = Lock::amqp(Arc::clone(session), name, lost);
        match declare(&up.connection, session.place(), name).await {
            // A connection that ended meanwhile took the queue with it.
            Ok(()) if up.ended.is_cancelled() => {}
            Ok(()) => return Ok(Some(held)),
            Err(Failure::Lost(error)) => tracing::debug!(error, name, "a lock was not taken; trying again"),
            Err(Failure::Refused(BusError::Refused { text, .. })) if text.contains(TAKEN) => return Ok(None),
            Err(Failure::Refused(error)) => return Err(error),
        }
        drop(held);
        sleep(PAUSE).await;
    }
}

/// Takes the names again on a new connection; returns those that another has.
pub(super) async fn retake(
    connection: &Connection,
    place: &Place,
    names: Vec<String>,
) -> Result<Vec<String>, Failure> {
    let mut lost = Vec::new();
    for name in names {
        let mut attempt = 1;
        while let Err(failure) = declare(connection, place, &name).await {
            match failure {
                Failure::Refused(_) if attempt < ATTEMPTS => {
                    attempt += 1;
                    sleep(PAUSE).await;
                }
                Failure::Refused(error) => {
                    tracing::warn!(lock = name, %error, "another took over while the connection was gone");
                    lost.push(name);
                    break;
                }
                failure @ Failure::Lost(_) => return Err(failure),
            }
        }
    }
    Ok(lost)
}

/// Frees a name for all.
pub(crate) async fn unlock(session: &Session, name: &str) {
    let (Some(up), Ok(queue)) = (session.up_now(), short("a lock's name", name)) else { return };
    let deleted = async {
        let channel = up.connection.create_channel().await?;
        channel.queue_delete(queue, QueueDeleteOptions::default()).await
    };
    if let Err(error) = deleted.await {
        tracing::debug!(%error, name, "the broker frees the lock by itself");
    }
}

async fn declare(connection: &Connection, place: &Place, name: &str) -> Result<(), Failure> {
    let name = short("a lock's name", name).map_err(Failure::Refused)?;
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let failure = |error: lapin::Error| Failure::of(&error, place);
    let channel = connection.create_channel().await.map_err(failure)?;
    channel.queue_declare(name, options, FieldTable::default()).await.map(|_| ()).map_err(failure)
}
