//! A customer of the broker: an analyzer and an alert service of its own, started and killed at will.

use std::{
    fs,
    path::{Path, PathBuf},
};

use kinetic_tests::{
    http::{get, metric},
    process::{self, Kinetic, eventually, free_port},
    rabbitmq::RabbitMq,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::feed::Feed;

/// The stream of the one source.
pub const STREAM: &str = "kinetic.metrics.web.hosts";

/// A customer's vhost, resources and folders.
pub struct Site<'a> {
    pub broker: &'a RabbitMq,
    pub vhost: String,
    pub folder: TempDir,
}

/// An analyzer at work.
pub struct Analyzer {
    pub process: Kinetic,
    pub admin: u16,
}

impl<'a> Site<'a> {
    pub fn new(broker: &'a RabbitMq, customer: &str) -> Self {
        let vhost = format!("test.local.{customer}");
        broker.add_vhost(&vhost);
        let folder = tempfile::tempdir().unwrap();
        let site = Self { broker, vhost, folder };
        let text = include_str!("../resources/load.yaml");
        site.write(
            &text
                .replace("name: shop", &format!("name: {customer}"))
                .replace("customer: shop", &format!("customer: {customer}")),
        );
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, resources: &str) {
        fs::write(self.path("resources.yaml"), resources).unwrap();
    }

    /// So many analyzers share the stream from now on.
    pub fn share(&self, partitions: u8) {
        let text = fs::read_to_string(self.path("resources.yaml")).unwrap();
        let other = text.lines().filter(|line| !line.contains("partitions:"));
        let shared = other.map(|line| match line {
            "  analytics:" => format!("  analyzer: {{partitions: {partitions}}}\n  analytics:\n"),
            line => format!("{line}\n"),
        });
        self.write(&shared.collect::<String>());
    }

    fn amqp(&self) -> String {
        self.broker.amqp_url("").trim_end_matches('/').to_owned()
    }

    pub fn feed(&self, value: i64) -> Feed {
        Feed::start(&self.amqp(), &self.vhost, value)
    }

    /// An analyzer with this folder for its data, and further flags.
    pub fn analyzer(&self, data: &str, flags: &[&str]) -> Analyzer {
        let admin = free_port();
        let more = format!("admin: 127.0.0.1:{admin}\n");
        Analyzer { process: self.role("analyzer", data, &more, flags), admin }
    }

    pub fn alert(&self) -> Kinetic {
        self.role("alert", "alert", "", &[])
    }

    fn role(&self, role: &str, data: &str, more: &str, flags: &[&str]) -> Kinetic {
        let file = self.path(&format!("{role}-{}.yaml", free_port()));
        let amqp = self.amqp();
        fs::write(&file, format!("amqp: {amqp}\nfiles: [resources.yaml]\ndata: {data}\n{more}")).unwrap();
        Kinetic::start([&[role, "--config", file.to_str().unwrap()], flags].concat())
    }

    pub fn incidents(&self) -> Vec<Value> {
        let data = self.path("alert");
        if data.join("kinetic.sqlite").exists() { process::incidents(&data) } else { Vec::new() }
    }

    /// Waits until so many incidents were there, and all but `firing` of them are over.
    #[track_caller]
    pub fn expect(&self, all: usize, firing: usize) {
        eventually(&format!("{all} incidents, {firing} of them firing"), || {
            let incidents = self.incidents();
            assert!(incidents.len() <= all, "{incidents:#?}");
            incidents.len() == all && incidents.iter().filter(|i| i["state"] == "firing").count() == firing
        });
        for incident in self.incidents() {
            let reasons: Vec<_> =
                incident["notifications"].as_array().unwrap().iter().map(|n| n["reason"].clone()).collect();
            let told = |reason: &str| reasons.iter().filter(|told| *told == reason).count();
            assert!(told("FirstNotification") + told("NewIncidents") <= 1, "told of twice: {incident:#}");
            assert!(told("Resolved") <= 1, "resolved twice: {incident:#}");
        }
    }

    /// The checkpoints of a data folder, and what was set aside there.
    pub fn checkpoints(&self, data: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path(data).join("checkpoints")) else { return Vec::new() };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort_unstable();
        paths
    }

    /// The one checkpoint of a data folder.
    #[track_caller]
    pub fn checkpoint(&self, data: &str) -> PathBuf {
        let is_one = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "checkpoint");
        let found: Vec<_> = self.checkpoints(data).into_iter().filter(is_one).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }
}

impl Analyzer {
    #[track_caller]
    pub fn wait_until_ready(&self) {
        eventually("the analyzer to be ready", || self.ready().is_some_and(|(status, _)| status == 200));
    }

    pub fn ready(&self) -> Option<(u16, String)> {
        get(self.admin, "/readyz")
    }

    /// Waits until a condition holds.
    #[track_caller]
    pub fn wait_for_condition(&self, condition: &str) {
        eventually(&format!("the condition {condition}"), || {
            get(self.admin, "/metrics").is_some_and(|(_, text)| {
                text.lines().any(|line| {
                    line.starts_with("kinetic_analyzer_condition{")
                        && line.contains(&format!("condition=\"{condition}\""))
                        && line.ends_with(" 1")
                })
            })
        });
    }

    pub fn metric(&self, name: &str) -> f64 {
        metric(self.admin, name).unwrap_or_default()
    }

    /// Kills it, as a crash would.
    pub fn kill(mut self) {
        self.process.kill();
    }

    /// Stops it, as an administrator would.
    #[track_caller]
    pub fn stop(self) -> String {
        let (status, said) = self.process.interrupt();
        assert!(status.success(), "{status}\n{said}");
        said
    }
}

/// Flips a few bits.
pub fn damage(path: &Path, seed: u64) {
    let mut bytes = fs::read(path).unwrap();
    let length = u64::try_from(bytes.len()).unwrap();
    for n in 0..3 {
        let place = seed.wrapping_add(n).wrapping_mul(0x9e37_79b9_7f4a_7c15) % length;
        bytes[usize::try_from(place).unwrap()] ^= 1 << (n % 8);
    }
    fs::write(path, bytes).unwrap();
}
