//! The registry: this front door's own connections over HTTP, for those who may know of them.
//!
//! `GET /v1/registry[?customer=C]` answers with [`Registry`]; `PUT /v1/customers/C/hold` takes a [`Hold`]. The operator and the console
//! see and hold all customers, a controller sees its own.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, put},
};
use jiff::Timestamp;
use kinetic_api::registry::{Connection, CustomerUse, Hold, Registry, Seen};
use kinetic_pki::Subject;
use serde::Deserialize;

use super::{Door, live::Live, routes::Who};
use crate::https::Asker;

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

/// Why an answer is none.
type Refused = (StatusCode, String);

fn scope(door: &Door, asker: &Asker) -> Result<Scope, Refused> {
    let refused = |text: String| (StatusCode::FORBIDDEN, text + "\n");
    let peer = match &asker.peer {
        Some(Ok(peer)) => peer,
        Some(Err(error)) => return Err(refused(error.to_string())),
        None => {
            return Err(refused(
                "show a certificate: of the operator, the console or a controller".to_owned(),
            ));
        }
    };
    if let Err(refusal) = door.believes(peer) {
        return Err(refused(refusal.to_string()));
    }
    match &peer.identity.subject {
        Subject::Operator | Subject::Console => Ok(Scope::All),
        Subject::Control { customer, .. } => Ok(Scope::Only(customer.to_string())),
        _ => Err(refused(format!("{} may not ask here", peer.identity))),
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
        (Scope::Only(own), Some(_)) => {
            return Err((StatusCode::FORBIDDEN, format!("ask about {own} only\n")));
        }
    };
    Ok(Json(view(&door, customer.as_deref(), Timestamp::now())))
}

async fn hold(
    State(door): State<Arc<Door>>,
    Extension(asker): Extension<Asker>,
    Path(customer): Path<String>,
    body: Body,
) -> Result<StatusCode, Refused> {
    let Scope::All = scope(&door, &asker)? else {
        return Err((StatusCode::FORBIDDEN, "the operator or the console may do that\n".to_owned()));
    };
    let body = asker.read(body).await.map_err(|error| (error.status(), format!("{error}\n")))?;
    let Json(hold) =
        Json::<Hold>::from_bytes(&body).map_err(|error| (error.status(), error.body_text() + "\n"))?;
    if door.hold(&customer, hold) {
        tracing::info!(target: "kinetic::audit", customer, ?hold, address = %asker.address, "a customer is held up, or goes on");
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err((StatusCode::NOT_FOUND, format!("customer {customer} is not served here\n")))
    }
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
