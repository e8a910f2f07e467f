-- name: find
SELECT
    -- include: instance_columns,
    input::bytea AS input,
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
    progress::bytea AS progress,
    coalesce(
        image_id,
        (SELECT a.image_id FROM instance_images AS a WHERE a.instance_id = instances.instance_id)
    ) AS image_id
FROM instances
WHERE instance_id = :instance_id;

-- name: image
SELECT
    -- include: image
FROM images
WHERE image_id = :image_id;

-- name: holds
-- include: holds;
