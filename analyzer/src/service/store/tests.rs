use std::sync::mpsc;

use kinetic_api::{
    anomaly::{AnalyticName, Finding, Found, State},
    resources::topology::Direction,
    statistic::Statistic,
};

use super::*;
use crate::{checkpoint::Producers, test_plan::topology};

fn anomaly(metric: &str) -> Anomaly {
    let data = Finding {
        customer: "acme".into(),
        topology: "web".into(),
        analytic: "slow".into(),
        analytic_kind: AnalyticName::Threshold,
        metrics_source: "pages".into(),
        profiles: vec![],
        metric: metric.into(),
        origin: "web-1".into(),
        tags: vec![],
        statistic: Statistic::Mean,
        measure: None,
        interval_ms: 10_000,
        value: Some(0.1 + 0.2),
        expected: None,
        stddev: None,
        deviation: None,
        threshold: 1.0,
        score: 1.0,
        direction: Direction::Above,
        state: State::Firing,
        since: jiff::Timestamp::UNIX_EPOCH,
        peers: None,
        history: vec![],
        found: Found::Live,
        explanation: String::new(),
    };
    Anomaly::new(jiff::Timestamp::UNIX_EPOCH, data)
}

fn store(folder: &Path, index: u8, of: u8) -> Store {
    Store::new(folder, &topology(vec![]), 0, Partition::new(index, of).unwrap())
}

fn checkpoint(store: &Store, generation: u64, firing: Vec<Anomaly>) -> Checkpoint {
    Checkpoint {
        of: store.of().to_owned(),
        partition: store.partition,
        generation,
        identity: None,
        position: None,
        last_tick: None,
        firing,
        handover: None,
        producers: Producers::default(),
        engine: vec![1, 2, 3],
    }
}

fn write(store: &Store, generation: u64, firing: Vec<Anomaly>) {
    write_bytes(store, checkpoint(store, generation, firing).encode());
}

fn write_bytes(store: &Store, bytes: Vec<u8>) {
    let (sender, pieces) = mpsc::channel();
    let size = bytes.len() as u64;
    for piece in [Some(bytes), None] {
        sender.send(piece).unwrap();
    }
    assert_eq!(store.write(&pieces).unwrap(), size);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join(FOLDER)).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_is_written_is_read_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), 0, 1);
    assert!(store.load(7).checkpoint.is_none(), "there is none");
    write(&store, 7, vec![anomaly("m")]);
    for _ in 0..2 {
        let loaded = store.load(7);
        assert_eq!(loaded.checkpoint.unwrap().firing, [anomaly("m")], "to the last digit");
        assert!(loaded.aside.is_empty() && loaded.fired.is_empty());
    }
    assert_eq!(names(folder.path()), ["acme.web.pages.0of1.checkpoint"]);
    store.remove();
    assert!(store.load(7).checkpoint.is_none());
}

#[test]
fn one_that_was_not_finished_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), 0, 1);
    write(&store, 7, vec![anomaly("m")]);
    let (sender, pieces) = mpsc::channel();
    sender.send(Some(b"half".to_vec())).unwrap();
    drop(sender);
    assert!(store.write(&pieces).is_err());

    std::os::unix::fs::symlink("/dev/full", folder.path().join(FOLDER).join("full")).unwrap();
    fs::rename(folder.path().join(FOLDER).join("full"), store.path().with_extension("new")).unwrap();
    let (sender, pieces) = mpsc::channel();
    for piece in [Some(vec![1; 100_000]), None] {
        sender.send(piece).unwrap();
    }
    assert_eq!(store.write(&pieces).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(store.load(7).checkpoint.unwrap().firing, [anomaly("m")]);
}

#[test]
fn a_damaged_one_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), 0, 1);
    let whole = checkpoint(&store, 7, vec![anomaly("m")]).encode();
    for at in (0..whole.len()).step_by(13) {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        write_bytes(&store, bytes);
        let loaded = store.load(7);
        assert!(loaded.checkpoint.is_none(), "byte {at}");
        assert!(loaded.aside[0].contains("set aside as"), "{:?}", loaded.aside);
    }
    assert_eq!(names(folder.path()), ["acme.web.pages.0of1.checkpoint.damaged"]);
}

#[test]
fn one_of_other_settings_tells_what_fired() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), 0, 1);
    write(&store, 7, vec![anomaly("m")]);
    let loaded = store.load(8);
    assert!(loaded.checkpoint.is_none());
    assert_eq!(loaded.fired, [anomaly("m")]);
    assert_eq!(names(folder.path()), ["acme.web.pages.0of1.checkpoint.outdated"]);
}

#[test]
fn another_number_of_analyzers_learns_what_fired() {
    let folder = tempfile::tempdir().unwrap();
    write(&store(folder.path(), 0, 1), 7, vec![anomaly("m.1"), anomaly("m.2")]);
    for index in 0..3 {
        let loaded = store(folder.path(), index, 3).load(7);
        assert!(loaded.checkpoint.is_none());
        assert_eq!(loaded.fired, [anomaly("m.1"), anomaly("m.2")]);
    }
    assert_eq!(names(folder.path()), ["acme.web.pages.0of1.checkpoint.foreign"]);

    // Back again: what counts is how it was last.
    for partition in Partition::all(3) {
        write(&store(folder.path(), partition.index(), 3), 7, vec![]);
    }
    let loaded = store(folder.path(), 0, 1).load(7);
    assert!(loaded.checkpoint.is_none() && loaded.fired.is_empty());
    assert_eq!(loaded.aside.len(), 3);
}

#[test]
fn neighbours_are_left_alone_and_what_is_aside_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), 0, 1);
    let kept = folder.path().join(FOLDER);
    fs::create_dir_all(&kept).unwrap();
    for neighbour in
        ["acme.web.pages2.0of1.checkpoint", "acme.web.pages.xof1.checkpoint", "acme.web.pages.0of1.txt"]
    {
        fs::write(kept.join(neighbour), b"").unwrap();
    }
    for n in 0..100 {
        fs::write(kept.join(format!("acme.web.pages.0of{}.checkpoint.foreign{n}", n % 64 + 1)), b"").unwrap();
    }
    fs::write(store.path(), b"nonsense").unwrap();
    assert!(store.load(7).checkpoint.is_none());
    assert_eq!(names(folder.path()).len(), 3 + MOST_ASIDE);
}
