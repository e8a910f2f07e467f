-- name: page.created_at_desc
-- include: listed_instances
    AND i.created_at <= coalesce(:moment::timestamptz, 'infinity')
    AND (:moment IS NULL OR i.created_at < :moment OR i.instance_id COLLATE "C" > :after_id::text)
ORDER BY i.created_at DESC, i.instance_id COLLATE "C"
LIMIT :limit OFFSET :offset;

-- name: page.created_at_asc
-- include: listed_instances
    AND i.created_at >= coalesce(:moment::timestamptz, '-infinity')
    AND (:moment IS NULL OR i.created_at > :moment OR i.instance_id COLLATE "C" > :after_id::text)
ORDER BY i.created_at ASC, i.instance_id COLLATE "C"
LIMIT :limit OFFSET :offset;

-- name: page.finished_at_desc
-- include: listed_instances
    AND i.finished_at <= coalesce(:moment::timestamptz, 'infinity')
    AND (:moment IS NULL OR i.finished_at < :moment OR i.instance_id COLLATE "C" > :after_id::text)
ORDER BY i.finished_at DESC, i.instance_id COLLATE "C"
LIMIT :limit OFFSET :offset;

-- name: page.finished_at_asc
-- include: listed_instances
    AND i.finished_at >= coalesce(:moment::timestamptz, '-infinity')
    AND (:moment IS NULL OR i.finished_at > :moment OR i.instance_id COLLATE "C" > :after_id::text)
ORDER BY i.finished_at ASC, i.instance_id COLLATE "C"
LIMIT :limit OFFSET :offset;

-- name: count
SELECT count(*) AS count
FROM (
    SELECT 1
    -- include: instances_with_images
    WHERE
        -- include: meant
    LIMIT :limit
) AS found;

-- name: metrics for postgres
SELECT
    bucket,
    -- include: sums
FROM (
    SELECT
        status,
        memory_peak_bytes,
        (extract(epoch FROM finished_at - started_at) * 1000)::bigint AS took,
        floor(
            extract(epoch FROM finished_at - :since::timestamptz) * 1000 / :period_ms::bigint
        )::bigint AS bucket
    FROM instances
    WHERE
        -- include: finished_in_time
) AS ended
GROUP BY bucket
ORDER BY bucket;

-- name: metrics for sqlite
SELECT
    bucket,
    -- include: sums
FROM (
    SELECT
        status,
        memory_peak_bytes,
        CAST(round((julianday(finished_at) - julianday(started_at)) * 86400000) AS INTEGER) AS took,
        CAST(
            round((julianday(finished_at) - julianday(:since)) * 86400000) AS INTEGER
        ) / :period_ms AS bucket
    FROM instances INDEXED BY idx_instances_finished
    WHERE
        -- include: finished_in_time
)
GROUP BY bucket
ORDER BY bucket;
