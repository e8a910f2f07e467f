-- name: find
SELECT
    i.status,
    i.sleep_until,
    i.finished_at,
    i.launch_id,
    i.tenant_id,
    p.instance_id,
    (
        SELECT s.signal_type
        FROM pending_signals AS s
        WHERE s.instance_id = i.instance_id AND s.acknowledged_at IS NULL
    )
FROM instances AS i
LEFT JOIN instances AS p
    ON p.instance_id = i.parent_id
    AND p.tenant_id = i.tenant_id
    AND p.instance_id <> i.instance_id
    AND p.status IN ('pending', 'running', 'suspended')
WHERE i.instance_id = :instance_id;

-- name: children
SELECT
    c.instance_id,
    c.status,
    c.sleep_until,
    c.launch_id,
    c.finished_at
FROM json_each(:parent_ids) AS p
CROSS JOIN instances AS c ON c.parent_id = p.value
WHERE c.tenant_id = :tenant_id
ORDER BY c.instance_id;

-- name: delete.associations
-- These rows have no foreign key to their instance.
DELETE FROM instance_images
WHERE instance_id IN (SELECT value FROM json_each(:instance_ids));

-- name: delete
-- Foreign keys delete all other rows of the instances.
DELETE FROM instances
WHERE instance_id IN (SELECT value FROM json_each(:instance_ids));
