-- Schedules, and what has become of each.
--
-- next_tick_at: null while the schedule is paused. buffered_tick_at: of a tick that waits until the
-- instance of an earlier one has ended. revision: another one after each change that is no tick.
CREATE TABLE cron_schedules (
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    workflow TEXT,
    image_id TEXT,
    cron TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    missing TEXT NOT NULL,
    duplicate TEXT NOT NULL,
    overlap TEXT NOT NULL,
    catch_up_ms BIGINT NOT NULL,
    jitter_ms BIGINT NOT NULL,
    input BYTEA,
    queue TEXT,
    priority INTEGER NOT NULL,
    revision BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    is_declared BOOLEAN NOT NULL,
    code_versions TEXT NOT NULL,
    paused_by TEXT,
    pause_reason TEXT NOT NULL,
    next_tick_at TIMESTAMPTZ,
    last_tick_at TIMESTAMPTZ,
    last_instance_id TEXT,
    buffered_tick_at TIMESTAMPTZ,
    problem TEXT,
    PRIMARY KEY (tenant_id, name)
);

-- When each is to be looked at.
CREATE INDEX idx_cron_schedules_due ON cron_schedules (coalesce(buffered_tick_at, next_tick_at));
