//! Against a real SMTP server that does as it is told.

use std::sync::Arc;

use kinetic_api::{anomaly::State, plan::AlertPlan};
use kinetic_tests::smtp::{Behaviour, Protection, Received, SmtpServer};
use mail_parser::MessageParser;
use tempfile::TempDir;
use tokio::{sync::broadcast, task::JoinHandle};

use super::*;
use crate::{
    AlertConfig, AlertService, Clock, IncidentEvent, fixture,
    incident::{DeliveryState, NotificationState},
};

/// Generous: a loaded machine is slow.
const PATIENCE: Duration = Duration::from_mins(1);

/// A service that tells people at once.
struct Rig {
    service: AlertService,
    events: broadcast::Receiver<IncidentEvent>,
    cancel: CancellationToken,
    delivering: JoinHandle<()>,
}

impl Rig {
    async fn start(folder: &TempDir, mail: MailTransport, receivers: &[(&str, &[&str])]) -> Self {
        let receivers = receivers.iter().map(|(name, to)| fixture::receiver(name, to)).collect();
        let plan = AlertPlan { group_wait_ms: 0, group_interval_ms: 0, receivers, ..fixture::plan() };
        let data_dir = folder.path().join("data");
        let mail_from = "Kinetic <kinetic@mail.example>".into();
        let service =
            AlertService::open(AlertConfig { data_dir, mail, mail_from, clock: Clock::Wall }).await.unwrap();
        service.adopt("acme", &Arc::new(vec![plan])).await.unwrap();
        let (events, cancel) = (service.events(), CancellationToken::new());
        let delivering = tokio::spawn({
            let (service, cancel) = (service.clone(), cancel.clone());
            async move { service.deliver(cancel).await }
        });
        Self { service, events, cancel, delivering }
    }

    async fn fires(&self, origin: &str) {
        self.service.take(&fixture::anomaly(origin, State::Firing, 0)).await.unwrap();
    }

    /// The first event that this fits.
    async fn event<T>(&mut self, mut fits: impl FnMut(IncidentEvent) -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = fits(self.events.recv().await.unwrap()) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("the event")
    }

    /// What the next failed attempt met.
    async fn delayed(&mut self) -> String {
        self.event(|event| match event {
            IncidentEvent::Delayed { error, .. } => Some(error),
            _ => None,
        })
        .await
    }

    /// The next recipient who was served.
    async fn delivered(&mut self) -> String {
        self.event(|event| match event {
            IncidentEvent::Delivered { recipient, .. } => Some(recipient),
            _ => None,
        })
        .await
    }

    async fn notifications(&self) -> Vec<NotificationState> {
        self.service.history().incidents(None).await.unwrap().remove(0).notifications
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.delivering.await.unwrap();
        self.service.close().await;
    }
}

fn smtp(server: &SmtpServer, login: &str, options: &str) -> MailTransport {
    MailTransport::Smtp(format!("smtp://{login}{}{options}", server.address()).parse().unwrap())
}

fn recipients(received: &[Received]) -> Vec<String> {
    let mut to: Vec<String> = received.iter().flat_map(|mail| mail.to.clone()).collect();
    to.sort();
    to
}

fn message_id(received: &Received) -> String {
    MessageParser::new().parse(&received.data).unwrap().message_id().unwrap().to_owned()
}

