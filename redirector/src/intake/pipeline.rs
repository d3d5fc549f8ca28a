//! Listeners, the hand-over and the publisher behind it, from start to stop.

use std::time::Duration;

use kinetic_bus::BusError;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{IntakeError, IntakeMetrics, IntakeTarget, hand_over::HandOver, protocol::Protocol, publish};

/// What one intake runs: any number of listeners, one publisher.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(super) hand_over: HandOver,
    pub(super) metrics: IntakeMetrics,
    pub(super) cancel: CancellationToken,
    listeners: TaskTracker,
    publisher: JoinHandle<Result<(), BusError>>,
}

impl Pipeline {
    /// Starts the publisher onto a bus.
    pub(super) fn start(
        protocol: &'static Protocol,
        target: IntakeTarget,
        metrics: IntakeMetrics,
        cancel: &CancellationToken,
    ) -> Self {
        let (hand_over, publisher) = publish::start(protocol, target, metrics.clone());
        Self::before(hand_over, publisher, metrics, cancel)
    }

    /// Hands over to a publisher that runs already.
    pub(crate) fn before(
        hand_over: HandOver,
        publisher: JoinHandle<Result<(), BusError>>,
        metrics: IntakeMetrics,
        cancel: &CancellationToken,
    ) -> Self {
        Self { hand_over, metrics, cancel: cancel.child_token(), listeners: TaskTracker::new(), publisher }
    }

    /// Runs a listener, which must end when its token is cancelled.
    pub(super) fn spawn<F>(&self, listener: impl FnOnce(HandOver, IntakeMetrics, CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.listeners.spawn(listener(self.hand_over.clone(), self.metrics.clone(), self.cancel.clone()));
    }

    /// Stops listening, publishes what was taken, and waits up to `grace` for the confirms.
    pub(super) async fn stop(self, grace: Duration) -> Result<(), IntakeError> {
        let Self { hand_over, cancel, listeners, mut publisher, .. } = self;
        cancel.cancel();
        listeners.close();
        drop(hand_over);
        let finished = timeout(grace, async {
            listeners.wait().await;
            (&mut publisher).await
        });
        match finished.await {
            Ok(Ok(result)) => result.map_err(IntakeError::Bus),
            Ok(Err(ended)) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(IntakeError::Bus(BusError::Closed)),
            },
            Err(_) => {
                publisher.abort();
                Err(IntakeError::Unconfirmed { grace })
            }
        }
    }
}
