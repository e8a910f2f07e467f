-- name: put
WITH known AS (
    SELECT FROM limits WHERE scope = $1 AND tenant_id = $2 AND name = $3
),
put AS (
    INSERT INTO limits (
        scope, tenant_id, name, max_concurrent, per_environment, rate, rate_period_ms
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (scope, tenant_id, name) DO UPDATE
    SET max_concurrent = excluded.max_concurrent,
        per_environment = excluded.per_environment,
        rate = excluded.rate,
        rate_period_ms = excluded.rate_period_ms
)
SELECT NOT EXISTS (SELECT FROM known) AS is_new;

-- name: bound
-- The triggers tell of the place that a launch gives back only if it is marked as bounded.
UPDATE launches
SET is_bounded = TRUE
WHERE launch_id IN (
    SELECT l.launch_id
    FROM launches AS l
    WHERE l.closed_at IS NULL
        AND NOT l.is_bounded
        AND l.tenant_id = $2
        AND CASE $1::text
            WHEN 'image' THEN l.image_name = $3::text
            WHEN 'queue' THEN l.queue = $3::text
            ELSE TRUE
        END
    ORDER BY l.launch_id COLLATE "C"
    FOR NO KEY UPDATE
);

-- name: remove
WITH known AS MATERIALIZED (
    SELECT scope FROM limits WHERE scope = $1 AND tenant_id = $2 AND name = $3 FOR UPDATE
),
waiting AS MATERIALIZED (
    SELECT count(*) AS number
    FROM instances
    WHERE $1 = 'queue'
        AND tenant_id = $2
        AND queue = $3
        AND status IN ('pending', 'running', 'suspended')
),
gone AS (
    DELETE FROM limits
    WHERE scope = $1 AND tenant_id = $2 AND name = $3 AND (SELECT number FROM waiting) = 0
)
SELECT waiting.number
FROM known
CROSS JOIN waiting;

-- name: page
SELECT
    limits.scope,
    limits.tenant_id,
    limits.name,
    limits.max_concurrent,
    limits.per_environment,
    limits.rate,
    limits.rate_period_ms,
    (
        SELECT count(*)
        FROM launches AS l
        WHERE l.closed_at IS NULL
            AND l.tenant_id = limits.tenant_id
            AND CASE limits.scope
                WHEN 'image' THEN l.image_name = limits.name
                WHEN 'queue' THEN l.queue = limits.name
                ELSE TRUE
            END
    ) AS running,
    queued.waiting,
    queued.oldest
FROM limits
CROSS JOIN LATERAL (
    SELECT count(*) AS waiting, min(i.created_at) AS oldest
    FROM instances AS i
    WHERE limits.scope = 'queue'
        AND i.tenant_id = limits.tenant_id
        AND i.queue = limits.name
        AND i.launch_id IS NULL
        AND i.status IN ('pending', 'running', 'suspended')
) AS queued
WHERE $1::text IS NULL OR limits.tenant_id = $1
ORDER BY limits.scope COLLATE "C", limits.tenant_id COLLATE "C", limits.name COLLATE "C";

-- name: hold
INSERT INTO holds (scope, tenant_id, name, reason, created_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (scope, tenant_id, name) DO UPDATE SET reason = excluded.reason;

-- name: release
DELETE FROM holds
WHERE scope = $1 AND tenant_id = $2 AND name = $3
RETURNING scope;

-- name: holds
-- include: holds;
