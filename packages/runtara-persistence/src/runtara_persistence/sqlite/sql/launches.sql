-- name: start.find
SELECT
    i.tenant_id,
    i.workflow,
    CAST(i.input AS BLOB),
    coalesce(i.image_id, a.image_id),
    m.tenant_id,
    m.name
-- include: instances_with_images
WHERE i.instance_id = :instance_id;

-- name: start.image
SELECT name, deleted_at IS NULL
FROM images
WHERE image_id = :image_id AND tenant_id = :tenant_id;

-- name: start.same_key
SELECT instance_id
FROM instances INDEXED BY idx_instances_dedupe
WHERE tenant_id = :tenant_id
    AND queue IS :queue
    AND dedupe_key = :dedupe_key
    AND status IN ('pending', 'running', 'suspended')
ORDER BY created_at, instance_id
LIMIT 1;

-- name: start.create
INSERT INTO instances (
    instance_id,
    tenant_id,
    created_at,
    input,
    image_id,
    workflow,
    priority,
    launch_after,
    timeout_ms,
    queue,
    dedupe_key,
    env
)
VALUES (
    :instance_id,
    :tenant_id,
    :at,
    :input,
    :image_id,
    :workflow,
    :priority,
    :launch_after,
    :timeout_ms,
    :queue,
    :dedupe_key,
    :env
);

-- name: start.associate
INSERT INTO instance_images (instance_id, image_id, tenant_id, created_at, env)
VALUES (:instance_id, :image_id, :tenant_id, :at, :env)
ON CONFLICT (instance_id) DO UPDATE
SET image_id = excluded.image_id,
    tenant_id = excluded.tenant_id,
    env = excluded.env;

-- name: mark_started
UPDATE launches
SET started_at = coalesce(started_at, :at),
    handle = coalesce(:handle, handle)
WHERE launch_id = :launch_id AND closed_at IS NULL;

-- name: open_launches
SELECT
    l.launch_id,
    l.instance_id,
    l.tenant_id,
    l.environment_id,
    l.number,
    l.created_at,
    l.image_id,
    l.workflow,
    l.queue,
    l.started_at,
    l.handle,
    l.timeout_at,
    i.status,
    i.sleep_until,
    CASE WHEN i.run_epoch > coalesce(i.ended_run, 0) THEN i.run_epoch END AS run,
    coalesce(i.last_activity_at, i.started_at, i.created_at) AS last_activity_at,
    coalesce(i.wake_claim_by IS NOT NULL AND i.wake_claim_until > :at, FALSE) AS is_sleep_held,
    i.stop_at,
    i.stop_reason,
    s.signal_type AS pending_signal,
    CASE
        WHEN i.status = 'suspended'
            AND s.signal_type IN ('cancel', 'resume')
            AND (i.sleep_until IS NULL AND i.blocked_signal_at = s.created_at) IS NOT TRUE
        THEN s.created_at
    END AS told_at
FROM launches AS l
CROSS JOIN instances AS i ON i.instance_id = l.instance_id
LEFT JOIN pending_signals AS s
    ON s.instance_id = l.instance_id AND s.acknowledged_at IS NULL
WHERE l.environment_id = :environment_id AND l.closed_at IS NULL
ORDER BY l.created_at, l.launch_id;

-- name: run_state
SELECT
    i.status,
    i.sleep_until,
    i.launch_id,
    i.tenant_id,
    coalesce(i.image_id, a.image_id) AS image_id,
    i.error,
    i.memory_peak_bytes,
    i.cpu_usage_usec,
    i.stderr
FROM instances AS i
LEFT JOIN instance_images AS a ON a.instance_id = i.instance_id
WHERE i.instance_id = :instance_id;

-- name: stop
UPDATE instances
SET stop_at = min(coalesce(stop_at, :stop_at), :stop_at),
    stop_reason = :reason
WHERE instance_id = :instance_id
RETURNING stop_at;

-- name: environment_of
SELECT environment_id
FROM launches
WHERE launch_id = :launch_id;

-- name: end_stopped
SELECT
    i.instance_id,
    i.stop_reason,
    i.memory_peak_bytes,
    i.cpu_usage_usec,
    i.stderr
FROM instances AS i INDEXED BY idx_instances_stop
LEFT JOIN launches AS l ON l.launch_id = i.launch_id
LEFT JOIN environments AS e
    ON e.environment_id = l.environment_id AND e.closed_at IS NULL AND e.lease_until > :at
WHERE i.stop_at IS NOT NULL
    AND i.status IN ('pending', 'running', 'suspended')
    AND i.stop_at <= :until
    AND e.environment_id IS NULL
ORDER BY i.stop_at, i.instance_id
LIMIT :limit;

-- name: settle_cancel
UPDATE pending_signals
SET acknowledged_at = :at
WHERE instance_id = :instance_id AND acknowledged_at IS NULL AND signal_type = 'cancel';

-- name: settle_pause
UPDATE pending_signals
SET acknowledged_at = :at
WHERE instance_id = :instance_id AND acknowledged_at IS NULL AND signal_type = 'pause';

-- name: end_backoff
UPDATE instances
SET launch_after = NULL
WHERE instance_id = :instance_id AND backoff_ms IS NOT NULL;

-- name: end_waits
UPDATE instances
SET launch_after = NULL
WHERE instance_id = :instance_id
    AND launch_id IS NULL
    AND launch_after IS NOT NULL
    AND backoff_ms IS NOT NULL
    AND EXISTS (
        SELECT 1
        FROM launches AS l
        WHERE l.instance_id = instances.instance_id
            AND l.number = instances.launch_count
            AND l.cause = 'waiting'
    );

-- name: retry
UPDATE instances
SET image_id = :image_id,
    launch_id = NULL,
    launch_after = NULL,
    backoff_ms = NULL,
    stop_at = NULL,
    stop_reason = NULL,
    crashes = 0,
    ended_run = CASE WHEN :is_run_over THEN run_epoch ELSE ended_run END
WHERE instance_id = :instance_id;

-- name: move
UPDATE instances
SET image_id = :image_id
WHERE instance_id = :instance_id;

-- name: tell
UPDATE launchable_changes SET changes = changes + 1;

-- name: start.told
SELECT changes FROM launchable_changes WHERE id = 1;

-- name: start.untell
UPDATE launchable_changes SET changes = :changes;

-- name: page.place
SELECT created_at
FROM launches
WHERE launch_id = :after;

-- name: page
SELECT
    -- include: launch
FROM launches AS l
CROSS JOIN instances AS i ON i.instance_id = l.instance_id
WHERE (:instance_id IS NULL OR l.instance_id = :instance_id)
    AND (:environment_id IS NULL OR l.environment_id = :environment_id)
    AND (NOT :open_only OR l.closed_at IS NULL)
    AND (
        :created_at IS NULL
        OR l.created_at < :created_at
        OR (l.created_at = :created_at AND l.launch_id > :after)
    )
ORDER BY l.created_at DESC, l.launch_id
LIMIT :limit;
