//! Publishers that never give up: numbered messages with confirms, a new connection whenever one ends, and what was not confirmed again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::join_all;
use kinetic_tests::process::{Kinetic, eventually};
use lapin::Confirmation;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    own::{self, Credentials},
    site::{Issued, Site},
};

/// Messages that lapin has on their way at a time.
const AT_A_TIME: u64 = 20;
const PAUSE: Duration = Duration::from_millis(10);
const AGAIN: Duration = Duration::from_millis(200);

/// A lapin that publishes.
pub(crate) struct Lapin {
    stop: Arc<AtomicBool>,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    confirmed: AtomicU64,
    connections: AtomicU64,
    lost: Mutex<Vec<String>>,
}

/// Somebody who publishes without end, in numbers.
pub(crate) trait Steady {
    /// As its messages are called.
    fn name(&self) -> &str;
    /// So many were confirmed: all below this number.
    fn confirmed(&self) -> u64;
    /// So many connections it has made.
    fn connections(&self) -> u64;
}

impl Lapin {
    pub(crate) fn start(site: &Site, who: &Issued) -> Self {
        let (stop, state) = (Arc::new(AtomicBool::new(false)), Arc::new(State::default()));
        let publishing =
            publish_for_ever(site.port, Credentials::read(site, who), Arc::clone(&stop), Arc::clone(&state));
        let task = site.runtime.spawn(publishing);
        Self { stop, state, task }
    }

    /// Why connections ended.
    pub(crate) fn lost(&self) -> Vec<String> {
        self.state.lost.lock().unwrap().clone()
    }

    pub(crate) fn stop(self, site: &Site) -> (String, u64) {
        self.stop.store(true, Relaxed);
        site.runtime.block_on(self.task).unwrap();
        ("lapin".to_owned(), self.state.confirmed.load(Relaxed))
    }
}

impl Steady for Lapin {
    fn name(&self) -> &'static str {
        "lapin"
    }

    fn confirmed(&self) -> u64 {
        self.state.confirmed.load(Relaxed)
    }

    fn connections(&self) -> u64 {
        self.state.connections.load(Relaxed)
    }
}

async fn publish_for_ever(port: u16, who: Credentials, stop: Arc<AtomicBool>, state: Arc<State>) {
    let mut waiting: BTreeSet<u64> = BTreeSet::new();
    let mut next = 0;
    while !stop.load(Relaxed) {
        let connection = timeout(Duration::from_secs(20), own::connect_to(port, who.clone(), "")).await;
        let Ok(Ok(connection)) = connection else {
            sleep(AGAIN).await;
            continue;
        };
        state.connections.fetch_add(1, Relaxed);
        let Ok(channel) = own::publishing(&connection).await else { continue };
        while !stop.load(Relaxed) && connection.status().connected() {
            while (waiting.len() as u64) < AT_A_TIME {
                waiting.insert(next);
                next += 1;
            }
            let published = waiting.iter().map(|number| {
                let body = format!("lapin:{number}").into_bytes();
                let channel = &channel;
                async move { (*number, own::publish(channel, "statsd.web.lapin", &body).await) }
            });
            let mut failed = None;
            for (number, confirmed) in join_all(published).await {
                match confirmed {
                    Ok(Confirmation::Ack(None)) => {
                        waiting.remove(&number);
                    }
                    other => failed = Some(format!("{other:?}")),
                }
            }
            state.confirmed.store(waiting.first().copied().unwrap_or(next), Relaxed);
            if let Some(failed) = failed {
                state.lost.lock().unwrap().push(failed);
                break;
            }
            sleep(PAUSE).await;
        }
        let _ = timeout(AGAIN, connection.close(200, "".into())).await;
    }
}

/// A pika that publishes.
pub(crate) struct Pika {
    name: String,
    process: Kinetic,
}

impl Pika {
    /// From a command that runs `client.py steady KEY NAME`.
    pub(crate) fn start(name: &str, command: &mut std::process::Command) -> Self {
        Self { name: name.to_owned(), process: Kinetic::spawn(command) }
    }

    fn last(&self, word: &str) -> u64 {
        let printed = self.process.printed();
        let line = printed.lines().rev().find_map(|line| line.strip_prefix(word));
        line.map_or(0, |number| number.trim().parse().unwrap())
    }

    pub(crate) fn printed(&self) -> String {
        self.process.printed()
    }

    pub(crate) fn stop(mut self) -> (String, u64) {
        self.process.signal("TERM");
        let (status, said) = self.process.wait();
        assert!(status.success() && said.ends_with("done\n"), "{status} {said}");
        let confirmed = self.last("confirmed");
        (self.name, confirmed)
    }
}

impl Steady for Pika {
    fn name(&self) -> &str {
        &self.name
    }

    fn confirmed(&self) -> u64 {
        self.last("confirmed")
    }

    fn connections(&self) -> u64 {
        self.last("connected")
    }
}

/// Waits until each has had some hundred further messages confirmed.
pub(crate) fn go_on(publishers: &[&dyn Steady]) {
    let before: Vec<_> = publishers.iter().map(|publisher| publisher.confirmed()).collect();
    for (publisher, before) in publishers.iter().zip(before) {
        eventually(&format!("{} to go on", publisher.name()), || publisher.confirmed() >= before + 200);
    }
}

/// Reads the stream from its beginning until every confirmed message was seen. Repeated ones are allowed; none may be missing.
pub(crate) fn nothing_is_missing(site: &Site, analyzer: &Issued, confirmed: &[(String, u64)]) {
    let wanted: BTreeMap<&str, u64> =
        confirmed.iter().map(|(name, number)| (name.as_str(), *number)).collect();
    assert!(wanted.values().all(|number| *number > 200), "{wanted:?}");
    let mut seen: HashMap<String, BTreeSet<u64>> = HashMap::new();
    site.runtime.block_on(async {
        let reader = own::connect(site, analyzer, "").await.unwrap();
        let mut messages = own::read_stream(&reader).await;
        own::read_until(&mut messages, &format!("all of {wanted:?}"), |_, body| {
            let text = std::str::from_utf8(body).unwrap();
            let Some((name, number)) = text.split_once(':') else { return false };
            seen.entry(name.to_owned()).or_default().insert(number.parse().unwrap());
            wanted.iter().all(|(name, number)| {
                seen.get(*name).is_some_and(|seen| seen.range(..number).count() as u64 == *number)
            })
        })
        .await;
        reader.close(200, "".into()).await.unwrap();
    });
}
