-- name: start.find_parent
SELECT tenant_id, status, sleep_until, run_epoch
FROM instances
WHERE instance_id = :parent_id;

-- name: start.create
INSERT INTO instances (
    instance_id, tenant_id, parent_id, workflow, image_id, env, created_at, input
)
SELECT
    :child_id,
    :tenant_id,
    :parent_id,
    :workflow,
    -- What runs the same workflow runs the same code.
    CASE WHEN p.workflow = :workflow THEN p.image_id END,
    CASE WHEN p.workflow = :workflow THEN p.env END,
    :at,
    :input
FROM instances AS p
WHERE p.instance_id = :parent_id
ON CONFLICT (instance_id) DO NOTHING;

-- name: start.compare
SELECT
    tenant_id = :tenant_id AND parent_id IS :parent_id,
    workflow IS :workflow,
    CAST(input AS BLOB) IS :input
FROM instances
WHERE instance_id = :child_id;

-- name: ended.find_parent
SELECT p.status, p.sleep_until
FROM instances AS c
CROSS JOIN instances AS p ON p.instance_id = :parent_id AND p.tenant_id = c.tenant_id
WHERE c.instance_id = :child_id;

-- name: ended.put
INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id, created_at, payload)
VALUES (:parent_id, :checkpoint_id, :at, :payload)
ON CONFLICT (instance_id, checkpoint_id) DO NOTHING;

-- name: ended.make_due
UPDATE instances
SET sleep_until = :at
WHERE instance_id = :parent_id AND sleep_until > :at;
