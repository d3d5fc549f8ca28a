//! A bad way to the API server.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::{BodyExt, BodyStream, Full, StreamBody, combinators::UnsyncBoxBody};
use kube::client::Body;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::sleep;
use tower::{BoxError, Layer, Service};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    None,
    /// One request in five goes wrong, in one way or another.
    Random,
    /// Nobody answers.
    Away,
}

#[derive(Clone)]
pub struct Faults(Arc<Mutex<Inner>>);

struct Inner {
    mode: Mode,
    random: StdRng,
    counts: [usize; 6],
}

type Answer = UnsyncBoxBody<Bytes, BoxError>;

/// What goes wrong with a request.
#[derive(Clone, Copy)]
enum Fault {
    Nothing,
    /// It is refused.
    Code(u16),
    /// It does not arrive.
    Cut,
    /// It arrives and is carried out, and the answer is lost.
    Unanswered,
    /// It is never answered.
    Hangs,
}

impl Faults {
    pub fn new(seed: u64) -> Self {
        let inner = Inner { mode: Mode::None, random: StdRng::seed_from_u64(seed), counts: [0; 6] };
        Self(Arc::new(Mutex::new(inner)))
    }

    pub fn set(&self, mode: Mode) {
        self.0.lock().unwrap().mode = mode;
    }

    pub fn counted(&self) -> String {
        let [conflict, slow_down, error, cut, unanswered, hangs] = self.0.lock().unwrap().counts;
        format!(
            "{conflict} answered 409, {slow_down} 429, {error} 500; {cut} cut before and {unanswered} after, {hangs} never answered"
        )
    }

    fn next(&self) -> Fault {
        let mut inner = self.0.lock().unwrap();
        let drawn = inner.random.random_range(0..100_usize);
        match inner.mode {
            Mode::None => Fault::Nothing,
            Mode::Away => Fault::Cut,
            Mode::Random if drawn >= 20 => Fault::Nothing,
            Mode::Random => {
                // Hanging takes long: rare.
                let which = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5][drawn];
                inner.counts[which] += 1;
                [
                    Fault::Code(409),
                    Fault::Code(429),
                    Fault::Code(500),
                    Fault::Cut,
                    Fault::Unanswered,
                    Fault::Hangs,
                ][which]
            }
        }
    }

    /// How long a watch goes on.
    fn span(&self) -> Option<Duration> {
        let mut inner = self.0.lock().unwrap();
        let seconds = inner.random.random_range(1..10);
        (inner.mode != Mode::None).then(|| Duration::from_secs(seconds))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}

impl<S> Layer<S> for Faults {
    type Service = Faulty<S>;

    fn layer(&self, inner: S) -> Faulty<S> {
        Faulty { faults: self.clone(), inner }
    }
}

#[derive(Clone)]
pub struct Faulty<S> {
    faults: Faults,
    inner: S,
}

impl<S, B> Service<Request<Body>> for Faulty<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Answer>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let fault = self.faults.next();
        let watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let span = self.faults.span().filter(|_| watch);
        let answer = match fault {
            Fault::Nothing | Fault::Unanswered => Some(self.inner.call(request)),
            Fault::Code(_) | Fault::Cut | Fault::Hangs => None,
        };
        Box::pin(async move {
            let Some(answer) = answer else {
                return match fault {
                    Fault::Code(code) => Ok(refused(code)),
                    Fault::Hangs => std::future::pending().await,
                    _ => Err("the connection was cut".into()),
                };
            };
            let answer = answer.await.map_err(Into::into)?;
            if matches!(fault, Fault::Unanswered) {
                return Err("the answer was cut".into());
            }
            Ok(answer.map(|body| {
                let body = body.map_err(Into::into);
                match span {
                    Some(span) => {
                        let some = BodyStream::new(body).take_until(Box::pin(sleep(span)));
                        StreamBody::new(some).boxed_unsync()
                    }
                    None => body.boxed_unsync(),
                }
            }))
        })
    }
}

fn refused(code: u16) -> Response<Answer> {
    let reason = match code {
        409 => "Conflict",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let status = serde_json::json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "as the test wants it",
    });
    Response::builder()
        .status(code)
        .header("content-type", "application/json")
        .header("retry-after", "1")
        .body(Full::from(status.to_string()).map_err(|never| match never {}).boxed_unsync())
        .unwrap()
}
