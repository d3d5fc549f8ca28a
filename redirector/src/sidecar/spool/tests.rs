use std::io::Write;

use proptest::{collection::vec, prelude::*};
use tempfile::TempDir;

use super::*;
use crate::sidecar::record::Record;

const HOUR: Duration = Duration::from_hours(1);

fn config(folder: &TempDir, size: u64) -> SpoolConfig {
    SpoolConfig { directory: folder.path().join("spool"), size, max_age: HOUR }
}

fn record(sequence: u64, length: usize) -> Record {
    Record {
        instance: "here".into(),
        sequence,
        profile: "web".into(),
        origin: "web-1".into(),
        arrived_ms: i64::try_from(sequence).unwrap(),
        lines: 1,
        body: vec![b'x'; length].into(),
    }
}

fn never(loss: Loss) {
    panic!("nothing is lost here: {loss:?}");
}

/// The sequences of all that is left to read.
fn drain(spool: &mut Spool) -> Vec<u64> {
    let mut read = Vec::new();
    while let Some((record, _)) = spool.read(0, never).unwrap() {
        read.push(record.sequence);
    }
    read
}

fn files(spool: &SpoolConfig) -> usize {
    let files = fs::read_dir(&spool.directory).unwrap();
    files.filter(|file| segment::id(&file.as_ref().unwrap().path()).is_some()).count()
}

#[test]
fn what_is_confirmed_leaves_the_disk_and_does_not_come_again() {
    let folder = TempDir::new().unwrap();
    let config = config(&folder, 1 << 20);
    let (mut spool, torn) = Spool::open(config.clone()).unwrap();
    assert_eq!((torn, spool.has_unsent(), files(&config)), (0, false, 0));
    for sequence in 0..100 {
        spool.append(&record(sequence, 1000), never).unwrap();
    }
    assert!(spool.bytes() > 100_000 && files(&config) == 2, "{} bytes", spool.bytes());
    let mut places = Vec::new();
    for sequence in 0..100 {
        let (read, place) = spool.read(0, never).unwrap().unwrap();
        assert_eq!(read, record(sequence, 1000));
        places.push(place);
    }
    assert_eq!(spool.read(0, never).unwrap(), None);
    spool.confirm(places[79]);
    spool.tidy().unwrap();
    assert_eq!(files(&config), 1, "the first file is done with");
    drop(spool);

    let (mut spool, torn) = Spool::open(config.clone()).unwrap();
    assert_eq!(torn, 0);
    assert!(spool.oldest_ms().is_some_and(|first| first > 0 && first < 80), "the second file's first");
    assert_eq!(drain(&mut spool), (80..100).collect::<Vec<_>>());
    spool.confirm_all();
    spool.tidy().unwrap();
    assert_eq!((spool.bytes(), files(&config)), (0, 0));
    drop(spool);
    // A new file's name must not be one whose end was saved.
    let (mut spool, _) = Spool::open(config.clone()).unwrap();
    spool.append(&record(100, 1000), never).unwrap();
    drop(spool);
    let (mut spool, _) = Spool::open(config).unwrap();
    assert_eq!(drain(&mut spool), [100]);
}

#[test]
fn a_full_spool_lets_the_oldest_go_and_tells() {
    let folder = TempDir::new().unwrap();
    let config = config(&folder, 256 * 1024);
    let (mut spool, _) = Spool::open(config.clone()).unwrap();
    let mut lost = Vec::new();
    for sequence in 0..1000 {
        spool.append(&record(sequence, 1000), |loss| lost.push(loss)).unwrap();
        assert!(spool.bytes() <= config.size);
    }
    let left = drain(&mut spool);
    assert_eq!(left.last(), Some(&999));
    assert!(left.len() > 150, "most of its size is used: {}", left.len());
    let first = left[0];
    assert_eq!(left, (first..1000).collect::<Vec<_>>(), "a suffix without gaps");
    let gone: Vec<i64> = lost.iter().map(|loss| loss.arrived_ms).collect();
    assert_eq!(gone, (0..i64::try_from(first).unwrap()).collect::<Vec<_>>());
    assert!(lost.iter().all(|loss| !loss.expired && loss.lines == 1));
}

#[test]
fn what_was_handed_out_is_not_lost_with_its_file() {
    let folder = TempDir::new().unwrap();
    let (mut spool, _) = Spool::open(config(&folder, 256 * 1024)).unwrap();
    for sequence in 0..10 {
        spool.append(&record(sequence, 1000), never).unwrap();
    }
    for _ in 0..7 {
        spool.read(0, never).unwrap().unwrap();
    }
    let mut lost = Vec::new();
    for sequence in 10..400 {
        spool.append(&record(sequence, 1000), |loss| lost.push(loss.arrived_ms)).unwrap();
    }
    assert_eq!(lost[0], 7);
}

#[test]
fn what_waited_too_long_is_told_and_not_sent() {
    let folder = TempDir::new().unwrap();
    let (mut spool, _) = Spool::open(config(&folder, 1 << 20)).unwrap();
    for sequence in 0..10 {
        spool.append(&record(sequence, 10), never).unwrap();
    }
    let mut lost = Vec::new();
    let now = i64::try_from(HOUR.as_millis()).unwrap() + 6;
    let (first, _) = spool.read(now, |loss| lost.push(loss)).unwrap().unwrap();
    assert_eq!(first.sequence, 6);
    assert_eq!(lost.len(), 6);
    assert!(lost.iter().all(|loss| loss.expired));
}

