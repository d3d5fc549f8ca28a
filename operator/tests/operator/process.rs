//! An operator in a process of its own: to be measured, and to be killed.

use std::{
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use kinetic_operator::{config::Config, metrics::Metrics, run::Operator};
use kinetic_tests::kubernetes::User;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::{Cluster, connect},
    site,
};

/// Killed when dropped.
pub struct Process {
    child: Child,
    _folder: TempDir,
}

impl Process {
    /// This test binary once more, as nothing but an operator. `admin` is the broker's HTTP interface.
    pub fn start(cluster: &Cluster, me: &str, region: &str, admin: &str) -> Self {
        let (_, folder) = site::config(admin, region);
        let kubeconfig = cluster.kubernetes.kubeconfig_of(User::Operator);
        fs::copy(kubeconfig, folder.path().join("kubeconfig")).unwrap();
        let child = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "process::operator", "--nocapture"])
            .env("KINETIC_TEST_FOLDER", folder.path())
            .env("KINETIC_TEST_INSTANCE", me)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, _folder: folder }
    }

    /// Memory in use now and at its most, in MB (10⁶ bytes); and the processor time used so far, in seconds.
    pub fn used(&self) -> (f64, f64, f64) {
        let folder = Path::new("/proc").join(self.child.id().to_string());
        let status = fs::read_to_string(folder.join("status")).unwrap();
        let megabytes = |field: &str| {
            let line = status.lines().find(|line| line.starts_with(field)).unwrap();
            let kibibytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
            kibibytes * 1024.0 / 1e6
        };
        let stat = fs::read_to_string(folder.join("stat")).unwrap();
        // After the name in brackets: utime and stime are the 12th and 13th, in hundredths of a second.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: f64 = fields[11..13].iter().map(|field| field.parse::<f64>().unwrap()).sum();
        (megabytes("VmRSS:"), megabytes("VmHWM:"), ticks / 100.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL: nothing is tidied up.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "no test: the operator that other tests start in a process of its own"]
async fn operator() {
    let Some(folder) = env::var_os("KINETIC_TEST_FOLDER") else { return };
    let folder = Path::new(&folder);
    let config = Config::read(&folder.join("operator.yaml")).unwrap();
    let client = connect(&folder.join("kubeconfig")).await;
    let me = env::var("KINETIC_TEST_INSTANCE").unwrap();
    let operator = Operator::new(client, config, me, Metrics::default()).unwrap();
    operator.run(CancellationToken::new()).await.unwrap();
}
