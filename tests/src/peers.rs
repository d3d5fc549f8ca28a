//! The clients of others that tests try: what of them is there, and how to start it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The example clients, which are what the tests run.
#[must_use]
pub fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/clients")
}

/// Where `scripts/prerequisites` puts what comes by npm and pip.
pub(crate) fn cache() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache");
    cache.unwrap_or_else(home).join("kinetic/clients")
}

/// Which peers are not there. A test that needs them is skipped, and says so; in CI (`KINETIC_REQUIRE_PEERS`) that is a failure.
///
/// # Panics
/// If peers are required and one is missing.
#[must_use]
pub fn missing() -> Vec<&'static str> {
    let answers = |program: &str, flag: &str| Command::new(program).arg(flag).output().is_ok();
    let has = |path: &str| cache().join(path).exists();
    let peers = [
        ("collectd", Path::new("/usr/lib/collectd/amqp.so").exists() && answers("collectd", "-h")),
        ("amqp-tools", answers("amqp-publish", "--help") && answers("amqp-consume", "--help")),
        ("node", answers("node", "--version")),
        ("statsd (npm)", has("node/node_modules/statsd")),
        ("amqplib (npm)", has("node/node_modules/amqplib")),
        ("python3", answers("python3", "--version")),
        ("pika (pip)", has("python/pika")),
    ];
    let missing: Vec<_> = peers.into_iter().filter_map(|(name, there)| (!there).then_some(name)).collect();
    assert!(
        missing.is_empty() || env::var_os("KINETIC_REQUIRE_PEERS").is_none(),
        "not installed: {}; run scripts/prerequisites",
        missing.join(", ")
    );
    missing
}

/// Node.js, which finds the packages in the cache.
#[must_use]
pub fn node() -> Command {
    let mut node = Command::new("node");
    node.env("NODE_PATH", cache().join("node/node_modules"));
    node
}

/// The real statsd.
#[must_use]
pub fn statsd() -> Command {
    let mut statsd = node();
    statsd.arg(cache().join("node/node_modules/statsd/stats.js"));
    statsd
}

/// Python, which finds the packages in the cache.
#[must_use]
pub fn python() -> Command {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", cache().join("python"));
    python
}
