-- Launches, the environments that hold them, and what bounds them.
--
-- What a claim reads lives in `instances`: each column is nullable or has a constant default, so that
-- no row is rewritten and other programs insert without naming it. None of them is written while a
-- checkpoint is saved.
--
-- ended_run: every run up to this one is over, as far as environments know; the run of an open launch
-- is a later one. lost_run: the run of a launch whose environment was lost. judged_checkpoint_id: the
-- newest checkpoint when a launch ended last.

ALTER TABLE instances
    ADD COLUMN image_id TEXT,
    ADD COLUMN priority INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN queue TEXT,
    ADD COLUMN dedupe_key TEXT,
    ADD COLUMN launch_after TIMESTAMPTZ,
    ADD COLUMN timeout_ms BIGINT,
    ADD COLUMN launch_count INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN launch_sends_id BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN ended_run BIGINT,
    ADD COLUMN lost_run BIGINT,
    ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN backoff_ms BIGINT,
    ADD COLUMN judged_checkpoint_id TEXT,
    ADD COLUMN stop_at TIMESTAMPTZ,
    ADD COLUMN stop_reason TEXT,
    ADD COLUMN env TEXT;

CREATE TABLE launches (
    launch_id TEXT PRIMARY KEY,
    instance_id TEXT NOT NULL REFERENCES instances (instance_id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    environment_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    image_id TEXT,
    image_name TEXT,
    workflow TEXT,
    queue TEXT,
    runner TEXT,
    placement TEXT,
    timeout_at TIMESTAMPTZ,
    is_bounded BOOLEAN NOT NULL DEFAULT FALSE,
    started_at TIMESTAMPTZ,
    handle TEXT,
    closed_at TIMESTAMPTZ,
    run BIGINT,
    cause TEXT,
    exit_code INTEGER,
    exit_signal INTEGER,
    memory_peak_bytes BIGINT,
    cpu_usage_usec BIGINT,
    verdict TEXT,
    stderr TEXT
);

CREATE TABLE environments (
    environment_id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    tenant_id TEXT,
    machine TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    version TEXT NOT NULL,
    capacity INTEGER NOT NULL,
    workflows TEXT NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    lease_until TIMESTAMPTZ NOT NULL,
    clock_offset_ms BIGINT NOT NULL DEFAULT 0,
    is_draining BOOLEAN NOT NULL DEFAULT FALSE,
    closed_at TIMESTAMPTZ
);

CREATE TABLE limits (
    scope TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    max_concurrent INTEGER,
    per_environment INTEGER,
    rate INTEGER,
    rate_period_ms BIGINT,
    PRIMARY KEY (scope, tenant_id, name)
);

CREATE TABLE holds (
    scope TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (scope, tenant_id, name)
);

-- What is launchable by itself, by lanes: what they have in common that are launched, held and
-- bounded alike. A lane is a hash, because the four texts together are too long for an index. Within
-- a lane the longest waiting come first, so that a claim reads no more than it takes.
CREATE INDEX idx_instances_launchable ON instances (
    hashtextextended(
        coalesce(workflow, ''),
        hashtextextended(
            coalesce(queue, ''),
            hashtextextended(coalesce(image_id, ''), hashtextextended(tenant_id, 0))
        )
    ),
    priority,
    (CASE
        WHEN status = 'suspended' THEN
            CASE
                WHEN sleep_until IS NOT NULL THEN
                    greatest(
                        sleep_until,
                        launch_after,
                        CASE WHEN wake_claim_by IS NOT NULL THEN wake_claim_until END
                    )
            END
        WHEN status = 'pending' OR (status = 'running' AND ended_run = run_epoch)
        THEN greatest(created_at, launch_after)
    END),
    instance_id COLLATE "C"
)
WHERE launch_id IS NULL
    AND status IN ('pending', 'running', 'suspended')
    AND (image_id IS NOT NULL OR workflow IS NOT NULL);

-- The same by time alone: the next moment at which there is something to launch.
CREATE INDEX idx_instances_launchable_at ON instances (
    (CASE
        WHEN status = 'suspended' THEN
            CASE
                WHEN sleep_until IS NOT NULL THEN
                    greatest(
                        sleep_until,
                        launch_after,
                        CASE WHEN wake_claim_by IS NOT NULL THEN wake_claim_until END
                    )
            END
        WHEN status = 'pending' OR (status = 'running' AND ended_run = run_epoch)
        THEN greatest(created_at, launch_after)
    END)
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
CREATE INDEX idx_launches_newest ON launches (created_at DESC, launch_id COLLATE "C");
CREATE INDEX idx_launches_queue ON launches (tenant_id, queue, created_at) WHERE queue IS NOT NULL;
