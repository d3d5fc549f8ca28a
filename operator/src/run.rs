//! The shell: watches, leads, and calls the reconcilers.

use std::{convert::Infallible, fmt::Debug, hash::Hash, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use kube::{
    Client, Resource, ResourceExt,
    api::ListParams,
    core::NamespaceResourceScope,
    runtime::{Controller, controller::Action, reflector},
};
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, ConfigError},
    context::{Context, Failure},
    enrollment,
    lease::Elector,
    metrics::Metrics,
    presence,
    reconcile::{AGAIN, alert, customer, release, rotation, topology},
    resources::{Guarded, Watched},
    watch::{self, bells, heard},
};

/// So many objects of a kind are worked on at once.
const AT_ONCE: u16 = 8;

/// Why the operator ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Somebody else acts now.
    #[error("the Lease was lost: another instance acts; start this one again to stand by")]
    LostLease,
    /// `--once` left something undone.
    #[error("{0} object(s) could not be brought to where they should be; see the log")]
    Undone(usize),
    /// The API server refused a list.
    #[error(
        "the resources cannot be listed: {0}; are the definitions installed (`kinetic crd | kubectl apply --server-side -f -`)?"
    )]
    List(Box<kube::Error>),
}

/// Who runs it.
#[derive(Debug)]
pub struct Operator {
    context: Arc<Context>,
    elector: Elector,
    metrics: Metrics,
}

impl Operator {
    /// `me` must be a name that no other instance has: a pod's.
    pub fn new(client: Client, config: Config, me: String, metrics: Metrics) -> Result<Self, RunError> {
        let elector = Elector::new(client.clone(), &config.namespace, me);
        Ok(Self { context: Arc::new(Context::new(client, config)?), elector, metrics })
    }

    /// Waits for the Lease, and acts until stopped. Loses it: ends.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), RunError> {
        if stop.run_until_cancelled(self.elector.acquire()).await.is_none() {
            return Ok(());
        }
        self.metrics.leads.set(1);
        let working = work(&self.context, &self.metrics, &stop);
        let ended = tokio::select! {
            () = working => Ok(()),
            () = self.elector.keep() => Err(RunError::LostLease),
            () = stop.cancelled() => Ok(()),
        };
        self.metrics.leads.set(0);
        if ended.is_ok() {
            self.elector.release().await;
        }
        ended
    }

    /// Waits for the Lease, brings everything to where it should be, once, and lets go.
    pub async fn once(mut self, stop: CancellationToken) -> Result<(), RunError> {
        if stop.run_until_cancelled(self.elector.acquire()).await.is_none() {
            return Ok(());
        }
        let context = Arc::clone(&self.context);
        let all = async {
            let mut undone = Box::pin(each(&context, customer::reconcile)).await?;
            undone += Box::pin(each(&context, topology::reconcile)).await?;
            undone += Box::pin(each(&context, alert::reconcile)).await?;
            if let Err(error) = release::reconcile(&context).await {
                tracing::error!(%error, "the front doors are not as they should be");
                undone += 1;
            }
            if let Err(error) = rotation::reconcile(&context).await {
                tracing::error!(%error, "the authority could not be looked at");
                undone += 1;
            }
            if undone == 0 { Ok(()) } else { Err(RunError::Undone(undone)) }
        };
        let ended = tokio::select! {
            ended = all => ended,
            () = self.elector.keep() => return Err(RunError::LostLease),
            () = stop.cancelled() => Ok(()),
        };
        self.elector.release().await;
        ended
    }
}

/// Reconciles every object of a kind; says how many failed.
async fn each<K, F>(context: &Context, reconcile: F) -> Result<usize, RunError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    F: AsyncFn(&K, &Context) -> Result<Duration, Failure>,
{
    let mut failed = 0;
    for namespace in context.namespaces() {
        let api = context.api::<Guarded<K>>(namespace);
        let listed =
            api.list(&ListParams::default()).await.map_err(|error| RunError::List(Box::new(error)))?;
        for object in listed {
            let outcome = match &object.0 {
                Ok(object) => reconcile(object, context).await.map_err(|error| error.to_string()),
                Err(invalid) => Err(invalid.error.clone()),
            };
            if let Err(error) = outcome {
                failed += 1;
                tracing::error!(kind = %K::kind(&()), namespace = object.namespace(), name = object.name_any(), error);
            }
        }
    }
    Ok(failed)
}

