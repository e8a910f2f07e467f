-- name: find
SELECT
    l.instance_id,
    l.environment_id,
    i.launch_id = l.launch_id,
    i.status,
    i.sleep_until,
    i.run_epoch,
    coalesce(i.ended_run, 0),
    i.crashes,
    i.checkpoint_id,
    i.judged_checkpoint_id,
    i.backoff_ms,
    i.stop_reason,
    i.memory_peak_bytes,
    i.cpu_usage_usec,
    i.stderr,
    i.launch_count,
    (
        SELECT s.signal_type FROM pending_signals AS s
        WHERE s.instance_id = i.instance_id AND s.acknowledged_at IS NULL
    )
FROM launches AS l
CROSS JOIN instances AS i ON i.instance_id = l.instance_id
WHERE l.launch_id = :launch_id AND l.closed_at IS NULL;

-- name: is_living
SELECT 1
FROM environments
WHERE environment_id = :environment_id AND closed_at IS NULL AND lease_until > :at;

-- name: close
UPDATE launches
SET closed_at = :at,
    run = :run,
    cause = :cause,
    exit_code = :exit_code,
    exit_signal = :exit_signal,
    memory_peak_bytes = :memory_peak_bytes,
    cpu_usage_usec = :cpu_usage_usec,
    stderr = :stderr,
    verdict = :verdict
WHERE launch_id = :launch_id;

-- name: count
UPDATE instances
SET memory_peak_bytes = :memory_peak_bytes,
    cpu_usage_usec = :cpu_usage_usec,
    stderr = :stderr,
    error = coalesce(error, :explanation)
WHERE instance_id = :instance_id;

-- name: settle
UPDATE instances
SET crashes = :crashes,
    backoff_ms = :backoff_ms,
    launch_after = :launch_after,
    judged_checkpoint_id = checkpoint_id,
    ended_run = CASE WHEN :is_run_over THEN run_epoch ELSE ended_run END,
    lost_run = CASE WHEN :is_run_lost THEN run_epoch END
WHERE instance_id = :instance_id;

-- name: release
-- This statement comes last: a watch that it triggers finds the other changes made.
UPDATE instances
SET launch_id = NULL
WHERE instance_id = :instance_id;

-- name: acknowledge
UPDATE pending_signals
SET acknowledged_at = :at
WHERE instance_id = :instance_id AND acknowledged_at IS NULL;

-- name: suspend
UPDATE instances
SET status = 'suspended',
    waits = NULL,
    sleep_until = :sleep_until,
    wake_claim_until = NULL,
    wake_claim_by = NULL
WHERE instance_id = :instance_id;

-- name: point
UPDATE instances
SET checkpoint_id = :checkpoint_id
WHERE instance_id = :instance_id
    AND EXISTS (
        SELECT 1 FROM checkpoints AS c
        WHERE c.instance_id = :instance_id
            AND c.checkpoint_id = :checkpoint_id
            AND NOT c.is_retry_attempt
    );

-- name: point.deadline
UPDATE checkpoints
SET wake_at = coalesce(wake_at, :sleep_until)
WHERE instance_id = :instance_id AND checkpoint_id = :checkpoint_id AND NOT is_retry_attempt;

-- name: forget_old
DELETE FROM launches
WHERE instance_id = :instance_id AND number <= :number AND closed_at IS NOT NULL;
