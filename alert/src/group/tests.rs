use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000;
const TIMING: Timing = Timing {
    wait_ms: 30 * SECOND,
    interval_ms: 300 * SECOND,
    repeat_ms: 14_400 * SECOND,
    send_resolved: true,
};

fn ids(decision: &Decision) -> Vec<(&str, Phase)> {
    decision.entries.iter().map(|(id, phase)| (id.as_str(), *phase)).collect()
}

#[test]
fn the_first_message_waits_for_more() {
    let mut group = Group::default();
    group.add("a", 0);
    group.add("b", 20 * SECOND);
    assert_eq!(group.deadline(&TIMING), Some(30 * SECOND));
    assert_eq!(group.fire(30 * SECOND - 1, &TIMING), None);
    let decision = group.fire(30 * SECOND, &TIMING).unwrap();
    assert_eq!(decision.reason, Reason::FirstNotification);
    assert_eq!(decision.sequence, 1);
    assert_eq!(ids(&decision), [("a", Phase::New), ("b", Phase::New)]);
    assert_eq!(group.fire(30 * SECOND, &TIMING), None, "told once");
}

#[test]
fn a_change_waits_for_the_interval_and_for_more() {
    let mut group = Group::default();
    group.add("a", 0);
    group.fire(30 * SECOND, &TIMING).unwrap();
    group.add("b", 40 * SECOND);
    assert_eq!(group.deadline(&TIMING), Some(330 * SECOND), "groupInterval after the last message");
    let decision = group.fire(330 * SECOND, &TIMING).unwrap();
    assert_eq!(decision.reason, Reason::NewIncidents);
    assert_eq!(ids(&decision), [("a", Phase::Ongoing), ("b", Phase::New)]);
    group.resolve("a", 1_000 * SECOND, &TIMING);
    assert_eq!(group.deadline(&TIMING), Some(1_030 * SECOND), "groupWait after the change");
    let decision = group.fire(1_030 * SECOND, &TIMING).unwrap();
    assert_eq!(decision.reason, Reason::Resolved);
    assert_eq!(ids(&decision), [("a", Phase::Resolved), ("b", Phase::Ongoing)]);
    assert!(!group.is_over());
}

#[test]
fn what_fires_still_is_repeated() {
    let mut group = Group::default();
    group.add("a", 0);
    group.fire(30 * SECOND, &TIMING).unwrap();
    let repeat = 30 * SECOND + TIMING.repeat_ms;
    assert_eq!(group.deadline(&TIMING), Some(repeat));
    assert_eq!(group.fire(repeat, &TIMING).unwrap().reason, Reason::Repeat);
    assert_eq!(group.deadline(&TIMING), Some(repeat + TIMING.repeat_ms));
    group.resolve("a", repeat + SECOND, &TIMING);
    let decision = group.fire(repeat + TIMING.interval_ms, &TIMING).unwrap();
    assert_eq!(decision.reason, Reason::Resolved);
    assert!(group.is_over());
    assert_eq!(group.deadline(&TIMING), None);
}

#[test]
fn over_within_group_wait_is_told_once_with_both() {
    for send_resolved in [true, false] {
        let timing = Timing { send_resolved, ..TIMING };
        let mut group = Group::default();
        group.add("a", 0);
        group.resolve("a", 10 * SECOND, &timing);
        let decision = group.fire(30 * SECOND, &timing).unwrap();
        assert_eq!(decision.reason, Reason::FirstNotification);
        assert_eq!(ids(&decision), [("a", Phase::Passed)]);
        assert!(group.is_over());
    }
}

#[test]
fn without_send_resolved_the_end_is_silent() {
    let timing = Timing { send_resolved: false, ..TIMING };
    let mut group = Group::default();
    group.add("a", 0);
    group.fire(30 * SECOND, &timing).unwrap();
    group.resolve("a", 60 * SECOND, &timing);
    assert!(group.is_over());
    assert_eq!(group.deadline(&timing), None);
}

