-- name: source
SELECT i.tenant_id, coalesce(i.image_id, a.image_id)
FROM instances AS i
LEFT JOIN instance_images AS a ON a.instance_id = i.instance_id
WHERE i.instance_id = :instance_id;

-- name: is_taken
SELECT 1 FROM instances WHERE instance_id = :new_id;

-- name: image
SELECT 1 FROM images
WHERE image_id = :image_id AND tenant_id = :tenant_id AND deleted_at IS NULL;

-- name: point
SELECT id
FROM checkpoints
WHERE instance_id = :instance_id AND checkpoint_id = :checkpoint_id AND NOT is_retry_attempt;

-- name: measure
SELECT count(*), max(id)
FROM checkpoints
WHERE instance_id = :instance_id AND NOT is_retry_attempt AND id <= :last_id;

-- name: repeated
SELECT checkpoint_id
FROM checkpoints
WHERE instance_id = :instance_id AND NOT is_retry_attempt AND id > :last_id
ORDER BY id;

-- name: unheard_child
SELECT c.instance_id
FROM instances AS p
CROSS JOIN instances AS c ON c.parent_id = p.instance_id AND c.tenant_id = p.tenant_id
WHERE p.instance_id = :instance_id
    AND (
        :is_whole
        OR c.created_at <= (SELECT k.created_at FROM checkpoints AS k WHERE k.id = :newest_id)
    )
    AND NOT EXISTS (
        SELECT 1 FROM pending_checkpoint_signals AS s
        WHERE s.instance_id = p.instance_id AND s.checkpoint_id = :ended || c.instance_id
    )
ORDER BY c.instance_id
LIMIT 1;

-- name: copy
INSERT INTO instances (
    instance_id,
    tenant_id,
    created_at,
    input,
    image_id,
    workflow,
    priority,
    queue,
    timeout_ms,
    env,
    checkpoint_id
)
SELECT
    :new_id,
    tenant_id,
    :at,
    input,
    :image_id,
    workflow,
    priority,
    queue,
    timeout_ms,
    coalesce(
        env, (SELECT a.env FROM instance_images AS a WHERE a.instance_id = instances.instance_id)
    ),
    (SELECT k.checkpoint_id FROM checkpoints AS k WHERE k.id = :newest_id)
FROM instances
WHERE instance_id = :instance_id;

-- name: copy.checkpoints
INSERT INTO checkpoints (
    instance_id,
    checkpoint_id,
    created_at,
    is_retry_attempt,
    attempt_number,
    wake_at,
    error_message,
    state
)
SELECT
    :new_id,
    c.checkpoint_id,
    c.created_at,
    c.is_retry_attempt,
    c.attempt_number,
    c.wake_at,
    c.error_message,
    c.state
FROM checkpoints AS c
WHERE c.instance_id = :instance_id
    AND CASE
        WHEN NOT c.is_retry_attempt THEN c.id <= :last_id
        ELSE EXISTS (
            SELECT 1
            FROM checkpoints AS k
            WHERE k.instance_id = :instance_id
                AND NOT k.is_retry_attempt
                AND k.id <= :last_id
                AND c.attempt_number > 0
                AND k.checkpoint_id = substr(
                    c.checkpoint_id,
                    1,
                    length(c.checkpoint_id) - length('::retry::' || c.attempt_number)
                )
                AND c.checkpoint_id = k.checkpoint_id || '::retry::' || c.attempt_number
        )
    END
ORDER BY c.id;

-- name: copy.signals
INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id, created_at, payload)
SELECT :new_id, checkpoint_id, created_at, payload
FROM pending_checkpoint_signals
WHERE instance_id = :instance_id
ORDER BY id;

-- name: copy.associate
INSERT INTO instance_images (instance_id, image_id, tenant_id, created_at, env)
SELECT instance_id, image_id, tenant_id, created_at, env
FROM instances
WHERE instance_id = :new_id AND image_id IS NOT NULL
ON CONFLICT (instance_id) DO UPDATE SET image_id = excluded.image_id, env = excluded.env;
