//! Edits of real files take effect, broken ones change nothing.

#![allow(clippy::unwrap_used, reason = "a test that fails there says so")]

use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc, time::Duration};

use kinetic_resources::{Reload, Snapshot, watch};
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, watch as channel},
    time::timeout,
};

/// Generous: what is promised is two seconds, and a loaded machine may be slow.
const DEADLINE: Duration = Duration::from_mins(1);

fn customer(name: &str, connections: u32) -> String {
    format!(
        "apiVersion: kinetic.dev/v1alpha1\nkind: Customer\nmetadata: {{name: {name}}}\n\
         spec: {{region: local, provider: demo, limits: {{connections: {connections}}}}}\n"
    )
}

struct Watched {
    folder: TempDir,
    snapshots: channel::Receiver<Arc<Snapshot>>,
    reloads: mpsc::Receiver<Reload>,
}

impl Watched {
    /// Watches a folder that holds one customer.
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("resources")).unwrap();
        fs::write(folder.path().join("resources/a.yaml"), customer("a", 1)).unwrap();
        Self::follow(folder).await
    }

    async fn follow(folder: TempDir) -> Self {
        let (snapshots, reloads) = watch(&[folder.path().join("resources")]);
        let mut watched = Self { folder, snapshots, reloads };
        watched.until(|snapshot| connections(snapshot) == [("a".into(), 1)]).await;
        watched
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join("resources").join(name), text).unwrap();
    }

    async fn until(&mut self, wanted: impl Fn(&Snapshot) -> bool) {
        let found = timeout(DEADLINE, self.snapshots.wait_for(|snapshot| wanted(snapshot))).await;
        found.expect("the state must come in time").unwrap();
    }

    /// The next report that is not about an edit without effect.
    async fn report(&mut self) -> Reload {
        loop {
            let report = timeout(DEADLINE, self.reloads.recv()).await;
            match report.expect("a report must come in time").unwrap() {
                Reload::Unchanged => {}
                report => return report,
            }
        }
    }

    async fn applied(&mut self) -> String {
        match self.report().await {
            Reload::Applied { changes } => changes.to_string(),
            other => panic!("{other:?}"),
        }
    }

    async fn broken(&mut self) -> Vec<String> {
        match self.report().await {
            Reload::Broken(problems) => problems.iter().map(ToString::to_string).collect(),
            other => panic!("{other:?}"),
        }
    }

    async fn unchanged(&mut self) {
        let report = timeout(DEADLINE, self.reloads.recv()).await;
        assert_eq!(report.expect("a report must come in time"), Some(Reload::Unchanged));
    }
}

fn connections(snapshot: &Snapshot) -> Vec<(String, u32)> {
    let each = snapshot.customers.iter();
    each.map(|customer| (customer.name().to_owned(), customer.resource.spec.limits.connections)).collect()
}

#[tokio::test]
async fn the_first_state_is_news() {
    let mut watched = Watched::start().await;
    watched.write("b.yaml", &customer("b", 2));
    watched.until(|snapshot| snapshot.customers.len() == 2).await;
    let (mut snapshots, _reloads) = watch(&[watched.folder.path().to_owned()]);
    timeout(DEADLINE, snapshots.changed()).await.unwrap().unwrap();
    assert_eq!(snapshots.borrow().customers.len(), 2);
}

#[tokio::test]
async fn an_edit_takes_effect() {
    let mut watched = Watched::start().await;
    watched.write("a.yaml", &customer("a", 2));
    watched.until(|snapshot| connections(snapshot) == [("a".into(), 2)]).await;
    assert_eq!(watched.applied().await, "changed Customer a");
    watched.write("b.yaml", &customer("b", 3));
    assert_eq!(watched.applied().await, "added Customer b");
    fs::remove_file(watched.folder.path().join("resources/a.yaml")).unwrap();
    assert_eq!(watched.applied().await, "removed Customer a");
    assert_eq!(connections(&watched.snapshots.borrow()), [("b".to_owned(), 3)]);
}

