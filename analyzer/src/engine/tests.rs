use std::fmt::Write as _;

use kinetic_api::{
    anomaly::{Found, State},
    plan::{AnalyticPlan, OriginRule, ThresholdRule},
    resources::topology::{AbsenceOf, AnalyticState, Cluster, Persistence, SourceType, Stddev},
    statistic::Statistic,
};

use super::*;
use crate::test_plan::{analytic, topology};

const START_MS: i64 = 1_656_581_400_000;
const LIMITS: EngineLimits = EngineLimits { max_series: 1_000 };

fn slow_host(deviation: f64) -> AnalyticPlan {
    analytic("slow-host", "page.*.time", AnalyticKind::Cluster(Cluster { deviation, ..Cluster::default() }))
}

fn engine(plan: &TopologyPlan) -> Engine {
    Engine::new(plan, 0, LIMITS, HashMap::new())
}

/// A second of eight hosts, of which web-3 may be slow; a window holds 40 samples a host.
fn second(engine: &mut Engine, second: i64, slow: bool, out: &mut Vec<Anomaly>) {
    for host in 1..=8 {
        let mut body = String::new();
        for sample in 0..4 {
            let wobble = (second * 17 + host * 29 + sample * 41) % 23;
            let time = 110 + wobble + if slow && host == 3 { 200 } else { 0 };
            writeln!(body, "page.checkout.time:{time}|ms|#env:prod").unwrap();
        }
        let origin = format!("web-{host}");
        let input = Input {
            body: body.as_bytes(),
            routing_key: &format!("statsd.web.{origin}"),
            origin: Some(&origin),
            timestamp_in_ms: Some(START_MS + second * 1_000 + host * 100),
            ..Input::default()
        };
        engine.message(&input, out);
    }
}

/// Ten minutes, of which web-3 is slow from 5:00 to 7:00.
fn ten_minutes(engine: &mut Engine) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for n in 0..600 {
        second(engine, n, (300..420).contains(&n), &mut found);
        if n % 10 == 0 {
            engine.tick(START_MS + n * 1_000, &mut found);
        }
    }
    engine.finish(&mut found);
    found
}

#[test]
fn one_of_eight_hosts_turns_slow() {
    let mut engine = engine(&topology(vec![slow_host(4.0)]));
    let found = ten_minutes(&mut engine);
    let [fired, resolved] = &found[..] else { panic!("{found:#?}") };
    for (anomaly, state, second) in [(fired, State::Firing, 320), (resolved, State::Resolved, 450)] {
        assert_eq!(anomaly.subject, "page.checkout.time{env=prod}@web-3");
        assert_eq!(anomaly.source, "/customers/acme/topologies/web/analytics/slow-host");
        assert_eq!((anomaly.data.state, anomaly.data.found), (state, Found::Live));
        assert_eq!(anomaly.time.as_millisecond(), START_MS + second * 1_000);
        assert_eq!(anomaly.data.since.as_millisecond(), START_MS + 300_000);
    }
    assert!((fired.data.value.unwrap() - 321.0).abs() < 2.0 && fired.data.score > 1.0);
    assert_eq!(engine.firing(), []);
    let counters = engine.counters();
    assert_eq!(
        (counters.messages, counters.samples, counters.series, counters.windows),
        (4_800, 19_200, 8, 60)
    );
    assert_eq!((counters.late, counters.bad_lines, counters.unknown_format), (0, 0, 0));
    let mut again = self::engine(&topology(vec![slow_host(4.0)]));
    assert_eq!(ten_minutes(&mut again), found, "the same stream leads to the same findings");
}

#[test]
fn what_ended_before_it_was_active_is_history() {
    let active_since = HashMap::from([("slow-host".to_owned(), START_MS + 330_000)]);
    let mut engine = Engine::new(&topology(vec![slow_host(4.0)]), 0, LIMITS, active_since);
    let found: Vec<_> = ten_minutes(&mut engine).into_iter().map(|anomaly| anomaly.data.found).collect();
    assert_eq!(found, [Found::Warmup, Found::Live]);
}

#[test]
fn only_its_profiles_feed_a_source() {
    let mut plan = topology(vec![slow_host(4.0)]);
    let mut engine = engine(&plan);
    let send = |engine: &mut Engine, routing_key| {
        let (body, timestamp_in_ms) = (b"page.checkout.time:1|ms".as_slice(), Some(START_MS));
        let input = Input { body, routing_key, origin: Some("web-1"), timestamp_in_ms, ..Input::default() };
        engine.message(&input, &mut Vec::new());
        let EngineCounters { samples, other_profile, .. } = engine.counters();
        (samples, other_profile)
    };
    assert_eq!(send(&mut engine, "statsd.web.web-1"), (1, 0));
    assert_eq!(send(&mut engine, "statsd.database.db-1"), (1, 1));
    assert_eq!(send(&mut engine, "statsd.webs"), (1, 2));
    assert_eq!(send(&mut engine, "a.binding.of.the.users.own"), (2, 2));
    plan.sources[0].profiles.push("database".into());
    engine.reconfigure(&plan, 0, HashMap::new(), &mut Vec::new()).unwrap();
    assert_eq!(send(&mut engine, "statsd.database.db-1"), (3, 2), "from the edit on");
    plan.sources[0].profiles.clear();
    engine.reconfigure(&plan, 0, HashMap::new(), &mut Vec::new()).unwrap();
    assert_eq!(send(&mut engine, "statsd.cache.c-1"), (4, 2), "none named: all");
}

