use proptest::prelude::*;

use super::*;

const ID: SeriesId = SeriesId(7);
const SECOND: i64 = 1_000_000_000;

/// The rates of readings ten seconds apart.
fn rates(readings: impl IntoIterator<Item = Raw>, bounds: Bounds) -> Vec<Option<f64>> {
    let mut rates = Rates::default();
    (1..).zip(readings).map(|(n, raw)| rates.rate(ID, n * 10 * SECOND, raw, bounds)).collect()
}

fn last(before: Raw, now: Raw, bounds: Bounds) -> Option<f64> {
    rates([before, now], bounds)[1]
}

#[test]
fn counters_go_on_wrap_or_begin_again() {
    let rate = |before, now| last(Raw::Counter(before), Raw::Counter(now), Bounds::NONE);
    assert_eq!(rate(100, 350), Some(25.0));
    assert_eq!(rate(100, 100), Some(0.0));
    assert_eq!(rate(u64::from(u32::MAX) - 9, 10), Some(2.0), "around 2^32");
    assert_eq!(rate(u64::MAX - 9, 10), Some(2.0), "around 2^64");
    assert_eq!(rate(1 << 32, u64::MAX), Some((u64::MAX - (1 << 32)) as f64 / 10.0));
    assert_eq!(rate(1_000_000, 5), None, "a reset: no link carries 4 billion in ten seconds");
    assert_eq!(rate(1 << 40, 5), None, "a reset beyond 2^32");
    assert_eq!(rate((1 << 31) - 1, 0), None, "a wrap of more than half of the range");
    assert_eq!(rate(1 << 31, 0), Some(f64::from(1u32 << 31) / 10.0), "a wrap of half of the range");
}

#[test]
fn derives_may_go_down() {
    let down = [Raw::Derive(350), Raw::Derive(100)];
    assert_eq!(rates(down, Bounds::NONE), [None, Some(-25.0)]);
    assert_eq!(rates(down, Bounds::NOT_NEGATIVE), [None, None], "a reset");
    let whole = [Raw::Derive(i64::MIN), Raw::Derive(i64::MAX)];
    assert_eq!(rates(whole, Bounds::NONE)[1], Some(u64::MAX as f64 / 10.0));
    let fast = Bounds { min: 0.0, max: 20.0 };
    assert_eq!(rates([Raw::Derive(0), Raw::Derive(250)], fast), [None, None], "more than is possible");
}

#[test]
fn absolutes_are_what_came_since() {
    assert_eq!(
        rates([Raw::Absolute(5), Raw::Absolute(30), Raw::Absolute(0)], Bounds::NONE),
        [None, Some(3.0), Some(0.0)]
    );
}

#[test]
fn sums_begin_again_at_zero() {
    let readings = [5.0, 7.5, 1.0, 2.0].map(Raw::Sum);
    assert_eq!(rates(readings, Bounds::NOT_NEGATIVE), [None, Some(0.25), None, Some(0.1)]);
}

#[test]
fn a_reading_at_no_later_time_is_none() {
    let mut rates = Rates::default();
    let mut rate = |seconds: i64, n| rates.rate(ID, seconds * SECOND, Raw::Derive(n), Bounds::NONE);
    assert_eq!(rate(10, 100), None);
    assert_eq!(rate(10, 200), None);
    assert_eq!(rate(5, 200), None);
    assert_eq!(rate(20, 200), Some(10.0), "from what was read first");
}

#[test]
fn another_kind_of_counter_begins_anew() {
    assert_eq!(last(Raw::Counter(1), Raw::Derive(5), Bounds::NONE), None);
}

#[test]
fn what_a_client_made_rates_of_is_left_as_it_is() {
    let rate = |rate| Raw::Rate(rate);
    assert_eq!(rates([rate(2.5)], Bounds::NONE), [Some(2.5)], "also the first");
    assert_eq!(rates([rate(-2.5)], Bounds::NOT_NEGATIVE), [None]);
    let sent = [Raw::Derive(0), rate(2.5), Raw::Derive(0), Raw::Derive(3), Raw::Derive(0), rate(0.5)];
    assert_eq!(
        rates(sent, Bounds::NOT_NEGATIVE),
        [None, Some(2.5), Some(0.0), Some(3.0), Some(0.0), Some(0.5)],
        "a rate that happens to be whole"
    );
    let started =
        [Raw::NoRate, Raw::Derive(25), Raw::Derive(25), Raw::NoRate, Raw::Derive(0), Raw::Derive(7)];
    assert_eq!(
        rates(started, Bounds::NOT_NEGATIVE),
        [None, Some(25.0), Some(25.0), None, Some(0.0), Some(7.0)],
        "whole rates after a reading that no rate could be made of"
    );
    let changed = [rate(2.5), Raw::Derive(1000), Raw::Derive(1010), Raw::Derive(1020), Raw::Derive(1030)];
    assert_eq!(rates(changed, Bounds::NONE)[4], Some(1.0), "StoreRates was turned off");
}

#[test]
fn what_is_forgotten_begins_anew() {
    let mut rates = Rates::default();
    rates.rate(ID, SECOND, Raw::Derive(1), Bounds::NONE);
    rates.forget(&[SeriesId(1), ID]);
    assert_eq!(rates, Rates::default());
}

#[test]
fn what_is_known_survives_being_written_down() {
    let mut rates = Rates::default();
    rates.rate(ID, SECOND, Raw::Counter(1), Bounds::NONE);
    let written = serde_json::to_string(&rates).unwrap();
    let mut read: Rates = serde_json::from_str(&written).unwrap();
    assert_eq!(read, rates);
    assert_eq!(read.rate(ID, 2 * SECOND, Raw::Counter(3), Bounds::NONE), Some(2.0));
}

proptest! {
    #[test]
    fn the_rates_of_a_counter_sum_up_to_it(start in any::<u32>(), steps in prop::collection::vec(0u32..1 << 31, 1..20)) {
        let mut at = start;
        let readings: Vec<_> = std::iter::once(start).chain(steps.iter().map(|step| { at = at.wrapping_add(*step); at })).collect();
        let rates = rates(readings.into_iter().map(|n| Raw::Counter(n.into())), Bounds::NONE);
        prop_assert_eq!(rates[0], None);
        for (rate, step) in rates[1..].iter().zip(steps) {
            prop_assert_eq!(*rate, Some(f64::from(step) / 10.0));
        }
    }
}
