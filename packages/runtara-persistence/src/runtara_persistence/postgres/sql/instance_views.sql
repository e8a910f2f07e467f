-- name: view
SELECT
    -- include: instance_columns,
    input,
    launch_count,
    crashes,
    launch_after,
    priority,
    queue,
    coalesce(
        env,
        (SELECT a.env::text FROM instance_images AS a WHERE a.instance_id = instances.instance_id)
    ) AS env,
    timeout_ms,
    stop_at,
    stop_reason,
    (
        SELECT s.signal_type::text FROM pending_signals AS s
        WHERE s.instance_id = instances.instance_id AND s.acknowledged_at IS NULL
    ) AS pending_signal,
    attempt,
    max_attempts,
    progress,
    coalesce(
        image_id,
        (SELECT a.image_id FROM instance_images AS a WHERE a.instance_id = instances.instance_id)
    ) AS image_id
FROM instances
WHERE instance_id = $1;

-- name: view.image
SELECT
    -- include: image
FROM images
WHERE image_id = $1;

-- name: holds
-- include: holds;

-- name: view.limits
SELECT scope, tenant_id, name, max_concurrent, per_environment, rate, rate_period_ms
FROM limits
WHERE tenant_id = $1;
