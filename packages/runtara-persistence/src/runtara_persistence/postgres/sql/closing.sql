-- name: look
-- Closes the plain ends of launches whose instances have ended. Of the others it locks nothing:
-- `together` writes the rows that are still as they were read here.
WITH wanted AS (
    SELECT *
    FROM json_to_recordset($1::text::json) AS w (
        launch_id TEXT,
        is_plain BOOLEAN,
        closed_at TIMESTAMPTZ,
        cause TEXT,
        exit_code INTEGER,
        exit_signal INTEGER,
        verdict TEXT
    )
),
closing AS MATERIALIZED (
    SELECT wanted.*, l.instance_id
    FROM wanted
    JOIN launches AS l ON l.launch_id = wanted.launch_id
    WHERE l.closed_at IS NULL
),
ended AS MATERIALIZED (
    SELECT i.instance_id
    FROM closing
    JOIN instances AS i ON i.instance_id = closing.instance_id
    WHERE closing.is_plain
        AND i.launch_id = closing.launch_id
        AND i.status IN ('completed', 'failed')
    FOR NO KEY UPDATE OF i SKIP LOCKED
),
settled AS (
    UPDATE instances AS i
    SET launch_id = NULL
    FROM closing
    JOIN ended ON ended.instance_id = closing.instance_id
    WHERE i.instance_id = closing.instance_id AND i.launch_id = closing.launch_id
    RETURNING
        closing.launch_id,
        i.instance_id,
        i.launch_count - $2::integer AS last_forgotten,
        CASE WHEN i.run_epoch > coalesce(i.ended_run, 0) THEN i.run_epoch END AS run
),
closed AS (
    UPDATE launches AS l
    SET closed_at = closing.closed_at,
        run = settled.run,
        cause = closing.cause,
        exit_code = closing.exit_code,
        exit_signal = closing.exit_signal,
        verdict = closing.verdict
    FROM settled
    JOIN closing ON closing.launch_id = settled.launch_id
    WHERE l.launch_id = settled.launch_id
),
-- include: forgotten_launches
SELECT closing.launch_id AS closing_id, settled.launch_id IS NOT NULL AS is_closed, i.*
FROM closing
CROSS JOIN LATERAL (
    SELECT
        instance_id,
        xmin::text AS version,
        -- include: launched
    FROM instances
    WHERE instances.instance_id = closing.instance_id
        AND instances.launch_id = closing.launch_id
) AS i
LEFT JOIN settled ON settled.launch_id = closing.launch_id;

-- name: together
WITH wanted AS (
    SELECT *
    FROM json_to_recordset($1::text::json) AS w (
        launch_id TEXT,
        instance_id TEXT,
        version TEXT,
        closed_at TIMESTAMPTZ,
        run BIGINT,
        cause TEXT,
        exit_code INTEGER,
        exit_signal INTEGER,
        memory_peak_bytes BIGINT,
        cpu_usage_usec BIGINT,
        stderr TEXT,
        verdict TEXT,
        all_memory_peak_bytes BIGINT,
        all_cpu_usage_usec BIGINT,
        explanation TEXT,
        is_final BOOLEAN,
        crashes INTEGER,
        backoff_ms BIGINT,
        launch_after TIMESTAMPTZ,
        is_run_over BOOLEAN,
        is_run_lost BOOLEAN
    )
),
found AS MATERIALIZED (
    SELECT i.instance_id
    FROM wanted
    JOIN instances AS i ON i.instance_id = wanted.instance_id
    -- The row has not changed since it was read; a locked row is being changed, and skipped.
    WHERE i.xmin::text = wanted.version
    FOR NO KEY UPDATE OF i SKIP LOCKED
),
settled AS (
    UPDATE instances AS i
    SET launch_id = NULL,
        memory_peak_bytes = wanted.all_memory_peak_bytes,
        cpu_usage_usec = wanted.all_cpu_usage_usec,
        stderr = coalesce(wanted.stderr, i.stderr),
        error = CASE WHEN wanted.is_final THEN coalesce(i.error, wanted.explanation)
            ELSE i.error END,
        crashes = CASE WHEN wanted.is_final THEN i.crashes ELSE wanted.crashes END,
        backoff_ms = CASE WHEN wanted.is_final THEN i.backoff_ms ELSE wanted.backoff_ms END,
        launch_after = CASE WHEN wanted.is_final THEN i.launch_after
            ELSE wanted.launch_after END,
        judged_checkpoint_id = CASE WHEN wanted.is_final THEN i.judged_checkpoint_id
            ELSE i.checkpoint_id END,
        ended_run = CASE WHEN wanted.is_run_over AND NOT wanted.is_final THEN i.run_epoch
            ELSE i.ended_run END,
        lost_run = CASE
            WHEN wanted.is_final THEN i.lost_run
            WHEN wanted.is_run_lost THEN i.run_epoch
        END
    FROM wanted
    JOIN found ON found.instance_id = wanted.instance_id
    WHERE i.instance_id = wanted.instance_id
    RETURNING wanted.launch_id, i.instance_id, i.launch_count - $2::integer AS last_forgotten
),
closed AS (
    UPDATE launches AS l
    SET closed_at = wanted.closed_at,
        run = wanted.run,
        cause = wanted.cause,
        exit_code = wanted.exit_code,
        exit_signal = wanted.exit_signal,
        memory_peak_bytes = wanted.memory_peak_bytes,
        cpu_usage_usec = wanted.cpu_usage_usec,
        stderr = wanted.stderr,
        verdict = wanted.verdict
    FROM settled
    JOIN wanted ON wanted.launch_id = settled.launch_id
    WHERE l.launch_id = settled.launch_id
),
-- include: forgotten_launches
SELECT launch_id FROM settled;

-- name: find
SELECT instance_id, environment_id
FROM launches
WHERE launch_id = $1 AND closed_at IS NULL;

-- name: lock_parent
-- include: lock_parent;

-- name: lock_instance
SELECT
    -- include: launched
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
