-- Launches, the environments that hold them, and what bounds them.
--
-- What a claim reads lives in `instances`. None of its new columns is written while a checkpoint is
-- saved, and no index on them.
--
-- ended_run: every run up to this one is over, as far as environments know; the run of an open launch
-- is a later one. lost_run: the run of a launch whose environment was lost. judged_checkpoint_id: the
-- newest checkpoint when a launch ended last.

ALTER TABLE instances ADD COLUMN image_id TEXT;
ALTER TABLE instances ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN queue TEXT;
ALTER TABLE instances ADD COLUMN dedupe_key TEXT;
ALTER TABLE instances ADD COLUMN launch_after TEXT;
ALTER TABLE instances ADD COLUMN timeout_ms INTEGER;
ALTER TABLE instances ADD COLUMN launch_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN launch_sends_id INTEGER NOT NULL DEFAULT FALSE;
ALTER TABLE instances ADD COLUMN ended_run INTEGER;
ALTER TABLE instances ADD COLUMN lost_run INTEGER;
ALTER TABLE instances ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN backoff_ms INTEGER;
ALTER TABLE instances ADD COLUMN judged_checkpoint_id TEXT;
ALTER TABLE instances ADD COLUMN stop_at TEXT;
ALTER TABLE instances ADD COLUMN stop_reason TEXT;
ALTER TABLE instances ADD COLUMN env TEXT;

CREATE TABLE launches (
    launch_id TEXT NOT NULL PRIMARY KEY,
    instance_id TEXT NOT NULL REFERENCES instances (instance_id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    environment_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    image_id TEXT,
    image_name TEXT,
    workflow TEXT,
    queue TEXT,
    runner TEXT,
    placement TEXT,
    timeout_at TEXT,
    is_bounded INTEGER NOT NULL DEFAULT FALSE,
    started_at TEXT,
    handle TEXT,
    closed_at TEXT,
    run INTEGER,
    cause TEXT,
    exit_code INTEGER,
    exit_signal INTEGER,
    memory_peak_bytes INTEGER,
    cpu_usage_usec INTEGER,
    verdict TEXT,
    stderr TEXT
);

CREATE TABLE environments (
    environment_id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    tenant_id TEXT,
    machine TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    version TEXT NOT NULL,
    capacity INTEGER NOT NULL,
    workflows TEXT NOT NULL,
    started_at TEXT NOT NULL,
    lease_until TEXT NOT NULL,
    clock_offset_ms INTEGER NOT NULL DEFAULT 0,
    is_draining INTEGER NOT NULL DEFAULT FALSE,
    closed_at TEXT
);

CREATE TABLE limits (
    scope TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    max_concurrent INTEGER,
    per_environment INTEGER,
    rate INTEGER,
    rate_period_ms INTEGER,
    PRIMARY KEY (scope, tenant_id, name)
);

CREATE TABLE holds (
    scope TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (scope, tenant_id, name)
);

-- What is launchable by itself, by lanes: what they have in common that are launched, held and
-- bounded alike. A lane is one text, because a scan can skip from one to the next only by one
-- expression. Within a lane the longest waiting come first, so that a claim reads no more than it
-- takes.
CREATE INDEX idx_instances_launchable ON instances (
    quote(tenant_id) || ',' || quote(image_id) || ',' || quote(workflow) || ',' || quote(queue),
    priority,
    CASE
        WHEN status = 'suspended'
        THEN max(
            sleep_until,
            coalesce(launch_after, ''),
            CASE WHEN wake_claim_by IS NOT NULL THEN coalesce(wake_claim_until, '') ELSE '' END
        )
        WHEN status = 'pending' OR (status = 'running' AND ended_run = run_epoch)
        THEN max(created_at, coalesce(launch_after, ''))
    END,
    instance_id
)
WHERE launch_id IS NULL
    AND status IN ('pending', 'running', 'suspended')
    AND (image_id IS NOT NULL OR workflow IS NOT NULL);

-- The same by time alone: the next moment at which there is something to launch.
CREATE INDEX idx_instances_launchable_at ON instances (
    CASE
        WHEN status = 'suspended'
        THEN max(
            sleep_until,
            coalesce(launch_after, ''),
            CASE WHEN wake_claim_by IS NOT NULL THEN coalesce(wake_claim_until, '') ELSE '' END
        )
        WHEN status = 'pending' OR (status = 'running' AND ended_run = run_epoch)
        THEN max(created_at, coalesce(launch_after, ''))
    END
)
WHERE launch_id IS NULL
    AND status IN ('pending', 'running', 'suspended')
    AND (image_id IS NOT NULL OR workflow IS NOT NULL);

-- Running, and watched by no environment.
CREATE INDEX idx_instances_unwatched ON instances (instance_id)
WHERE status = 'running' AND launch_id IS NULL AND (image_id IS NOT NULL OR lost_run IS NOT NULL);

CREATE INDEX idx_instances_stop ON instances (stop_at)
WHERE stop_at IS NOT NULL AND status IN ('pending', 'running', 'suspended');
CREATE INDEX idx_instances_image ON instances (image_id) WHERE image_id IS NOT NULL;
CREATE INDEX idx_instances_queue ON instances (tenant_id, queue) WHERE queue IS NOT NULL;

CREATE INDEX idx_launches_instance ON launches (instance_id, number);
CREATE INDEX idx_launches_open ON launches (environment_id) WHERE closed_at IS NULL;
CREATE INDEX idx_launches_newest ON launches (created_at DESC, launch_id);
CREATE INDEX idx_launches_queue ON launches (tenant_id, queue, created_at) WHERE queue IS NOT NULL;
