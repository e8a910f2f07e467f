-- name: page.created_at_desc
-- include: listed_instances
    AND i.created_at <= coalesce($14::timestamptz, 'infinity')
    AND ($14 IS NULL OR i.created_at < $14 OR i.instance_id COLLATE "C" > $15::text)
ORDER BY i.created_at DESC, i.instance_id COLLATE "C"
LIMIT $16 OFFSET $17;

-- name: page.created_at_asc
-- include: listed_instances
    AND i.created_at >= coalesce($14::timestamptz, '-infinity')
    AND ($14 IS NULL OR i.created_at > $14 OR i.instance_id COLLATE "C" > $15::text)
ORDER BY i.created_at ASC, i.instance_id COLLATE "C"
LIMIT $16 OFFSET $17;

-- name: page.finished_at_desc
-- include: listed_instances
    AND i.finished_at <= coalesce($14::timestamptz, 'infinity')
    AND ($14 IS NULL OR i.finished_at < $14 OR i.instance_id COLLATE "C" > $15::text)
ORDER BY i.finished_at DESC, i.instance_id COLLATE "C"
LIMIT $16 OFFSET $17;

-- name: page.finished_at_asc
-- include: listed_instances
    AND i.finished_at >= coalesce($14::timestamptz, '-infinity')
    AND ($14 IS NULL OR i.finished_at > $14 OR i.instance_id COLLATE "C" > $15::text)
ORDER BY i.finished_at ASC, i.instance_id COLLATE "C"
LIMIT $16 OFFSET $17;

-- name: count
SELECT count(*)
FROM (
    SELECT
    -- include: instances_with_images
    WHERE
        -- include: meant
    LIMIT $14
) AS found;

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

-- name: metrics
SELECT
    bucket,
    count(*) FILTER (WHERE status = 'completed') AS completed,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
    avg(took)::double precision AS average_ms,
    min(took) AS shortest_ms,
    max(took) AS longest_ms,
    sum(memory_peak_bytes)::bigint AS memory_sum,
    count(memory_peak_bytes) AS memory_count,
    max(memory_peak_bytes) AS max_memory_bytes
FROM (
    SELECT
        status,
        memory_peak_bytes,
        (extract(epoch FROM finished_at - started_at) * 1000)::bigint AS took,
        floor(
            extract(epoch FROM finished_at - $2::timestamptz) * 1000 / $4::bigint
        )::bigint AS bucket
    FROM instances
    WHERE finished_at >= $2
        AND finished_at < $3::timestamptz
        AND tenant_id = $1
        AND status IN ('completed', 'failed', 'cancelled')
) AS ended
GROUP BY bucket
ORDER BY bucket;