#[test]
fn unknown_and_twice_resolved_change_nothing() {
    let mut group = Group::default();
    group.add("a", 0);
    group.resolve("a", SECOND, &TIMING);
    let before = group.clone();
    group.resolve("a", 2 * SECOND, &TIMING);
    group.resolve("b", 2 * SECOND, &TIMING);
    assert_eq!(group, before);
}

#[test]
fn a_full_group_counts_the_rest() {
    let mut group = Group::default();
    for n in 0..MAX_MEMBERS {
        assert!(group.add(&n.to_string(), 0));
    }
    assert!(!group.add("one too many", 0));
    assert_eq!((group.members.len(), group.overflow), (MAX_MEMBERS, 1));
}

#[test]
fn repeats_without_any_interval_do_not_follow_themselves_at_once() {
    let timing = Timing { wait_ms: 0, interval_ms: 0, repeat_ms: 0, send_resolved: true };
    let mut group = Group::default();
    group.add("a", 5);
    group.fire(5, &timing).unwrap();
    assert_eq!(group.deadline(&timing), Some(5 + LEAST_REPEAT_MS));
}

#[derive(Clone, Debug)]
enum Step {
    Begin,
    End(prop::sample::Index),
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Begin),
        3 => any::<prop::sample::Index>().prop_map(Step::End),
        4 => (0_i64..900_000).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// Whatever happens, and however late the timers are looked at: every incident is told of, its beginning and its end at most
    /// once each, messages number from 1, and never sooner than the interval.
    #[test]
    fn each_change_is_told_once(
        steps in steps(),
        wait_ms in 0_i64..60_000,
        interval_ms in 1_i64..400_000,
        repeat_ms in 0_i64..4_000_000,
        send_resolved: bool,
        lateness in 0_i64..100_000,
    ) {
        let timing = Timing { wait_ms, interval_ms, repeat_ms, send_resolved };
        let (mut group, mut now, mut begun, mut open) = (Group::default(), 0_i64, 0_usize, Vec::<String>::new());
        let mut decisions = Vec::new();
        for step in steps {
            match step {
                Step::Begin => {
                    let id = begun.to_string();
                    begun += 1;
                    prop_assert!(group.add(&id, now));
                    open.push(id);
                }
                Step::End(index) if !open.is_empty() => {
                    let id = open.remove(index.index(open.len()));
                    group.resolve(&id, now, &timing);
                }
                Step::End(_) => {}
                Step::Wait(ms) => {
                    let until = now + ms;
                    while let Some(deadline) = group.deadline(&timing).filter(|d| d + lateness <= until) {
                        now = now.max(deadline + lateness);
                        decisions.push(group.fire(now, &timing).unwrap());
                    }
                    now = until;
                }
            }
        }
        while let Some(deadline) = group.change_deadline(&timing) {
            now = now.max(deadline);
            decisions.push(group.fire(now, &timing).unwrap());
        }
        let mut begins: HashMap<&str, usize> = HashMap::new();
        let mut ends: HashMap<&str, usize> = HashMap::new();
        for (n, decision) in decisions.iter().enumerate() {
            prop_assert_eq!(decision.sequence as usize, n + 1);
            prop_assert_eq!(decision.reason == Reason::FirstNotification, n == 0);
            if n > 0 {
                prop_assert!(decision.at_ms - decisions[n - 1].at_ms >= interval_ms);
            }
            for (id, phase) in &decision.entries {
                match phase {
                    Phase::New => *begins.entry(id).or_default() += 1,
                    Phase::Resolved => *ends.entry(id).or_default() += 1,
                    Phase::Passed => {
                        *begins.entry(id).or_default() += 1;
                        *ends.entry(id).or_default() += 1;
                    }
                    Phase::Ongoing => prop_assert_eq!(begins.get(id.as_str()), Some(&1)),
                }
            }
        }
        for id in (0..begun).map(|id| id.to_string()) {
            prop_assert_eq!(begins.get(id.as_str()).copied().unwrap_or(0), 1, "incident {} began", id);
            let told_ends = ends.get(id.as_str()).copied().unwrap_or(0);
            let over = !open.contains(&id);
            prop_assert!(told_ends <= usize::from(over));
            if send_resolved {
                prop_assert_eq!(told_ends, usize::from(over));
            }
        }
    }
}
