-- name: limits
SELECT scope, tenant_id, name, max_concurrent, per_environment, rate, rate_period_ms
FROM limits
WHERE tenant_id = $1;
