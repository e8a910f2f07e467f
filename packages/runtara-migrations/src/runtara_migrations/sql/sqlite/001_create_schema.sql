-- The whole schema of a new SQLite database; table and column names are those of PostgreSQL.
--
-- Large columns come last in their tables: SQLite walks through a large value to reach what is
-- stored behind it. Times are text that sorts as time. Ids are rowids without AUTOINCREMENT, which
-- would cost a write more a row, to prevent only that the id of a deleted last row comes again;
-- except those of custom signals, because whoever watches them asks for ids it hasn't seen.

CREATE TABLE instances (
    instance_id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    definition_version INTEGER NOT NULL DEFAULT 1,
    status TEXT NOT NULL DEFAULT 'pending',
    checkpoint_id TEXT,
    attempt INTEGER NOT NULL DEFAULT 1,
    max_attempts INTEGER NOT NULL DEFAULT 3,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    started_at TEXT,
    finished_at TEXT,
    sleep_until TEXT,
    memory_peak_bytes INTEGER,
    cpu_usage_usec INTEGER,
    run_epoch INTEGER NOT NULL DEFAULT 0,
    last_activity_at TEXT,
    wake_claim_until TEXT,
    wake_claim_by TEXT,
    error TEXT,
    stderr TEXT,
    input BLOB,
    output BLOB,
    CONSTRAINT instance_id_not_empty CHECK (instance_id <> ''),
    CONSTRAINT valid_attempt CHECK (1 <= attempt AND attempt <= max_attempts),
    CONSTRAINT instance_status CHECK (
        status IN ('pending', 'running', 'suspended', 'completed', 'failed', 'cancelled')
    )
);

CREATE TABLE checkpoints (
    id INTEGER PRIMARY KEY,
    instance_id TEXT NOT NULL REFERENCES instances (instance_id) ON DELETE CASCADE,
    checkpoint_id TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    is_retry_attempt INTEGER NOT NULL DEFAULT FALSE CHECK (is_retry_attempt IN (FALSE, TRUE)),
    attempt_number INTEGER,
    wake_at TEXT,
    error_message TEXT,
    state BLOB NOT NULL,
    UNIQUE (instance_id, checkpoint_id)
);

CREATE TABLE instance_events (
    id INTEGER PRIMARY KEY,
    instance_id TEXT NOT NULL REFERENCES instances (instance_id) ON DELETE CASCADE,
    event_type TEXT NOT NULL,
    checkpoint_id TEXT,
    subtype TEXT,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    payload BLOB,
    CONSTRAINT instance_event_type CHECK (
        event_type IN (
            'started', 'progress', 'completed', 'failed', 'suspended', 'heartbeat', 'custom'
        )
    )
);

CREATE TABLE pending_signals (
    instance_id TEXT NOT NULL PRIMARY KEY REFERENCES instances (instance_id) ON DELETE CASCADE,
    signal_type TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    acknowledged_at TEXT,
    payload BLOB,
    CONSTRAINT signal_type CHECK (signal_type IN ('cancel', 'pause', 'resume'))
);

CREATE TABLE pending_checkpoint_signals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    instance_id TEXT NOT NULL REFERENCES instances (instance_id) ON DELETE CASCADE,
    checkpoint_id TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    payload BLOB,
    UNIQUE (instance_id, checkpoint_id)
);

-- Indexes. Saving a checkpoint touches two of them; moving an instance's pointer or its activity
-- none. There is none on retry attempts (their ids are a range of the unique key), none on an
-- event's subtype (an instance's events are few enough to look through).

-- Lists of instances, newest first, ties by id: all, of a tenant, in a status (and with it the
-- running ones that fell silent). The last holds the tenant too, to pass over those of others, or
-- count, without reading the table.
CREATE INDEX idx_instances_created ON instances (created_at DESC, instance_id);
CREATE INDEX idx_instances_tenant ON instances (tenant_id, created_at DESC, instance_id);
CREATE INDEX idx_instances_status
ON instances (status, created_at DESC, instance_id, tenant_id);

-- What is due: asleep and over (named by INDEXED BY: left alone, the planner takes the status's, and
-- walks through all that is paused), or told to cancel or resume. The second holds all that claiming
-- and watching for signals ask, so that they don't read the table.
CREATE INDEX idx_instances_sleep_until ON instances (sleep_until)
WHERE sleep_until IS NOT NULL AND status = 'suspended';
CREATE INDEX idx_pending_signals_unacknowledged
ON pending_signals (acknowledged_at, instance_id, signal_type, created_at)
WHERE acknowledged_at IS NULL;

-- Renewing and releasing the claims of one owner.
CREATE INDEX idx_instances_wake_claim ON instances (wake_claim_by)
WHERE wake_claim_by IS NOT NULL;

-- Deleting what finished long ago (named by INDEXED BY: the planner would take the status's).
CREATE INDEX idx_instances_finished ON instances (finished_at) WHERE finished_at IS NOT NULL;

-- An instance's checkpoints and events in the order they were stored: the rowid follows in every
-- index.
CREATE INDEX idx_checkpoints_instance ON checkpoints (instance_id);
CREATE INDEX idx_instance_events_instance ON instance_events (instance_id);
