//! Takes a finding: the record, its incidents, their groups' timers and, on the findings' clock, the messages that were due
//! before it, in one transaction.

use kinetic_api::{
    anomaly::{Anomaly, Finding, State},
    plan::AlertPlan,
};

use super::{Store, Tx, commit, fire, groups};
use crate::{
    AlertError, Clock,
    clock::wall_ms,
    event::{IncidentEvent, Subject},
    group::Timing,
    identity,
    incident::{self, Facts, Silence},
    matching,
};

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TakeResult {
    /// It was taken before: nothing was done.
    Known,
    /// It began at least one incident.
    Opened,
    /// It ended at least one incident.
    Resolved,
    /// It begins what is open already.
    StillOpen,
    /// No Alert is about it, or it ends what is not open: recorded.
    Recorded,
}

/// A finding that was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) result: TakeResult,
    /// What to tell those who watch, now that it is committed.
    pub(crate) events: Vec<IncidentEvent>,
}

impl Store {
    /// Takes a finding once; a known id changes nothing.
    pub(crate) async fn take(&self, anomaly: &Anomaly, plans: &[AlertPlan]) -> Result<Taken, AlertError> {
        let mut tx = self.begin().await?;
        let body = serde_json::to_string(anomaly).map_err(AlertError::corrupt("finding"))?;
        let inserted = sqlx::query(
            "INSERT INTO anomalies (customer, id, taken_ms, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(&anomaly.data.customer)
        .bind(&anomaly.id)
        .bind(wall_ms())
        .bind(body)
        .execute(&mut *tx)
        .await
        .map_err(AlertError::store("record a finding"))?;
        if inserted.rows_affected() == 0 {
            return Ok(Taken { result: TakeResult::Known, events: vec![] });
        }
        let mut taking = Taking {
            tx: &mut tx,
            clock: self.clock,
            now_ms: match self.clock {
                Clock::Wall => wall_ms(),
                Clock::Event => anomaly.time.as_millisecond(),
            },
            anomaly,
            events: vec![],
        };
        let result = match anomaly.data.state {
            State::Firing => taking.begin(plans).await?,
            State::Resolved => taking.end(plans).await?,
        };
        let events = taking.events;
        commit(tx).await?;
        Ok(Taken { result, events })
    }
}

/// A finding while it is being taken.
struct Taking<'a> {
    tx: &'a mut Tx,
    clock: Clock,
    now_ms: i64,
    anomaly: &'a Anomaly,
    events: Vec<IncidentEvent>,
}

