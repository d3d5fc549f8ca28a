//! The plan that an analyzer runs: the Topology's, with the overrides over it, which outlive the process.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use kinetic_api::{
    control::{Answer, Cause, Change, Command, CommandError, Controller, Notice, Refusal},
    plan::TopologyPlan,
};
use tracing::{info, warn};

use super::record::{Record, RecordError};
use crate::control::{Configuration, Ended, Overrides, changes};

/// The file under the data folder.
const FILE: &str = "overrides.json";

/// One lock for the process: its analyzers share the file.
static WRITING: Mutex<()> = Mutex::new(());

/// All analyzers' overrides, by customer, Topology and number.
type All = BTreeMap<String, Overrides>;

/// The plan that an analyzer runs, and how it came about.
#[derive(Debug)]
pub(super) struct Configured {
    controller: Controller,
    /// Nowhere for a run that ends: it takes the Topology as it is.
    record: Option<Record>,
    /// What the Topology says.
    topology: Arc<TopologyPlan>,
    /// What is run.
    plan: Arc<TopologyPlan>,
    overrides: Overrides,
}

/// What a command comes to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) answer: Answer,
    /// What has changed, if something has: then there is another plan to run.
    pub(super) notice: Option<Notice>,
}

impl Configured {
    /// A Topology's plan with the overrides that were kept for it.
    pub(super) fn open(
        data_dir: &Path,
        controller: Controller,
        topology: Arc<TopologyPlan>,
    ) -> Result<Self, RecordError> {
        let record = Record::open(data_dir, FILE)?;
        let mut configured = Self { record: Some(record.clone()), ..Self::plain(controller, topology) };
        let mut all = read(&record)?;
        configured.overrides = all.remove(&configured.key()).unwrap_or_default();
        let topology = Arc::clone(&configured.topology);
        configured.edit(topology)?;
        if !configured.overrides.is_empty() {
            info!(controller = %configured.controller, keys = ?configured.overrides.values(), "overrides are in effect");
        }
        Ok(configured)
    }

    /// A Topology's plan as it is.
    pub(super) fn plain(controller: Controller, topology: Arc<TopologyPlan>) -> Self {
        Self {
            controller,
            record: None,
            plan: Arc::clone(&topology),
            topology,
            overrides: Overrides::default(),
        }
    }

    /// What the Topology says.
    pub(super) fn topology(&self) -> &TopologyPlan {
        &self.topology
    }

    /// What is run.
    pub(super) fn plan(&self) -> &Arc<TopologyPlan> {
        &self.plan
    }

    /// How many keys are overridden.
    pub(super) fn overridden(&self) -> usize {
        self.overrides.len()
    }

    /// Follows an edit of the Topology, which ends the overrides of the keys that it changes.
    pub(super) fn edit(&mut self, topology: Arc<TopologyPlan>) -> Result<Option<Notice>, RecordError> {
        let followed = self.overrides.follow(&topology);
        for Ended { key, reason } in &followed.ended {
            warn!(controller = %self.controller, key, reason, "an override has ended");
        }
        if followed.overrides != self.overrides {
            self.keep(&followed.overrides)?;
        }
        let changes = changes(&self.plan, &followed.plan, &followed.overrides);
        self.overrides = followed.overrides;
        self.topology = topology;
        self.plan = Arc::new(followed.plan);
        Ok(self.notice(Cause::Topology, None, changes))
    }

    /// Carries a command out: durably, or not at all.
    pub(super) fn command(&mut self, command: Result<Command, CommandError>, by: Option<String>) -> Outcome {
        let command = match command {
            Ok(command) => command,
            Err(error) => return self.refused(vec![Refusal { key: None, reason: error.to_string() }]),
        };
        let cause = match command {
            Command::Read => return Outcome { answer: self.answer(Vec::new()), notice: None },
            Command::Update(_) => Cause::Update,
            Command::Delete(_) => Cause::Delete,
        };
        let decided = match self.overrides.command(&self.topology, &command, by.as_deref(), Timestamp::now())
        {
            Ok(decided) => decided,
            Err(refused) => return self.refused(refused),
        };
        if decided.overrides != self.overrides
            && let Err(error) = self.keep(&decided.overrides)
        {
            return self.refused(vec![Refusal { key: None, reason: error.to_string() }]);
        }
        self.overrides = decided.overrides;
        self.plan = Arc::new(decided.plan);
        let notice = self.notice(cause, by, decided.changes);
        if let Some(notice) = &notice {
            info!(controller = %self.controller, by = notice.by, changes = ?notice.changes, "the configuration was changed");
        }
        Outcome { answer: self.answer(Vec::new()), notice }
    }

    /// The Topology is gone, and what was put over it.
    pub(super) fn forget(&mut self) -> Result<(), RecordError> {
        self.overrides = Overrides::default();
        self.keep(&Overrides::default())
    }

    fn refused(&self, refused: Vec<Refusal>) -> Outcome {
        Outcome { answer: self.answer(refused), notice: None }
    }

