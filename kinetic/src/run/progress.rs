//! What a person at the terminal sees: on standard output, a line for what they came for.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use kinetic_alert::IncidentEvent;
use kinetic_analyzer::{engine::AnalyticReport, partition::Partition, service::SourceStatus};
use kinetic_api::resources::topology::AnalyticState;
use kinetic_resources::Snapshot;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{args::RunArgs, intake::Listening, supervisor::Supervisor};

/// How often the state of the sources is told while it only grows.
const EVERY: Duration = Duration::from_secs(15);

/// The first lines.
pub(super) fn started(snapshot: &Snapshot, listening: &Listening, args: &RunArgs) {
    let topologies: Vec<_> = snapshot.topologies.iter().map(|t| t.plan.name.as_str()).collect();
    say(&format!("watching {} · {listening} · data: {}", topologies.join(", "), args.data.display()));
}

/// What is told at once when it changes: Topology, source, its analytics' states, whether anything has come.
type SourceState = (String, String, String, bool);

/// Tells how the sources fare: when something has changed, else now and then.
#[derive(Default)]
pub(crate) struct Progress {
    told: Option<(Instant, Vec<SourceState>)>,
}

impl Progress {
    pub(crate) fn tell(&mut self, supervisor: &Supervisor) {
        let (mut lines, mut states) = (Vec::new(), Vec::new());
        for (_, topology, partition, status) in supervisor.statuses() {
            let topology = match partition {
                Partition::WHOLE => topology.to_owned(),
                share => format!("{topology} ({share})"),
            };
            let overridden = match status.overridden() {
                0 => String::new(),
                keys => format!(" · overridden keys: {keys} (kinetic arc)"),
            };
            for (source, status) in status.sources() {
                let analytics = analytics(&status) + &overridden;
                states.push((topology.clone(), source.clone(), analytics.clone(), status.series > 0));
                lines.push(format!(
                    "{topology}/{source}: {} series, {} samples, {} windows · {analytics}",
                    status.series, status.samples, status.windows
                ));
            }
        }
        let due = match &self.told {
            None => !lines.is_empty(),
            Some((when, what)) => *what != states || when.elapsed() >= EVERY,
        };
        if due {
            for line in &lines {
                say(line);
            }
            self.told = Some((Instant::now(), states));
        }
    }
}

fn analytics(status: &SourceStatus) -> String {
    let mut by_state: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for AnalyticReport { name, state, .. } in &status.analytics {
        let state = match state {
            AnalyticState::Active => "watching",
            AnalyticState::WarmingUp => "warming up",
            AnalyticState::Unsatisfiable => "cannot fire yet",
        };
        by_state.entry(state).or_default().push(name);
    }
    by_state
        .iter()
        .rev()
        .map(|(state, names)| format!("{state}: {}", names.join(", ")))
        .collect::<Vec<_>>()
        .join(" · ")
}

/// Tells of every incident, until cancelled; then of those that are still on their way here.
pub(super) async fn incidents(mut events: Receiver<IncidentEvent>, cancel: CancellationToken) {
    loop {
        let event = tokio::select! {
            biased;
            event = events.recv() => event,
            () = cancel.cancelled() => return,
        };
        match event {
            Ok(event) => {
                if let Some(line) = line(&event) {
                    say(&line);
                }
            }
            Err(RecvError::Lagged(missed)) => say(&format!("({missed} more: see kinetic incidents)")),
            Err(RecvError::Closed) => return,
        }
    }
}

/// What a person wants to know of an event; nothing of what nobody is told of.
fn line(event: &IncidentEvent) -> Option<String> {
    Some(match event {
        IncidentEvent::Opened(subject) if subject.silence.is_none() => {
            format!("INCIDENT  {}: {}", subject.analytic, subject.facts.explanation)
        }
        IncidentEvent::Resolved(subject) if subject.silence.is_none() => {
            format!("RESOLVED  {}: {}", subject.analytic, subject.facts.explanation)
        }
        IncidentEvent::Delivered { recipient, subject, to, .. } => {
            format!("MAIL      to {recipient}: {subject} ({to})")
        }
        IncidentEvent::Refused { recipient, reply, .. } => {
            format!("REFUSED   mail to {recipient}, for good: {reply}")
        }
        IncidentEvent::Delayed { recipient, attempts, error, .. } => {
            format!("WAITING   mail to {recipient} (attempt {attempts}, it is tried again): {error}")
        }
        IncidentEvent::Dropped { lane, count } => {
            format!("DROPPED   {count} mails for {lane}: too many wait")
        }
        IncidentEvent::Opened(_) | IncidentEvent::Resolved(_) | IncidentEvent::Decided { .. } => return None,
    })
}

fn say(line: &str) {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    // Whoever read it may be gone: no reason to stop.
    let _ = writeln!(io::stdout(), "{}  {line}", now.strftime("%H:%M:%S"));
}
