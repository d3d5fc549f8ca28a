-- Times are milliseconds since the epoch; JSON is text. SQLite and PostgreSQL read the same statements.

-- Every finding that was taken. The body goes after a while, the id stays, so that a finding is taken once.
CREATE TABLE anomalies (
    customer TEXT NOT NULL,
    id TEXT NOT NULL,
    taken_ms BIGINT NOT NULL,
    body TEXT,
    PRIMARY KEY (id, customer)
);
CREATE INDEX anomalies_bodies ON anomalies (taken_ms) WHERE body IS NOT NULL;
CREATE INDEX anomalies_ids ON anomalies (taken_ms) WHERE body IS NULL;

CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    customer TEXT NOT NULL,
    topology TEXT NOT NULL,
    alert TEXT NOT NULL,
    analytic TEXT NOT NULL,
    series TEXT NOT NULL,
    metric TEXT NOT NULL,
    origin TEXT NOT NULL,
    starts_ms BIGINT NOT NULL,
    ends_ms BIGINT,
    silence TEXT,
    facts TEXT NOT NULL,
    resolution TEXT,
    -- The wall's time at which this row last changed its state.
    touched_ms BIGINT NOT NULL,
    -- The findings that began and ended it.
    anomaly TEXT NOT NULL,
    resolved_by TEXT,
    -- Its group, until the group has nothing more to say of it.
    group_id TEXT,
    told INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX incidents_open ON incidents (customer, topology, analytic, series, alert) WHERE ends_ms IS NULL;
CREATE INDEX incidents_group ON incidents (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX incidents_ended ON incidents (ends_ms);
CREATE INDEX incidents_touched ON incidents (touched_ms);

-- A group lives from its first incident until the last one is over and told of.
CREATE TABLE alert_groups (
    id TEXT PRIMARY KEY,
    customer TEXT NOT NULL,
    alert TEXT NOT NULL,
    labels TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    last_ms BIGINT,
    changed_ms BIGINT,
    overflow BIGINT NOT NULL,
    -- The next message's deadline; none while the Alert is inactive or gone.
    due_ms BIGINT
);
CREATE UNIQUE INDEX alert_groups_labels ON alert_groups (customer, alert, labels);
CREATE INDEX alert_groups_due ON alert_groups (due_ms) WHERE due_ms IS NOT NULL;

-- A message about a group to one receiver; the content is all that the mail is composed of, but for the charts.
CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    customer TEXT NOT NULL,
    receiver TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    reason TEXT NOT NULL,
    -- By the service's clock, and by the wall's.
    decided_ms BIGINT NOT NULL,
    made_ms BIGINT NOT NULL,
    content TEXT NOT NULL
);
CREATE INDEX notifications_made ON notifications (made_ms);

CREATE TABLE notification_incidents (
    incident TEXT NOT NULL,
    notification TEXT NOT NULL,
    PRIMARY KEY (incident, notification)
);
CREATE INDEX notification_incidents_notification ON notification_incidents (notification);

-- What is to be delivered: a row for each recipient, so that one who is refused never holds up another.
CREATE TABLE outbox (
    notification TEXT NOT NULL,
    recipient TEXT NOT NULL,
    lane TEXT NOT NULL,
    group_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    made_ms BIGINT NOT NULL,
    next_ms BIGINT NOT NULL,
    sent_ms BIGINT,
    last_error TEXT,
    PRIMARY KEY (notification, recipient)
);
CREATE INDEX outbox_waiting ON outbox (lane, next_ms) WHERE state = 'waiting';
CREATE INDEX outbox_unfinished ON outbox (state) WHERE state IN ('waiting', 'sending');
