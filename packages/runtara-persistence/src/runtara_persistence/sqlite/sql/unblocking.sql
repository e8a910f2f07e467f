-- name: clear
UPDATE instances
SET blocked_signal_at = NULL,
    launch_after = NULL
WHERE instance_id = :instance_id;

-- name: send
INSERT INTO pending_signals (instance_id, signal_type, created_at, payload)
VALUES (:instance_id, :signal_type, :at, x'')
ON CONFLICT (instance_id) DO UPDATE
SET signal_type = excluded.signal_type,
    created_at = excluded.created_at,
    acknowledged_at = NULL,
    payload = excluded.payload
WHERE pending_signals.acknowledged_at IS NOT NULL
    OR pending_signals.signal_type = 'pause'
    OR (excluded.signal_type = 'cancel' AND pending_signals.signal_type = 'resume');
