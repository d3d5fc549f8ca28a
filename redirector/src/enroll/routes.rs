//! What can be asked.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use kinetic_api::resources::{
    Enrollment, Name,
    enrollment::{EnrollmentSpec, EnrollmentState, Renewal},
};
use kinetic_enroll::{
    Decisions, EnrollmentId, Requests, Token, TokenId, audit,
    id::Wanted,
    person, renewal,
    token::admits,
    wire::{Answer, Ask, ENROLLMENTS, RENEWALS, Renew, Say, TRUST},
};
use kinetic_pki::{MachineName, Subject, Trusted, request};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep, timeout};

use super::{Intake, problem::Problem};
use crate::{door::Refusal, https::Asker, seats::household};

/// So many requests of one machine and key run out before the next is looked for elsewhere.
const ATTEMPTS: u32 = 8;
/// Who waits looks so often in case that a change was not seen.
const LOOK: Duration = Duration::from_secs(5);

type Shared<S> = State<Arc<Intake<S>>>;

/// For machines.
pub(super) fn router<S: Requests>(intake: &Arc<Intake<S>>) -> Router {
    Router::new()
        .route(ENROLLMENTS, post(ask::<S>))
        .route(&format!("{ENROLLMENTS}/{{id}}"), get(look::<S>))
        .route(RENEWALS, post(renew::<S>))
        .route(TRUST, get(trust::<S>))
        .with_state(Arc::clone(intake))
}

/// For people.
pub(super) fn decisions<S: Decisions>(intake: &Arc<Intake<S>>) -> Router {
    Router::new()
        .route(ENROLLMENTS, get(list::<S>))
        .route(&format!("{ENROLLMENTS}/{{id}}"), post(say::<S>))
        .with_state(Arc::clone(intake))
}

async fn ask<S: Requests>(
    State(intake): Shared<S>,
    Extension(caller): Extension<Asker>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let asked = async {
        intake.admit(&caller)?;
        let ask: Ask = read(&caller, body).await?;
        let token = intake.token(&headers, &ask.customer).await?;
        let request = request::read(&ask.csr)?;
        let wanted = Wanted {
            customer: field("customer", &ask.customer)?,
            client: field("client", &ask.client)?,
            machine: field::<MachineName>("name", &ask.name)?,
            key: request.public_key().fingerprint(),
            renews: None,
        };
        let spec = spec(&wanted, ask.csr, &caller, Some(token), None);
        intake.submit(&wanted, spec).await
    };
    let answered = asked.await;
    intake.answer("enroll", answered).await
}

async fn renew<S: Requests>(
    State(intake): Shared<S>,
    Extension(caller): Extension<Asker>,
    body: Body,
) -> Response {
    let asked = async {
        intake.admit(&caller)?;
        let (Some(peer), Some(certificate)) = (caller.known(), &caller.certificate) else {
            return Err(Problem::NoCertificate);
        };
        let Subject::Machine { customer, client, machine } = &peer.identity.subject else {
            return Err(renewal::NotRenewable::NotIts(peer.identity.clone()).into());
        };
        match intake.door.knows(peer, Timestamp::now()) {
            // The signer may know customers of other placements.
            Ok(()) | Err(Refusal::UnknownCustomer(_)) => {}
            Err(refusal) => return Err(refusal.into()),
        }
        let Renew { csr, proof } = read(&caller, body).await?;
        let request = request::read(&csr)?;
        let wanted = Wanted {
            customer: customer.clone(),
            client: client.clone(),
            machine: machine.clone(),
            key: request.public_key().fingerprint(),
            renews: Some(peer.serial.clone()),
        };
        let renewal = Renewal { certificate: renewal::pem(certificate), proof };
        let spec = spec(&wanted, csr, &caller, None, Some(renewal.clone()));
        // The signer looks for itself; this is to tell what is wrong at once.
        let trust = intake.trust().await?;
        renewal::check(&spec, &renewal, &Trusted::from_pem(&trust), Timestamp::now())?;
        intake.submit(&wanted, spec).await
    };
    let answered = asked.await;
    if let (Some(peer), Err(problem @ (Problem::NotKnown(_) | Problem::NotRenewable(_)))) =
        (caller.known(), &answered)
    {
        audit::tell_refused(peer, caller.address.ip(), &problem.to_string());
    }
    intake.answer("renew", answered).await
}

#[derive(Deserialize)]
struct Waiting {
    wait: Option<String>,
}

