-- name: lock
SELECT
    -- include: state,
    tenant_id,
    launch_id,
    coalesce(
        image_id,
        (SELECT a.image_id FROM instance_images AS a WHERE a.instance_id = instances.instance_id)
    ) AS image_id,
    error,
    memory_peak_bytes,
    cpu_usage_usec,
    stderr,
    stop_at,
    stop_reason
FROM instances
WHERE instance_id = :instance_id
FOR NO KEY UPDATE;

-- name: stop
UPDATE instances
SET stop_at = CASE WHEN stop_at < :stop_at THEN stop_at ELSE :stop_at END,
    stop_reason = :reason
WHERE instance_id = :instance_id
RETURNING
    stop_at,
    (SELECT l.environment_id FROM launches AS l WHERE l.launch_id = instances.launch_id)
    AS environment_id;

-- name: overdue
SELECT i.instance_id
FROM instances AS i
LEFT JOIN launches AS l ON l.launch_id = i.launch_id
LEFT JOIN environments AS e
    ON e.environment_id = l.environment_id
    AND e.closed_at IS NULL
    AND e.lease_until > :at::timestamptz
WHERE i.stop_at IS NOT NULL
    AND i.status IN ('pending', 'running', 'suspended')
    AND i.stop_at <= :until::timestamptz
    AND e.environment_id IS NULL
ORDER BY i.stop_at, i.instance_id COLLATE "C"
LIMIT :limit;

-- name: is_watched
SELECT e.environment_id
FROM launches AS l
JOIN environments AS e ON e.environment_id = l.environment_id
WHERE l.launch_id = :launch_id AND e.closed_at IS NULL AND e.lease_until > :at;

-- name: settle_signal
UPDATE pending_signals
SET acknowledged_at = :at
WHERE instance_id = :instance_id
    AND acknowledged_at IS NULL
    AND signal_type = :signal_type::text::signal_type;

-- name: end_backoff
UPDATE instances
SET launch_after = NULL
WHERE instance_id = :instance_id AND backoff_ms IS NOT NULL;

-- name: end_waits
UPDATE instances
SET launch_after = NULL
WHERE instance_id IN (
    SELECT i.instance_id
    FROM instances AS i
    JOIN launches AS l ON l.instance_id = i.instance_id AND l.number = i.launch_count
    WHERE i.instance_id = ANY (:instance_ids::text[])
        AND i.launch_id IS NULL
        AND i.launch_after IS NOT NULL
        AND i.backoff_ms IS NOT NULL
        AND l.cause = 'waiting'
    -- An instance that another step has locked is about to be launched or moved anyway.
    FOR NO KEY UPDATE OF i SKIP LOCKED
);

-- name: retry
UPDATE instances
SET image_id = :image_id,
    launch_after = NULL,
    backoff_ms = NULL,
    stop_at = NULL,
    stop_reason = NULL,
    crashes = 0,
    ended_run = CASE WHEN :is_run_over::boolean THEN run_epoch ELSE ended_run END
WHERE instance_id = :instance_id;

-- name: move
UPDATE instances
SET image_id = :image_id
WHERE instance_id = :instance_id;

-- name: tell
-- include: tell_launchable;
