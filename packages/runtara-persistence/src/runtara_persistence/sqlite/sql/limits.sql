-- name: exists
SELECT 1
FROM limits
WHERE scope = :scope AND tenant_id = :tenant_id AND name = :name;

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
WHERE closed_at IS NULL
    AND NOT is_bounded
    AND tenant_id = :tenant_id
    AND CASE :scope
        WHEN 'image' THEN image_name = :name
        WHEN 'queue' THEN queue = :name
        ELSE TRUE
    END;

-- name: remove.in_queue
SELECT count(*)
FROM instances INDEXED BY idx_instances_queue
WHERE tenant_id = :tenant_id
    AND queue = :name
    AND status IN ('pending', 'running', 'suspended');

-- name: remove
DELETE FROM limits
WHERE scope = :scope AND tenant_id = :tenant_id AND name = :name;

-- name: page
SELECT
    scope,
    tenant_id,
    name,
    max_concurrent,
    per_environment,
    rate,
    rate_period_ms,
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
    (
        SELECT json_array(count(*), min(i.created_at))
        FROM instances AS i
        WHERE limits.scope = 'queue'
            AND i.tenant_id = limits.tenant_id
            AND i.queue = limits.name
            AND i.launch_id IS NULL
            AND i.status IN ('pending', 'running', 'suspended')
    ) AS queued
FROM limits
WHERE :of_tenant IS NULL OR tenant_id = :of_tenant
ORDER BY scope, tenant_id, name;

-- name: hold
INSERT INTO holds (scope, tenant_id, name, reason, created_at)
VALUES (:scope, :tenant_id, :name, :reason, :at)
ON CONFLICT (scope, tenant_id, name) DO UPDATE SET reason = excluded.reason;

-- name: release
DELETE FROM holds
WHERE scope = :scope AND tenant_id = :tenant_id AND name = :name;

-- name: holds
SELECT scope, tenant_id, name, reason, created_at
FROM holds
ORDER BY created_at, scope, tenant_id, name;
