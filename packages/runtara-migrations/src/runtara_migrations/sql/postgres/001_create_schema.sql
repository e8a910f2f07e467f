-- The schema as the Rust server 1.4.1 made it: databases of its making count as having had this.
--
-- Only what its databases have belongs here; whatever is ours comes in the migrations after it.

CREATE TYPE instance_status AS ENUM (
    'pending', 'running', 'suspended', 'completed', 'failed', 'cancelled'
);
CREATE TYPE instance_event_type AS ENUM (
    'started', 'progress', 'completed', 'failed', 'suspended', 'heartbeat', 'custom'
);
CREATE TYPE signal_type AS ENUM ('cancel', 'pause', 'resume');

CREATE TABLE instances (
    instance_id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    definition_version INTEGER NOT NULL DEFAULT 1,
    status instance_status NOT NULL DEFAULT 'pending',
    checkpoint_id TEXT,
    attempt INTEGER NOT NULL DEFAULT 1,
    max_attempts INTEGER NOT NULL DEFAULT 3,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    started_at TIMESTAMPTZ,
    finished_at TIMESTAMPTZ,
    sleep_until TIMESTAMPTZ,
    output BYTEA,
    error TEXT,
    memory_peak_bytes BIGINT,
    cpu_usage_usec BIGINT,
    stderr TEXT,
    input BYTEA,
    CONSTRAINT instance_id_not_empty CHECK (instance_id <> ''),
    CONSTRAINT valid_attempt CHECK (attempt >= 1 AND attempt <= max_attempts)
);

CREATE TABLE checkpoints (
    id SERIAL PRIMARY KEY,
    instance_id TEXT NOT NULL REFERENCES instances (instance_id) ON DELETE CASCADE,
    checkpoint_id TEXT NOT NULL,
    state BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    is_retry_attempt BOOLEAN NOT NULL DEFAULT FALSE,
    attempt_number INTEGER,
    error_message TEXT,
    UNIQUE (instance_id, checkpoint_id)
);

CREATE TABLE instance_events (
    id SERIAL PRIMARY KEY,
    instance_id TEXT NOT NULL REFERENCES instances (instance_id) ON DELETE CASCADE,
    event_type instance_event_type NOT NULL,
    checkpoint_id TEXT,
    payload BYTEA,
    subtype TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE pending_signals (
    instance_id TEXT PRIMARY KEY REFERENCES instances (instance_id) ON DELETE CASCADE,
    signal_type signal_type NOT NULL,
    payload BYTEA,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    acknowledged_at TIMESTAMPTZ
);

CREATE TABLE pending_checkpoint_signals (
    id SERIAL PRIMARY KEY,
    instance_id TEXT NOT NULL REFERENCES instances (instance_id) ON DELETE CASCADE,
    checkpoint_id TEXT NOT NULL,
    payload BYTEA,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (instance_id, checkpoint_id)
);

CREATE INDEX idx_instances_tenant ON instances (tenant_id);
CREATE INDEX idx_instances_status ON instances (status);
CREATE INDEX idx_instances_created ON instances (created_at);
CREATE INDEX idx_instances_sleep_until ON instances (sleep_until)
WHERE sleep_until IS NOT NULL AND status = 'suspended';
CREATE INDEX idx_checkpoints_instance ON checkpoints (instance_id);
CREATE INDEX idx_checkpoints_instance_latest ON checkpoints (instance_id, created_at DESC);
CREATE INDEX idx_checkpoints_retry_attempts ON checkpoints (instance_id, checkpoint_id)
WHERE is_retry_attempt;
CREATE INDEX idx_instance_events_instance ON instance_events (instance_id);
CREATE INDEX idx_instance_events_created ON instance_events (created_at);
CREATE INDEX idx_instance_events_subtype ON instance_events (instance_id, subtype)
WHERE subtype IS NOT NULL;
