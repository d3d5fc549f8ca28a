//! One attempt to deliver one message to one recipient.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lettre::{Address, message::Mailbox};
use tokio::sync::broadcast;

use super::{MailTransport, backoff::pause_ms, failure::Failure, folder::Folder, smtp::Smtp};
use crate::{
    AlertError, IncidentEvent,
    clock::wall_ms,
    incident::DeliveryState,
    mail::{self, Mail},
    metrics::Metrics,
    notification::Notification,
    store::{Due, Parcel, Store},
    wake::Wake,
};

/// Delivers messages, and records how far they got.
pub(crate) struct Courier {
    transport: Transport,
    from: Mailbox,
    events: broadcast::Sender<IncidentEvent>,
    metrics: Arc<Metrics>,
    /// Woken after every attempt.
    pub(crate) progress: Wake,
    pub(crate) delivered: AtomicU64,
    pub(crate) refused: AtomicU64,
}

enum Transport {
    Smtp(Box<Smtp>),
    Folder(Folder),
}

/// An attempt that met no failure.
enum Done {
    /// It is delivered.
    Delivered { subject: String, to: String },
    /// Nobody wants it any more.
    Dropped,
}

impl Courier {
    pub(crate) fn new(
        transport: MailTransport,
        from: &str,
        events: broadcast::Sender<IncidentEvent>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, AlertError> {
        let from = from.parse().map_err(|source: lettre::address::AddressError| AlertError::MailFrom {
            text: from.to_owned(),
            reason: source.to_string(),
        })?;
        let transport = match transport {
            MailTransport::Smtp(url) => Transport::Smtp(Box::new(Smtp::new(url)?)),
            MailTransport::Folder(path) => Transport::Folder(Folder::new(path)?),
        };
        Ok(Self {
            transport,
            from,
            events,
            metrics,
            progress: Wake::default(),
            delivered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// Tries a delivery that is due, and records what came of it.
    pub(crate) async fn attempt(&self, store: &Store, due: &Due) {
        let parcel = match store.parcel(&due.notification, mail::MAX_CHARTS).await {
            Ok(parcel) => parcel,
            Err(AlertError::Corrupt { what, reason }) => {
                let text = format!("the history holds a broken {what}: {reason}");
                self.record(store, due, DeliveryState::Refused, Some(&text)).await;
                return;
            }
            Err(error) => {
                tracing::error!(%error, "cannot read a message: will try again");
                tokio::time::sleep(Duration::from_secs(1)).await;
                return;
            }
        };
        let notification = parcel.notification.clone();
        let result = match &self.transport {
            Transport::Smtp(smtp) => self.by_smtp(smtp, store, due, parcel).await,
            Transport::Folder(folder) => self.to_folder(folder, store, due, parcel).await,
        };
        match result {
            Ok(Done::Delivered { subject, to }) => {
                self.record(store, due, DeliveryState::Sent, None).await;
                self.delivered(&notification, &due.recipient, subject, to);
            }
            Ok(Done::Dropped) => {}
            Err(Failure::Permanent(reply)) => {
                self.record(store, due, DeliveryState::Refused, Some(&reply)).await;
                self.refused(&notification, &due.recipient, reply);
            }
            Err(failure) => self.delay(store, due, &notification, &failure).await,
        }
        self.progress.wake();
    }

    async fn by_smtp(&self, smtp: &Smtp, store: &Store, due: &Due, parcel: Parcel) -> Result<Done, Failure> {
        let recipient: Address = due.recipient.parse().map_err(|source| {
            Failure::Permanent(format!("{} is no mail address: {source}", due.recipient))
        })?;
        let session = smtp.open(&self.from.email, &recipient).await?;
        let mail = match self.compose(parcel).await {
            Ok(mail) => mail,
            Err(failure) => {
                session.quit().await;
                return Err(failure);
            }
        };
        match store.begin_sending(due).await {
            Ok(true) => {}
            Ok(false) => {
                session.quit().await;
                return Ok(Done::Dropped);
            }
            Err(error) => {
                session.quit().await;
                return Err(Failure::Temporary(error.to_string()));
            }
        }
        session.send(&mail.bytes).await?;
        Ok(Done::Delivered { subject: mail.subject, to: smtp.server().to_string() })
    }

    async fn to_folder(
        &self,
        folder: &Folder,
        store: &Store,
        due: &Due,
        parcel: Parcel,
    ) -> Result<Done, Failure> {
        let file = folder.file(&parcel.notification);
        let mail = self.compose(parcel).await?;
        match store.begin_sending(due).await {
            Ok(true) => {}
            Ok(false) => return Ok(Done::Dropped),
            Err(error) => return Err(Failure::Temporary(error.to_string())),
        }
        folder.put(&file, mail.bytes).await?;
        Ok(Done::Delivered { subject: mail.subject, to: file.display().to_string() })
    }

    /// Composes off the runtime's threads: charts take their time.
    async fn compose(&self, parcel: Parcel) -> Result<Mail, Failure> {
        let from = self.from.clone();
        let composed = tokio::task::spawn_blocking(move || mail::compose(&parcel, &from)).await;
        let mail = composed
            .map_err(|panic| Failure::Temporary(format!("the mail cannot be composed: {panic}")))?
            .map_err(|error| Failure::Permanent(error.to_string()))?;
        if mail.broken_templates > 0 {
            self.metrics.broken_templates.inc_by(mail.broken_templates);
        }
        Ok(mail)
    }

    async fn delay(&self, store: &Store, due: &Due, notification: &Notification, failure: &Failure) {
        let error = failure.text();
        let attempts = due.attempts.saturating_add(1);
        let pause_ms = pause_ms(due.attempts, &format!("{}{}", due.notification, due.recipient));
        let Notification { customer, alert, receiver, .. } = notification;
        let (recipient, next_s) = (&due.recipient, pause_ms / 1_000);
        if matches!(failure, Failure::Configuration(_)) {
            tracing::error!(
                customer,
                alert,
                receiver,
                recipient,
                attempts,
                next_s,
                error,
                "a mail waits for a setting to be put right"
            );
        } else {
            tracing::warn!(
                customer,
                alert,
                receiver,
                recipient,
                attempts,
                next_s,
                error,
                "a mail waits: will try again"
            );
        }
        persist("record a failed attempt", || store.delay(due, wall_ms() + pause_ms, error)).await;
        self.metrics.deliveries(DeliveryState::Waiting);
        self.tell(IncidentEvent::Delayed {
            customer: customer.clone(),
            alert: alert.clone(),
            receiver: receiver.clone(),
            recipient: recipient.clone(),
            attempts,
            error: error.to_owned(),
        });
    }

    async fn record(&self, store: &Store, due: &Due, state: DeliveryState, error: Option<&str>) {
        persist("record a delivery", || store.finish(due, state, wall_ms(), error)).await;
        self.metrics.deliveries(state);
    }

    fn delivered(&self, notification: &Notification, recipient: &str, subject: String, to: String) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
        let Notification { customer, alert, receiver, reason, .. } = notification;
        tracing::info!(customer, alert, receiver, recipient, reason = reason.as_str(), to, "mail delivered");
        self.tell(IncidentEvent::Delivered {
            customer: customer.clone(),
            alert: alert.clone(),
            receiver: receiver.clone(),
            recipient: recipient.to_owned(),
            subject,
            to,
        });
    }

    fn refused(&self, notification: &Notification, recipient: &str, reply: String) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let Notification { customer, alert, receiver, .. } = notification;
        tracing::error!(
            customer,
            alert,
            receiver,
            recipient,
            reply,
            "mail refused for good: it is not tried again"
        );
        self.tell(IncidentEvent::Refused {
            customer: customer.clone(),
            alert: alert.clone(),
            receiver: receiver.clone(),
            recipient: recipient.to_owned(),
            reply,
        });
    }

    fn tell(&self, event: IncidentEvent) {
        // Nobody need listen.
        let _ = self.events.send(event);
    }
}

/// Writes to the store until it takes it: what is not recorded would be sent again.
async fn persist<W>(what: &str, write: impl Fn() -> W)
where
    W: Future<Output = Result<(), AlertError>>,
{
    let mut failures = 0;
    while let Err(error) = write().await {
        tracing::error!(%error, "cannot {what}: will try again");
        let pause = u64::try_from(pause_ms(failures, what)).unwrap_or(1_000).min(30_000);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        failures += 1;
    }
}