async fn look<S: Requests>(
    State(intake): Shared<S>,
    Extension(caller): Extension<Asker>,
    Path(id): Path<String>,
    Query(Waiting { wait }): Query<Waiting>,
) -> Response {
    let looked = async {
        intake.admit(&caller)?;
        let wait = wait.map(|wait| field::<kinetic_api::duration::Duration>("wait", &wait)).transpose()?;
        let wait = wait.map_or(Duration::ZERO, kinetic_api::duration::Duration::std);
        let id = id.parse::<EnrollmentId>().map_err(|_| Problem::Unknown)?;
        Ok((false, intake.decided(&id, wait.min(intake.settings.longest_wait)).await?))
    };
    let answered = looked.await;
    intake.answer("look", answered).await
}

async fn trust<S: Requests>(State(intake): Shared<S>, Extension(caller): Extension<Asker>) -> Response {
    let read = async {
        intake.admit(&caller)?;
        intake.trust().await
    };
    match read.await {
        Ok(trust) => {
            intake.metrics.answered("trust", "ok");
            ([(header::CONTENT_TYPE, "application/pem-certificate-chain")], trust).into_response()
        }
        Err(problem) => intake.refuse("trust", problem),
    }
}

async fn list<S: Decisions>(State(intake): Shared<S>, Extension(caller): Extension<Asker>) -> Response {
    let listed = async {
        intake.admit(&caller)?;
        let whose = intake.decides(&caller)?;
        let mut all: Vec<Enrollment> = intake.store.list().await?.iter().map(|one| (**one).clone()).collect();
        all.retain(|enrollment| whose.is_none_or(|customer| *customer == enrollment.spec.customer));
        Ok(all)
    };
    match listed.await {
        Ok(all) => {
            intake.metrics.answered("list", "ok");
            Json(all).into_response()
        }
        Err(problem) => intake.refuse("list", problem),
    }
}

async fn say<S: Decisions>(
    State(intake): Shared<S>,
    Extension(caller): Extension<Asker>,
    Path(id): Path<String>,
    body: Body,
) -> Response {
    let said = async {
        intake.admit(&caller)?;
        let whose = intake.decides(&caller)?;
        let say: Say = read(&caller, body).await?;
        let id = id.parse::<EnrollmentId>().map_err(|_| Problem::Unknown)?;
        let there = intake.store.find(&id).await?.ok_or(Problem::Unknown)?;
        if whose.is_some_and(|customer| *customer != there.spec.customer) {
            return Err(Problem::Unknown);
        }
        let by = caller.known().map(|peer| peer.identity.to_string()).unwrap_or_default();
        Ok(person::decide(&intake.store, &id, &say, &by, Timestamp::now()).await?)
    };
    match said.await {
        Ok(enrollment) => {
            intake.metrics.answered("decide", "ok");
            Json(enrollment).into_response()
        }
        Err(problem) => intake.refuse("decide", problem),
    }
}

async fn read<T: DeserializeOwned>(caller: &Asker, body: Body) -> Result<T, Problem> {
    serde_json::from_slice(&caller.read(body).await?).map_err(|error| Problem::Body(error.to_string()))
}

fn field<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &'static str,
    text: &str,
) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| Problem::Field { field, text: error.to_string() })
}

fn spec(
    wanted: &Wanted,
    csr: String,
    caller: &Asker,
    token: Option<TokenId>,
    renewal: Option<Renewal>,
) -> EnrollmentSpec {
    EnrollmentSpec {
        customer: wanted.customer.clone(),
        client: wanted.client.clone(),
        name: wanted.machine.to_string(),
        csr,
        key_fingerprint: wanted.key.to_string(),
        address: caller.address.ip().to_canonical().to_string(),
        requested_at: Timestamp::now().to_string(),
        token: token.map(|token| token.to_string()),
        renewal,
    }
}

/// Whether a request has led to nothing that still holds: the same may be asked anew.
fn is_over(enrollment: &Enrollment, now: Timestamp) -> bool {
    let end =
        enrollment.status.as_ref().and_then(|status| status.not_after.as_ref()?.parse::<Timestamp>().ok());
    match enrollment.state() {
        EnrollmentState::Expired => true,
        EnrollmentState::Issued => end.is_none_or(|end| end <= now),
        EnrollmentState::Pending | EnrollmentState::Approved | EnrollmentState::Denied => false,
    }
}

impl<S: Decisions> Intake<S> {
    /// Whose requests the caller may decide: a customer's, or everybody's.
    fn decides<'a>(&self, caller: &'a Asker) -> Result<Option<&'a Name>, Problem> {
        let peer = caller.known().ok_or(Problem::NotAllowed)?;
        self.door.knows(peer, Timestamp::now())?;
        match &peer.identity.subject {
            Subject::Control { customer, .. } => Ok(Some(customer)),
            Subject::Operator | Subject::Console => Ok(None),
            _ => Err(Problem::NotAllowed),
        }
    }
}

