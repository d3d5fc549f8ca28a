//! An engine that was saved and restored anywhere in a stream goes on exactly as the one that was not.

use kinetic_api::{
    plan::{AnalyticPlan, RatioPlan, ThresholdRule},
    resources::topology::{AbsenceOf, Center, Change, Cluster, Persistence, Stddev},
    statistic::Statistic,
};
use proptest::prelude::*;

use super::*;
use crate::test_plan;

const START_MS: i64 = 1_656_581_400_000;
const LIMITS: EngineLimits = EngineLimits { max_series: 40 };

fn image_of(engine: &Engine) -> Vec<u8> {
    let mut image = Vec::new();
    let mut take = |piece: Vec<u8>| image.extend(piece);
    let mut writer = Writer::new(&mut take);
    engine.save(&mut writer);
    writer.finish();
    image
}

#[derive(Clone, Debug)]
enum Step {
    /// So many seconds pass, then a host sends lines.
    Lines { seconds: i64, host: u8, lines: Vec<(u8, i16)> },
    /// So many ticks, ten seconds apart.
    Ticks(u8),
    /// Nobody sends or ticks for so many minutes.
    Gap(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0_i64..6, 0_u8..6, prop::collection::vec((0_u8..13, -300_i16..300), 1..8))
            .prop_map(|(seconds, host, lines)| Step::Lines { seconds, host, lines }),
        4 => (1_u8..12).prop_map(Step::Ticks),
        1 => (1_i64..400).prop_map(Step::Gap),
    ]
}

/// Every kind of analytic, of statistics that keep different things.
fn plan() -> TopologyPlan {
    let cluster = |center| AnalyticKind::Cluster(Cluster { deviation: 1.0, center, ..Cluster::default() });
    let stddev = Stddev { deviation: 1.0, baseline: "2m".parse().unwrap(), warmup: 3, ..Stddev::default() };
    let kinds = [
        ("mean", Statistic::Mean, cluster(Center::Mean)),
        ("median", Statistic::P95, cluster(Center::Median)),
        ("stddev", Statistic::Stddev, AnalyticKind::Stddev(stddev)),
        ("last", Statistic::Last, AnalyticKind::Threshold(ThresholdRule::Above { line: 100.0, clear: 50.0 })),
        (
            "set",
            Statistic::Cardinality,
            AnalyticKind::Threshold(ThresholdRule::Above { line: 1.0, clear: 1.0 }),
        ),
        ("silent", Statistic::Count, AnalyticKind::Absence { after_ms: 30_000, of: AbsenceOf::Series }),
        ("dead", Statistic::Count, AnalyticKind::Absence { after_ms: 50_000, of: AbsenceOf::Source }),
    ];
    let analytic = |(name, statistic, kind): (&str, _, _)| AnalyticPlan {
        statistic,
        persistence: Persistence { windows: 1, of: 2 },
        ..test_plan::analytic(name, "**", kind)
    };
    let mut analytics: Vec<_> = kinds.into_iter().map(analytic).collect();
    let above = |line| AnalyticKind::Threshold(ThresholdRule::Above { line, clear: line });
    let mut errors = analytic(("errors", Statistic::Sum, above(0.2)));
    errors.matches.metric = "page.*.errors".parse().unwrap();
    errors.ratio = Some(RatioPlan {
        numerator: errors.matches.metric.clone(),
        denominator: "page.*.requests".parse().unwrap(),
        statistic: Statistic::Sum,
        min_denominator: 1.0,
        ignore_tags: Vec::new(),
    });
    let change = analytic(("change", Statistic::Max, above(10.0)));
    analytics.extend([errors, AnalyticPlan { change: Some(Change::PerWindow), ..change }]);
    TopologyPlan { partitions: 2, ..test_plan::topology(analytics) }
}

fn line((which, value): (u8, i16)) -> String {
    match which {
        0 | 1 => format!("page.time:{value}|ms|#env:{which}"),
        2 => format!("load:{value:+}|g"),
        3 => format!("load:{}|g", value.unsigned_abs()),
        4 => format!("requests:{value}|c|@0.1"),
        5 => format!("users:{value}|s"),
        6 => format!("size:{value}|h|#b:2,a:1"),
        7 => format!("size:{value}|h|#a:1,b:2"),
        8 => format!("m{}:1|c", value.unsigned_abs() % 60),
        9 => format!("page.cart.errors:{}|c", value.unsigned_abs() % 9),
        10 | 11 => format!("page.cart.requests:{}|c", value.unsigned_abs() % 20),
        _ => "nonsense".to_owned(),
    }
}

