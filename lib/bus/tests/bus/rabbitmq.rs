//! The bus on a real RabbitMQ. Few tests, because each starts a broker.

use crate::{
    behaviour::{self, PATIENCE, exchange, message, next, number, numbered, piped, quorum, stream},
    own::{own, take},
};
use kinetic_api::role::Role;
use kinetic_bus::{
    Admin, AmqpConfig, Bus, BusError, ConnectionState, Declaration, Declared, ExchangeKind, Retention,
    StreamOffset,
};
use kinetic_tests::rabbitmq::RabbitMq;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{sleep, timeout};

fn bus(broker: &RabbitMq, vhost: &str) -> Bus {
    Bus::amqp(AmqpConfig::new(&broker.amqp_url(vhost), vhost).unwrap())
}

async fn state(bus: &Bus, wanted: impl Fn(&ConnectionState) -> bool) {
    timeout(PATIENCE, bus.state().wait_for(wanted)).await.expect("the state comes").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_broker_it_behaves_as_every_bus_does_and_says_what_the_broker_refuses() {
    let broker = RabbitMq::start();
    broker.add_vhost("us-west.aws.acme");
    let acme = bus(&broker, "us-west.aws.acme");
    acme.connected(PATIENCE).await.unwrap();
    assert_eq!(*acme.state().borrow(), ConnectionState::Connected);
    behaviour::all(&acme).await;

    what_a_login_is_refused_for_is_said(&broker).await;
    what_the_user_may_not_is_said(&broker).await;
    who_only_checks_waits_for_what_is_missing(&broker).await;
    an_administrator_makes_what_amqp_cannot(&broker).await;
    a_stream_made_anew_is_told(&broker).await;
    a_lock_ends_with_its_connection(&broker).await;
    a_queue_of_ones_own_is_made_again(&broker).await;
    what_comes_before_the_streams_are_back_waits_for_them(&broker).await;
    a_broker_short_of_memory_is_a_state(&broker).await;
}

/// As after a start of the broker, whose streams are up a little later than its listeners.
async fn what_comes_before_the_streams_are_back_waits_for_them(broker: &RabbitMq) {
    broker.add_vhost("early");
    let (producer, owner) = (bus(broker, "early"), bus(broker, "early"));
    owner.declare(&piped("x", stream("s"))).await.unwrap();
    owner.close().await;
    let publisher = producer.publisher(100);
    publisher.send("x", numbered(0)).await.unwrap();
    publisher.flush().await.unwrap();
    broker.http("DELETE", "/api/bindings/early/e/x/q/s/%23", "");
    broker.ctl(&["close_all_connections", "-p", "early", "test"]);
    for n in 1..50 {
        publisher.send("x", numbered(n)).await.unwrap();
    }
    let single = tokio::spawn(async move { producer.publish("x", numbered(50)).await });
    sleep(Duration::from_secs(1)).await;
    assert!(!single.is_finished());
    broker.http("POST", "/api/bindings/early/e/x/q/s", r##"{"routing_key":"#"}"##);
    timeout(PATIENCE, publisher.flush()).await.expect("all is confirmed").unwrap();
    timeout(PATIENCE, single).await.expect("so is the single one").unwrap().unwrap();
    assert_eq!(publisher.unroutable(), 0);

    let mut reader = bus(broker, "early").read_stream("s", StreamOffset::First).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 51 {
        seen.push(number(&next(&mut reader).await.1));
    }
    seen.retain(|n| *n != 50);
    assert!(seen.is_sorted(), "in the order in which they were sent: {seen:?}");
}

async fn a_queue_of_ones_own_is_made_again(broker: &RabbitMq) {
    broker.add_vhost("own");
    let (owner, other) = (bus(broker, "own"), bus(broker, "own"));
    let exchanges = vec![exchange("x", ExchangeKind::Topic)];
    owner.declare(&Declaration { exchanges, ..Declaration::default() }).await.unwrap();
    let lock = own(Some("lock"), &[("x", "web.0")]);
    let mut consumer = owner.consume_own(&lock, 1).await.unwrap();
    let error = other.consume_own(&lock, 1).await.unwrap_err();
    assert!(matches!(&error, BusError::Refused { text, .. } if text.contains("RESOURCE_LOCKED")), "{error}");
    broker.ctl(&["close_all_connections", "-p", "own", "test"]);
    let taken = tokio::spawn(async move { take(&mut consumer).await });
    let again = async {
        while other.publish("x", message("web.0", "again")).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, again).await.expect("the queue is bound again");
    assert_eq!(timeout(PATIENCE, taken).await.expect("it is consumed again").unwrap().body, "again");
}

async fn what_a_login_is_refused_for_is_said(broker: &RabbitMq) {
    let nowhere = bus(broker, "us-west.aws.nobody");
    let error = nowhere.connected(PATIENCE).await.unwrap_err();
    assert!(matches!(error, BusError::VhostNotFound { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("NOT_ALLOWED - vhost us-west.aws.nobody not found"), "{text}");
    assert!(text.contains("\n  rabbitmqctl add_vhost us-west.aws.nobody\n"), "{text}");
    assert!(
        text.contains("rabbitmqctl set_permissions -p us-west.aws.nobody guest '.*' '.*' '.*'"),
        "{text}"
    );
    assert_eq!(nowhere.declare(&piped("x", stream("s"))).await.unwrap_err(), error);
    assert_eq!(nowhere.read_stream("s", StreamOffset::First).await.unwrap_err(), error);
    state(&nowhere, |state| {
        matches!(state, ConnectionState::Connecting { error: Some(error), .. } if error.contains("not found"))
    })
    .await;
    // Cured meanwhile: the next call finds it so, however long the back-off has become.
    broker.add_vhost("us-west.aws.nobody");
    nowhere.declare(&piped("x", stream("s"))).await.unwrap();

    let url = broker.amqp_url("/").replace("guest:guest@", "guest:wrong@");
    let stranger = Bus::amqp(AmqpConfig::new(&url, "/").unwrap());
    let error = stranger.connected(PATIENCE).await.unwrap_err();
    assert!(matches!(error, BusError::LoginRefused { .. }), "{error}");
    assert!(error.to_string().contains("ACCESS_REFUSED - Login was refused"), "{error}");
    assert!(!error.to_string().contains("wrong"), "no secrets: {error}");

    let nobody = Bus::amqp(AmqpConfig::new("amqp://127.0.0.1:1", "/").unwrap());
    let error = nobody.connected(Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, BusError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
    nobody.close().await;
    assert_eq!(*nobody.state().borrow(), ConnectionState::Closed);
}

async fn what_the_user_may_not_is_said(broker: &RabbitMq) {
    broker.http("PUT", "/api/users/limited", r#"{"password":"pw","tags":""}"#);
    let url = broker.amqp_url("/").replace("guest:guest@", "limited:pw@");
    let limited = Bus::amqp(AmqpConfig::new(&url, "/").unwrap());
    let error = limited.connected(PATIENCE).await.unwrap_err();
    assert!(matches!(error, BusError::AccessRefused { .. }), "{error}");
    assert!(error.to_string().contains("refused for user 'limited'"), "{error}");

    let admin = bus(broker, "/");
    admin.declare(&piped("theirs", stream("theirs"))).await.unwrap();
    let mine = r#"{"configure":"^mine","write":"^mine","read":"^mine"}"#;
    broker.http("PUT", "/api/permissions/%2F/limited", mine);
    let connections = || {
        let all = broker.ctl(&["list_connections", "user", "pid"]);
        all.lines().filter(|line| line.starts_with("limited")).map(str::to_owned).collect::<Vec<_>>()
    };
    limited.declare(&piped("mine", stream("mine"))).await.unwrap();
    let before = connections();
    assert_eq!(before.len(), 1, "{before:?}");
    let theirs = piped("theirs", stream("theirs"));
    for error in [
        limited.declare(&theirs).await.unwrap_err(),
        limited.read_stream("theirs", StreamOffset::First).await.unwrap_err(),
        limited.publish("theirs", message("k", "b")).await.unwrap_err(),
    ] {
        assert!(matches!(error, BusError::AccessRefused { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("ACCESS_REFUSED - ") && text.contains("'theirs' in vhost '/'"), "{text}");
        assert!(text.contains("rabbitmqctl set_permissions -p / limited"), "{text}");
    }
    limited.declare(&piped("mine", stream("mine-too"))).await.unwrap();
    assert_eq!(connections(), before, "a refusal ends a channel, not the connection");
}

/// As in a pod: the operator makes things over HTTP, the analyzer comes with an analyzer's rights, before they are there.
async fn who_only_checks_waits_for_what_is_missing(broker: &RabbitMq) {
    broker.add_vhost("checked");
    broker.http("PUT", "/api/users/checker", r#"{"password":"pw","tags":""}"#);
    let rights = Role::Analyzer.permissions();
    let rights =
        serde_json::json!({"configure": rights.configure, "write": rights.write, "read": rights.read});
    broker.http("PUT", "/api/permissions/checked/checker", &rights.to_string());
    let url = broker.amqp_url("checked").replace("guest:guest@", "checker:pw@");
    let checker = Bus::amqp(AmqpConfig::new(&url, "checked").unwrap().checking());
    let name = "kinetic.metrics.web.pages";
    let needed = piped("kinetic.metrics", stream(name));

    let error = checker.read_stream(name, StreamOffset::First).await.unwrap_err();
    assert!(matches!(error, BusError::NotFound { .. }), "{error}");
    let operator = bus(broker, "checked");
    operator
        .declare(&Declaration { queues: Vec::new(), bindings: Vec::new(), ..needed.clone() })
        .await
        .unwrap();
    let waiting = tokio::spawn({
        let (checker, needed) = (checker.clone(), needed.clone());
        async move { checker.declare(&needed).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    operator.declare(&needed).await.unwrap();
    let found = timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(
        found.created_streams,
        [name],
        "it was not there at first: it is another one than any checkpoint tells of"
    );
    assert_eq!(checker.declare(&needed).await.unwrap(), Declared::default());
    checker.read_stream(name, StreamOffset::First).await.unwrap();
}

async fn an_administrator_makes_what_amqp_cannot(broker: &RabbitMq) {
    let admin = Admin::new(&broker.admin_url()).unwrap();
    broker.http("PUT", "/api/users/acme", r#"{"password":"pw","tags":""}"#);
    let vhost = "eu/west";
    admin.create_vhost(vhost).await.unwrap();
    admin.create_vhost(vhost).await.unwrap();
    admin.grant(vhost, "acme").await.unwrap();
    let url = broker.amqp_url(vhost).replace("guest:guest@", "acme:pw@");
    let acme = Bus::amqp(AmqpConfig::new(&url, vhost).unwrap());
    acme.declare(&piped("x", stream("kinetic.metrics.web.pages"))).await.unwrap();
    let retention = Retention { age: Duration::from_hours(24), bytes: 1 << 30 };
    admin.retain(vhost, "kinetic.metrics.web.pages", retention).await.unwrap();
    admin
        .retain(vhost, "kinetic.metrics.web.pages", Retention { bytes: 2 << 30, ..retention })
        .await
        .unwrap();
    let policies = broker.ctl(&["list_policies", "-p", vhost]);
    assert!(policies.contains("\"max-age\":\"86400s\"") && policies.contains("2147483648"), "{policies}");
    let queues = broker.ctl(&["list_queues", "-p", vhost, "name", "policy"]);
    assert!(queues.contains("kinetic.metrics.web.pages\tkinetic.metrics.web.pages"), "{queues}");

    let error = admin.grant(vhost, "nobody").await.unwrap_err().to_string();
    assert!(
        error.contains("/api/permissions/eu%2Fwest/nobody") && error.contains("400 Bad Request"),
        "{error}"
    );
    let stranger = Admin::new(&broker.admin_url().replace("guest:guest@", "guest:wrong@")).unwrap();
    let error = stranger.create_vhost("x").await.unwrap_err().to_string();
    assert!(error.contains("401 Unauthorized") && !error.contains("wrong@"), "{error}");
    let nobody = Admin::new("http://guest:guest@127.0.0.1:1").unwrap();
    let error = nobody.create_vhost("x").await.unwrap_err().to_string();
    assert!(error.contains("Connection refused"), "{error}");
}

async fn a_lock_ends_with_its_connection(broker: &RabbitMq) {
    broker.add_vhost("locks");
    broker.http("PUT", "/api/users/locker", r#"{"password":"pw","tags":""}"#);
    let all = r#"{"configure":".*","write":".*","read":".*"}"#;
    broker.http("PUT", "/api/permissions/locks/locker", all);
    let url = broker.amqp_url("locks").replace("guest:guest@", "locker:pw@");
    let (first, second) = (Bus::amqp(AmqpConfig::new(&url, "locks").unwrap()), bus(broker, "locks"));
    let cut = || {
        let all = broker.ctl(&["list_connections", "user", "pid"]);
        for pid in all.lines().filter_map(|line| line.strip_prefix("locker\t")) {
            broker.ctl(&["close_connection", pid, "test"]);
        }
    };
    let name = "kinetic.lock.web.0";
    let held = first.lock(name).await.unwrap().unwrap();
    assert!(second.lock(name).await.unwrap().is_none());

    // After a reconnection it is held again, before anything else can be.
    cut();
    first.declare(&piped("x", stream("s"))).await.unwrap();
    assert!(!held.lost().is_cancelled());
    assert!(second.lock(name).await.unwrap().is_none());

    // Another takes it while the connection is gone: an administrator deletes the queue, which comes to the same.
    broker.ctl(&["delete_queue", "-p", "locks", name]);
    let taken = second.lock(name).await.unwrap().unwrap();
    cut();
    timeout(PATIENCE, held.lost().cancelled()).await.unwrap();
    assert!(first.lock(name).await.unwrap().is_none());
    second.close().await;
    while first.lock(name).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(taken);
}

async fn a_stream_made_anew_is_told(broker: &RabbitMq) {
    broker.add_vhost("anew");
    let anew = bus(broker, "anew");
    anew.declare(&piped("x", stream("s"))).await.unwrap();
    for n in 0..10 {
        anew.publish("x", numbered(n)).await.unwrap();
    }
    let mut reader = anew.read_stream("s", StreamOffset::First).await.unwrap();
    for n in 0..10 {
        assert_eq!(next(&mut reader).await, (n, numbered(n)));
    }
    broker.ctl(&["delete_queue", "-p", "anew", "s"]);
    let error = timeout(PATIENCE, reader.next()).await.expect("the stream has gone").unwrap_err();
    assert!(matches!(error, BusError::NotFound { .. }), "{error}");
    broker.ctl(&["close_all_connections", "-p", "anew", "test"]);
    let told = async {
        loop {
            if let Err(error @ BusError::StreamRecreated { .. }) = reader.next().await {
                return error;
            }
        }
    };
    let error = timeout(PATIENCE, told).await.expect("it is made anew");
    assert_eq!(error, BusError::StreamRecreated { queue: "s".to_owned() });
    anew.publish("x", numbered(77)).await.unwrap();
    assert_eq!(next(&mut reader).await, (0, numbered(77)));
}

async fn a_broker_short_of_memory_is_a_state(broker: &RabbitMq) {
    broker.add_vhost("short");
    let short = bus(broker, "short");
    short.declare(&piped("x", stream("s"))).await.unwrap();
    broker.ctl(&["set_vm_memory_high_watermark", "absolute", "1"]);
    let publishing = {
        let short = short.clone();
        tokio::spawn(async move { short.publish("x", numbered(1)).await })
    };
    state(&short, |state| matches!(state, ConnectionState::Blocked { reason } if reason.contains("memory")))
        .await;
    broker.ctl(&["set_vm_memory_high_watermark", "0.6"]);
    state(&short, |state| *state == ConnectionState::Connected).await;
    publishing.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_confirmed_is_lost_while_the_broker_stops_crashes_and_starts() {
    let broker = Arc::new(RabbitMq::start());
    broker.add_vhost("v");
    let bus = bus(&broker, "v");
    bus.declare(&piped("x.stream", stream("s"))).await.unwrap();
    bus.declare(&piped("x.queue", quorum("q", 100_000))).await.unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let publishing = {
        let (bus, stop) = (bus.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let publisher = bus.publisher(500);
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                publisher.send("x.stream", numbered(n)).await.unwrap();
                n += 1;
                if n % 1_000 == 0 {
                    bus.publish("x.queue", numbered(n / 1_000)).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            publisher.flush().await.unwrap();
            n
        })
    };
    let outages = {
        let (broker, stop) = (Arc::clone(&broker), Arc::clone(&stop));
        tokio::task::spawn_blocking(move || {
            broker.stop();
            broker.start_again();
            broker.kill9();
            broker.start_again();
            stop.store(true, Ordering::Relaxed);
        })
    };
    let mut reader = bus.read_stream("s", StreamOffset::First).await.unwrap();
    let mut consumer = bus.consume("q", 100).await.unwrap();

    // The stream: each offset once, in order, and each number: again only where its confirm was lost with a connection.
    let mut offset = 0;
    let mut seen = BTreeSet::new();
    let mut repeated = 0;
    let mut sent = None;
    let publishing = async {
        outages.await.unwrap();
        publishing.await.unwrap()
    };
    tokio::pin!(publishing);
    while sent.is_none_or(|sent| (seen.len() as u64) < sent) {
        tokio::select! {
            delivery = reader.next() => {
                let delivery = delivery.unwrap();
                assert_eq!(delivery.offset, offset);
                offset += 1;
                let number = number(&delivery.message);
                if seen.insert(number) {
                    // New ones come in the order in which they were sent.
                    assert_eq!(number + 1, seen.len() as u64);
                } else {
                    repeated += 1;
                }
            }
            all = &mut publishing, if sent.is_none() => sent = Some(all),
            () = tokio::time::sleep(4 * PATIENCE) => panic!("{} of {sent:?} arrived", seen.len()),
        }
    }
    assert!(repeated <= 10 * 500, "a window for each lost connection, and there were few: {repeated}");

    let sent = sent.unwrap();
    let mut queued = BTreeSet::new();
    while (queued.len() as u64) < sent / 1_000 {
        let delivery = timeout(PATIENCE, consumer.next()).await.expect("all that was confirmed").unwrap();
        queued.insert(number(&delivery.message));
        delivery.ack().await;
    }
    bus.close().await;
}
