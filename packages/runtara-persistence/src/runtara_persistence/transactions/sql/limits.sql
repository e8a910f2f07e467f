-- name: lock
SELECT scope
FROM limits
WHERE scope = :scope AND tenant_id = :tenant_id AND name = :name
FOR UPDATE;

-- name: put
INSERT INTO limits (
    scope, tenant_id, name, max_concurrent, per_environment, rate, rate_period_ms
)
VALUES (
    :scope, :tenant_id, :name, :max_concurrent, :per_environment, :rate, :rate_period_ms
)
ON CONFLICT (scope, tenant_id, name) DO UPDATE
SET max_concurrent = excluded.max_concurrent,
    per_environment = excluded.per_environment,
    rate = excluded.rate,
    rate_period_ms = excluded.rate_period_ms;

-- name: bound
-- The triggers tell of the place that a launch gives back only if it is marked as bounded.
UPDATE launches
SET is_bounded = TRUE
WHERE launch_id IN (
    SELECT l.launch_id
    FROM launches AS l
    WHERE l.closed_at IS NULL
        AND NOT l.is_bounded
        AND l.tenant_id = :tenant_id
        AND CASE :scope::text
            WHEN 'image' THEN l.image_name = :name::text
            WHEN 'queue' THEN l.queue = :name::text
            ELSE TRUE
        END
    ORDER BY l.launch_id COLLATE "C"
    FOR NO KEY UPDATE
);

-- name: remove.in_queue
SELECT count(*) AS waiting
FROM instances
WHERE tenant_id = :tenant_id
    AND queue = :name
    AND status IN ('pending', 'running', 'suspended');

-- name: remove
DELETE FROM limits
WHERE scope = :scope AND tenant_id = :tenant_id AND name = :name;

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
    count(i.instance_id) AS waiting,
    min(i.created_at) AS oldest_at
FROM limits
LEFT JOIN instances AS i
    ON limits.scope = 'queue'
    AND i.tenant_id = limits.tenant_id
    AND i.queue = limits.name
    AND i.launch_id IS NULL
    AND i.status IN ('pending', 'running', 'suspended')
WHERE :of_tenant::text IS NULL OR limits.tenant_id = :of_tenant
GROUP BY limits.scope, limits.tenant_id, limits.name
ORDER BY limits.scope COLLATE "C", limits.tenant_id COLLATE "C", limits.name COLLATE "C";

-- name: hold
INSERT INTO holds (scope, tenant_id, name, reason, created_at)
VALUES (:scope, :tenant_id, :name, :reason, :at)
ON CONFLICT (scope, tenant_id, name) DO UPDATE SET reason = excluded.reason;

-- name: release
DELETE FROM holds
WHERE scope = :scope AND tenant_id = :tenant_id AND name = :name
RETURNING scope;

-- name: holds
-- include: holds;
