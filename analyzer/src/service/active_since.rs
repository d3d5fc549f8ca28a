//! Since when an analytic is active: findings of windows that ended before are history (DESIGN.md, rule 6).

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use kinetic_api::plan::{AnalyticPlan, TopologyPlan};
use serde::{Deserialize, Serialize};

use super::{
    Mode,
    record::{Record, RecordError},
};

/// The file under the data folder.
const FILE: &str = "active-since.json";

/// One lock for the process: its analyzers share the file.
static WRITING: Mutex<()> = Mutex::new(());

/// The durable record of when each analytic became active as it stands now.
#[derive(Debug)]
pub struct ActiveSince {
    record: Record,
    told: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    since: Timestamp,
    /// What the analytic was then: an edit makes its past history.
    definition: String,
}

impl ActiveSince {
    /// The record under a data folder, which is made if it is not there. Whoever made the Topology may know better, by a file of names and times (`told`):
    /// the data folder of a pod does not outlive it.
    pub fn open(data_dir: &Path, told: Option<&Path>) -> Result<Self, RecordError> {
        Ok(Self { record: Record::open(data_dir, FILE)?, told: told.map(Path::to_owned) })
    }

    /// Since when, in milliseconds since the epoch, each analytic of a plan is active, by name. What is new or has been edited is active
    /// from now on, and that is written down before it is told. Under [`Mode::Once`] everything always was, and nothing is written.
    pub fn activate(
        &mut self,
        plan: &TopologyPlan,
        mode: &Mode,
    ) -> Result<HashMap<String, i64>, RecordError> {
        if matches!(mode, Mode::Once { .. }) {
            return Ok(plan.analytics.iter().map(|a| (a.name.clone(), i64::MIN)).collect());
        }
        let _guard = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries: BTreeMap<String, Entry> =
            self.record.read("what happened until now counts as history")?;
        let told = self.told();
        let before = entries.clone();
        let now = Timestamp::now();
        let mut active = HashMap::new();
        for analytic in &plan.analytics {
            let key = format!("{}/{}/{}", plan.customer, plan.name, analytic.name);
            let definition = definition(plan, analytic);
            let entry =
                entries.entry(key).or_insert_with(|| Entry { since: now, definition: definition.clone() });
            if entry.definition != definition {
                *entry = Entry { since: now, definition };
            }
            if let Some(since) = told.get(&analytic.name) {
                entry.since = *since;
            }
            active.insert(analytic.name.clone(), entry.since.as_millisecond());
        }
        let prefix = format!("{}/{}/", plan.customer, plan.name);
        entries.retain(|key, _| key.strip_prefix(&prefix).is_none_or(|name| active.contains_key(name)));
        if entries != before {
            self.record.write(&entries)?;
        }
        Ok(active)
    }
}

impl ActiveSince {
    fn told(&self) -> BTreeMap<String, Timestamp> {
        let Some(file) = &self.told else { return BTreeMap::new() };
        let read = fs::read(file).map_err(|error| error.to_string());
        match read.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string())) {
            Ok(told) => told,
            Err(error) => {
                tracing::warn!(file = %file.display(), error, "since when analytics are active cannot be read: what is new is active from now on");
                BTreeMap::new()
            }
        }
    }
}

/// What an analytic is: everything that can change what it finds.
fn definition(plan: &TopologyPlan, analytic: &AnalyticPlan) -> String {
    let source = &plan.sources[analytic.source];
    let seen = (source.interval_ms, source.lateness_ms, &source.origin, &source.profiles);
    format!(
        "{:?} {:?} {:?} {:?} {seen:?}",
        analytic.matches, analytic.statistic, analytic.persistence, analytic.kind
    )
}

#[cfg(test)]
mod tests {
    use kinetic_api::{plan::AnalyticKind, resources::topology::Cluster};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::test_plan::{analytic, topology};

    fn plan(deviation: f64) -> TopologyPlan {
        let kind = AnalyticKind::Cluster(Cluster { deviation, ..Cluster::default() });
        topology(vec![analytic("slow", "**", kind)])
    }

    #[test]
    fn survives_a_restart_and_starts_anew_with_an_edit() {
        let folder = tempfile::tempdir().unwrap();
        let open = || ActiveSince::open(&folder.path().join("data"), None).unwrap();
        let first = open().activate(&plan(4.0), &Mode::Live).unwrap()["slow"];
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert_eq!(open().activate(&plan(4.0), &Mode::Live).unwrap()["slow"], first);
        let edited = open().activate(&plan(3.0), &Mode::Live).unwrap()["slow"];
        assert!(edited > first);
        let once = Mode::Once { input_done: CancellationToken::new() };
        assert_eq!(open().activate(&plan(2.0), &once).unwrap()["slow"], i64::MIN);
        assert_eq!(open().activate(&plan(3.0), &Mode::Live).unwrap()["slow"], edited);
    }

    #[test]
    fn who_made_the_topology_knows_better() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("told.json");
        fs::write(&file, r#"{"slow": "2026-01-01T00:00:00Z", "other": "2026-01-02T00:00:00Z"}"#).unwrap();
        let open = || ActiveSince::open(&folder.path().join("data"), Some(&file)).unwrap();
        let told = "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
        assert_eq!(open().activate(&plan(4.0), &Mode::Live).unwrap()["slow"], told);
        fs::write(&file, "{").unwrap();
        assert_eq!(open().activate(&plan(4.0), &Mode::Live).unwrap()["slow"], told, "as it was told before");
        assert!(
            open().activate(&plan(3.0), &Mode::Live).unwrap()["slow"] > told,
            "an edit that nobody told of"
        );
    }

    #[test]
    fn a_damaged_record_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), b"{not json").unwrap();
        let before = Timestamp::now().as_millisecond();
        let mut since = ActiveSince::open(folder.path(), None).unwrap();
        assert!(since.activate(&plan(4.0), &Mode::Live).unwrap()["slow"] >= before);
        assert!(folder.path().join("active-since.json.damaged").exists());
    }
}
