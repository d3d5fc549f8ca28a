//! Whatever happens, findings tell of turns only.

use std::collections::BTreeMap;

use kinetic_api::{
    anomaly::{Anomaly, State},
    plan::{AnalyticKind, RatioPlan, ThresholdRule, TopologyPlan},
    resources::topology::{AbsenceOf, Center, Change, Cluster, Persistence, Stddev},
    series::SeriesName,
    statistic::Statistic,
};
use proptest::prelude::*;

use crate::detect::rig::{Rig, analytic, topology};

#[derive(Clone, Debug)]
enum Step {
    Window(Vec<(u8, u8, f64)>),
    Silence(usize),
    Evict(usize),
    Edit(f64),
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![
        6 => 99.0..101.0_f64,
        1 => prop::sample::select(vec![0.0, 500.0, -1e9, 1e140, 1e200, 100.0, f64::MIN_POSITIVE]),
    ];
    let sample = (0_u8..6, prop_oneof![5 => Just(0_u8), 1 => Just(1_u8)], value);
    prop_oneof![
        20 => prop::collection::vec(sample, 0..8).prop_map(Step::Window),
        1 => (1_usize..80).prop_map(Step::Silence),
        1 => (0_usize..12).prop_map(Step::Evict),
        1 => (0.5..6.0_f64).prop_map(Step::Edit),
    ]
}

fn all_kinds(deviation: f64, persistence: Persistence) -> TopologyPlan {
    let cluster = |center| AnalyticKind::Cluster(Cluster { deviation, center, ..Cluster::default() });
    let stddev = Stddev { deviation, baseline: "2m".parse().unwrap(), warmup: 5, ..Stddev::default() };
    let kinds = [
        ("cluster", cluster(Center::Mean)),
        ("median", cluster(Center::Median)),
        ("stddev", AnalyticKind::Stddev(stddev)),
        ("threshold", AnalyticKind::Threshold(ThresholdRule::Above { line: 100.5, clear: 99.5 })),
        ("silent", AnalyticKind::Absence { after_ms: 30_000, of: AbsenceOf::Series }),
        ("dead", AnalyticKind::Absence { after_ms: 50_000, of: AbsenceOf::Source }),
    ];
    let mut plan = topology(kinds.map(|(name, kind)| analytic(name, kind)).to_vec());
    let mut grows = plan.analytics[2].clone();
    (grows.name, grows.change) = ("grows".into(), Some(Change::PerSecond));
    let mut uneven = plan.analytics[0].clone();
    uneven.name = "uneven".into();
    uneven.ratio = Some(RatioPlan {
        numerator: uneven.matches.metric.clone(),
        denominator: uneven.matches.metric.clone(),
        statistic: Statistic::Max,
        min_denominator: 99.5,
        ignore_tags: Vec::new(),
    });
    plan.analytics.extend([grows, uneven]);
    plan.analytics.iter_mut().for_each(|analytic| analytic.persistence = persistence);
    plan
}

fn play(steps: &[Step], persistence: Persistence) -> (Rig, Vec<Anomaly>) {
    let mut rig = Rig::of(&all_kinds(3.0, persistence));
    let mut found = Vec::new();
    for step in steps {
        match step {
            Step::Window(samples) => {
                let values: BTreeMap<SeriesName, f64> = samples
                    .iter()
                    .map(|(origin, tag, value)| {
                        let tags = vec![("tag".to_owned(), tag.to_string())];
                        (SeriesName { metric: "m".into(), tags, origin: format!("host-{origin}") }, *value)
                    })
                    .collect();
                found.extend(rig.named_window(&values.into_iter().collect::<Vec<_>>()));
            }
            Step::Silence(windows) => found.extend(rig.silence(*windows)),
            Step::Evict(which) => {
                if let Some(name) = rig.known().get(*which) {
                    found.extend(rig.evict(name));
                }
            }
            Step::Edit(deviation) => {
                rig.detector.edit(&all_kinds(*deviation, persistence), 0, &std::collections::HashMap::new());
                rig.detector.take_found(&mut found);
            }
        }
    }
    (rig, found)
}

proptest! {
    #[test]
    fn firing_and_resolved_take_turns(
        steps in prop::collection::vec(step(), 1..150),
        persistence in prop::sample::select(vec![(1, 1), (2, 3), (3, 10)]),
    ) {
        let (rig, found) = play(&steps, Persistence { windows: persistence.0, of: persistence.1 });
        let mut open: BTreeMap<(String, String), Anomaly> = BTreeMap::new();
        for anomaly in found {
            prop_assert!(serde_json::from_str::<Anomaly>(&serde_json::to_string(&anomaly).unwrap()).is_ok(), "{:?}", anomaly);
            let data = &anomaly.data;
            prop_assert!(data.history.len() <= 60 && data.score.is_finite());
            for line in data.peers.iter().flat_map(|peers| &peers.lines) {
                prop_assert_eq!(line.values.len(), data.history.len());
            }
            let key = (anomaly.source.clone(), anomaly.subject.clone());
            match data.state {
                State::Firing => {
                    prop_assert!(data.score >= 1.0 && data.since < anomaly.time, "{:?}", anomaly);
                    let before = open.insert(key, anomaly);
                    prop_assert!(before.is_none(), "fires twice: {:?}", before);
                }
                State::Resolved => {
                    let fired = open.remove(&key);
                    prop_assert!(fired.is_some(), "resolved without firing: {:?}", anomaly);
                    prop_assert_eq!(fired.map(|fired| fired.data.since), Some(data.since));
                }
            }
        }
        let mut want: Vec<_> = open.into_values().collect();
        let mut firing = rig.detector.firing();
        prop_assert_eq!(rig.detector.firing_count(), firing.len());
        want.sort_by(|a, b| a.id.cmp(&b.id));
        firing.sort_by(|a, b| a.id.cmp(&b.id));
        prop_assert_eq!(firing, want);
    }

    #[test]
    fn the_same_windows_always_lead_to_the_same_findings(steps in prop::collection::vec(step(), 1..60)) {
        let persistence = Persistence::default();
        prop_assert_eq!(play(&steps, persistence).1, play(&steps, persistence).1);
    }
}