#[test]
fn a_folder_has_one_sidecar() {
    let folder = TempDir::new().unwrap();
    let (_spool, _) = Spool::open(config(&folder, 1 << 20)).unwrap();
    let error = Spool::open(config(&folder, 1 << 20)).unwrap_err().to_string();
    assert!(error.contains("another sidecar") && error.contains("--spool"), "{error}");
}

#[test]
fn damage_in_the_middle_costs_the_rest_of_its_file() {
    let folder = TempDir::new().unwrap();
    let config = config(&folder, 1 << 20);
    let (mut spool, _) = Spool::open(config.clone()).unwrap();
    for sequence in 0..100 {
        spool.append(&record(sequence, 1000), never).unwrap();
    }
    drop(spool);
    let path = segment::path(&config.directory, 1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[20_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (mut spool, torn) = Spool::open(config).unwrap();
    let left = drain(&mut spool);
    assert_eq!(torn, 0, "the damaged file is not the last one");
    assert!(left.len() < 60 && left.starts_with(&[0, 1, 2]) && left.ends_with(&[98, 99]), "{left:?}");
    assert!(spool.take_damaged() > 40_000);
    assert_eq!(spool.take_damaged(), 0);
}

#[derive(Clone, Debug)]
enum Act {
    Append(usize),
    Read(usize),
    Confirm(usize),
    Tidy,
    /// The process ends without a word, perhaps within a record.
    Crash {
        torn: Option<usize>,
    },
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0_usize..20_000).prop_map(Act::Append),
        4 => (1_usize..6).prop_map(Act::Read),
        3 => (0_usize..6).prop_map(Act::Confirm),
        2 => Just(Act::Tidy),
        1 => proptest::option::of(1_usize..100).prop_map(|torn| Act::Crash { torn }),
    ]
}

/// A record begun at the end of the last file.
fn tear(config: &SpoolConfig, length: usize) -> u64 {
    let Some(last) = (1..1000).rfind(|id| segment::path(&config.directory, *id).exists()) else { return 0 };
    let mut encoded = Vec::new();
    record(u64::MAX / 2, 200).encode(&mut encoded);
    let mut file = OpenOptions::new().append(true).open(segment::path(&config.directory, last)).unwrap();
    file.write_all(&encoded[..length]).unwrap();
    length as u64
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever happens: what comes out is in order; what does not come out was told as lost, or had been confirmed; and after a crash
    /// nothing that was not confirmed is missing.
    #[test]
    fn what_comes_out_is_in_order_and_complete(acts in vec(any_act(), 1..120)) {
        let folder = TempDir::new().unwrap();
        let config = config(&folder, 256 * 1024);
        let (mut spool, _) = Spool::open(config.clone()).unwrap();
        let mut appended = 0;
        let mut lost = std::collections::BTreeSet::new();
        // What this process has to hand out next, and what it handed out and has no confirmation for.
        let mut expected = 0;
        let mut flying = VecDeque::new();
        let mut confirmed = 0;
        for (at, act) in acts.into_iter().chain([Act::Crash { torn: None }, Act::Read(usize::MAX)]).enumerate() {
            match act {
                Act::Append(length) => {
                    let told = |loss: Loss| { lost.insert(u64::try_from(loss.arrived_ms).unwrap()); };
                    spool.append(&record(appended, length), told).unwrap();
                    appended += 1;
                    prop_assert!(spool.bytes() <= config.size);
                }
                Act::Read(count) => {
                    for _ in 0..count {
                        while lost.contains(&expected) {
                            expected += 1;
                        }
                        let Some((record, place)) = spool.read(0, never).unwrap() else {
                            prop_assert_eq!(expected, appended, "nothing is left");
                            break;
                        };
                        prop_assert_eq!(record.sequence, expected);
                        expected += 1;
                        flying.push_back((record.sequence, place));
                    }
                }
                Act::Confirm(count) => {
                    for (sequence, place) in flying.drain(..count.min(flying.len())) {
                        spool.confirm(place);
                        confirmed = confirmed.max(sequence + 1);
                    }
                }
                Act::Tidy => spool.tidy().unwrap(),
                Act::Crash { torn } => {
                    drop(spool);
                    let torn = torn.map_or(0, |length| tear(&config, length));
                    let (again, cut) = Spool::open(config.clone()).unwrap();
                    spool = again;
                    prop_assert_eq!(cut, torn);
                    prop_assert_eq!(spool.take_damaged(), 0);
                    // It may begin earlier than what was confirmed, never later than the first that was not.
                    let missing = flying.front().map_or(expected, |(sequence, _)| *sequence);
                    flying.clear();
                    let Some((record, place)) = spool.read(0, never).unwrap() else {
                        // All is confirmed, or went to make room.
                        let gone = (missing.max(confirmed)..appended).all(|sequence| lost.contains(&sequence));
                        prop_assert!(gone || missing == appended, "{} of {} at {}", missing, appended, at);
                        expected = appended;
                        continue;
                    };
                    let first = record.sequence;
                    // Files that made room may have held what was in flight: another process cannot know it.
                    let kept = (first.min(missing)..first).all(|sequence| lost.contains(&sequence) || dropped_in_flight(&spool, sequence));
                    prop_assert!(kept, "{} is missing, {} came at {}", missing, first, at);
                    flying.push_back((first, place));
                    expected = first + 1;
                }
            }
        }
        prop_assert_eq!(expected, appended);
    }
}

/// Whether a record's file is gone.
fn dropped_in_flight(spool: &Spool, sequence: u64) -> bool {
    spool.oldest_ms().is_none_or(|oldest| i64::try_from(sequence).unwrap() < oldest)
}