impl<S: Requests> Intake<S> {
    fn admit(&self, caller: &Asker) -> Result<(), Problem> {
        self.addresses.take(household(caller.address.ip())).map_err(Problem::AddressRate)
    }

    /// The id of the token that was shown, if it is good for this customer.
    async fn token(&self, headers: &HeaderMap, customer: &str) -> Result<TokenId, Problem> {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = shown
            .and_then(|shown| shown.strip_prefix("Bearer "))
            .and_then(|token| token.parse::<Token>().ok());
        let (Some(token), Ok(customer)) = (token, customer.parse::<Name>()) else {
            return Err(Problem::Token);
        };
        let record = self.store.token(&token.id()).await?;
        if admits(record.as_ref(), &token, &customer, Timestamp::now()) {
            Ok(token.id())
        } else {
            Err(Problem::Token)
        }
    }

    /// The request as it is known already, or else as it is added now.
    async fn submit(
        &self,
        wanted: &Wanted,
        spec: EnrollmentSpec,
    ) -> Result<(bool, Arc<Enrollment>), Problem> {
        let now = Timestamp::now();
        let _alone = self.adding.lock().await;
        for attempt in 0..ATTEMPTS {
            let id = self.id_key.id(wanted, attempt);
            match self.store.find(&id).await? {
                Some(there) if is_over(&there, now) => {}
                Some(there) => return Ok((false, there)),
                None => {
                    let customer = &wanted.customer;
                    self.customers.take(customer.to_string()).map_err(Problem::CustomerRate)?;
                    let waits = |one: &&Arc<Enrollment>| {
                        let settled =
                            matches!(one.state(), EnrollmentState::Issued | EnrollmentState::Expired);
                        one.spec.customer == *customer && !settled
                    };
                    let most = self.settings.waiting_per_customer;
                    if self.store.list().await?.iter().filter(waits).count() >= most {
                        return Err(Problem::Full(most));
                    }
                    return Ok((true, self.store.add(&id, spec).await?));
                }
            }
        }
        Err(Problem::Full(ATTEMPTS as usize))
    }

    /// A request once it is decided, or as it is when the time is over.
    async fn decided(&self, id: &EnrollmentId, wait: Duration) -> Result<Arc<Enrollment>, Problem> {
        let (began, mut changes) = (Instant::now(), self.store.changes());
        let over = sleep(wait);
        let mut over = std::pin::pin!(over);
        loop {
            let Some(there) = self.store.find(id).await? else {
                // Another replica may just have taken it in.
                if began.elapsed() >= self.store.lag() {
                    return Err(Problem::Unknown);
                }
                let _ = timeout(self.store.lag(), changes.changed()).await;
                continue;
            };
            let settled = !matches!(there.state(), EnrollmentState::Pending | EnrollmentState::Approved);
            if settled || over.is_elapsed() || wait.is_zero() || self.stopping.is_cancelled() {
                return Ok(there);
            }
            tokio::select! {
                () = over.as_mut() => {}
                () = self.stopping.cancelled() => {}
                Ok(()) = changes.changed() => {}
                () = sleep(LOOK) => {}
            }
        }
    }

    async fn trust(&self) -> Result<String, Problem> {
        tokio::fs::read_to_string(&self.trust).await.map_err(|error| {
            tracing::warn!(file = %self.trust.display(), %error, "the authorities to trust cannot be read");
            Problem::Trust
        })
    }

    async fn answer(&self, route: &'static str, asked: Result<(bool, Arc<Enrollment>), Problem>) -> Response {
        let answered = match asked {
            Ok((new, enrollment)) if enrollment.state() == EnrollmentState::Issued => {
                self.trust().await.map(|trust| (new, Answer::of(&enrollment, Some(trust))))
            }
            Ok((new, enrollment)) => Ok((new, Answer::of(&enrollment, None))),
            Err(problem) => Err(problem),
        };
        match answered {
            Ok((new, answer)) => {
                self.metrics.answered(route, if new { "new" } else { "ok" });
                let status = if new { StatusCode::CREATED } else { StatusCode::OK };
                let location = [(header::LOCATION, format!("{ENROLLMENTS}/{}", answer.id))];
                (status, location, Json(answer)).into_response()
            }
            Err(problem) => self.refuse(route, problem),
        }
    }

    fn refuse(&self, route: &'static str, problem: Problem) -> Response {
        self.metrics.answered(route, problem.kind().0);
        if let Problem::Store(error) = &problem {
            tracing::warn!(%error, "an enrolment request cannot be kept or read");
        }
        problem.into_response()
    }
}
