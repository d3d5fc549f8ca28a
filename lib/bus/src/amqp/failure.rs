//! What an error of the AMQP client means: lost, so that trying again helps, or refused, so that it does not.

use super::config::Place;
use crate::BusError;
use lapin::{ErrorKind, protocol::AMQPError};

/// Why an operation failed.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The connection or channel went away, or the broker is not ready: try again.
    Lost(String),
    /// Trying again gives the same answer.
    Refused(BusError),
}

/// AMQP 0-9-1 reply codes (1.2, constants).
mod code {
    pub(super) const ACCESS_REFUSED: u16 = 403;
    pub(super) const NOT_FOUND: u16 = 404;
    pub(super) const RESOURCE_LOCKED: u16 = 405;
    pub(super) const PRECONDITION_FAILED: u16 = 406;
    pub(super) const NOT_ALLOWED: u16 = 530;
    pub(super) const NOT_IMPLEMENTED: u16 = 540;
}

/// What RabbitMQ says, with codes that otherwise are final, of a queue or vhost that exists and is not up yet, and of
/// an acknowledgement that took too long: subscribing again cures both.
const NOT_READY: [&str; 4] = ["is down", "running replica", "stopped by supervisor", "timed out"];

impl Failure {
    /// Sorts an error of lapin's; `place` tells where it happened.
    pub(super) fn of(error: &lapin::Error, place: &Place) -> Self {
        match error.kind() {
            ErrorKind::ProtocolError(error) => Self::of_reply(error, place),
            _ => Self::Lost(text(error)),
        }
    }

    fn of_reply(error: &AMQPError, place: &Place) -> Self {
        let text = error.get_message().to_string();
        if NOT_READY.iter().any(|sign| text.contains(sign)) {
            return Self::Lost(text);
        }
        let Place { broker, vhost, user } = place.clone();
        Self::Refused(match error.get_id() {
            code::NOT_ALLOWED if text.contains("not found") => {
                BusError::VhostNotFound { broker, vhost, user, text }
            }
            code::ACCESS_REFUSED if text.contains("Login was refused") => {
                BusError::LoginRefused { broker, user, text }
            }
            code::ACCESS_REFUSED => BusError::AccessRefused { broker, vhost, user, text },
            code::NOT_ALLOWED if text.contains("refused for user") => {
                BusError::AccessRefused { broker, vhost, user, text }
            }
            code::NOT_FOUND => BusError::NotFound { broker, text },
            code::PRECONDITION_FAILED => BusError::PreconditionFailed { broker, text },
            code::RESOURCE_LOCKED | code::NOT_ALLOWED | code::NOT_IMPLEMENTED => {
                BusError::Refused { broker, text }
            }
            _ => return Self::Lost(text),
        })
    }

    /// The text for people: the broker's own where there is one.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Lost(text)
            | Self::Refused(
                BusError::VhostNotFound { text, .. }
                | BusError::LoginRefused { text, .. }
                | BusError::AccessRefused { text, .. }
                | BusError::NotFound { text, .. }
                | BusError::PreconditionFailed { text, .. }
                | BusError::Refused { text, .. },
            ) => text.clone(),
            Self::Refused(other) => other.to_string(),
        }
    }
}

/// lapin's error without its own preface where the broker or the system said it already.
fn text(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        ErrorKind::IOError(error) => error.to_string(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{BusError, Failure, Place};
    use lapin::{ErrorKind, protocol::AMQPError};

    fn failure(code: u16, text: &str) -> Failure {
        let place = Place { broker: "b:5672".into(), vhost: "v".into(), user: "u".into() };
        let error = AMQPError::from_id(code, text.into()).unwrap();
        Failure::of(&ErrorKind::ProtocolError(error).into(), &place)
    }

    #[test]
    fn what_waiting_does_not_cure_is_refused_and_says_what_to_do() {
        let Failure::Refused(error) = failure(530, "NOT_ALLOWED - vhost v not found") else {
            panic!("a missing vhost is refused");
        };
        let lines = error.to_string();
        assert!(lines.contains("NOT_ALLOWED - vhost v not found"), "{lines}");
        assert!(lines.contains("rabbitmqctl add_vhost v\n"), "{lines}");
        assert!(lines.contains("rabbitmqctl set_permissions -p v u '.*' '.*' '.*'"), "{lines}");
        assert!(matches!(
            failure(403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN."),
            Failure::Refused(BusError::LoginRefused { .. })
        ));
        assert!(matches!(
            failure(530, "NOT_ALLOWED - access to vhost 'v' refused for user 'u'"),
            Failure::Refused(BusError::AccessRefused { .. })
        ));
        assert!(matches!(
            failure(404, "NOT_FOUND - no queue 'x' in vhost 'v'"),
            Failure::Refused(BusError::NotFound { .. })
        ));
    }

    #[test]
    fn what_waiting_cures_is_lost() {
        for (code, text) in [
            (320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"),
            (404, "NOT_FOUND - home node 'a@b' of durable queue 'x' in vhost 'v' is down or inaccessible"),
            (
                406,
                "PRECONDITION_FAILED - queue 'x' in vhost 'v' does not a have a running replica on the local node",
            ),
            (541, "INTERNAL_ERROR"),
        ] {
            assert!(matches!(failure(code, text), Failure::Lost(told) if told == text), "{text}");
        }
    }
}
