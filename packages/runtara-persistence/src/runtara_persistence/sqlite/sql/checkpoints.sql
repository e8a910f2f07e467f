-- name: save.find
SELECT
    i.status,
    i.sleep_until,
    i.run_epoch,
    CAST(c.state AS BLOB),
    s.signal_type,
    CAST(coalesce(s.payload, '') AS BLOB),
    CASE WHEN p.id IS NOT NULL THEN CAST(coalesce(p.payload, '') AS BLOB) END
FROM instances AS i
LEFT JOIN checkpoints AS c
    ON c.instance_id = i.instance_id
    AND c.checkpoint_id = :checkpoint_id
    AND NOT c.is_retry_attempt
LEFT JOIN pending_signals AS s
    ON s.instance_id = i.instance_id AND s.acknowledged_at IS NULL
LEFT JOIN pending_checkpoint_signals AS p
    ON p.instance_id = i.instance_id AND p.checkpoint_id = :checkpoint_id
WHERE i.instance_id = :instance_id;

-- name: save.insert
INSERT INTO checkpoints (instance_id, checkpoint_id, created_at, state)
VALUES (:instance_id, :checkpoint_id, :at, :state);

-- name: save.point
UPDATE instances
SET checkpoint_id = :checkpoint_id,
    last_activity_at = max(coalesce(last_activity_at, ''), :at)
WHERE instance_id = :instance_id;

-- name: save.stir
UPDATE instances
SET status = :status,
    sleep_until = NULL,
    wake_claim_until = NULL,
    wake_claim_by = NULL
WHERE instance_id = :instance_id;

-- name: get
SELECT checkpoint_id, CAST(state AS BLOB), created_at, wake_at
FROM checkpoints
WHERE instance_id = :instance_id
    AND checkpoint_id = :checkpoint_id
    AND NOT is_retry_attempt;
