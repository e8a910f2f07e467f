-- name: add
INSERT INTO instance_events (
    instance_id, event_type, checkpoint_id, subtype, created_at, payload
)
VALUES (:instance_id, :event_type, :checkpoint_id, :subtype, :created_at, :payload);

-- name: touch
UPDATE instances
SET last_activity_at = max(coalesce(last_activity_at, ''), :at)
WHERE instance_id = :instance_id;

-- name: end.ended_so
SELECT CAST(output AS BLOB) IS :output AND error IS :error
FROM instances
WHERE instance_id = :instance_id;

-- name: end.move
UPDATE instances
SET status = :status,
    output = :output,
    error = :error,
    finished_at = :at,
    last_activity_at = max(coalesce(last_activity_at, ''), :at),
    -- include: clear_wake
WHERE instance_id = :instance_id
RETURNING parent_id;

-- name: end.close
UPDATE launches
SET closed_at = :at,
    run = :run,
    cause = 'exited',
    exit_code = :exit_code,
    verdict = 'nothing'
WHERE launch_id = (
    SELECT i.launch_id
    FROM instances AS i
    WHERE i.instance_id = :instance_id AND i.run_epoch > coalesce(i.ended_run, 0)
)
    AND runner = 'inline'
    AND closed_at IS NULL
RETURNING launch_id;

-- name: end.forget_old
DELETE FROM launches
WHERE instance_id = :instance_id
    AND number <= (
        SELECT i.launch_count - :kept FROM instances AS i WHERE i.instance_id = :instance_id
    )
    AND closed_at IS NOT NULL;

-- name: end.release
UPDATE instances
SET launch_id = NULL
WHERE instance_id = :instance_id;

-- name: end.open_launch
SELECT 1
FROM instances
WHERE instance_id = :instance_id
    AND launch_id IS NOT NULL
    AND run_epoch > coalesce(ended_run, 0);

-- name: end.is_reopened
SELECT subtype IS :reopened
FROM instance_events
WHERE instance_id = :instance_id AND (event_type = 'started' OR subtype = :reopened)
ORDER BY id DESC
LIMIT 1;

-- name: suspend.ended_so
SELECT event_type = 'suspended' AND CAST(coalesce(payload, '') AS BLOB) = :payload
FROM instance_events
WHERE instance_id = :instance_id
    AND event_type IN ('started', 'suspended')
    AND EXISTS (
        SELECT 1
        FROM pending_signals
        WHERE instance_id = :instance_id
            AND signal_type = 'cancel'
            AND acknowledged_at IS NOT NULL
    )
ORDER BY id DESC
LIMIT 1;

-- name: suspend.settle_signal
UPDATE pending_signals
SET acknowledged_at = :at
WHERE instance_id = :instance_id
    AND signal_type IN ('cancel', 'pause')
    AND acknowledged_at IS NULL;

-- name: suspend.move
UPDATE instances
SET status = :status,
    finished_at = :finished_at,
    waits = :waits,
    sleep_until = NULL,
    wake_claim_until = NULL,
    wake_claim_by = NULL
WHERE instance_id = :instance_id
RETURNING parent_id;

-- name: suspend.stay
UPDATE instances
SET waits = coalesce(:waits, waits)
WHERE instance_id = :instance_id;

-- name: page
SELECT
    id,
    instance_id,
    event_type,
    CAST(coalesce(payload, '') AS BLOB) AS payload,
    created_at,
    checkpoint_id,
    subtype
-- include: events_found
    AND id > :after_id
ORDER BY id
LIMIT :limit
OFFSET :offset;

-- name: count
SELECT count(*)
-- include: events_found;
