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
    catch_up_ms INTEGER NOT NULL,
    jitter_ms INTEGER NOT NULL,
    input BLOB,
    queue TEXT,
    priority INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    is_declared INTEGER NOT NULL,
    code_versions TEXT NOT NULL,
    paused_by TEXT,
    pause_reason TEXT NOT NULL,
    next_tick_at TEXT,
    last_tick_at TEXT,
    last_instance_id TEXT,
    buffered_tick_at TEXT,
    problem TEXT,
    PRIMARY KEY (tenant_id, name)
);

-- When each is to be looked at.
CREATE INDEX idx_cron_schedules_due ON cron_schedules (coalesce(buffered_tick_at, next_tick_at));
