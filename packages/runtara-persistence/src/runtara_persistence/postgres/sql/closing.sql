-- name: find
SELECT instance_id, environment_id
FROM launches
WHERE launch_id = $1 AND closed_at IS NULL;

-- name: lock_parent
-- include: lock_parent;

-- name: lock_instance
SELECT
    launch_id,
    -- include: state,
    run_epoch,
    coalesce(ended_run, 0) AS ended_run,
    crashes,
    checkpoint_id,
    judged_checkpoint_id,
    backoff_ms,
    stop_reason,
    memory_peak_bytes,
    cpu_usage_usec,
    stderr,
    launch_count
FROM instances
WHERE instance_id = $1
FOR NO KEY UPDATE;

-- name: lock_launch
SELECT launch_id
FROM launches
WHERE launch_id = $1 AND closed_at IS NULL
FOR NO KEY UPDATE;

-- name: living
-- Locks the environment, so that its lease is renewed before this step or after its commit.
SELECT environment_id
FROM environments
WHERE environment_id = $1 AND closed_at IS NULL AND lease_until > $2::timestamptz
FOR SHARE;

-- name: lock_environment
SELECT environment_id
FROM environments
WHERE environment_id = $1
FOR SHARE;

-- name: pending
SELECT signal_type::text AS signal_type
FROM pending_signals
WHERE instance_id = $1 AND acknowledged_at IS NULL
FOR NO KEY UPDATE;

-- name: close
UPDATE launches
SET closed_at = $2,
    run = $3,
    cause = $4,
    exit_code = $5,
    exit_signal = $6,
    memory_peak_bytes = $7,
    cpu_usage_usec = $8,
    stderr = $9,
    verdict = $10
WHERE launch_id = $1;

-- name: settle
UPDATE instances
SET launch_id = NULL,
    memory_peak_bytes = $2,
    cpu_usage_usec = $3,
    stderr = $4,
    crashes = $5,
    backoff_ms = $6,
    launch_after = $7,
    judged_checkpoint_id = checkpoint_id,
    ended_run = CASE WHEN $8::boolean THEN run_epoch ELSE ended_run END,
    lost_run = CASE WHEN $9::boolean THEN run_epoch END
WHERE instance_id = $1;

-- name: count
UPDATE instances
SET launch_id = NULL,
    memory_peak_bytes = $2,
    cpu_usage_usec = $3,
    stderr = $4,
    error = coalesce(error, $5)
WHERE instance_id = $1;

-- name: acknowledge
UPDATE pending_signals
SET acknowledged_at = $2
WHERE instance_id = $1 AND acknowledged_at IS NULL;

-- name: suspend
UPDATE instances
SET status = 'suspended',
    waits = NULL,
    sleep_until = $2,
    wake_claim_until = NULL,
    wake_claim_by = NULL
WHERE instance_id = $1;

-- name: point
WITH slept AS (
    UPDATE checkpoints
    SET wake_at = coalesce(wake_at, $3)
    WHERE instance_id = $1 AND checkpoint_id = $2 AND is_retry_attempt IS NOT TRUE
    RETURNING checkpoint_id
)
UPDATE instances AS i
SET checkpoint_id = slept.checkpoint_id
FROM slept
WHERE i.instance_id = $1;

-- name: forget_old
DELETE FROM launches
WHERE instance_id = $1 AND number <= $2 AND closed_at IS NOT NULL;
