//! Who acts: a name that one holder has at a time.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{amqp, local};

/// A name that is held. On a broker it is an exclusive queue of this name, which ends with the connection, whatever kills that; in
/// process it is an entry in a table. Dropped, the name is free for others of this process; [`Lock::release`] frees it for all.
///
/// After a reconnection the name is taken again before anything else moves. Where another took it meanwhile, the lock is [lost](Self::lost).
#[derive(Debug)]
pub struct Lock {
    name: String,
    lost: CancellationToken,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Local(Arc<local::Broker>),
    Amqp(Arc<amqp::Session>),
}

impl Lock {
    pub(crate) fn local(broker: Arc<local::Broker>, name: &str) -> Self {
        Self { name: name.to_owned(), lost: CancellationToken::new(), way: Way::Local(broker) }
    }

    pub(crate) fn amqp(session: Arc<amqp::Session>, name: &str, lost: CancellationToken) -> Self {
        Self { name: name.to_owned(), lost, way: Way::Amqp(session) }
    }

    /// Cancelled when another has the name: whatever was to be done under it must stop at once.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Gives the name up for everybody. A broker that is away has freed it already.
    pub async fn release(self) {
        if let Way::Amqp(session) = &self.way
            && !self.lost.is_cancelled()
        {
            amqp::unlock(session, &self.name).await;
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        match &self.way {
            Way::Local(broker) => broker.unlock(&self.name),
            Way::Amqp(session) => session.forget_lock(&self.name, &self.lost),
        }
    }
}
