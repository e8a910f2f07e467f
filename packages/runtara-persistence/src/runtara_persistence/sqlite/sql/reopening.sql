-- name: find
SELECT status, sleep_until, run_epoch, finished_at, CAST(output AS BLOB), error
FROM instances
WHERE instance_id = :instance_id;

-- name: open
UPDATE instances
SET status = :status,
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

-- name: add_event
INSERT INTO instance_events (instance_id, event_type, subtype, created_at, payload)
VALUES (:instance_id, :event_type, :subtype, :at, :payload);

-- name: forget_ending
DELETE FROM pending_checkpoint_signals
WHERE checkpoint_id = :signal_id
    AND instance_id = (
        SELECT p.instance_id
        FROM instances AS c
        CROSS JOIN instances AS p ON p.instance_id = c.parent_id AND p.tenant_id = c.tenant_id
        WHERE c.instance_id = :instance_id AND p.status IN ('pending', 'running', 'suspended')
    );

-- name: children
SELECT c.instance_id, c.status, c.sleep_until, CAST(c.output AS BLOB), c.error
FROM instances AS p
CROSS JOIN instances AS c ON c.parent_id = p.instance_id AND c.tenant_id = p.tenant_id
WHERE p.instance_id = :instance_id
ORDER BY c.instance_id;

-- name: children.forget
DELETE FROM pending_checkpoint_signals
WHERE instance_id = :instance_id AND checkpoint_id = :checkpoint_id;

-- name: children.hear
INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id, created_at, payload)
VALUES (:instance_id, :checkpoint_id, :at, :payload)
ON CONFLICT (instance_id, checkpoint_id) DO UPDATE
SET created_at = excluded.created_at,
    payload = excluded.payload
WHERE pending_checkpoint_signals.payload IS NOT excluded.payload;

-- name: set_aside.checkpoint
UPDATE checkpoints
SET checkpoint_id = checkpoint_id || :suffix || 0,
    is_retry_attempt = TRUE,
    attempt_number = 0,
    error_message = :reason
WHERE instance_id = :instance_id AND checkpoint_id = :checkpoint_id AND NOT is_retry_attempt;

-- name: set_aside.attempts
UPDATE checkpoints
SET checkpoint_id = :checkpoint_id || :suffix || attempt_number
WHERE instance_id = :instance_id
    AND checkpoint_id > :checkpoint_id || '::retry::'
    AND checkpoint_id < :checkpoint_id || '::retry:;'
    AND is_retry_attempt
    AND checkpoint_id = :checkpoint_id || '::retry::' || attempt_number;

-- name: set_aside.point
UPDATE instances
SET checkpoint_id = (
    SELECT c.checkpoint_id
    FROM checkpoints AS c
    WHERE c.instance_id = :instance_id AND NOT c.is_retry_attempt
    ORDER BY c.id DESC
    LIMIT 1
)
WHERE instance_id = :instance_id AND checkpoint_id = :checkpoint_id;
