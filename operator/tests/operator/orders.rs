//! Whatever the order: the end is what the resources describe.

use std::{env, time::Duration};

use kinetic_tests::{
    kubernetes::{self, User},
    rabbitmq::RabbitMq,
};
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::Cluster,
    faults::{Faults, Mode},
    process::Process,
    site::broker,
    world::World,
};

/// Steps of a run: `KINETIC_STEPS=1000` for a long one.
fn steps() -> usize {
    env::var("KINETIC_STEPS").map_or(60, |steps| steps.parse().unwrap())
}

/// An end is compared with where an operator gets that has seen only the resources.
async fn ends_as_the_resources_say(cluster: &Cluster, world: &World<'_>, stop: impl AsyncFnOnce()) {
    world.settle().await;
    world.quiet().await;
    let end = world.state().await;
    stop().await;
    world.nothing_foreign_was_touched().await;
    world.wipe().await;
    let fresh = CancellationToken::new();
    let (running, _) = cluster.operator_in(world.region, |_| (), "fresh", &fresh);
    world.comes_to(&end).await;
    world.nothing_foreign_was_touched().await;
    fresh.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn any_order_ends_as_the_resources_say() {
    if let Some(reason) = kubernetes::missing() {
        kinetic_tests::skip(&reason);
        return;
    }
    let cluster = Cluster::start().await;
    broker();
    let mut world = World::new(&cluster, "orders").await;
    let stop = CancellationToken::new();
    let (running, _) = cluster.operator_in(world.region, |_| (), "orders", &stop);
    world.steps(steps()).await;
    ends_as_the_resources_say(&cluster, &world, async || {
        stop.cancel();
        running.await.unwrap().unwrap();
    })
    .await;
}

/// The API server answers 409, 429, 500, not at all, or is away; the broker is away; and whatever was asked may have been done all the same.
#[tokio::test(flavor = "multi_thread")]
async fn faults_end_as_the_resources_say() {
    if let Some(reason) = kubernetes::missing() {
        kinetic_tests::skip(&reason);
        return;
    }
    let away = env::var("KINETIC_AWAY").map_or(15, |seconds| seconds.parse().unwrap());
    let away = Duration::from_secs(away);
    let cluster = Cluster::start().await;
    broker();
    let mut world = World::new(&cluster, "faults").await;
    let faults = Faults::new(world.region.len() as u64);
    let stop = CancellationToken::new();
    let running = tokio::spawn(Cluster::supervised(
        cluster.kubernetes.kubeconfig_of(User::Operator),
        world.region,
        faults.clone(),
        stop.clone(),
    ));
    faults.set(Mode::Random);
    world.steps(steps() / 2).await;
    faults.set(Mode::Away);
    world.steps(steps() / 4).await;
    tokio::time::sleep(away).await;
    faults.set(Mode::Random);
    RabbitMq::shared().kill9();
    world.steps(steps() / 4).await;
    tokio::time::sleep(away).await;
    RabbitMq::shared().start_again();
    world.steps(steps() / 4).await;
    faults.set(Mode::None);
    eprintln!("faults: {}", faults.counted());
    ends_as_the_resources_say(&cluster, &world, async || {
        stop.cancel();
        running.await.unwrap();
    })
    .await;
}

/// `KINETIC_KILLS=100` for a long run.
#[tokio::test(flavor = "multi_thread")]
async fn kills_end_as_the_resources_say() {
    if let Some(reason) = kubernetes::missing() {
        kinetic_tests::skip(&reason);
        return;
    }
    let kills: usize = env::var("KINETIC_KILLS").map_or(10, |kills| kills.parse().unwrap());
    let cluster = Cluster::start().await;
    let admin = broker();
    let mut world = World::new(&cluster, "kills").await;
    for _ in 0..kills {
        let operator = Process::start(&cluster, "kills", world.region, &admin);
        world.steps(steps() / 10).await;
        world.moment().await;
        drop(operator);
    }
    let operator = Process::start(&cluster, "kills", world.region, &admin);
    ends_as_the_resources_say(&cluster, &world, async || drop(operator)).await;
}
