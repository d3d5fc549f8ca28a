//! A client of the API server that waits for no answer for ever.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Request;
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use tokio::time::timeout;
use tower::{BoxError, Layer, Service};

/// An answer begins within this time. What a watch tells comes when it comes; that one begins does not take longer.
const PATIENCE: Duration = Duration::from_secs(15);

/// A client of this API server.
pub fn client(config: Config) -> Result<Client, kube::Error> {
    Ok(ClientBuilder::try_from(config)?.with_layer(&Patient).build())
}

/// Gives up a request that is not answered in time.
#[derive(Clone, Copy, Debug)]
pub struct Patient;

impl<S> Layer<S> for Patient {
    type Service = Patiently<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Patiently(inner)
    }
}

/// A service that does.
#[derive(Clone, Debug)]
pub struct Patiently<S>(S);

impl<S> Service<Request<Body>> for Patiently<S>
where
    S: Service<Request<Body>>,
    S::Future: Send + 'static,
    S::Response: 'static,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            match timeout(PATIENCE, answer).await {
                Ok(answered) => answered.map_err(Into::into),
                Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs()).into()),
            }
        })
    }
}
