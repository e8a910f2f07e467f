-- name: source
SELECT
    i.tenant_id,
    coalesce(
        i.image_id, (SELECT a.image_id FROM instance_images AS a WHERE a.instance_id = i.instance_id)
    ) AS image_id,
    EXISTS (SELECT 1 FROM instances AS n WHERE n.instance_id = :new_id) AS is_taken
FROM instances AS i
WHERE i.instance_id = :instance_id
-- Locks the instance, so that it saves, receives and starts nothing meanwhile.
FOR NO KEY UPDATE OF i;

-- name: point
SELECT id::bigint AS id
FROM checkpoints
WHERE instance_id = :instance_id
    AND checkpoint_id = :checkpoint_id
    AND is_retry_attempt IS NOT TRUE;

-- name: measure
SELECT count(*) AS copied, max(id)::bigint AS newest_id
FROM checkpoints
WHERE instance_id = :instance_id AND is_retry_attempt IS NOT TRUE AND id <= :last_id::bigint;

-- name: repeated
SELECT checkpoint_id
FROM checkpoints
WHERE instance_id = :instance_id AND is_retry_attempt IS NOT TRUE AND id > :last_id::bigint
ORDER BY id;

-- name: unheard_child
SELECT c.instance_id
FROM instances AS p
CROSS JOIN instances AS c
WHERE p.instance_id = :instance_id
    AND c.parent_id = p.instance_id
    AND c.tenant_id = p.tenant_id
    AND (
        :is_whole::boolean
        OR c.created_at <= (SELECT k.created_at FROM checkpoints AS k WHERE k.id = :newest_id::bigint)
    )
    AND NOT EXISTS (
        SELECT 1 FROM pending_checkpoint_signals AS s
        WHERE s.instance_id = p.instance_id AND s.checkpoint_id = :ended::text || c.instance_id
    )
ORDER BY c.instance_id COLLATE "C"
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
    i.tenant_id,
    :at::timestamptz,
    i.input,
    :image_id::text,
    i.workflow,
    i.priority,
    i.queue,
    i.timeout_ms,
    coalesce(
        i.env, (SELECT a.env::text FROM instance_images AS a WHERE a.instance_id = i.instance_id)
    ),
    (SELECT k.checkpoint_id FROM checkpoints AS k WHERE k.id = :newest_id::bigint)
FROM instances AS i
WHERE i.instance_id = :instance_id
ON CONFLICT (instance_id) DO NOTHING
RETURNING instance_id;

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
LEFT JOIN checkpoints AS k
    ON c.is_retry_attempt
    AND k.instance_id = :instance_id
    AND k.is_retry_attempt IS NOT TRUE
    -- A plan may ask for the key of every row, and a length below 0 is an error on PostgreSQL.
    AND k.checkpoint_id = CASE
        WHEN length(c.checkpoint_id) > length('::retry::' || coalesce(c.attempt_number, 0))
        THEN substr(
            c.checkpoint_id,
            1,
            length(c.checkpoint_id) - length('::retry::' || coalesce(c.attempt_number, 0))
        )
    END
    AND c.checkpoint_id = k.checkpoint_id || '::retry::' || c.attempt_number
WHERE c.instance_id = :instance_id
    AND CASE WHEN c.is_retry_attempt IS NOT TRUE THEN c.id ELSE k.id END <= :last_id::bigint
ORDER BY c.id;

-- name: copy.signals
INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id, created_at, payload)
SELECT :new_id, checkpoint_id, created_at, payload
FROM pending_checkpoint_signals
WHERE instance_id = :instance_id
ORDER BY id;
