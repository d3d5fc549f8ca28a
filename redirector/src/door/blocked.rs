//! Whether publishers are held up, by the broker (an alarm of memory or disk) or here; and what of it the client was told.

use crate::amqp::Method;

/// What a broker says of publishers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// They are held up, and why.
    Raised(String),
    /// They are not any more.
    Cleared,
}

/// Whether a client's publishing is held up.
#[derive(Clone, Debug, Default)]
pub struct Blocked {
    /// Whether the client wants to be told.
    understood: bool,
    by_broker: Option<String>,
    paused: bool,
    told: bool,
}

impl Blocked {
    /// Not held up.
    #[must_use]
    pub fn new(understood: bool) -> Self {
        Self { understood, ..Self::default() }
    }

    /// The broker has said something.
    pub fn hear(&mut self, alarm: Alarm) {
        self.by_broker = match alarm {
            Alarm::Raised(reason) => Some(reason),
            Alarm::Cleared => None,
        };
    }

    /// Whether the customer is paused here.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The customer is paused here, or not any more.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Whether the client knows that it is held up.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.told
    }

    /// What the client is to be told now, once.
    pub fn tell(&mut self) -> Option<Vec<u8>> {
        let reason = self.by_broker.as_deref().or(self.paused.then_some("paused by the operator"));
        if !self.understood || self.told == reason.is_some() {
            return None;
        }
        self.told = reason.is_some();
        Some(reason.map_or(Method::Unblocked, |reason| Method::Blocked(reason.as_bytes())).frame())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_once_whoever_holds_it_up() {
        let mut blocked = Blocked::new(true);
        assert_eq!(blocked.tell(), None);
        blocked.hear(Alarm::Raised("low on memory".into()));
        assert!(!blocked.is_told());
        assert_eq!(blocked.tell(), Some(Method::Blocked(b"low on memory").frame()));
        assert!(blocked.is_told());
        blocked.pause(true);
        assert_eq!(blocked.tell(), None);
        blocked.hear(Alarm::Cleared);
        assert_eq!(blocked.tell(), None);
        blocked.pause(false);
        assert_eq!(blocked.tell(), Some(Method::Unblocked.frame()));
        assert_eq!(blocked.tell(), None);
    }

    #[test]
    fn who_does_not_understand_is_told_nothing() {
        let mut blocked = Blocked::new(false);
        blocked.pause(true);
        assert_eq!(blocked.tell(), None);
        assert!(blocked.is_paused());
    }
}
