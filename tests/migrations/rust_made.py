"""A database as the Rust server 1.4.1 leaves it, written down from what is known of it."""

import asyncpg

SCHEMA = """
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
    success BOOLEAN NOT NULL,
    checksum BYTEA NOT NULL,
    execution_time BIGINT NOT NULL
);

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
CREATE INDEX idx_instances_tenant ON instances (tenant_id);
CREATE INDEX idx_instances_status ON instances (status);
CREATE INDEX idx_instances_created ON instances (created_at);
CREATE INDEX idx_instances_sleep_until ON instances (sleep_until)
    WHERE sleep_until IS NOT NULL AND status = 'suspended';

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
CREATE INDEX idx_checkpoints_instance ON checkpoints (instance_id);
CREATE INDEX idx_checkpoints_instance_latest ON checkpoints (instance_id, created_at DESC);
CREATE INDEX idx_checkpoints_retry_attempts ON checkpoints (instance_id, is_retry_attempt);

CREATE TABLE instance_events (
    id SERIAL PRIMARY KEY,
    instance_id TEXT NOT NULL REFERENCES instances (instance_id) ON DELETE CASCADE,
    event_type instance_event_type NOT NULL,
    checkpoint_id TEXT,
    payload BYTEA,
    subtype TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_instance_events_instance ON instance_events (instance_id);
CREATE INDEX idx_instance_events_created ON instance_events (created_at);
CREATE INDEX idx_instance_events_subtype ON instance_events (instance_id, subtype)
    WHERE subtype IS NOT NULL;

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

CREATE TABLE schedules (id TEXT PRIMARY KEY);
CREATE TABLE containers (id TEXT PRIMARY KEY);
"""
UNUSED_TABLES = frozenset({"_sqlx_migrations", "schedules", "containers"})

ENVIRONMENT_SCHEMA = """
CREATE TABLE images (
    image_id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    binary_path TEXT NOT NULL,
    bundle_path TEXT,
    runner_type TEXT NOT NULL DEFAULT 'oci',
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    metadata JSONB,
    UNIQUE (tenant_id, name)
);
CREATE TABLE instance_images (
    instance_id TEXT PRIMARY KEY,
    image_id TEXT NOT NULL REFERENCES images (image_id) ON DELETE CASCADE,
    tenant_id TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    env JSONB NOT NULL DEFAULT '{}'
);
CREATE TABLE container_registry (instance_id TEXT PRIMARY KEY);
CREATE TABLE container_cancellations (instance_id TEXT PRIMARY KEY);
CREATE TABLE container_status (instance_id TEXT PRIMARY KEY);
CREATE TABLE container_heartbeats (instance_id TEXT PRIMARY KEY);
"""
ENVIRONMENT_TABLES = (
    "images",
    "instance_images",
    "container_registry",
    "container_cancellations",
    "container_status",
    "container_heartbeats",
)
ENVIRONMENT_ROWS = """
INSERT INTO images (image_id, tenant_id, name, binary_path, runner_type)
VALUES
    ('used', 't', 'orders', '/opt/orders', 'oci'),
    ('odd', 't', 'old', '/opt/old', 'firecracker');
INSERT INTO instance_images (instance_id, image_id, tenant_id, env)
VALUES
    ('asleep', 'used', 't', '{"MODE": "fast"}'),
    ('failed', 'used', 't', '{}'),
    ('gone', 'used', 't', '{}');
INSERT INTO container_registry VALUES ('running');
"""
_OF_THE_ENVIRONMENT = 20250101000000

# One instance in every state, with what belongs to it.
ROWS = """
INSERT INTO instances (
    instance_id, tenant_id, status, checkpoint_id, started_at, finished_at, sleep_until, output,
    error, input
)
VALUES
    ('pending', 't', 'pending', NULL, NULL, NULL, NULL, NULL, NULL, 'given'),
    ('running', 't', 'running', 'c', now(), NULL, NULL, NULL, NULL, NULL),
    ('asleep', 't', 'suspended', 'c', now(), NULL, '2026-01-02T03:04:05.678Z', NULL, NULL, NULL),
    ('paused', 't', 'suspended', NULL, now(), NULL, NULL, NULL, NULL, NULL),
    ('completed', 't', 'completed', 'c', now(), now(), NULL, '\\x00ff', NULL, NULL),
    ('failed', 't', 'failed', NULL, now(), now(), NULL, NULL, 'broken', NULL),
    ('cancelled', 't', 'cancelled', NULL, now(), now(), NULL, NULL, NULL, NULL);
INSERT INTO checkpoints (instance_id, checkpoint_id, state)
SELECT instance_id, 'c', 'first' FROM instances WHERE checkpoint_id = 'c';
INSERT INTO checkpoints (
    instance_id, checkpoint_id, state, is_retry_attempt, attempt_number, error_message
)
VALUES ('running', 'c::retry::1', '', TRUE, 1, 'it failed');
INSERT INTO instance_events (instance_id, event_type, payload, subtype)
VALUES ('running', 'started', NULL, NULL), ('running', 'custom', 'said', 'kind');
INSERT INTO pending_signals (instance_id, signal_type, payload)
VALUES ('running', 'pause', NULL), ('paused', 'resume', 'now');
INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id, payload)
VALUES ('running', 'c', 'sent');
"""

_LEDGER = """
INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
VALUES ($1, 'one of theirs', $2, '', 1)
"""


async def make(connection: "asyncpg.Connection[asyncpg.Record]", versions: dict[int, bool]) -> None:
    """Make such a database, its ledger showing these versions and whether they succeeded."""
    await connection.execute(SCHEMA)
    await connection.execute(ROWS)
    if _OF_THE_ENVIRONMENT in versions:
        await connection.execute(ENVIRONMENT_SCHEMA)
        await connection.execute(ENVIRONMENT_ROWS)
    await connection.executemany(_LEDGER, list(versions.items()))
