-- name: view
SELECT
    -- include: instance_columns,
    CAST(input AS BLOB) AS input,
    launch_count,
    crashes,
    launch_after,
    priority,
    queue,
    coalesce(
        env, (SELECT a.env FROM instance_images AS a WHERE a.instance_id = instances.instance_id)
    ) AS env,
    timeout_ms,
    stop_at,
    stop_reason,
    (
        SELECT s.signal_type FROM pending_signals AS s
        WHERE s.instance_id = instances.instance_id AND s.acknowledged_at IS NULL
    ) AS pending_signal,
    attempt,
    max_attempts,
    CAST(progress AS BLOB) AS progress
FROM instances
WHERE instance_id = :instance_id;

-- name: view.image
SELECT
    -- include: image
FROM images
WHERE image_id = coalesce(
    (SELECT i.image_id FROM instances AS i WHERE i.instance_id = :instance_id),
    (SELECT a.image_id FROM instance_images AS a WHERE a.instance_id = :instance_id)
);

-- name: holds
-- include: holds;
