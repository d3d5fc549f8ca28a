//! The registry: this front door's own connections over HTTP, for those who may know of them.
//!
//! `GET /v1/registry[?customer=C]` answers with [`Registry`]; `PUT /v1/customers/C/hold` takes a [`Hold`]. The operator and the console
//! see and hold all customers, a controller sees its own.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use jiff::Timestamp;
use kinetic_api::registry::{Connection, CustomerUse, Hold, Registry, Seen};
use kinetic_enroll::wire::Problem;
use kinetic_pki::{Identity, PeerError, Subject};
use serde::Deserialize;

use super::{Door, Refusal, live::Live, routes::Who};
use crate::https::{Asker, Unread};

/// The routes; served by [`crate::https::serve`].
pub fn router(door: Arc<Door>) -> Router {
    Router::new()
        .route("/v1/registry", get(registry))
        .route("/v1/customers/{customer}/hold", put(hold))
        .with_state(door)
}

#[derive(Debug, Deserialize)]
struct Asked {
    customer: Option<String>,
}

/// Whom somebody may ask about.
enum Scope {
    All,
    Only(String),
}

/// Why an answer is none (RFC 9457).
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("show a certificate: of the customer's control (…/control/NAME), of the operator or the console")]
    NoCertificate,
    #[error("{0}")]
    Unreadable(#[from] PeerError),
    #[error("{0}")]
    NotKnown(#[from] Refusal),
    #[error(
        "{0} may not ask here: it takes a certificate of the customer's control, of the operator or the console"
    )]
    NotAllowed(Identity),
    #[error("this certificate asks about {0} only")]
    Foreign(String),
    #[error("only the operator or the console may hold a customer up, and this is {0}'s certificate")]
    NotHolding(String),
    #[error("{0}")]
    Unread(#[from] Unread),
    #[error("the body is no hold: {0}; it is \"paused\", \"disconnected\" or \"no\"")]
    Body(serde_json::Error),
    #[error("customer {0} is not served here: is it registered, and is this its region's front door?")]
    NotServed(String),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (kind, status, title) = match &self {
            Self::NoCertificate => ("no-certificate", StatusCode::FORBIDDEN, "A certificate is needed"),
            Self::Unreadable(_) | Self::NotKnown(_) => {
                ("not-known", StatusCode::FORBIDDEN, "The certificate is not accepted")
            }
            Self::NotAllowed(_) | Self::Foreign(_) | Self::NotHolding(_) => {
                ("not-allowed", StatusCode::FORBIDDEN, "Not allowed")
            }
            Self::Unread(unread) => ("body", unread.status(), "The request cannot be read"),
            Self::Body(_) => ("body", StatusCode::BAD_REQUEST, "The request cannot be read"),
            Self::NotServed(_) => ("not-served", StatusCode::NOT_FOUND, "Not served here"),
        };
        let problem = Problem {
            kind: format!("urn:kinetic:registry:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.to_string(),
        };
        let mut response = (status, Json(problem)).into_response();
        let kind = header::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

fn scope(door: &Door, asker: &Asker) -> Result<Scope, Refused> {
    let peer = asker.peer.as_ref().ok_or(Refused::NoCertificate)?.as_ref().map_err(Clone::clone)?;
    door.knows(peer, Timestamp::now())?;
    match &peer.identity.subject {
        Subject::Operator | Subject::Console => Ok(Scope::All),
        Subject::Control { customer, .. } => Ok(Scope::Only(customer.to_string())),
        _ => Err(Refused::NotAllowed(peer.identity.clone())),
    }
}

async fn registry(
    State(door): State<Arc<Door>>,
    Extension(asker): Extension<Asker>,
    Query(query): Query<Asked>,
) -> Result<Json<Registry>, Refused> {
    let customer = match (scope(&door, &asker)?, query.customer) {
        (Scope::All, customer) => customer,
        (Scope::Only(own), None) => Some(own),
        (Scope::Only(own), Some(other)) if other == own => Some(own),
        (Scope::Only(own), Some(_)) => return Err(Refused::Foreign(own)),
    };
    Ok(Json(view(&door, customer.as_deref(), Timestamp::now())))
}

async fn hold(
    State(door): State<Arc<Door>>,
    Extension(asker): Extension<Asker>,
    Path(customer): Path<String>,
    body: Body,
) -> Result<StatusCode, Refused> {
    if let Scope::Only(own) = scope(&door, &asker)? {
        return Err(Refused::NotHolding(own));
    }
    let hold: Hold = serde_json::from_slice(&asker.read(body).await?).map_err(Refused::Body)?;
    if !door.hold(&customer, hold) {
        return Err(Refused::NotServed(customer));
    }
    let by = asker.known();
    tracing::info!(
        target: "kinetic::audit",
        event = hold.as_str(),
        customer,
        by = by.map(|peer| peer.identity.to_string()).unwrap_or_default(),
        serial = by.map(|peer| peer.serial.to_string()).unwrap_or_default(),
        address = %asker.address.ip().to_canonical(),
        "customer {}", hold.as_str()
    );
    Ok(StatusCode::NO_CONTENT)
}

fn view(door: &Door, customer: Option<&str>, now: Timestamp) -> Registry {
    let meant = |name: &str| customer.is_none_or(|customer| customer == name);
    let connections = door.connections();
    let identities = door.attendance().all(now).into_iter().filter(|(_, seen, _)| meant(&seen.customer));
    let customers = door.accounts().all().into_iter().filter(|(name, _)| meant(name));
    Registry {
        time: now,
        connections: connections
            .iter()
            .filter(|live| meant(&live.customer))
            .map(|live| connection(live))
            .collect(),
        identities: identities
            .map(|(identity, seen, presence)| Seen {
                identity,
                connections: seen.connections(),
                last_seen: seen.last,
                customer: seen.customer,
                presence,
            })
            .collect(),
        customers: customers
            .map(|(customer, account)| CustomerUse {
                customer,
                connections: account.connections(),
                messages: account.received.messages.load(Relaxed),
                bytes: account.received.bytes.load(Relaxed),
                hold: account.hold(),
            })
            .collect(),
    }
}

fn connection(live: &Live) -> Connection {
    let peer = match &live.who {
        Who::Certified(peer) => Some(peer),
        Who::Key { .. } => None,
    };
    Connection {
        identity: live.who.name(),
        customer: live.customer.clone(),
        role: live.role.to_string(),
        address: live.address.to_string(),
        since: live.since,
        version: live.announced.version.clone(),
        name: live.announced.name.clone(),
        sources: live.announced.sources.clone(),
        serial: peer.map(|peer| peer.serial.to_string()),
        not_after: peer.map(|peer| peer.not_after),
        messages: live.received.messages.load(Relaxed),
        bytes: live.received.bytes.load(Relaxed),
        delivered_messages: live.sent.messages.load(Relaxed),
        delivered_bytes: live.sent.bytes.load(Relaxed),
    }
}
