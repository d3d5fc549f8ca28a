//! Takes findings from a customer's bus: committed first, acknowledged then.

use std::{sync::Arc, time::Duration};

use kinetic_api::{
    anomaly::{self, Anomaly},
    names,
    plan::AlertPlan,
};
use kinetic_bus::{Bus, BusError, Delivery, Message, QueueConsumer};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{AlertError, AlertService};

/// Findings in hand at most.
const PREFETCH: u16 = 100;
/// The pause after a failure, and the longest one.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Serves a customer until cancelled, or until the bus is closed.
pub(crate) async fn serve(
    service: &AlertService,
    customer: &str,
    bus: &Bus,
    mut plans: watch::Receiver<Arc<Vec<AlertPlan>>>,
    cancel: &CancellationToken,
) -> Result<(), AlertError> {
    let serving = async {
        adopt(service, customer, &mut plans).await;
        let mut consumer = consume(bus, customer).await?;
        loop {
            tokio::select! {
                // Changed Alerts hold from the next finding on.
                biased;
                Ok(()) = plans.changed() => adopt(service, customer, &mut plans).await,
                delivery = consumer.next() => match delivery {
                    Ok(delivery) => take(service, customer, delivery).await,
                    Err(BusError::Closed) => return Err(BusError::Closed.into()),
                    Err(error) => {
                        tracing::error!(customer, %error, "cannot take findings: will try again");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    };
    tokio::select! {
        () = cancel.cancelled() => Ok(()),
        result = serving => result,
    }
}

/// Takes over the Alerts as they stand; tries until the store takes them.
async fn adopt(service: &AlertService, customer: &str, plans: &mut watch::Receiver<Arc<Vec<AlertPlan>>>) {
    let mut pause = PAUSE;
    loop {
        let now = Arc::clone(&plans.borrow_and_update());
        match service.adopt(customer, &now).await {
            Ok(()) => return,
            Err(error) => {
                tracing::error!(customer, %error, "cannot take over changed Alerts: will try again");
            }
        }
        wait(&mut pause).await;
    }
}

async fn consume(bus: &Bus, customer: &str) -> Result<QueueConsumer, AlertError> {
    let mut pause = PAUSE;
    loop {
        match bus.consume(names::ANOMALIES_QUEUE, PREFETCH).await {
            Ok(consumer) => return Ok(consumer),
            Err(BusError::Closed) => return Err(BusError::Closed.into()),
            Err(error) => tracing::error!(customer, %error, "cannot consume findings: will try again"),
        }
        wait(&mut pause).await;
    }
}

/// Takes one finding; tries until the store takes it, since nothing else may be done with it.
async fn take(service: &AlertService, customer: &str, delivery: Delivery) {
    let anomaly = match decode(customer, &delivery.message) {
        Ok(anomaly) => anomaly,
        Err(reason) => {
            let key = &delivery.message.routing_key;
            tracing::error!(
                customer,
                key,
                reason,
                "a message on the queue of findings is none: it is thrown away"
            );
            service.metrics().poison();
            delivery.ack().await;
            return;
        }
    };
    let mut pause = PAUSE;
    loop {
        match service.take(&anomaly).await {
            Ok(_) => break,
            Err(error) => tracing::error!(customer, %error, "cannot record a finding: will try again"),
        }
        wait(&mut pause).await;
    }
    delivery.ack().await;
}

/// A finding of this customer, or why it is none.
fn decode(customer: &str, message: &Message) -> Result<Anomaly, String> {
    let anomaly: Anomaly =
        serde_json::from_slice(&message.body).map_err(|error| format!("no finding: {error}"))?;
    if anomaly.kind != anomaly::TYPE {
        return Err(format!("an event of type {:?}, not {}", anomaly.kind, anomaly::TYPE));
    }
    if anomaly.data.customer != customer {
        return Err(format!("a finding of the customer {:?}", anomaly.data.customer));
    }
    Ok(anomaly)
}

async fn wait(pause: &mut Duration) {
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(LONGEST_PAUSE);
}

#[cfg(test)]
mod tests {
    use kinetic_api::anomaly::State;

    use super::*;
    use crate::fixture;

    fn message(anomaly: &Anomaly) -> Message {
        Message { body: serde_json::to_vec(anomaly).unwrap().into(), ..Message::default() }
    }

    #[test]
    fn findings_of_the_customer_pass() {
        let anomaly = fixture::anomaly("web-3", State::Firing, 0);
        assert_eq!(decode("acme", &message(&anomaly)), Ok(anomaly));
    }

    #[test]
    fn everything_else_is_named() {
        let anomaly = fixture::anomaly("web-3", State::Firing, 0);
        let foreign = decode("globex", &message(&anomaly)).unwrap_err();
        assert!(foreign.contains("\"acme\""), "{foreign}");
        let mut later = anomaly;
        later.kind = "dev.kinetic.anomaly.v9".into();
        let kind = decode("acme", &message(&later)).unwrap_err();
        assert!(kind.contains("v9"), "{kind}");
        let garbage = Message { body: "{".into(), ..Message::default() };
        assert!(decode("acme", &garbage).unwrap_err().starts_with("no finding"));
    }
}
