-- name: find for postgres
SELECT
    i.tenant_id,
    i.workflow,
    i.input,
    coalesce(i.image_id, a.image_id) AS image_id,
    m.tenant_id AS image_tenant_id,
    m.name AS image_name
-- include: instances_with_images
WHERE i.instance_id = :instance_id;

-- name: find for sqlite
SELECT
    i.tenant_id,
    i.workflow,
    CAST(i.input AS BLOB) AS input,
    coalesce(i.image_id, a.image_id) AS image_id,
    m.tenant_id AS image_tenant_id,
    m.name AS image_name
-- include: instances_with_images
WHERE i.instance_id = :instance_id;

-- name: one_at_a_time for postgres
-- A lock: of two starts with the same key, the second sees the instance that the first stored.
SELECT pg_advisory_xact_lock(
    hashtextextended(:dedupe_key, hashtextextended(coalesce(:queue, ''), hashtextextended(:tenant_id, 1)))
);

-- name: same_key
SELECT instance_id
FROM instances
WHERE tenant_id = :tenant_id
    AND queue IS NOT DISTINCT FROM :queue
    AND dedupe_key = :dedupe_key
    AND status IN ('pending', 'running', 'suspended')
ORDER BY created_at, instance_id COLLATE "C"
LIMIT 1;

-- name: create
INSERT INTO instances (
    instance_id,
    tenant_id,
    created_at,
    input,
    image_id,
    workflow,
    priority,
    launch_after,
    timeout_ms,
    queue,
    dedupe_key,
    env
)
VALUES (
    :instance_id,
    :tenant_id,
    :at,
    :input,
    :image_id,
    :workflow,
    :priority,
    :launch_after,
    :timeout_ms,
    :queue,
    :dedupe_key,
    :env
)
ON CONFLICT (instance_id) DO NOTHING
RETURNING instance_id;