#[test]
fn silence_is_told_by_ticks() {
    let dead = analytic("dead", "**", AnalyticKind::Absence { after_ms: 60_000, of: AbsenceOf::Source });
    let mut engine = engine(&topology(vec![dead]));
    let mut found = Vec::new();
    second(&mut engine, 0, false, &mut found);
    for n in 0..20 {
        engine.tick(START_MS + n * 10_000, &mut found);
    }
    let [fired] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((fired.subject.as_str(), fired.data.state), ("**", State::Firing));
    assert_eq!(
        fired.time.as_millisecond(),
        START_MS + 70_000,
        "a minute after the end of the last window with samples"
    );
}

#[test]
fn what_nobody_reads_is_counted() {
    let mut engine = engine(&topology(vec![slow_host(4.0)]));
    let input = Input { content_type: Some("image/png"), body: b"a 1 1", ..Input::default() };
    engine.message(&input, &mut Vec::new());
    assert_eq!((engine.counters().unknown_format, engine.counters().samples), (1, 0));
}

#[test]
fn every_format_becomes_windows_of_the_right_feeds() {
    const T: i64 = START_MS / 1000;
    let collectd =
        |n: i64, value: i64| format!("PUTVAL db-1/interface-eth0/if_octets interval=10 {}:{value}:7", T + n);
    let cases = [
        (
            SourceType::Collectd,
            [collectd(0, 100), collectd(10, 350)],
            "interface.eth0.if_octets.rx",
            "db-1",
            25.0,
        ),
        (
            SourceType::Graphite,
            [format!("shop.queue 3 {T}"), format!("shop.queue 7 {}", T + 10)],
            "shop.queue",
            "relay",
            7.0,
        ),
        (
            SourceType::Telegraf,
            [format!("cpu,host=web-1 idle=1 {T}"), format!("cpu,host=web-1 idle=2.5 {}", T + 10)],
            "cpu.idle",
            "web-1",
            2.5,
        ),
    ];
    for (kind, bodies, metric, origin, value) in cases {
        let above = ThresholdRule::Above { line: value - 0.5, clear: value - 0.5 };
        let mut plan = topology(vec![analytic("odd", metric, AnalyticKind::Threshold(above))]);
        plan.sources[0].kind = kind;
        plan.analytics[0].persistence = Persistence { windows: 1, of: 1 };
        let mut engine = engine(&plan);
        let mut found = Vec::new();
        for body in &bodies {
            let routing_key = format!("{}.web.relay", kind.as_str());
            let origin = (kind == SourceType::Graphite).then_some("relay");
            engine.message(
                &Input { body: body.as_bytes(), routing_key: &routing_key, origin, ..Input::default() },
                &mut found,
            );
        }
        engine.finish(&mut found);
        let [fired] = &found[..] else { panic!("{kind:?}: {found:#?}, {:?}", engine.counters()) };
        assert_eq!((fired.data.metric.as_str(), fired.data.origin.as_str()), (metric, origin));
        assert_eq!(fired.data.value, Some(value), "{kind:?}");
        assert_eq!(engine.counters().bad_lines, 0);
    }
}

#[test]
fn the_header_in_milliseconds_comes_before_the_property_in_seconds() {
    let both = Input { timestamp_in_ms: Some(5), timestamp: Some(7), ..Input::default() };
    assert_eq!(time_ms(&both), Some(5));
    assert_eq!(time_ms(&Input { timestamp: Some(7), ..Input::default() }), Some(7_000));
    assert_eq!(time_ms(&Input { timestamp: Some(u64::MAX), ..Input::default() }), None);
}

#[test]
fn parameters_change_in_place() {
    let mut engine = engine(&topology(vec![slow_host(90.0)]));
    let mut found = Vec::new();
    for n in 0..100 {
        second(&mut engine, n, true, &mut found);
    }
    assert_eq!(found, []);
    engine.reconfigure(&topology(vec![slow_host(4.0)]), 0, HashMap::new(), &mut found).unwrap();
    for n in 100..140 {
        second(&mut engine, n, true, &mut found);
    }
    assert_eq!(
        (found.len(), found[0].data.history.len()),
        (1, 10),
        "the windows before the edit are remembered"
    );
    assert_eq!(engine.firing(), found);
    let mut plan = topology(Vec::new());
    plan.sources[0].lateness_ms = 0;
    engine.reconfigure(&plan, 0, HashMap::new(), &mut found).unwrap();
    assert_eq!((found.len(), found[1].data.state), (2, State::Resolved), "of an analytic that was removed");
    assert_eq!((engine.firing_count(), engine.analytics()), (0, Vec::new()));
}

