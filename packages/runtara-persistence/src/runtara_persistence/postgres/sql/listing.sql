-- name: page.any
SELECT
    instance_id,
    tenant_id,
    status::text AS status,
    run_epoch,
    checkpoint_id,
    created_at,
    started_at,
    finished_at,
    sleep_until,
    last_activity_at,
    workflow,
    code_version,
    parent_id,
    launch_id,
    waits,
    CASE WHEN status = 'suspended' AND sleep_until IS NULL THEN error END AS blocked_reason
FROM instances
WHERE created_at <= coalesce($1::timestamptz, 'infinity')
    AND ($1 IS NULL OR created_at < $1 OR instance_id COLLATE "C" > $2::text)
ORDER BY created_at DESC, instance_id COLLATE "C"
LIMIT $3;

-- name: page.of_tenant
SELECT
    instance_id,
    tenant_id,
    status::text AS status,
    run_epoch,
    checkpoint_id,
    created_at,
    started_at,
    finished_at,
    sleep_until,
    last_activity_at,
    workflow,
    code_version,
    parent_id,
    launch_id,
    waits,
    CASE WHEN status = 'suspended' AND sleep_until IS NULL THEN error END AS blocked_reason
FROM instances
WHERE tenant_id = $4
    AND created_at <= coalesce($1::timestamptz, 'infinity')
    AND ($1 IS NULL OR created_at < $1 OR instance_id COLLATE "C" > $2::text)
ORDER BY created_at DESC, instance_id COLLATE "C"
LIMIT $3;

-- name: page.in_status
SELECT
    instance_id,
    tenant_id,
    status::text AS status,
    run_epoch,
    checkpoint_id,
    created_at,
    started_at,
    finished_at,
    sleep_until,
    last_activity_at,
    workflow,
    code_version,
    parent_id,
    launch_id,
    waits,
    CASE WHEN status = 'suspended' AND sleep_until IS NULL THEN error END AS blocked_reason
FROM instances
WHERE status = $4::text::instance_status
    AND created_at <= coalesce($1::timestamptz, 'infinity')
    AND ($1 IS NULL OR created_at < $1 OR instance_id COLLATE "C" > $2::text)
ORDER BY created_at DESC, instance_id COLLATE "C"
LIMIT $3;

-- name: page.of_tenant_in_status
SELECT
    instance_id,
    tenant_id,
    status::text AS status,
    run_epoch,
    checkpoint_id,
    created_at,
    started_at,
    finished_at,
    sleep_until,
    last_activity_at,
    workflow,
    code_version,
    parent_id,
    launch_id,
    waits,
    CASE WHEN status = 'suspended' AND sleep_until IS NULL THEN error END AS blocked_reason
FROM instances
WHERE tenant_id = $4
    AND status = $5::text::instance_status
    AND created_at <= coalesce($1::timestamptz, 'infinity')
    AND ($1 IS NULL OR created_at < $1 OR instance_id COLLATE "C" > $2::text)
ORDER BY created_at DESC, instance_id COLLATE "C"
LIMIT $3;

-- name: count.any
SELECT count(*)
FROM instances;

-- name: count.of_tenant
SELECT count(*)
FROM instances
WHERE tenant_id = $1;

-- name: count.in_status
SELECT count(*)
FROM instances
WHERE status = $1::text::instance_status;

-- name: count.of_tenant_in_status
SELECT count(*)
FROM instances
WHERE tenant_id = $1 AND status = $2::text::instance_status;

-- name: silent
SELECT
    instance_id,
    tenant_id,
    status::text AS status,
    run_epoch,
    checkpoint_id,
    created_at,
    started_at,
    finished_at,
    sleep_until,
    last_activity_at,
    workflow,
    code_version,
    parent_id,
    launch_id,
    waits,
    CASE WHEN status = 'suspended' AND sleep_until IS NULL THEN error END AS blocked_reason
FROM instances
WHERE status = 'running'
    AND coalesce(last_activity_at, started_at, created_at) < $1
ORDER BY coalesce(last_activity_at, started_at, created_at), instance_id COLLATE "C"
LIMIT $2;
