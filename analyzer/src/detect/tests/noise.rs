//! How often noise alone fires: a day of 100 series whose windows are means of 30 samples.

use std::collections::BTreeMap;

use kinetic_api::{
    anomaly::State,
    plan::{AnalyticKind, AnalyticPlan},
    resources::topology::{Center, Cluster, MinStddev, Persistence, Stddev},
    series::SeriesName,
};
use rand::{SeedableRng, rngs::SmallRng};
use rand_distr::{Distribution, Normal, StudentT};

use crate::detect::rig::{Rig, analytic, topology};

const SERIES: usize = 100;
const WINDOWS_A_DAY: usize = 8_640;
const SAMPLES: usize = 30;
const GROUPS: [usize; 3] = [4, 10, 50];

const NO_FLOOR: MinStddev = MinStddev { absolute: 0.0, relative: 0.0 };

fn clusters(center: Center, min_stddev: MinStddev) -> impl Iterator<Item = AnalyticPlan> {
    GROUPS.into_iter().map(move |size| {
        let cluster =
            Cluster { center, min_stddev, group_by: vec![format!("of{size}")], ..Cluster::default() };
        analytic(&format!("{center:?}-of-{size}"), AnalyticKind::Cluster(cluster))
    })
}

fn stddev(min_stddev: MinStddev) -> AnalyticPlan {
    analytic("past", AnalyticKind::Stddev(Stddev { min_stddev, ..Stddev::default() }))
}

fn all_with(min_stddev: MinStddev, persistence: Persistence) -> Vec<AnalyticPlan> {
    let medians = clusters(Center::Median, min_stddev);
    let mut all: Vec<_> =
        clusters(Center::Mean, min_stddev).chain(medians).chain([stddev(min_stddev)]).collect();
    for plan in &mut all {
        let floor = if min_stddev == NO_FLOOR { "no floor" } else { "floor" };
        plan.name = format!("{} {} of {}, {floor}", plan.name, persistence.windows, persistence.of);
        plan.persistence = persistence;
    }
    all
}

/// How often each analytic fires in so many days.
fn fires(
    analytics: Vec<AnalyticPlan>,
    days: usize,
    mut window_mean: impl FnMut() -> f64,
) -> BTreeMap<String, usize> {
    let mut fires: BTreeMap<String, usize> = analytics.iter().map(|plan| (plan.name.clone(), 0)).collect();
    let names: Vec<SeriesName> = (0..SERIES)
        .map(|n| SeriesName {
            metric: "m".into(),
            tags: GROUPS.map(|size| (format!("of{size}"), (n / size).to_string())).to_vec(),
            origin: format!("host-{n:03}"),
        })
        .collect();
    let mut rig = Rig::of(&topology(analytics));
    let mut values: Vec<(SeriesName, f64)> = names.into_iter().map(|name| (name, 0.0)).collect();
    for _ in 0..days * WINDOWS_A_DAY {
        for (_, value) in &mut values {
            *value = window_mean();
        }
        for anomaly in rig.named_window(&values) {
            if anomaly.data.state == State::Firing {
                *fires.entry(anomaly.data.analytic).or_default() += 1;
            }
        }
    }
    fires
}

/// The mean of 30 normal samples is normal.
fn normal(seed: u64) -> impl FnMut() -> f64 {
    let mut random = SmallRng::seed_from_u64(seed);
    let means = Normal::new(120.0, 20.0 / (SAMPLES as f64).sqrt()).unwrap();
    move || means.sample(&mut random)
}

#[test]
fn noise_fires_less_than_once_a_day_with_all_defaults() {
    let mut analytics = all_with(MinStddev::default(), Persistence::default());
    analytics.extend(all_with(NO_FLOOR, Persistence::default()));
    let days = 3;
    let fires = fires(analytics, days, normal(1));
    println!("normal, {days} days: {fires:#?}");
    assert!(fires.values().sum::<usize>() < days, "{fires:#?}");
}

/// The tails themselves: without persistence 864,000 windows are beyond 4 standard deviations 54.7 times, whatever the group.
#[test]
fn four_deviations_mean_the_same_in_every_group() {
    let fires = fires(all_with(NO_FLOOR, Persistence { windows: 1, of: 1 }), 1, normal(2));
    println!("normal, 1 of 1: {fires:#?}");
    for (analytic, fires) in fires {
        assert!((30..=85).contains(&fires), "{analytic}: {fires}");
    }
}

/// Stated, not promised: what it costs that a sample of Student's t (3 degrees of freedom) is now and then enormous.
#[test]
fn heavy_tails_fire_a_few_times_a_day() {
    let mut random = SmallRng::seed_from_u64(3);
    let heavy = StudentT::new(3.0).unwrap();
    let mean = move || {
        let sum: f64 = (0..SAMPLES).map(|_| heavy.sample(&mut random)).sum();
        120.0 + 20.0 * sum / SAMPLES as f64
    };
    let days = 3;
    let fires = fires(all_with(MinStddev::default(), Persistence::default()), days, mean);
    println!("Student-t(3), {days} days: {fires:#?}");
    assert!(fires.values().all(|fires| *fires < 20 * days), "{fires:#?}");
}
