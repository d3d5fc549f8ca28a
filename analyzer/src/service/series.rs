//! Asking sources at work for the series that they see.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use super::command::{Command, SeriesRequest};
use crate::engine::{SeriesPage, SeriesQuery};

/// How long a source may take to answer: it does so between two messages.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the sources of an analyzer can be asked for their series.
#[derive(Clone, Debug, Default)]
pub struct SeriesDesk(Arc<Mutex<BTreeMap<String, mpsc::Sender<Command>>>>);

impl SeriesDesk {
    pub(super) fn open(&self, source: &str, commands: mpsc::Sender<Command>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(source.to_owned(), commands);
    }

    pub(super) fn close(&self, source: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(source);
    }

    /// Asks every source, or the one of this name, all at once; `None` where one does not answer in time.
    pub async fn ask(
        &self,
        query: &Arc<SeriesQuery>,
        source: Option<&str>,
    ) -> BTreeMap<String, Option<SeriesPage>> {
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut asked = JoinSet::new();
        for (name, commands) in sources {
            if source.is_some_and(|only| only != name) {
                continue;
            }
            let query = Arc::clone(query);
            asked.spawn(async move {
                let (reply, answer) = oneshot::channel();
                let asking = async {
                    commands.send(Command::Series(SeriesRequest { query, reply })).await.ok()?;
                    answer.await.ok()
                };
                let answer = timeout(PATIENCE, asking).await.ok().flatten();
                (name, answer)
            });
        }
        asked.join_all().await.into_iter().collect()
    }
}
