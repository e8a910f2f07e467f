-- name: run_state
SELECT status, sleep_until, run_epoch
FROM instances
WHERE instance_id = :instance_id;

-- name: state_and_signal
SELECT i.status, i.sleep_until, i.run_epoch, s.signal_type
FROM instances AS i
LEFT JOIN pending_signals AS s
    ON s.instance_id = i.instance_id AND s.acknowledged_at IS NULL
WHERE i.instance_id = :instance_id;

-- name: end
UPDATE instances
SET status = :status,
    output = :output,
    error = :error,
    stderr = :stderr,
    memory_peak_bytes = :memory_peak_bytes,
    cpu_usage_usec = :cpu_usage_usec,
    finished_at = :at,
    -- include: clear_wake
WHERE instance_id = :instance_id
RETURNING parent_id;

-- name: block
UPDATE instances
SET status = :status,
    error = :reason,
    -- If the instance was blocked before, the signals since then still count.
    blocked_signal_at = CASE
        WHEN status = 'suspended' AND sleep_until IS NULL AND error IS NOT NULL
        THEN blocked_signal_at
        ELSE (
            SELECT s.created_at
            FROM pending_signals AS s
            WHERE s.instance_id = instances.instance_id AND s.acknowledged_at IS NULL
        )
    END,
    waits = :waits,
    sleep_until = NULL,
    wake_claim_until = NULL,
    wake_claim_by = NULL
WHERE instance_id = :instance_id;
