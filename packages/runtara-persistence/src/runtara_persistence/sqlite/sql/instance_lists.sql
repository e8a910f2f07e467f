-- name: page.created_at_desc
-- include: listed_instances
    AND i.created_at IS NOT NULL
    AND (
        :moment IS NULL
        OR i.created_at < :moment
        OR (i.created_at = :moment AND i.instance_id > :after_id)
    )
ORDER BY i.created_at DESC, i.instance_id
LIMIT :limit OFFSET :offset;

-- name: page.created_at_asc
-- include: listed_instances
    AND i.created_at IS NOT NULL
    AND (
        :moment IS NULL
        OR i.created_at > :moment
        OR (i.created_at = :moment AND i.instance_id > :after_id)
    )
ORDER BY i.created_at ASC, i.instance_id
LIMIT :limit OFFSET :offset;

-- name: page.finished_at_desc
-- include: listed_instances
    AND i.finished_at IS NOT NULL
    AND (
        :moment IS NULL
        OR i.finished_at < :moment
        OR (i.finished_at = :moment AND i.instance_id > :after_id)
    )
ORDER BY i.finished_at DESC, i.instance_id
LIMIT :limit OFFSET :offset;

-- name: page.finished_at_asc
-- include: listed_instances
    AND i.finished_at IS NOT NULL
    AND (
        :moment IS NULL
        OR i.finished_at > :moment
        OR (i.finished_at = :moment AND i.instance_id > :after_id)
    )
ORDER BY i.finished_at ASC, i.instance_id
LIMIT :limit OFFSET :offset;

-- name: count
SELECT count(*)
FROM (
    SELECT 1
    -- include: instances_with_images
    WHERE
        -- include: meant
    LIMIT :limit
) AS found;

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

-- name: metrics
SELECT
    bucket,
    sum(status = 'completed'),
    sum(status = 'failed'),
    sum(status = 'cancelled'),
    avg(took),
    min(took),
    max(took),
    sum(memory_peak_bytes),
    count(memory_peak_bytes),
    max(memory_peak_bytes)
FROM (
    SELECT
        status,
        memory_peak_bytes,
        CAST(round((julianday(finished_at) - julianday(started_at)) * 86400000) AS INTEGER) AS took,
        CAST(
            round((julianday(finished_at) - julianday(:since)) * 86400000) AS INTEGER
        ) / :period_ms AS bucket
    FROM instances INDEXED BY idx_instances_finished
    WHERE finished_at >= :since
        AND finished_at < :until
        AND tenant_id = :tenant_id
        AND status IN ('completed', 'failed', 'cancelled')
)
GROUP BY bucket
ORDER BY bucket;
