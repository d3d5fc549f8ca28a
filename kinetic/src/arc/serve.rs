//! The way to the analyzers of a process by HTTP, on its loopback admin address: `POST /api/v1/control`, `GET /api/v1/config`.

use std::net::IpAddr;

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use kinetic_api::control::{Command, MAX_BODY};
use kinetic_bus::{Bus, BusError};

use super::{
    ask::{Asker, Heard, Question},
    message::{CONTROL, NOTICES, Posted, Whose},
    place::Target,
};
use crate::run::vhosts::Vhosts;

/// No question is waited for longer.
const LONGEST: std::time::Duration = std::time::Duration::from_mins(1);

/// The routes. To be served on loopback addresses only: whoever reaches them may change what is watched for.
pub(crate) fn router(vhosts: Vhosts) -> Router {
    Router::new()
        .route(CONTROL, post(control))
        .route(NOTICES, get(notices))
        .layer(DefaultBodyLimit::max(2 * MAX_BODY))
        .with_state(vhosts)
}

/// An answer that says what is wrong.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, self.1 + "\n").into_response()
    }
}

impl From<BusError> for Refused {
    fn from(error: BusError) -> Self {
        Self(StatusCode::BAD_GATEWAY, error.to_string())
    }
}

async fn control(
    State(vhosts): State<Vhosts>,
    headers: HeaderMap,
    Json(posted): Json<Posted>,
) -> Result<Response, Refused> {
    from_here(&headers)?;
    let bad = |error: String| Refused(StatusCode::BAD_REQUEST, error);
    let body = if posted.body.is_null() { Vec::new() } else { posted.body.to_string().into_bytes() };
    let command =
        Command::parse(Some(posted.opcode.as_str()), &body).map_err(|error| bad(error.to_string()))?;
    let target = match posted.controller {
        None => Target::All,
        Some(controller) => controller.parse().map_err(|error| bad(format!("{error:#}")))?,
    };
    let bus = bus(&vhosts, posted.vhost.as_deref())?;
    let question = Question {
        target,
        command,
        by: posted.by.unwrap_or_else(|| "the admin address".to_owned()),
        patience: posted.timeout.std().min(LONGEST),
        expect: posted.expect,
    };
    let report = Asker::open(bus).await?.ask(&question, &mut |_| {}).await?;
    Ok(Json(report).into_response())
}

async fn notices(
    State(vhosts): State<Vhosts>,
    headers: HeaderMap,
    Query(whose): Query<Whose>,
) -> Result<Response, Refused> {
    from_here(&headers)?;
    let asker = Asker::open(bus(&vhosts, whose.vhost.as_deref())?).await?;
    let lines = stream::unfold(asker, |mut asker| async {
        loop {
            match asker.hear().await {
                Ok(Heard::Notice(notice)) => {
                    let line = serde_json::to_string(&notice).map(|line| Bytes::from(line + "\n"));
                    return Some((line, asker));
                }
                Ok(Heard::Late(_)) => {}
                Err(error) => {
                    tracing::debug!(%error, "notices end");
                    return None;
                }
            }
        }
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// A page in somebody's browser can be made to come here under a name of its own: then it is not meant for us.
fn from_here(headers: &HeaderMap) -> Result<(), Refused> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    if name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
        return Ok(());
    }
    Err(Refused(
        StatusCode::FORBIDDEN,
        "this is served to this machine only: ask for 127.0.0.1 or localhost".to_owned(),
    ))
}

fn bus(vhosts: &Vhosts, wanted: Option<&str>) -> Result<Bus, Refused> {
    let known = vhosts.list();
    let found = match wanted {
        None if known.len() == 1 => known.first(),
        None => None,
        Some(wanted) => known.iter().find(|(name, _)| name == wanted),
    };
    found.map(|(_, bus)| bus.clone()).ok_or_else(|| {
        let names = known.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        let there =
            if names.is_empty() { "there is none yet".to_owned() } else { format!("there are: {names}") };
        let text = match wanted {
            None => format!("whose analyzers? Name the vhost; {there}"),
            Some(wanted) => format!("there is no vhost `{wanted}`; {there}"),
        };
        Refused(StatusCode::NOT_FOUND, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_names_are_answered() {
        let allowed = |host: &str| {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            from_here(&headers).is_ok()
        };
        for host in ["localhost", "localhost:8181", "127.0.0.1:8181", "[::1]:8181", "127.0.0.9"] {
            assert!(allowed(host), "{host}");
        }
        for host in ["", "evil.example", "evil.example:8181", "127.0.0.1.evil.example:8181", "10.0.0.1:8181"]
        {
            assert!(!allowed(host), "{host}");
        }
        assert!(from_here(&HeaderMap::new()).is_err());
    }
}
