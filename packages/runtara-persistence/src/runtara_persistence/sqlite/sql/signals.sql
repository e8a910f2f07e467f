-- name: move
UPDATE instances
SET status = :status,
    finished_at = :finished_at,
    -- include: clear_wake
WHERE instance_id = :instance_id
RETURNING parent_id;

-- name: pending
SELECT
    i.status,
    i.sleep_until,
    i.run_epoch,
    s.signal_type,
    CAST(coalesce(s.payload, '') AS BLOB)
FROM instances AS i
LEFT JOIN pending_signals AS s
    ON s.instance_id = i.instance_id AND s.acknowledged_at IS NULL
WHERE i.instance_id = :instance_id;

-- name: pending.named
SELECT id, coalesce(length(payload), 0)
FROM pending_checkpoint_signals
WHERE instance_id = :instance_id
  AND checkpoint_id IN (SELECT value FROM json_each(:checkpoint_ids))
ORDER BY id;

-- name: pending.custom
SELECT checkpoint_id, CAST(coalesce(payload, '') AS BLOB)
FROM pending_checkpoint_signals
WHERE id = :id;

-- name: acknowledge.settle
UPDATE pending_signals
SET acknowledged_at = :at
WHERE instance_id = :instance_id;

-- name: acknowledge.touch
UPDATE instances
SET last_activity_at = max(coalesce(last_activity_at, ''), :at)
WHERE instance_id = :instance_id;

-- name: send.make_due
UPDATE instances
SET blocked_signal_at = NULL
WHERE instance_id = :instance_id AND blocked_signal_at IS NOT NULL;

-- name: send.put
INSERT INTO pending_signals (instance_id, signal_type, created_at, acknowledged_at, payload)
VALUES (:instance_id, :signal_type, :at, :acknowledged_at, :payload)
ON CONFLICT (instance_id) DO UPDATE
SET signal_type = excluded.signal_type,
    created_at = excluded.created_at,
    acknowledged_at = excluded.acknowledged_at,
    payload = excluded.payload;

-- name: send_custom.find
SELECT status, sleep_until, run_epoch, waits
FROM instances
WHERE instance_id = :instance_id;

-- name: send_custom.put
INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id, created_at, payload)
VALUES (:instance_id, :checkpoint_id, :at, :payload)
ON CONFLICT (instance_id, checkpoint_id) DO NOTHING;

-- name: send_custom.make_due
UPDATE instances
SET sleep_until = :at
WHERE instance_id = :instance_id AND sleep_until > :at;

-- name: watch.version
PRAGMA data_version;

-- name: watch.last_custom
SELECT coalesce(max(id), 0) FROM pending_checkpoint_signals;

-- name: watch.custom
SELECT id, instance_id
FROM pending_checkpoint_signals
WHERE id > :last_custom;

-- name: watch.launchable
SELECT changes FROM launchable_changes WHERE id = 1;

-- name: watch.pending
SELECT json_group_object(instance_id, signal_type || ' ' || created_at)
FROM pending_signals
WHERE acknowledged_at IS NULL;