fn advance(engine: &mut Engine, step: &Step, now: &mut i64, out: &mut Vec<Anomaly>) {
    match step {
        Step::Lines { seconds, host, lines } => {
            *now += seconds * 1_000;
            let body = lines.iter().copied().map(line).collect::<Vec<_>>().join("\n");
            let origin = format!("web-{host}");
            let input = Input {
                body: body.as_bytes(),
                routing_key: "statsd.web.x",
                origin: Some(&origin),
                timestamp_in_ms: Some(*now),
                ..Input::default()
            };
            engine.message(&input, out);
        }
        Step::Ticks(ticks) => {
            for _ in 0..*ticks {
                *now += 10_000;
                engine.tick(*now, out);
            }
        }
        Step::Gap(minutes) => *now += minutes * 60_000,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn goes_on_exactly_as_before(
        steps in prop::collection::vec(step(), 1..120),
        saves in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        partition in 0_u8..3,
    ) {
        let partition = Partition::new(partition, 2).unwrap_or(Partition::WHOLE);
        let plan = plan();
        let mut undisturbed = Engine::new(&plan, 0, LIMITS, HashMap::new()).owning(partition);
        let mut restored = Engine::new(&plan, 0, LIMITS, HashMap::new()).owning(partition);
        let saves: Vec<_> = saves.into_iter().map(|at| at.index(steps.len())).collect();
        let (mut now, mut also_now) = (START_MS, START_MS);
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        for (n, step) in steps.iter().enumerate() {
            if saves.contains(&n) {
                let image = image_of(&restored);
                restored = Engine::restore(&plan, 0, LIMITS, HashMap::new(), partition, &image).unwrap();
                prop_assert_eq!(&image_of(&restored), &image, "what was restored is what was saved");
                prop_assert_eq!(restored.firing(), undisturbed.firing());
            }
            advance(&mut undisturbed, step, &mut now, &mut expected);
            advance(&mut restored, step, &mut also_now, &mut found);
            prop_assert_eq!(&found, &expected);
        }
        prop_assert_eq!(image_of(&restored), image_of(&undisturbed));
        prop_assert_eq!(restored.counters(), undisturbed.counters());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Peers meet, whoever owns them: those that share a source find together what one finds alone.
    #[test]
    fn shares_add_up(steps in prop::collection::vec(step(), 1..100), of in 2_u8..5) {
        let plan = plan();
        let new = |partition| Engine::new(&plan, 0, LIMITS, HashMap::new()).owning(partition);
        let find = |mut engine: Engine| {
            let (mut now, mut found) = (START_MS, Vec::new());
            for step in &steps {
                advance(&mut engine, step, &mut now, &mut found);
            }
            found
        };
        let alone = find(new(Partition::WHOLE));
        let mut together: Vec<_> = Partition::all(of).flat_map(|partition| find(new(partition))).collect();
        let sorted = |mut found: Vec<Anomaly>| {
            found.sort_by(|a, b| a.id.cmp(&b.id));
            found
        };
        for found in &together {
            let owners = Partition::all(of).filter(|partition| new(*partition).owns(found)).count();
            prop_assert_eq!(owners, 1);
        }
        together = sorted(together);
        prop_assert_eq!(together, sorted(alone));
    }
}

#[test]
fn an_image_of_other_analytics_is_refused() {
    let before = plan();
    let image = image_of(&Engine::new(&before, 0, LIMITS, HashMap::new()));
    let mut after = plan();
    after.analytics.pop();
    let restore =
        |plan, image: &[u8]| Engine::restore(plan, 0, LIMITS, HashMap::new(), Partition::WHOLE, image);
    assert!(restore(&after, &image).unwrap_err().to_string().contains("other analytics"));
    assert!(restore(&before, &image[1..]).is_err());
    assert!(restore(&before, &[]).is_err());
    assert!(restore(&before, &image).is_ok());
}
