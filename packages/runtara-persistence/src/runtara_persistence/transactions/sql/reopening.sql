-- name: lock
SELECT
    -- include: state,
    run_epoch,
    finished_at,
    output::bytea AS output,
    error
FROM instances
WHERE instance_id = :instance_id
FOR NO KEY UPDATE;

-- name: open
UPDATE instances
SET status = :status::text::instance_status,
    sleep_until = :at,
    run_epoch = run_epoch + 1,
    finished_at = NULL,
    output = NULL,
    error = NULL,
    blocked_signal_at = NULL,
    waits = NULL,
    wake_claim_until = NULL,
    wake_claim_by = NULL
WHERE instance_id = :instance_id;

-- name: settle_signal
UPDATE pending_signals
SET acknowledged_at = :at
WHERE instance_id = :instance_id AND acknowledged_at IS NULL;

-- name: forget_ending
DELETE FROM pending_checkpoint_signals
WHERE instance_id = (
    SELECT instance_id
    FROM instances
    WHERE instance_id = :parent_id AND status IN ('pending', 'running', 'suspended')
)
    AND checkpoint_id = :signal_id;

-- name: children for postgres
-- A statement of its own, after the lock: it sees all children that ended before.
SELECT
    c.instance_id,
    c.status IN ('pending', 'running', 'suspended') AS is_open,
    c.status::text AS status,
    substr(c.output, 1, :most_bytes::int) AS output,
    c.error
FROM instances AS p
JOIN instances AS c ON c.parent_id = p.instance_id AND c.tenant_id = p.tenant_id
WHERE p.instance_id = :instance_id
ORDER BY c.instance_id COLLATE "C";

-- name: children for sqlite
SELECT
    c.instance_id,
    c.status IN ('pending', 'running', 'suspended') AS is_open,
    c.status,
    CAST(c.output AS BLOB) AS output,
    c.error
FROM instances AS p
CROSS JOIN instances AS c ON c.parent_id = p.instance_id AND c.tenant_id = p.tenant_id
WHERE p.instance_id = :instance_id
ORDER BY c.instance_id;

-- name: forget_children
DELETE FROM pending_checkpoint_signals
WHERE instance_id = :instance_id AND checkpoint_id = ANY (:signal_ids::text[]);

-- name: hear_child
INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id, payload, created_at)
VALUES (:instance_id, :signal_id, :payload, :at)
ON CONFLICT (instance_id, checkpoint_id) DO UPDATE
SET payload = excluded.payload,
    created_at = excluded.created_at
WHERE pending_checkpoint_signals.payload IS DISTINCT FROM excluded.payload;

-- name: add_event
INSERT INTO instance_events (instance_id, event_type, payload, subtype, created_at)
VALUES (:instance_id, :event_type::text::instance_event_type, :payload, :subtype, :at);

-- name: set_aside.find
SELECT checkpoint_id
FROM checkpoints
WHERE instance_id = :instance_id
    AND checkpoint_id = ANY (:checkpoint_ids::text[])
    AND is_retry_attempt IS NOT TRUE;

-- name: set_aside.attempts
UPDATE checkpoints AS r
SET checkpoint_id = named.checkpoint_id || :suffix::text || r.attempt_number
FROM checkpoints AS named
WHERE named.instance_id = :instance_id
    AND named.checkpoint_id = ANY (:checkpoint_ids::text[])
    AND named.is_retry_attempt IS NOT TRUE
    AND r.instance_id = :instance_id
    AND r.checkpoint_id COLLATE "C" > named.checkpoint_id || '::retry::'
    AND r.checkpoint_id COLLATE "C" < named.checkpoint_id || '::retry:;'
    AND r.is_retry_attempt
    AND r.checkpoint_id = named.checkpoint_id || '::retry::' || r.attempt_number;

-- name: set_aside.checkpoints
UPDATE checkpoints
SET checkpoint_id = checkpoint_id || :suffix::text || 0,
    is_retry_attempt = TRUE,
    attempt_number = 0,
    error_message = :reason
WHERE instance_id = :instance_id
    AND checkpoint_id = ANY (:checkpoint_ids::text[])
    AND is_retry_attempt IS NOT TRUE;

-- name: set_aside.point
UPDATE instances
SET checkpoint_id = (
    SELECT c.checkpoint_id
    FROM checkpoints AS c
    WHERE c.instance_id = :instance_id AND c.is_retry_attempt IS NOT TRUE
    ORDER BY c.id DESC
    LIMIT 1
)
WHERE instance_id = :instance_id AND checkpoint_id = ANY (:checkpoint_ids::text[]);