#[tokio::test]
async fn a_broken_edit_changes_nothing_until_it_is_repaired() {
    let mut watched = Watched::start().await;
    watched.write("a.yaml", &customer("a", 0));
    watched.write("b.yaml", "kind: [");
    let told = watched.broken().await;
    // The files are two edits: the first report may know of the first one only.
    let told = if told.len() == 2 { told } else { watched.broken().await };
    assert!(
        told[0].contains("a.yaml:4:48: Customer a: spec.limits.connections: 0 is less than 1; use 1 or more"),
        "{told:?}"
    );
    assert!(told[1].contains("b.yaml:"), "{told:?}");
    assert_eq!(connections(&watched.snapshots.borrow()), [("a".to_owned(), 1)]);

    // Put back: nothing changes, and that is told.
    fs::remove_file(watched.folder.path().join("resources/b.yaml")).unwrap();
    watched.broken().await;
    watched.write("a.yaml", &customer("a", 1));
    watched.unchanged().await;

    watched.write("a.yaml", &customer("a", 5));
    assert_eq!(watched.applied().await, "changed Customer a");
}

#[tokio::test]
async fn what_is_immutable_stays() {
    let mut watched = Watched::start().await;
    watched.write("a.yaml", &customer("a", 1).replace("region: local", "region: us-west"));
    let told = watched.broken().await;
    assert!(
        told[0].ends_with(
            "a.yaml:4:8: Customer a: spec.region: region is immutable; create another Customer instead"
        ),
        "{told:?}"
    );
    watched.write("a.yaml", &customer("b", 1).replace("region: local", "region: us-west"));
    assert_eq!(watched.applied().await, "added Customer b; removed Customer a");
}

#[tokio::test]
async fn a_file_may_be_replaced() {
    let mut watched = Watched::start().await;
    for connections in 2..5 {
        let aside = watched.folder.path().join("aside");
        fs::write(&aside, customer("a", connections)).unwrap();
        fs::rename(&aside, watched.folder.path().join("resources/a.yaml")).unwrap();
        watched.until(|snapshot| self::connections(snapshot) == [("a".into(), connections)]).await;
    }
}

/// A `ConfigMap`'s mount: `a.yaml -> ..data/a.yaml`, `..data -> ..1`, and an update swaps `..data`.
#[tokio::test]
async fn a_config_map_may_be_swapped() {
    let folder = TempDir::new().unwrap();
    let mount = folder.path().join("resources");
    let generation = |n: u32| {
        let data = mount.join(format!("..{n}"));
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("a.yaml"), customer("a", n)).unwrap();
        symlink(format!("..{n}"), mount.join("..data_tmp")).unwrap();
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    };
    generation(1);
    symlink("..data/a.yaml", mount.join("a.yaml")).unwrap();
    let mut watched = Watched::follow(folder).await;
    for n in 2..4 {
        generation(n);
        fs::remove_dir_all(mount.join(format!("..{}", n - 1))).unwrap();
        watched.until(|snapshot| connections(snapshot) == [("a".into(), n)]).await;
    }
}

#[tokio::test]
async fn a_folder_that_vanishes_is_broken_and_an_empty_one_is_not() {
    let mut watched = Watched::start().await;
    let (folder, aside) = (watched.folder.path().join("resources"), watched.folder.path().join("aside"));
    fs::rename(&folder, &aside).unwrap();
    let told = watched.broken().await;
    assert!(told[0].ends_with("resources: there is no such file or folder; check the path"), "{told:?}");
    assert_eq!(watched.snapshots.borrow().customers.len(), 1);

    // Another folder of the same name is followed like the first.
    fs::create_dir(&folder).unwrap();
    assert_eq!(watched.applied().await, "removed Customer a");
    watched.write("b.yaml", &customer("b", 1));
    assert_eq!(watched.applied().await, "added Customer b");
    watched.write("b.yaml", &customer("b", 2));
    assert_eq!(watched.applied().await, "changed Customer b");
}

#[tokio::test]
async fn a_single_file_is_followed_too() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("shop.conf");
    fs::write(&file, customer("a", 1)).unwrap();
    let (mut snapshots, _reloads) = watch(std::slice::from_ref(&file));
    let replace = |text: &str, path: &Path| {
        fs::write(folder.path().join("aside"), text).unwrap();
        fs::rename(folder.path().join("aside"), path).unwrap();
    };
    for n in 2..4 {
        replace(&customer("a", n), &file);
        let found =
            timeout(DEADLINE, snapshots.wait_for(|snapshot| connections(snapshot) == [("a".into(), n)]))
                .await;
        found.expect("the state must come in time").unwrap();
    }
}
