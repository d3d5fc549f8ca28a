//! Kinetic on a cluster with pods, end to end: `tests/cluster/trial`, where there is a cluster.

use std::{env, path::Path, process::Command};

use kinetic_tests::process::binary;

#[test]
fn from_install_to_uninstall() {
    let lacks = ["KUBECONFIG", "HOST"].into_iter().find(|name| env::var_os(name).is_none());
    if let Some(lacks) = lacks {
        kinetic_tests::skip(&format!(
            "no cluster to install on: {lacks} is not set (docs/kubernetes.md, \"Trial\", tells what it needs)"
        ));
        return;
    }
    let trial = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/trial");
    let status = Command::new(trial).env("KINETIC", binary()).status().expect("the trial starts");
    assert!(status.success(), "the trial failed: its output tells where");
}
