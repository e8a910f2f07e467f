-- name: lock
SELECT
    instance_id,
    -- include: state,
    finished_at,
    launch_id,
    tenant_id,
    (
        SELECT p.instance_id
        FROM instances AS p
        WHERE p.instance_id = instances.parent_id
            AND p.tenant_id = instances.tenant_id
            AND p.instance_id <> instances.instance_id
            AND p.status IN ('pending', 'running', 'suspended')
    ) AS open_parent_id
FROM instances
WHERE instance_id = :instance_id
FOR UPDATE;

-- name: pending
SELECT signal_type::text AS signal_type
FROM pending_signals
WHERE instance_id = :instance_id AND acknowledged_at IS NULL;

-- name: lock_children
SELECT
    instance_id,
    -- include: state,
    launch_id,
    finished_at
FROM instances
WHERE parent_id = ANY (:parent_ids::text[]) AND tenant_id = :tenant_id
ORDER BY instance_id COLLATE "C"
FOR UPDATE;

-- name: delete.associations
-- These rows have no foreign key to their instance.
DELETE FROM instance_images
WHERE instance_id = ANY (:instance_ids::text[]);

-- name: delete
-- Foreign keys delete all other rows of the instances.
DELETE FROM instances
WHERE instance_id = ANY (:instance_ids::text[]);
