//! An Alert, ready to be run.

use std::fmt;

use super::problem::Problem;
use crate::{
    glob::Glob,
    resources::alert::{Alert, Email, Receiver},
};

/// An Alert, ready to be run.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertPlan {
    /// The Alert's name.
    pub name: String,
    /// The Topology whose findings these are.
    pub topology: String,
    /// The analytics that it is about; empty for all.
    pub analytics: Vec<String>,
    /// The sources that it is about; empty for all.
    pub sources: Vec<String>,
    /// The profiles that it is about; empty for all.
    pub profiles: Vec<String>,
    /// The origins that it is about; empty for all.
    pub origins: Vec<Glob>,
    /// The least score.
    pub min_score: f64,
    /// Whether anybody is told.
    pub active: bool,
    /// What makes incidents one group.
    pub group_by: Vec<GroupKey>,
    /// How long the first message about a group waits, in milliseconds.
    pub group_wait_ms: i64,
    /// How long at least until the next message about a changed group, in milliseconds.
    pub group_interval_ms: i64,
    /// How long until a group that still fires is told of again, in milliseconds.
    pub repeat_interval_ms: i64,
    /// Whether people are told when it is over.
    pub send_resolved: bool,
    /// Who is told.
    pub receivers: Vec<ReceiverPlan>,
}

/// A property by which incidents are grouped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupKey {
    /// The analytic.
    Analytic,
    /// The metric.
    Metric,
    /// The origin.
    Origin,
    /// The topology's source.
    Source,
    /// The value of a tag.
    Tag(String),
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Analytic => f.write_str("analytic"),
            Self::Metric => f.write_str("metric"),
            Self::Origin => f.write_str("origin"),
            Self::Source => f.write_str("source"),
            Self::Tag(key) => write!(f, "tag:{key}"),
        }
    }
}

/// A receiver, ready to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiverPlan {
    /// The receiver's name.
    pub name: String,
    /// How it is told.
    pub email: Email,
}

impl AlertPlan {
    /// Turns an Alert that its schema accepts into a plan.
    ///
    /// # Errors
    /// Everything that is wrong with it, field by field.
    pub fn new(alert: &Alert) -> Result<Self, Vec<Problem>> {
        let spec = &alert.spec;
        let mut problems = Vec::new();
        if !spec.mute.is_empty() {
            problems.push(Problem::new(
                "spec.mute",
                "this version does not mute yet",
                "remove the field; set active: false to silence the alert altogether",
            ));
        }
        let mut group_by = Vec::new();
        for (n, key) in spec.group_by.iter().enumerate() {
            match key.as_str() {
                "analytic" => group_by.push(GroupKey::Analytic),
                "metric" => group_by.push(GroupKey::Metric),
                "origin" => group_by.push(GroupKey::Origin),
                "source" => group_by.push(GroupKey::Source),
                other => match other.strip_prefix("tag:").filter(|tag| !tag.is_empty()) {
                    Some(tag) => group_by.push(GroupKey::Tag(tag.to_owned())),
                    None => problems.push(Problem::new(
                        format!("spec.groupBy[{n}]"),
                        format!("`{other}` is nothing to group by"),
                        "use analytic, metric, origin, source or tag:KEY",
                    )),
                },
            }
        }
        let receivers = spec
            .receivers
            .iter()
            .enumerate()
            .filter_map(|(n, r)| receiver(r, &format!("spec.receivers[{n}]"), &mut problems))
            .collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let texts = |names: &[crate::resources::Name]| names.iter().map(ToString::to_string).collect();
        Ok(Self {
            name: alert.metadata.name.clone().unwrap_or_default(),
            topology: spec.topology.to_string(),
            analytics: texts(&spec.matches.analytics),
            sources: texts(&spec.matches.sources),
            profiles: texts(&spec.matches.profiles),
            origins: spec.matches.origins.iter().map(|glob| Glob::flat(glob)).collect(),
            min_score: spec.matches.min_score.unwrap_or(0.0),
            active: spec.active,
            group_by,
            group_wait_ms: spec.group_wait.as_millis(),
            group_interval_ms: spec.group_interval.as_millis(),
            repeat_interval_ms: spec.repeat_interval.as_millis(),
            send_resolved: spec.send_resolved,
            receivers,
        })
    }
}

fn receiver(receiver: &Receiver, at: &str, problems: &mut Vec<Problem>) -> Option<ReceiverPlan> {
    match (&receiver.email, &receiver.webhook, &receiver.alertmanager) {
        (Some(email), None, None) => {
            let before = problems.len();
            for (n, to) in email.to.iter().enumerate() {
                if !to.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty()) {
                    problems.push(Problem::new(
                        format!("{at}.email.to[{n}]"),
                        format!("`{to}` is no mail address"),
                        "write it as user@host",
                    ));
                }
            }
            (problems.len() == before)
                .then(|| ReceiverPlan { name: receiver.name.to_string(), email: email.clone() })
        }
        (None, Some(_), None) => {
            problems.push(unsupported(&format!("{at}.webhook"), "webhooks"));
            None
        }
        (None, None, Some(_)) => {
            problems.push(unsupported(&format!("{at}.alertmanager"), "Alertmanager"));
            None
        }
        _ => {
            problems.push(Problem::new(
                at,
                "exactly one of email, webhook, alertmanager must be set",
                "keep one of them; make a receiver of its own of each other",
            ));
            None
        }
    }
}

fn unsupported(field: &str, what: &str) -> Problem {
    Problem::new(field, format!("this version does not deliver to {what} yet"), "use email")
}
