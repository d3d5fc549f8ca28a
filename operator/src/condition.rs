//! Conditions: what holds of a resource, and what to do where it does not. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kinetic_api::resources::condition::Condition;

/// What holds of one aspect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The aspect, such as `BrokerReady`.
    pub kind: &'static str,
    /// Whether all is well.
    pub good: bool,
    /// Why, in one word of camel case.
    pub reason: &'static str,
    /// Why, in a sentence that says what to do.
    pub message: String,
}

impl Verdict {
    /// All is well.
    #[must_use]
    pub fn good(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, good: true, reason, message: message.into() }
    }

    /// Something is not.
    #[must_use]
    pub fn bad(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, good: false, reason, message: message.into() }
    }
}

/// The longest message that the API takes is 32 KiB; nobody reads a tenth of it.
const MAX_MESSAGE: usize = 1000;

/// The conditions that follow from the verdicts, `Ready` first: it is as the first bad one. A condition that has not changed keeps its time.
#[must_use]
pub fn conditions(
    before: &[Condition],
    verdicts: &[Verdict],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let bad = verdicts.iter().find(|verdict| !verdict.good);
    let ready = match bad {
        Some(bad) => Verdict { kind: "Ready", ..bad.clone() },
        None => Verdict::good("Ready", "Ready", "all is in place"),
    };
    std::iter::once(&ready)
        .chain(verdicts)
        .map(|verdict| {
            let status = if verdict.good { "True" } else { "False" };
            let same = before.iter().find(|c| c.type_ == verdict.kind && c.status == status);
            Condition {
                type_: verdict.kind.to_owned(),
                status: status.to_owned(),
                reason: verdict.reason.to_owned(),
                message: verdict.message.chars().take(MAX_MESSAGE).collect(),
                observed_generation: generation,
                // The API keeps whole seconds.
                last_transition_time: same.map_or_else(
                    || Time(Timestamp::from_second(now.as_second()).unwrap_or(now)),
                    |same| same.last_transition_time.clone(),
                ),
            }
        })
        .collect()
}

/// Whether `Ready` is another than it was, and what it is now: worth an Event.
#[must_use]
pub fn turned<'a>(before: &[Condition], now: &'a [Condition]) -> Option<&'a Condition> {
    let now = now.iter().find(|condition| condition.type_ == "Ready")?;
    let before = before.iter().find(|condition| condition.type_ == "Ready");
    let same = before.is_some_and(|before| (&before.status, &before.reason) == (&now.status, &now.reason));
    (!same).then_some(now)
}

/// An aspect that is well as it was before, for another reason: worth an Event if somebody has to do something about it.
#[must_use]
pub fn differs<'a>(before: &[Condition], now: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    let now = now.iter().find(|condition| condition.type_ == kind)?;
    let before = before.iter().find(|condition| condition.type_ == kind)?;
    (now.status == "True" && before.status == "True" && before.reason != now.reason).then_some(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn ready_is_the_first_that_is_bad_and_times_stay() {
        let verdicts = [
            Verdict::good("BrokerReady", "InPlace", ""),
            Verdict::bad("CertificatesReady", "SecretTaken", "rename it"),
        ];
        let first = conditions(&[], &verdicts, Some(1), at(10));
        assert_eq!(
            (first[0].type_.as_str(), first[0].reason.as_str(), first[0].status.as_str()),
            ("Ready", "SecretTaken", "False")
        );
        assert_eq!(turned(&[], &first).unwrap().reason, "SecretTaken");
        let again = conditions(&first, &verdicts, Some(1), at(20));
        assert_eq!(again, first, "nothing to write");
        assert_eq!(turned(&first, &again), None);
        let good = conditions(&again, &[Verdict::good("BrokerReady", "InPlace", "")], Some(2), at(30));
        assert_eq!(good[0].last_transition_time, Time(at(30)));
        assert_eq!(good[1].last_transition_time, Time(at(10)));
        assert_eq!(good.len(), 2);
        let other = conditions(&good, &[Verdict::good("BrokerReady", "Moved", "")], Some(2), at(40));
        assert_eq!(differs(&good, &other, "BrokerReady").unwrap().reason, "Moved");
        assert_eq!(differs(&good, &good, "BrokerReady"), None);
        assert_eq!(differs(&first, &good, "CertificatesReady"), None);
    }
}
