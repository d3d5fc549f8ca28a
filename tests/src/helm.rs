//! Helm, which renders the charts.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::peers;

/// Why there is no Helm for a test. In CI (`KINETIC_REQUIRE_PEERS`) that is a failure.
///
/// # Panics
/// If peers are required and it is missing.
#[must_use]
pub fn missing() -> Option<&'static str> {
    let there = program().is_some();
    assert!(there || env::var_os("KINETIC_REQUIRE_PEERS").is_none(), "no helm; run scripts/prerequisites");
    (!there).then_some("no helm: scripts/prerequisites installs it")
}

/// Beside the API server's programs, on the path, or where `scripts/prerequisites` puts it.
fn program() -> Option<PathBuf> {
    let folders = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from).into_iter();
    let path = env::var_os("PATH").unwrap_or_default();
    let all = folders.chain(env::split_paths(&path)).chain([peers::cache().join("helm")]);
    all.map(|folder| folder.join("helm")).find(|helm| helm.is_file())
}

/// Where a chart of this repository is.
#[must_use]
pub fn chart(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts").join(name)
}

/// Runs Helm. It keeps nothing of its own outside a temporary folder, and asks no cluster.
///
/// # Panics
/// If it cannot be run; ask [`missing`] first.
#[must_use]
pub fn helm(args: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a folder under the temporary one");
    let mut command = Command::new(program().expect("missing() was asked"));
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(variable, home.path());
    }
    command.env("KUBECONFIG", "/dev/null").args(args);
    command.output().expect("helm can be run")
}
