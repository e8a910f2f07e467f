-- name: get
SELECT
    -- include: schedule
FROM cron_schedules
WHERE tenant_id = $1 AND name = $2;

-- name: lock
SELECT
    -- include: schedule
FROM cron_schedules
WHERE tenant_id = $1 AND name = $2
FOR UPDATE;

-- name: lock_name
-- A lock also for a schedule that does not exist yet, so that no two steps create it at once.
SELECT pg_advisory_xact_lock(hashtextextended($2, hashtextextended($1, 0)));

-- name: write
INSERT INTO cron_schedules (
    -- include: schedule
)
VALUES (
    $1,
    $2,
    $3,
    $4,
    $5,
    $6,
    $7,
    $8,
    $9,
    $10,
    $11,
    $12,
    $13,
    $14,
    $15,
    $16,
    $17,
    $18,
    $19,
    $20,
    $21,
    $22,
    $23,
    $24,
    $25
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
WHERE tenant_id = $1 AND name = $2
RETURNING name;

-- name: page
SELECT
    -- include: schedule
FROM cron_schedules
WHERE ($1::text IS NULL OR tenant_id = $1)
    AND (
        $2::text IS NULL
        OR (tenant_id COLLATE "C", name COLLATE "C") > ($2, $3::text)
    )
ORDER BY tenant_id COLLATE "C", name COLLATE "C"
LIMIT $4;

-- name: due
SELECT
    -- include: schedule
FROM cron_schedules
WHERE coalesce(buffered_tick_at, next_tick_at) <= $1
    AND (
        $2::timestamptz IS NULL
        OR (coalesce(buffered_tick_at, next_tick_at), tenant_id COLLATE "C", name COLLATE "C")
        > ($2, $3::text, $4::text)
    )
ORDER BY coalesce(buffered_tick_at, next_tick_at), tenant_id COLLATE "C", name COLLATE "C"
LIMIT $5;

-- name: next
SELECT min(coalesce(buffered_tick_at, next_tick_at)) AS next_at
FROM cron_schedules
WHERE coalesce(buffered_tick_at, next_tick_at) > $1;

-- name: is_open
SELECT 1 AS found
FROM instances
WHERE instance_id = $1 AND status IN ('pending', 'running', 'suspended');
