-- name: page.any
SELECT
    -- include: summary
FROM instances
WHERE created_at <= coalesce($1::timestamptz, 'infinity')
    AND ($1 IS NULL OR created_at < $1 OR instance_id COLLATE "C" > $2::text)
ORDER BY created_at DESC, instance_id COLLATE "C"
LIMIT $3;

-- name: page.of_tenant
SELECT
    -- include: summary
FROM instances
WHERE tenant_id = $4
-- include: newest_first;

-- name: page.in_status
SELECT
    -- include: summary
FROM instances
WHERE status = $4::text::instance_status
-- include: newest_first;

-- name: page.of_tenant_in_status
SELECT
    -- include: summary
FROM instances
WHERE tenant_id = $4
    AND status = $5::text::instance_status
-- include: newest_first;

-- name: page.of_workflow
SELECT
    -- include: summary
FROM instances
WHERE workflow = $6::text
    AND ($4::text IS NULL OR tenant_id = $4)
    AND ($5::text IS NULL OR status = $5::text::instance_status)
-- include: newest_first;

-- name: page.blocked
SELECT
    -- include: summary
FROM instances
WHERE status = 'suspended'
    AND sleep_until IS NULL
    AND error IS NOT NULL
    AND ($4::text IS NULL OR tenant_id = $4)
    AND ($5::text IS NULL OR status = $5::text::instance_status)
    AND ($6::text IS NULL OR workflow = $6)
-- include: newest_first;

-- name: page.of_parent
SELECT
    -- include: summary
FROM instances
WHERE parent_id = $7::text
    AND ($4::text IS NULL OR tenant_id = $4)
    AND ($5::text IS NULL OR status = $5::text::instance_status)
    AND ($6::text IS NULL OR workflow = $6)
    AND (NOT $8::boolean OR (status = 'suspended' AND sleep_until IS NULL AND error IS NOT NULL))
-- include: newest_first;

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

-- name: count.of_workflow
SELECT count(*)
FROM instances
WHERE workflow = $3::text
    AND ($1::text IS NULL OR tenant_id = $1)
    AND ($2::text IS NULL OR status = $2::text::instance_status);

-- name: count.blocked
SELECT count(*)
FROM instances
WHERE status = 'suspended'
    AND sleep_until IS NULL
    AND error IS NOT NULL
    AND ($1::text IS NULL OR tenant_id = $1)
    AND ($2::text IS NULL OR status = $2::text::instance_status)
    AND ($3::text IS NULL OR workflow = $3);

-- name: count.of_parent
SELECT count(*)
FROM instances
WHERE parent_id = $4::text
    AND ($1::text IS NULL OR tenant_id = $1)
    AND ($2::text IS NULL OR status = $2::text::instance_status)
    AND ($3::text IS NULL OR workflow = $3)
    AND (NOT $5::boolean OR (status = 'suspended' AND sleep_until IS NULL AND error IS NOT NULL));

-- name: silent
SELECT
    -- include: summary
FROM instances
WHERE status = 'running'
    AND coalesce(last_activity_at, started_at, created_at) < $1
ORDER BY coalesce(last_activity_at, started_at, created_at), instance_id COLLATE "C"
LIMIT $2;
