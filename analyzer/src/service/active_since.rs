//! Since when an analytic is active: findings of windows that ended before are history (DESIGN.md, rule 6).

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use kinetic_api::plan::{AnalyticPlan, TopologyPlan};
use serde::{Deserialize, Serialize};

use super::Mode;

/// The file under the data folder.
const FILE: &str = "active-since.json";

/// One lock for the process: its analyzers share the file.
static WRITING: Mutex<()> = Mutex::new(());

/// The durable record of when each analytic became active as it stands now.
#[derive(Debug)]
pub struct ActiveSince {
    path: PathBuf,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    since: Timestamp,
    /// What the analytic was then: an edit makes its past history.
    definition: String,
}

/// What keeps the record from being kept.
#[derive(Debug, thiserror::Error)]
pub enum ActiveSinceError {
    /// The file cannot be read or written.
    #[error("{path}: {source}; give --data a folder that this user may write to")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ActiveSince {
    /// The record under a data folder, which is made if it is not there.
    pub fn open(data_dir: &Path) -> Result<Self, ActiveSinceError> {
        fs::create_dir_all(data_dir)
            .map_err(|source| ActiveSinceError::Io { path: data_dir.to_owned(), source })?;
        Ok(Self { path: data_dir.join(FILE) })
    }

    /// Since when, in milliseconds since the epoch, each analytic of a plan is active, by name. What is new or has been edited is active
    /// from now on, and that is written down before it is told. Under [`Mode::Once`] everything always was, and nothing is written.
    pub fn activate(
        &mut self,
        plan: &TopologyPlan,
        mode: &Mode,
    ) -> Result<HashMap<String, i64>, ActiveSinceError> {
        if matches!(mode, Mode::Once { .. }) {
            return Ok(plan.analytics.iter().map(|a| (a.name.clone(), i64::MIN)).collect());
        }
        let _guard = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = self.read()?;
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
            active.insert(analytic.name.clone(), entry.since.as_millisecond());
        }
        let prefix = format!("{}/{}/", plan.customer, plan.name);
        entries.retain(|key, _| key.strip_prefix(&prefix).is_none_or(|name| active.contains_key(name)));
        if entries != before {
            self.write(&entries)?;
        }
        Ok(active)
    }

    /// A damaged record is set aside: then every analytic is active from now on, which keeps history from being mailed.
    fn read(&self) -> Result<BTreeMap<String, Entry>, ActiveSinceError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(e) => return Err(self.error(e)),
        };
        match serde_json::from_slice(&text) {
            Ok(entries) => Ok(entries),
            Err(reason) => {
                let aside = self.path.with_extension("json.damaged");
                fs::rename(&self.path, &aside).map_err(|e| self.error(e))?;
                tracing::warn!(file = %self.path.display(), aside = %aside.display(), %reason, "the record of active analytics is damaged and was set aside; what happened until now counts as history");
                Ok(BTreeMap::new())
            }
        }
    }

    /// Written aside, synced, renamed, folder synced: a crash leaves the old record or the new one.
    fn write(&self, entries: &BTreeMap<String, Entry>) -> Result<(), ActiveSinceError> {
        let save = || -> io::Result<()> {
            let aside = self.path.with_extension("json.new");
            fs::write(&aside, serde_json::to_vec_pretty(entries)?)?;
            fs::File::open(&aside)?.sync_all()?;
            fs::rename(&aside, &self.path)?;
            self.path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
        };
        save().map_err(|e| self.error(e))
    }

    fn error(&self, source: io::Error) -> ActiveSinceError {
        ActiveSinceError::Io { path: self.path.clone(), source }
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
    use kinetic_api::{
        plan::{AnalyticKind, OriginRule, SeriesMatch, SourcePlan},
        resources::topology::{Cluster, Persistence, Retention, SourceType},
        statistic::Statistic,
    };
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn plan(deviation: f64) -> TopologyPlan {
        TopologyPlan {
            name: "web".into(),
            customer: "acme".into(),
            sources: vec![SourcePlan {
                name: "pages".into(),
                stream: "kinetic.metrics.web.pages".into(),
                kind: SourceType::Statsd,
                profiles: vec![],
                interval_ms: 10_000,
                lateness_ms: 10_000,
                retention: Retention::default(),
                origin: OriginRule::Header("origin".into()),
            }],
            analytics: vec![AnalyticPlan {
                name: "slow".into(),
                source: 0,
                matches: SeriesMatch { metric: "**".parse().unwrap(), tags: vec![] },
                statistic: Statistic::Mean,
                persistence: Persistence::default(),
                kind: AnalyticKind::Cluster(Cluster { deviation, ..Cluster::default() }),
            }],
        }
    }

    #[test]
    fn survives_a_restart_and_starts_anew_with_an_edit() {
        let folder = tempfile::tempdir().unwrap();
        let open = || ActiveSince::open(&folder.path().join("data")).unwrap();
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
    fn a_damaged_record_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), b"{not json").unwrap();
        let before = Timestamp::now().as_millisecond();
        let mut since = ActiveSince::open(folder.path()).unwrap();
        assert!(since.activate(&plan(4.0), &Mode::Live).unwrap()["slow"] >= before);
        assert!(folder.path().join("active-since.json.damaged").exists());
    }
}
