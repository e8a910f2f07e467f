-- name: lock_parent
-- include: lock_parent;

-- name: lock
SELECT
    -- include: state,
    run_epoch,
    finished_at,
    output,
    error
FROM instances
WHERE instance_id = $1
FOR NO KEY UPDATE;

-- name: open
UPDATE instances
SET status = $2::text::instance_status,
    sleep_until = $3,
    run_epoch = run_epoch + 1,
    finished_at = NULL,
    output = NULL,
    error = NULL,
    blocked_signal_at = NULL,
    waits = NULL,
    wake_claim_until = NULL,
    wake_claim_by = NULL
WHERE instance_id = $1;

-- name: settle_signal
UPDATE pending_signals
SET acknowledged_at = $2
WHERE instance_id = $1 AND acknowledged_at IS NULL;

-- name: forget_ending
DELETE FROM pending_checkpoint_signals
WHERE instance_id = (
    SELECT instance_id
    FROM instances
    WHERE instance_id = $1 AND status IN ('pending', 'running', 'suspended')
)
    AND checkpoint_id = $2;

-- name: children
-- A statement of its own, after the lock: it sees all children that ended before.
SELECT
    c.instance_id,
    c.status IN ('pending', 'running', 'suspended') AS is_open,
    c.status::text AS status,
    substr(c.output, 1, $2::int) AS output,
    c.error
FROM instances AS p
JOIN instances AS c ON c.parent_id = p.instance_id AND c.tenant_id = p.tenant_id
WHERE p.instance_id = $1
ORDER BY c.instance_id COLLATE "C";

-- name: forget_children
DELETE FROM pending_checkpoint_signals
WHERE instance_id = $1 AND checkpoint_id = ANY ($2::text[]);

-- name: hear_child
INSERT INTO pending_checkpoint_signals AS s (instance_id, checkpoint_id, payload, created_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (instance_id, checkpoint_id) DO UPDATE
SET payload = excluded.payload,
    created_at = excluded.created_at
WHERE s.payload IS DISTINCT FROM excluded.payload;

-- name: add_event
INSERT INTO instance_events (instance_id, event_type, payload, subtype, created_at)
VALUES ($1, $2::text::instance_event_type, $3, $4, $5);

-- name: set_aside
WITH named AS (
    SELECT id, checkpoint_id
    FROM checkpoints
    WHERE instance_id = $1
        AND checkpoint_id = ANY ($2::text[])
        AND is_retry_attempt IS NOT TRUE
),
attempts AS (
    UPDATE checkpoints AS r
    SET checkpoint_id = named.checkpoint_id || $3::text || r.attempt_number
    FROM named
    WHERE r.instance_id = $1
        AND r.checkpoint_id COLLATE "C" > named.checkpoint_id || '::retry::'
        AND r.checkpoint_id COLLATE "C" < named.checkpoint_id || '::retry:;'
        AND r.is_retry_attempt
        AND r.checkpoint_id = named.checkpoint_id || '::retry::' || r.attempt_number
)
UPDATE checkpoints AS c
SET checkpoint_id = named.checkpoint_id || $3 || 0,
    is_retry_attempt = TRUE,
    attempt_number = 0,
    error_message = $4
FROM named
WHERE c.id = named.id
RETURNING named.checkpoint_id;

-- name: point
UPDATE instances AS i
SET checkpoint_id = (
    SELECT c.checkpoint_id
    FROM checkpoints AS c
    WHERE c.instance_id = $1 AND c.is_retry_attempt IS NOT TRUE
    ORDER BY c.id DESC
    LIMIT 1
)
WHERE i.instance_id = $1 AND i.checkpoint_id = ANY ($2::text[]);