#[test]
fn what_changes_windows_series_or_groups_needs_another_engine() {
    let before = topology(vec![slow_host(4.0)]);
    let mut engine = engine(&before);
    let mut refused = |edit: &dyn Fn(&mut TopologyPlan)| {
        let mut plan = before.clone();
        edit(&mut plan);
        let refused = engine.reconfigure(&plan, 0, HashMap::new(), &mut Vec::new()).is_err();
        assert_eq!(engine.analytics().len(), 1);
        refused
    };
    let group_by = vec!["env".to_owned()];
    assert!(refused(&|plan| plan.sources[0].interval_ms = 5_000));
    assert!(refused(&|plan| plan.sources[0].origin = OriginRule::Tag("host".into())));
    assert!(refused(&|plan| plan.analytics[0].statistic = Statistic::P95));
    assert!(refused(&|plan| plan.analytics[0].matches.metric = "**".parse().unwrap()));
    assert!(refused(&|plan| plan.analytics[0].kind = AnalyticKind::Stddev(Stddev::default())));
    assert!(refused(&|plan| {
        plan.analytics[0].kind =
            AnalyticKind::Cluster(Cluster { group_by: group_by.clone(), ..Cluster::default() });
    }));
    assert!(refused(&|plan| plan.analytics.push(analytic(
        "more",
        "**",
        AnalyticKind::Stddev(Stddev::default())
    ))));
    assert!(!refused(&|plan| plan.analytics[0].persistence = Persistence { windows: 5, of: 9 }));
    assert!(!refused(&|plan| plan.sources[0].profiles = Vec::new()));
}

#[test]
fn what_a_rebuilt_engine_does_not_hold_resolves() {
    let full = |line| {
        let kind = AnalyticKind::Threshold(ThresholdRule::Above { line, clear: line });
        topology(vec![analytic("full", "page.*.time", kind)])
    };
    let run = |line| {
        let (mut engine, mut found) = (engine(&full(line)), Vec::new());
        (0..60).for_each(|n| second(&mut engine, n, true, &mut found));
        engine
    };
    let (low, middle) = (run(100.0), run(200.0));
    assert_eq!((low.firing_count(), middle.firing_count()), (8, 1));
    let mut found = Vec::new();
    middle.resolve_orphans(low.firing(), &mut found);
    assert_eq!(found.len(), 7);
    assert!(
        found.iter().all(|anomaly| anomaly.data.state == State::Resolved && anomaly.data.origin != "web-3")
    );
    assert!(found.iter().all(|anomaly| anomaly.time.as_millisecond() == START_MS + 40_000), "{found:#?}");
    let mut found = Vec::new();
    low.resolve_all(low.firing(), &mut found);
    assert_eq!(found.len(), 8);
}

#[test]
fn an_analytic_says_whether_it_can_speak() {
    let mut engine = engine(&topology(vec![slow_host(4.0)]));
    assert_eq!(engine.analytics()[0].state, AnalyticState::WarmingUp);
    for n in 0..30 {
        second(&mut engine, n, false, &mut Vec::new());
    }
    assert_eq!(
        engine.analytics(),
        [AnalyticReport { name: "slow-host".into(), state: AnalyticState::Active, reason: None }]
    );
}

#[test]
fn a_counter_and_a_timer_of_one_name_are_told_apart() {
    let mut plan = analytic(
        "high",
        "page.time",
        AnalyticKind::Threshold(ThresholdRule::Above { line: 5.0, clear: 5.0 }),
    );
    plan.persistence = Persistence { windows: 1, of: 1 };
    let mut engine = Engine::new(&topology(vec![plan]), 0, LIMITS, HashMap::new());
    let mut found = Vec::new();
    let input = Input {
        body: b"page.time:9|ms\npage.time:7|c\npage.time:8|ms|#env:prod\npage.time:6|s",
        routing_key: "statsd.web.web-1",
        origin: Some("web-1"),
        timestamp_in_ms: Some(START_MS),
        ..Input::default()
    };
    engine.message(&input, &mut found);
    engine.finish(&mut found);
    let mut told: Vec<_> = found.iter().map(|found| (found.subject.as_str(), found.data.value)).collect();
    told.sort_by_key(|(subject, _)| *subject);
    let want = [
        ("page.time@web-1", Some(9.0)),
        ("page.time{env=prod}@web-1", Some(8.0)),
        ("page.time{kinetic.type=counter}@web-1", Some(7.0)),
    ];
    assert_eq!(told, want, "a set has no mean");
    assert_eq!(found.iter().map(|found| &found.id).collect::<std::collections::HashSet<_>>().len(), 3);
}
