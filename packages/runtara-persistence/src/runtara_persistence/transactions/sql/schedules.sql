-- name: get
SELECT
    -- include: schedule
FROM cron_schedules
WHERE tenant_id = :tenant_id AND name = :name;

-- name: lock
SELECT
    -- include: schedule
FROM cron_schedules
WHERE tenant_id = :tenant_id AND name = :name
FOR UPDATE;

-- name: lock_name for postgres
-- A lock also for a schedule that does not exist yet, so that no two steps create it at once.
SELECT pg_advisory_xact_lock(hashtextextended(:name, hashtextextended(:tenant_id, 0)));

-- name: write
INSERT INTO cron_schedules (
    -- include: schedule
)
VALUES (
    :tenant_id,
    :name,
    :workflow,
    :image_id,
    :cron,
    :time_zone,
    :missing,
    :duplicate,
    :overlap,
    :catch_up_ms,
    :jitter_ms,
    :input,
    :queue,
    :priority,
    :revision,
    :created_at,
    :is_declared,
    :code_versions,
    :paused_by,
    :pause_reason,
    :next_tick_at,
    :last_tick_at,
    :last_instance_id,
    :buffered_tick_at,
    :problem
)
ON CONFLICT (tenant_id, name) DO UPDATE
SET workflow = excluded.workflow,
    image_id = excluded.image_id,
    cron = excluded.cron,
    time_zone = excluded.time_zone,
    missing = excluded.missing,
    duplicate = excluded.duplicate,
    overlap = excluded.overlap,
    catch_up_ms = excluded.catch_up_ms,
    jitter_ms = excluded.jitter_ms,
    input = excluded.input,
    queue = excluded.queue,
    priority = excluded.priority,
    revision = excluded.revision,
    created_at = excluded.created_at,
    is_declared = excluded.is_declared,
    code_versions = excluded.code_versions,
    paused_by = excluded.paused_by,
    pause_reason = excluded.pause_reason,
    next_tick_at = excluded.next_tick_at,
    last_tick_at = excluded.last_tick_at,
    last_instance_id = excluded.last_instance_id,
    buffered_tick_at = excluded.buffered_tick_at,
    problem = excluded.problem;

-- name: remove
DELETE FROM cron_schedules
WHERE tenant_id = :tenant_id AND name = :name
RETURNING name;

-- name: page
SELECT
    -- include: schedule
FROM cron_schedules
WHERE (:tenant_id::text IS NULL OR tenant_id = :tenant_id)
    AND (
        :after_tenant::text IS NULL
        OR (tenant_id COLLATE "C", name COLLATE "C") > (:after_tenant, :after_name::text)
    )
ORDER BY tenant_id COLLATE "C", name COLLATE "C"
LIMIT :limit;

-- name: due
SELECT
    -- include: schedule
FROM cron_schedules
WHERE coalesce(buffered_tick_at, next_tick_at) <= :at
    AND (
        :after_at::timestamptz IS NULL
        OR (coalesce(buffered_tick_at, next_tick_at), tenant_id COLLATE "C", name COLLATE "C")
        > (:after_at, :after_tenant::text, :after_name::text)
    )
ORDER BY coalesce(buffered_tick_at, next_tick_at), tenant_id COLLATE "C", name COLLATE "C"
LIMIT :limit;

-- name: next
SELECT min(coalesce(buffered_tick_at, next_tick_at)) AS next_at
FROM cron_schedules
WHERE coalesce(buffered_tick_at, next_tick_at) > :at;

-- name: is_open
SELECT 1 AS found
FROM instances
WHERE instance_id = :instance_id AND status IN ('pending', 'running', 'suspended');