/// All controllers, until stopped.
async fn work(context: &Arc<Context>, metrics: &Metrics, stop: &CancellationToken) {
    let mut running: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
    let mut all = Vec::new();
    for namespace in context.namespaces() {
        let (bells, ears) = bells();
        let ((customers, c), (topologies, t), (alerts, a)) =
            (reflector::store(), reflector::store(), reflector::store());
        let watched = Watched { customers, topologies, alerts };
        let told = (watched.clone(), bells.clone());
        let changes =
            watch::resources(context.api(namespace), c, move |changed| told.1.customer(&told.0, changed));
        let controller =
            Controller::for_stream(changes, watched.customers.clone()).reconcile_on(heard(ears.customers));
        running.push(started(controller, context, metrics, stop, "Customer", |c, context| {
            async move { customer::reconcile(&c, &context).await }.boxed()
        }));

        let told = (watched.clone(), bells.clone());
        let changes =
            watch::resources(context.api(namespace), t, move |changed| told.1.topology(&told.0, changed));
        let controller =
            Controller::for_stream(changes, watched.topologies.clone()).reconcile_on(heard(ears.topologies));
        running.push(started(controller, context, metrics, stop, "Topology", |t, context| {
            async move { topology::reconcile(&t, &context).await }.boxed()
        }));

        let changes = watch::resources(context.api(namespace), a, |_| {});
        let controller =
            Controller::for_stream(changes, watched.alerts.clone()).reconcile_on(heard(ears.alerts));
        running.push(started(controller, context, metrics, stop, "Alert", |a, context| {
            async move { alert::reconcile(&a, &context).await }.boxed()
        }));

        let mut made = watch::made(context, namespace, &watched, &bells);
        if all.is_empty() {
            made.extend(watch::own(context, &watched, &bells));
        }
        running.extend(made.into_iter().map(|watch| {
            let stop = stop.clone();
            async move { _ = stop.run_until_cancelled(watch).await }.boxed()
        }));
        all.push(watched);
    }
    context.resources.watch(all);
    running.push(front_doors(context, metrics, stop).boxed());
    running.push(authority(context, metrics, stop).boxed());
    running.push(presence::run(context, stop).boxed());
    // Whoever else issues, issues for no machine.
    if context.config.issuer.is_none() {
        running.push(enrollment::run(context, &metrics.signer, stop).boxed());
    }
    while running.next().await.is_some() {}
}

/// Runs a controller until stopped. A failure is logged, counted, and tried again after a pause of the object's own.
fn started<'a, K>(
    controller: Controller<Guarded<K>>,
    context: &Arc<Context>,
    metrics: &Metrics,
    stop: &CancellationToken,
    kind: &'static str,
    reconcile: fn(K, Arc<Context>) -> BoxFuture<'static, Result<Duration, Failure>>,
) -> BoxFuture<'a, ()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Eq + Hash + Clone + Debug + Unpin,
{
    let metrics = metrics.clone();
    let reconciler = move |object: Arc<Guarded<K>>, context: Arc<Context>| {
        let metrics = metrics.clone();
        async move {
            context.resources.listed().await;
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            let key = format!("{kind}/{namespace}/{name}");
            let outcome = match &object.0 {
                Ok(object) => reconcile(object.clone(), Arc::clone(&context)).await,
                Err(invalid) => {
                    tracing::error!(
                        kind,
                        namespace,
                        name,
                        error = invalid.error,
                        "this object cannot be read; it is left as it is"
                    );
                    return Ok(Action::await_change());
                }
            };
            metrics.reconciled(kind, outcome.is_ok());
            Ok::<_, Infallible>(match outcome {
                Ok(again) => {
                    context.succeeded(&key);
                    Action::requeue(again)
                }
                Err(error) => {
                    let pause = context.failed(&key);
                    tracing::warn!(kind, namespace, name, %error, pause = ?pause, "not done; it is tried again");
                    Action::requeue(pause)
                }
            })
        }
    };
    controller
        .with_config(
            kube::runtime::controller::Config::default()
                .concurrency(AT_ONCE)
                .debounce(Duration::from_millis(100)),
        )
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(reconciler, |_, error, _| match *error {}, Arc::clone(context))
        .for_each(move |outcome| async move {
            if let Err(error) = outcome {
                tracing::warn!(kind, %error, "a watch was cut short, or an object was gone; it goes on");
            }
        })
        .boxed()
}

/// The authority's replacement, now and then.
async fn authority(context: &Context, metrics: &Metrics, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let outcome = rotation::reconcile(context).await;
        metrics.reconciled("Authority", outcome.is_ok());
        let pause = match outcome {
            Ok(looked) => {
                context.succeeded("authority");
                metrics.ca_stage.set(looked.stage as i64);
                looked.again
            }
            Err(error) => {
                let pause = context.failed("authority");
                tracing::warn!(%error, ?pause, "the authority could not be looked at; it is tried again");
                pause
            }
        };
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// The front doors and what else is nobody's, whenever something has changed, and now and then.
async fn front_doors(context: &Arc<Context>, metrics: &Metrics, stop: &CancellationToken) {
    context.resources.listed().await;
    while !stop.is_cancelled() {
        let outcome = release::reconcile(context).await;
        metrics.reconciled("Redirector", outcome.is_ok());
        let pause = match outcome {
            Ok(()) => {
                context.succeeded("front doors");
                AGAIN
            }
            Err(error) => {
                let pause = context.failed("front doors");
                tracing::warn!(%error, ?pause, "the front doors are not as they should be; it is tried again");
                pause
            }
        };
        let woken = async {
            context.keys.notified().await;
            // What changes together is applied together.
            sleep(Duration::from_secs(1)).await;
        };
        if stop.run_until_cancelled(timeout(pause, woken)).await.is_none() {
            return;
        }
    }
}