impl Taking<'_> {
    async fn begin(&mut self, plans: &[AlertPlan]) -> Result<TakeResult, AlertError> {
        let finding = &self.anomaly.data;
        let mut result = TakeResult::Recorded;
        for plan in plans.iter().filter(|plan| matching::matches(plan, finding)) {
            let silence = incident::silence(plan, finding);
            match self.open_incident(&plan.name).await? {
                None => {
                    self.insert(plan, silence).await?;
                    result = TakeResult::Opened;
                }
                // Found in warm-up, and now begun anew in live data: from now on people are told.
                Some((id, Some(Silence::Warmup))) if silence.is_none() => {
                    self.join(plan, &id).await?;
                    result = TakeResult::Opened;
                }
                Some(_) if result == TakeResult::Recorded => result = TakeResult::StillOpen,
                Some(_) => {}
            }
        }
        Ok(result)
    }

    async fn open_incident(&mut self, alert: &str) -> Result<Option<(String, Option<Silence>)>, AlertError> {
        let Finding { customer, topology, analytic, .. } = &self.anomaly.data;
        let row: Option<(String, Option<String>)> = sqlx::query_as(
            "SELECT id, silence FROM incidents WHERE customer = $1 AND topology = $2 AND analytic = $3 AND series = $4 \
             AND alert = $5 AND ends_ms IS NULL",
        )
        .bind(customer)
        .bind(topology)
        .bind(analytic)
        .bind(&self.anomaly.subject)
        .bind(alert)
        .fetch_optional(&mut **self.tx)
        .await
        .map_err(AlertError::store("look for an open incident"))?;
        Ok(row.map(|(id, silence)| (id, silence.as_deref().and_then(Silence::parse))))
    }

    async fn insert(&mut self, plan: &AlertPlan, silence: Option<Silence>) -> Result<(), AlertError> {
        let finding = &self.anomaly.data;
        let id = identity::incident(&finding.customer, &plan.name, &self.anomaly.id);
        let facts = serde_json::to_string(&Facts::from(finding)).map_err(AlertError::corrupt("finding"))?;
        sqlx::query(
            "INSERT INTO incidents (id, customer, topology, alert, analytic, series, metric, origin, starts_ms, silence, facts, \
             anomaly, touched_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(&id)
        .bind(&finding.customer)
        .bind(&finding.topology)
        .bind(&plan.name)
        .bind(&finding.analytic)
        .bind(&self.anomaly.subject)
        .bind(&finding.metric)
        .bind(&finding.origin)
        .bind(finding.since.as_millisecond())
        .bind(silence.map(Silence::as_str))
        .bind(facts)
        .bind(&self.anomaly.id)
        .bind(wall_ms())
        .execute(&mut **self.tx)
        .await
        .map_err(AlertError::store("record an incident"))?;
        match silence {
            None => self.join(plan, &id).await?,
            Some(_) => self.tell(&plan.name, &id, silence, IncidentEvent::Opened),
        }
        Ok(())
    }

    /// Puts an incident into its group, which begins with it where there is none.
    async fn join(&mut self, plan: &AlertPlan, incident: &str) -> Result<(), AlertError> {
        let finding = &self.anomaly.data;
        let timing = Timing::from(plan);
        let labels = matching::group_labels(&plan.group_by, finding);
        let labels = serde_json::to_string(&labels).map_err(AlertError::corrupt("group"))?;
        let mut row = groups::find(self.tx, &finding.customer, &plan.name, &labels).await?;
        if let (Clock::Event, Some(due)) = (self.clock, &mut row) {
            self.events.extend(fire::until(self.tx, due, plan, self.clock, self.now_ms).await?);
        }
        let mut row = match row.filter(|row| !row.group.is_over()) {
            Some(row) => row,
            None => groups::Row::new(&finding.customer, &plan.name, labels, incident),
        };
        let silence = (!row.group.add(incident, self.now_ms)).then_some(Silence::GroupFull);
        sqlx::query("UPDATE incidents SET silence = $2, group_id = $3 WHERE id = $1")
            .bind(incident)
            .bind(silence.map(Silence::as_str))
            .bind(silence.is_none().then_some(&row.id))
            .execute(&mut **self.tx)
            .await
            .map_err(AlertError::store("group an incident"))?;
        groups::save(self.tx, &row, plan.active.then_some(&timing)).await?;
        self.tell(&plan.name, incident, silence, IncidentEvent::Opened);
        Ok(())
    }

    async fn end(&mut self, plans: &[AlertPlan]) -> Result<TakeResult, AlertError> {
        let Finding { customer, topology, analytic, .. } = &self.anomaly.data;
        let open: Vec<(String, String, Option<String>, Option<String>)> = sqlx::query_as(
            "SELECT id, alert, group_id, silence FROM incidents WHERE customer = $1 AND topology = $2 AND analytic = $3 \
             AND series = $4 AND ends_ms IS NULL ORDER BY alert",
        )
        .bind(customer)
        .bind(topology)
        .bind(analytic)
        .bind(&self.anomaly.subject)
        .fetch_all(&mut **self.tx)
        .await
        .map_err(AlertError::store("look for open incidents"))?;
        let result = if open.is_empty() { TakeResult::Recorded } else { TakeResult::Resolved };
        for (incident, alert, group, silence) in open {
            let plan = plans.iter().find(|plan| plan.name == alert);
            self.leave(plan, &incident, group.as_deref()).await?;
            let silence = silence.as_deref().and_then(Silence::parse);
            self.tell(&alert, &incident, silence, IncidentEvent::Resolved);
        }
        Ok(result)
    }

    /// Ends an incident, and tells its group.
    async fn leave(
        &mut self,
        plan: Option<&AlertPlan>,
        incident: &str,
        group: Option<&str>,
    ) -> Result<(), AlertError> {
        let mut row = match group {
            Some(id) => groups::load(self.tx, id).await?,
            None => None,
        };
        if let (Clock::Event, Some(row), Some(plan)) = (self.clock, &mut row, plan) {
            self.events.extend(fire::until(self.tx, row, plan, self.clock, self.now_ms).await?);
        }
        let facts = Facts::from(&self.anomaly.data);
        sqlx::query("UPDATE incidents SET ends_ms = $2, resolution = $3, resolved_by = $4, touched_ms = $5 WHERE id = $1")
            .bind(incident)
            .bind(self.anomaly.time.as_millisecond())
            .bind(serde_json::to_string(&facts).map_err(AlertError::corrupt("finding"))?)
            .bind(&self.anomaly.id)
            .bind(wall_ms())
            .execute(&mut **self.tx)
            .await
            .map_err(AlertError::store("end an incident"))?;
        let Some(mut row) = row else { return Ok(()) };
        // Where the Alert is gone the group sleeps: should it come back, its first message says that this is over.
        let timing = plan.map_or(Timing::DORMANT, Timing::from);
        row.group.resolve(incident, self.now_ms, &timing);
        if !row.group.members.iter().any(|member| member.incident == incident) {
            groups::release(self.tx, incident).await?;
        }
        let awake = plan.is_some_and(|plan| plan.active);
        groups::save(self.tx, &row, awake.then_some(&timing)).await
    }

    fn tell(
        &mut self,
        alert: &str,
        incident: &str,
        silence: Option<Silence>,
        event: impl FnOnce(Subject) -> IncidentEvent,
    ) {
        let finding = &self.anomaly.data;
        self.events.push(event(Subject {
            incident: incident.to_owned(),
            customer: finding.customer.clone(),
            topology: finding.topology.clone(),
            alert: alert.to_owned(),
            analytic: finding.analytic.clone(),
            series: self.anomaly.subject.clone(),
            metric: finding.metric.clone(),
            origin: finding.origin.clone(),
            at: self.anomaly.time,
            silence,
            facts: Facts::from(finding),
        }));
    }
}