    fn answer(&self, refused: Vec<Refusal>) -> Answer {
        Answer {
            controller: self.controller.clone(),
            ok: refused.is_empty(),
            configuration: Configuration::of(&self.plan).values(),
            overridden: self.overrides.topology(),
            refused,
        }
    }

    fn notice(&self, cause: Cause, by: Option<String>, changes: Vec<Change>) -> Option<Notice> {
        let (controller, at) = (self.controller.clone(), Timestamp::now());
        (!changes.is_empty()).then_some(Notice { controller, at, cause, by, changes })
    }

    fn keep(&self, overrides: &Overrides) -> Result<(), RecordError> {
        let Some(record) = &self.record else { return Ok(()) };
        let _guard = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = read(record)?;
        let before = if overrides.is_empty() {
            all.remove(&self.key())
        } else {
            all.insert(self.key(), overrides.clone())
        };
        if before.as_ref() == Some(overrides) || (before.is_none() && overrides.is_empty()) {
            return Ok(());
        }
        record.write(&all)
    }

    fn key(&self) -> String {
        let Controller { customer, topology, analyzer, .. } = &self.controller;
        format!("{customer}/{topology}/{analyzer}")
    }
}

fn read(record: &Record) -> Result<All, RecordError> {
    record.read("nothing is overridden")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use kinetic_api::{control::Values, resources::Topology};
    use serde_json::{Value as Json, json};

    use super::*;

    fn topology(deviation: f64) -> Arc<TopologyPlan> {
        let topology = json!({
            "apiVersion": "kinetic.dev/v1alpha1", "kind": "Topology", "metadata": { "name": "web" },
            "spec": {
                "customer": "acme", "sources": [{ "name": "pages", "type": "statsd" }],
                "analytics": [{ "name": "odd", "source": "pages", "match": { "metric": "**" }, "stddev": { "deviation": deviation } }],
            },
        });
        Arc::new(TopologyPlan::new(&serde_json::from_value::<Topology>(topology).unwrap()).unwrap())
    }

    fn open(folder: &Path, analyzer: u32, deviation: f64) -> Configured {
        let controller =
            Controller { customer: "acme".into(), topology: "web".into(), analyzer, analyzers: 2 };
        Configured::open(folder, controller, topology(deviation)).unwrap()
    }

    fn update(value: f64) -> Command {
        Command::Update(Values::from([("odd.deviation".into(), value.into())]))
    }

    fn deviation(configured: &Configured) -> Json {
        Configuration::of(configured.plan()).get("odd.deviation").unwrap().clone()
    }

    #[test]
    fn overrides_survive_a_restart_until_the_topology_changes_their_key() {
        let folder = tempfile::tempdir().unwrap();
        let (mut first, mut second) = (open(folder.path(), 0, 4.0), open(folder.path(), 1, 4.0));
        let outcome = first.command(Ok(update(2.0)), Some("ada".into()));
        assert!(outcome.answer.ok, "{outcome:?}");
        assert_eq!(outcome.answer.overridden["odd.deviation"], 4.0);
        assert_eq!(outcome.notice.unwrap().by.as_deref(), Some("ada"));
        assert!(second.command(Ok(update(3.0)), None).answer.ok);
        assert_eq!(
            (deviation(&open(folder.path(), 0, 4.0)), deviation(&open(folder.path(), 1, 4.0))),
            (json!(2.0), json!(3.0))
        );
        assert_eq!(deviation(&open(folder.path(), 0, 5.0)), 5.0, "an edit while it was away");
        assert_eq!(deviation(&open(folder.path(), 0, 4.0)), 4.0, "for good");
        let notice = second.edit(topology(6.0)).unwrap().unwrap();
        assert_eq!((notice.cause, &notice.changes[0].new), (Cause::Topology, &Some(json!(6.0))));
        assert_eq!(second.overridden(), 0);
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), "{}");
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut configured = open(folder.path(), 0, 4.0);
        for command in [Ok(update(0.0)), Err(CommandError::NoOpcode)] {
            let outcome = configured.command(command, None);
            assert!(!outcome.answer.ok && !outcome.answer.refused.is_empty() && outcome.notice.is_none());
        }
        let same = configured.command(Ok(update(4.0)), None);
        assert!(same.answer.ok && same.notice.is_none() && same.answer.overridden.is_empty());
        assert!(!folder.path().join(FILE).exists());
    }

    #[test]
    fn a_change_that_cannot_be_kept_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut configured = open(folder.path(), 0, 4.0);
        fs::create_dir(folder.path().join("overrides.json.new")).unwrap();
        let outcome = configured.command(Ok(update(2.0)), None);
        assert!(outcome.answer.refused[0].reason.contains("overrides.json"), "{outcome:?}");
        assert_eq!(deviation(&configured), 4.0);
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_a_topology_that_is_gone_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), b"{not json").unwrap();
        let mut configured = open(folder.path(), 0, 4.0);
        assert!(folder.path().join("overrides.json.damaged").exists());
        configured.command(Ok(update(2.0)), None);
        configured.forget().unwrap();
        assert_eq!(deviation(&open(folder.path(), 0, 4.0)), 4.0);
    }
}
