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
    CASE WHEN NOT :is_successor THEN :parent_id END,
    CASE WHEN :is_successor THEN coalesce(p.workflow, :workflow) ELSE :workflow END,
    -- A successor runs its predecessor's code.
    CASE WHEN :is_successor THEN p.image_id END,
    CASE WHEN :is_successor THEN p.env END,
    :at,
    :input
FROM instances AS p
WHERE p.instance_id = :parent_id
ON CONFLICT (instance_id) DO NOTHING;

-- name: start.compare
SELECT
    -- An older server may have stored the successor as a child.
    c.tenant_id = :tenant_id
    AND (c.parent_id IS :parent_id OR (:is_successor AND c.parent_id IS NULL)),
    c.workflow IN (:workflow, CASE WHEN :is_successor THEN p.workflow END),
    CAST(c.input AS BLOB) IS :input
FROM instances AS c
CROSS JOIN instances AS p ON p.instance_id = :parent_id
WHERE c.instance_id = :child_id;

-- name: start.known
SELECT instance_id
FROM instances
WHERE instance_id IN (SELECT value FROM json_each(:ids));

-- name: start.signal
SELECT signal_type, payload
FROM pending_signals
WHERE instance_id = :parent_id AND acknowledged_at IS NULL;

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
