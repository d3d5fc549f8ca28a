//! Publishes single messages, each confirmed before the call returns.

use super::{
    backoff::Backoff,
    convert::Wire,
    failure::Failure,
    supervisor::{Session, Up},
};
use crate::{BusError, Message};
use lapin::{Channel, Confirmation, options::ConfirmSelectOptions};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::{sync::Semaphore, time::sleep};

/// How many single publishes go on at once.
const CHANNELS: usize = 32;

/// Channels in confirm mode, each for one message at a time: a return or a refusal that comes on it is that message's.
#[derive(Debug)]
pub(super) struct ChannelPool {
    idle: Mutex<Vec<(u64, Channel)>>,
    permits: Semaphore,
}

impl Default for ChannelPool {
    fn default() -> Self {
        Self { idle: Mutex::default(), permits: Semaphore::new(CHANNELS) }
    }
}

impl ChannelPool {
    async fn publish_on(&self, up: &Up, wire: Wire) -> lapin::Result<Confirmation> {
        let channel = self.take(up).await?;
        let confirmation = wire.publish(&channel).await?;
        self.lock().push((up.generation, channel));
        Ok(confirmation)
    }

    async fn take(&self, up: &Up) -> lapin::Result<Channel> {
        let idle = {
            let mut idle = self.lock();
            idle.retain(|(generation, channel)| *generation == up.generation && channel.status().connected());
            idle.pop()
        };
        match idle {
            Some((_, channel)) => Ok(channel),
            None => confirming_channel(up).await,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Channel)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    pub(crate) async fn publish(&self, exchange: &str, message: Message) -> Result<(), BusError> {
        let wire = Wire::new(exchange, message)?;
        let _one_of_few = self.pool.permits.acquire().await.expect("the pool's semaphore is never closed");
        let mut backoff = Backoff::retrying();
        loop {
            let up = self.up().await?;
            let confirmation = tokio::select! {
                confirmation = self.pool.publish_on(&up, wire.clone()) => confirmation,
                () = up.ended.cancelled() => continue,
            };
            match confirmation {
                Ok(Confirmation::Ack(None) | Confirmation::NotRequested) => return Ok(()),
                Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) if up.is_settling() => {
                    tracing::debug!(exchange, "nothing is bound yet; publishing again");
                }
                Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => {
                    return Err(BusError::Unroutable {
                        exchange: exchange.to_owned(),
                        routing_key: wire.routing_key.into(),
                    });
                }
                Ok(Confirmation::Nack(None)) => {
                    tracing::debug!(exchange, "broker did not take the message; publishing again");
                }
                Err(error) => match self.failure(&error) {
                    Failure::Refused(error) => return Err(error),
                    Failure::Lost(error) => tracing::debug!(exchange, error, "unconfirmed; publishing again"),
                },
            }
            sleep(backoff.pause()).await;
        }
    }
}

/// A new channel on which the broker confirms.
pub(super) async fn confirming_channel(up: &Up) -> lapin::Result<Channel> {
    let channel = up.connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}