const A: &str = "a@acme.example";
const B: &str = "b@acme.example";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_recipient_gets_the_same_mail() {
    let (folder, server) = (TempDir::new().unwrap(), SmtpServer::start());
    let mut rig = Rig::start(&folder, smtp(&server, "", ""), &[("oncall", &[A, B])]).await;
    rig.fires("web-3").await;
    let mut told = [rig.delivered().await, rig.delivered().await];
    told.sort();
    assert_eq!(told, [A, B]);
    let received = server.received();
    assert_eq!(recipients(&received), [A, B]);
    assert!(received.iter().all(|mail| mail.to.len() == 1 && mail.from == "kinetic@mail.example"));
    assert_eq!(received[0].data, received[1].data);
    let mail = MessageParser::new().parse(&received[0].data).unwrap();
    assert_eq!(mail.to().unwrap().iter().count(), 2, "each sees who else knows");
    assert!(mail.subject().unwrap().contains("web-3: page.checkout.time 912"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_is_waited_for() {
    let (folder, server) = (TempDir::new().unwrap(), SmtpServer::start());
    server.down();
    let mut rig = Rig::start(&folder, smtp(&server, "", ""), &[("oncall", &[A])]).await;
    rig.fires("web-3").await;
    let error = rig.delayed().await;
    assert!(error.contains(&server.address().to_string()) && error.contains("refused"), "{error}");
    server.up();
    assert_eq!(rig.delivered().await, A);
    assert_eq!(server.received().len(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_recipient_holds_nobody_up_and_is_not_tried_again() {
    let (folder, server) = (TempDir::new().unwrap(), SmtpServer::start());
    server.set_for(A, Behaviour::Refuse("550 5.1.1 no such user".into()));
    let mut rig = Rig::start(&folder, smtp(&server, "", ""), &[("oncall", &[A, B])]).await;
    rig.fires("web-3").await;
    let report = rig.service.flush(PATIENCE).await.unwrap();
    assert_eq!((report.delivered, report.refused, report.waiting), (1, 1, 0));
    let refused = rig
        .event(|event| match event {
            IncidentEvent::Refused { recipient, reply, .. } => Some((recipient, reply)),
            _ => None,
        })
        .await;
    assert_eq!(refused.0, A);
    let states = rig.notifications().await;
    let state = |to: &str| states.iter().find(|n| n.recipient == to).unwrap();
    assert_eq!((state(A).state, state(A).attempts), (DeliveryState::Refused, 1));
    assert!(state(A).last_error.as_ref().unwrap().contains("550 5.1.1 no such user"));
    assert_eq!(state(B).state, DeliveryState::Sent);
    assert_eq!(recipients(&server.received()), [B]);
    rig.stop().await;
    assert_eq!(server.attempts(A), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_everything_is_recorded() {
    for refusal in [Behaviour::Refuse as fn(String) -> Behaviour, Behaviour::RefuseMail] {
        let (folder, server) = (TempDir::new().unwrap(), SmtpServer::start());
        server.set(refusal("554 5.7.1 rejected by policy".into()));
        let rig = Rig::start(&folder, smtp(&server, "", ""), &[("oncall", &[A, B])]).await;
        rig.fires("web-3").await;
        let report = rig.service.flush(PATIENCE).await.unwrap();
        assert_eq!((report.delivered, report.refused, report.waiting), (0, 2, 0));
        for notification in rig.notifications().await {
            assert_eq!(notification.state, DeliveryState::Refused);
            let error = notification.last_error.unwrap();
            assert!(error.contains("554 5.7.1 rejected by policy"), "{error}");
        }
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn greylisting_is_waited_out() {
    let (folder, server) = (TempDir::new().unwrap(), SmtpServer::start());
    server.set(Behaviour::Refuse("451 4.7.1 greylisted, come back later".into()));
    let mut rig = Rig::start(&folder, smtp(&server, "", ""), &[("oncall", &[A])]).await;
    rig.fires("web-3").await;
    assert!(rig.delayed().await.contains("451 4.7.1 greylisted"));
    server.set(Behaviour::Accept);
    assert_eq!(rig.delivered().await, A);
    let notification = rig.notifications().await.remove(0);
    assert_eq!((notification.state, notification.last_error), (DeliveryState::Sent, None));
    assert!(notification.attempts >= 2);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_delays_no_other() {
    let (folder, server) = (TempDir::new().unwrap(), SmtpServer::start());
    let many: Vec<String> = (0..2 * PER_LANE).map(|n| format!("slow-{n}@acme.example")).collect();
    let slow: Vec<&str> = many.iter().map(String::as_str).collect();
    for recipient in &slow {
        server.set_for(recipient, Behaviour::Hang);
    }
    let mut rig =
        Rig::start(&folder, smtp(&server, "", ""), &[("a-slow-one", &slow), ("oncall", &[B])]).await;
    rig.fires("web-3").await;
    assert_eq!(rig.delivered().await, B);
    rig.fires("web-5").await;
    assert_eq!(rig.delivered().await, B, "again, while the other hangs still");
    assert_eq!(recipients(&server.received()), [B, B]);
    server.set(Behaviour::Accept);
    for recipient in &slow {
        server.set_for(recipient, Behaviour::Accept);
    }
    assert_eq!(server.wait_for(2 + 4 * PER_LANE).len(), 2 + 4 * PER_LANE);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_server_is_waited_for() {
    let (folder, server) = (TempDir::new().unwrap(), SmtpServer::start());
    server.set(Behaviour::Delay(Duration::from_millis(300)));
    let mut rig = Rig::start(&folder, smtp(&server, "", ""), &[("oncall", &[A])]).await;
    rig.fires("web-3").await;
    assert_eq!(rig.delivered().await, A);
    assert_eq!(server.attempts(A), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_is_made_again() {
    let (folder, server) = (TempDir::new().unwrap(), SmtpServer::start());
    server.set(Behaviour::Close);
    let mut rig = Rig::start(&folder, smtp(&server, "", ""), &[("oncall", &[A])]).await;
    rig.fires("web-3").await;
    let error = rig.delayed().await;
    assert!(error.contains("closed the connection"), "{error}");
    server.set(Behaviour::Accept);
    assert_eq!(rig.delivered().await, A);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_sends_the_same_message_again() {
    let (folder, server) = (TempDir::new().unwrap(), SmtpServer::start());
    server.set(Behaviour::LoseAnswer);
    let mut rig = Rig::start(&folder, smtp(&server, "", ""), &[("oncall", &[A])]).await;
    rig.fires("web-3").await;
    rig.delayed().await;
    server.set(Behaviour::Accept);
    assert_eq!(rig.delivered().await, A);
    let received = server.received();
    assert_eq!(received.len(), 2);
    assert_eq!(message_id(&received[0]), message_id(&received[1]));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_sends_what_waits_and_nothing_twice() {
    let (folder, server) = (TempDir::new().unwrap(), SmtpServer::start());
    server.set_for(B, Behaviour::Refuse("451 4.7.1 later".into()));
    let mut rig = Rig::start(&folder, smtp(&server, "", ""), &[("oncall", &[A, B])]).await;
    rig.fires("web-3").await;
    assert_eq!(rig.delivered().await, A);
    server.wait_for_attempts(B, 1);
    rig.stop().await;
    server.set_for(B, Behaviour::Accept);
    let mut rig = Rig::start(&folder, smtp(&server, "", ""), &[("oncall", &[A, B])]).await;
    rig.fires("web-3").await;
    assert_eq!(rig.delivered().await, B);
    assert_eq!(rig.service.flush(PATIENCE).await.unwrap().waiting, 0);
    assert_eq!(recipients(&server.received()), [A, B]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypted_and_logged_in() {
    let cases = [
        (Protection::StartTls, "smtp", "ops%40acme:s3cret@"),
        (Protection::Implicit, "smtps", "ops%40acme:s3cret@"),
    ];
    for (protection, scheme, login) in cases {
        let folder = TempDir::new().unwrap();
        let server = SmtpServer::start_with(protection, Some(("ops@acme", "s3cret")));
        let ca = server.ca_file().unwrap().display();
        let url = format!("{scheme}://{login}{}?ca={ca}", server.address());
        let mut rig =
            Rig::start(&folder, MailTransport::Smtp(url.parse().unwrap()), &[("oncall", &[A])]).await;
        rig.fires("web-3").await;
        assert_eq!(rig.delivered().await, A, "{url}");
        let received = server.received().remove(0);
        assert_eq!((received.encrypted, received.user.as_deref()), (true, Some("ops@acme")));
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starttls_is_used_where_it_is_offered() {
    let (folder, server) = (TempDir::new().unwrap(), SmtpServer::start_with(Protection::StartTls, None));
    let mut rig = Rig::start(&folder, smtp(&server, "", ""), &[("oncall", &[A])]).await;
    rig.fires("web-3").await;
    assert_eq!(rig.delivered().await, A);
    assert!(server.received()[0].encrypted);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_must_set_right_is_said_and_tried_again() {
    let login = Some(("ops", "s3cret"));
    let cases = [
        (Protection::Plain, login, "ops:wrong@", "", "535 5.7.8"),
        (Protection::Plain, login, "", "", "530 5.7.0"),
        (Protection::Plain, None, "", "?tls=required", "offers no STARTTLS"),
        (Protection::StartTls, None, "", "?tls=none", "530 5.7.0"),
        (Protection::StartTls, None, "", "?tls=required", "certificate"),
    ];
    for (protection, wanted, login, options, text) in cases {
        let (folder, server) = (TempDir::new().unwrap(), SmtpServer::start_with(protection, wanted));
        let mut rig = Rig::start(&folder, smtp(&server, login, options), &[("oncall", &[A])]).await;
        rig.fires("web-3").await;
        for _ in 0..2 {
            let error = rig.delayed().await;
            assert!(error.contains(text), "{protection:?} {login}{options}: {error}");
        }
        assert_eq!(server.received(), []);
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_address_is_refused_and_holds_nobody_up() {
    let (folder, server) = (TempDir::new().unwrap(), SmtpServer::start());
    let rig = Rig::start(&folder, smtp(&server, "", ""), &[("oncall", &["no address@x y", A])]).await;
    rig.fires("web-3").await;
    let report = rig.service.flush(PATIENCE).await.unwrap();
    assert_eq!((report.delivered, report.refused, report.waiting), (1, 1, 0));
    assert_eq!(recipients(&server.received()), [A]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_gets_one_file_for_each_receiver() {
    let folder = TempDir::new().unwrap();
    let inbox = folder.path().join("mail");
    let mail = MailTransport::Folder(inbox.clone());
    let rig = Rig::start(&folder, mail, &[("oncall", &[A, B]), ("boss", &[B])]).await;
    rig.fires("web-3").await;
    assert_eq!(rig.service.flush(PATIENCE).await.unwrap().delivered, 3);
    let mut files: Vec<_> = std::fs::read_dir(&inbox).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let parts: Vec<_> = name.split('-').collect();
        assert_eq!((parts.len(), parts[0].len(), parts[5]), (7, 4, "checkout"), "{name}");
        assert!(file.extension().is_some_and(|extension| extension == "eml"), "{name}");
        let mail = std::fs::read(&file).unwrap();
        let mail = MessageParser::new().parse(&mail).unwrap();
        assert!(mail.subject().unwrap().contains("web-3"));
    }
    rig.stop().await;
}
