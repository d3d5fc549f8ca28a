//! What is answered when it does not work (RFC 9457).

use std::time::Duration;

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use kinetic_enroll::{StoreError, person::NotDecided, renewal::NotRenewable, wire};
use kinetic_pki::RequestError;

use crate::{door::Refusal, https::Unread};

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("the body is longer than {0} bytes: a signing request for a P-256 key is some 400")]
    TooLarge(usize),
    #[error("the body did not come within {} s", .0.as_secs())]
    TooSlow(Duration),
    #[error("the body is not what this route takes: {0}")]
    Body(String),
    #[error("{field}: {text}")]
    Field { field: &'static str, text: String },
    /// Also for a customer that does not exist: the answer tells nothing about others.
    #[error(
        "the token is not valid for this customer, or has run out: get a new one with `kinetic token create`, and send it as `Authorization: Bearer ket_…`"
    )]
    Token,
    #[error("there is no such enrolment, or it is forgotten: ask again")]
    Unknown,
    #[error("too many requests from this address: wait a little")]
    AddressRate(Duration),
    #[error("too many new requests of this customer: wait a little")]
    CustomerRate(Duration),
    #[error(
        "{0} requests of this customer wait already: have them approved or denied (`kinetic enrollments`), or let them run out"
    )]
    Full(usize),
    #[error("show the machine's current certificate in the TLS handshake: without one, ask with a token")]
    NoCertificate,
    /// It proves who somebody was.
    #[error("{0}")]
    NotKnown(#[from] Refusal),
    #[error("{0}")]
    NotRenewable(#[from] NotRenewable),
    #[error(
        "this takes a certificate of the customer's control (…/control/NAME), of the operator or the console"
    )]
    NotAllowed,
    #[error("{0}")]
    Decided(String),
    #[error("the request cannot be kept or read now: try again")]
    Store(#[from] StoreError),
    #[error("the authorities to trust cannot be read now: try again")]
    Trust,
}

impl From<Unread> for Problem {
    fn from(error: Unread) -> Self {
        match error {
            Unread::TooLarge(most) => Self::TooLarge(most),
            Unread::TooSlow(patience) => Self::TooSlow(patience),
        }
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        Self::Field { field: "csr", text: error.to_string() }
    }
}

impl From<NotDecided> for Problem {
    fn from(error: NotDecided) -> Self {
        match error {
            NotDecided::Unknown(_) => Self::Unknown,
            NotDecided::Store(error @ StoreError::Changed(_)) => Self::Decided(error.to_string()),
            NotDecided::Store(error) => Self::Store(error),
            already @ NotDecided::Already { .. } => Self::Decided(already.to_string()),
        }
    }
}

impl Problem {
    /// The word that it is counted under, the HTTP status, and the title.
    pub(super) const fn kind(&self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::TooLarge(_) => ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The request is too large"),
            Self::TooSlow(_) => ("too-slow", StatusCode::REQUEST_TIMEOUT, "The request came too slowly"),
            Self::Body(_) => ("body", StatusCode::BAD_REQUEST, "The request cannot be read"),
            Self::Field { .. } => {
                ("field", StatusCode::UNPROCESSABLE_ENTITY, "The request is not acceptable")
            }
            Self::Token => ("token", StatusCode::UNAUTHORIZED, "No valid enrolment token"),
            Self::Unknown => ("unknown", StatusCode::NOT_FOUND, "No such enrolment"),
            Self::AddressRate(_) => ("address-rate", StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
            Self::CustomerRate(_) => ("customer-rate", StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
            Self::Full(_) => ("full", StatusCode::TOO_MANY_REQUESTS, "Too many requests wait"),
            Self::NoCertificate => ("no-certificate", StatusCode::FORBIDDEN, "A certificate is needed"),
            Self::NotRenewable(_) => ("not-renewable", StatusCode::FORBIDDEN, "Not renewable"),
            Self::NotKnown(_) => ("not-known", StatusCode::FORBIDDEN, "The certificate is not accepted"),
            Self::NotAllowed => ("not-allowed", StatusCode::FORBIDDEN, "Not allowed"),
            Self::Decided(_) => ("decided", StatusCode::CONFLICT, "Decided already"),
            Self::Store(_) => ("store", StatusCode::SERVICE_UNAVAILABLE, "Not available"),
            Self::Trust => ("trust", StatusCode::SERVICE_UNAVAILABLE, "Not available"),
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::AddressRate(each) | Self::CustomerRate(each) => Some(each.as_secs() + 1),
            Self::Full(_) => Some(60),
            Self::Store(_) | Self::Trust => Some(5),
            _ => None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (kind, status, title) = self.kind();
        let body = wire::Problem {
            kind: format!("urn:kinetic:enrollment:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.to_string(),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Self::Token = self {
            headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}
