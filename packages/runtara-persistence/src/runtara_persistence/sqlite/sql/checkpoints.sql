-- name: save.find
SELECT
    i.status,
    i.sleep_until,
    i.run_epoch,
    c.id IS NOT NULL,
    CASE
        -- SQLite knows the length of a blob without reading it.
        WHEN length(c.state) <= :found_bytes AND length(CAST(c.state AS BLOB)) <= :found_bytes
        THEN CAST(c.state AS BLOB)
    END,
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

-- name: save.run_states
SELECT
    json_group_array(
        json_array(
            json_each.key,
            c.id IS NOT NULL OR s.instance_id IS NOT NULL OR p.id IS NOT NULL,
            i.status,
            i.sleep_until,
            i.run_epoch
        )
    )
FROM json_each(:keys)
JOIN instances AS i
    ON i.instance_id = json_each.value ->> 0
LEFT JOIN checkpoints AS c
    ON c.instance_id = i.instance_id
    AND c.checkpoint_id = json_each.value ->> 1
    AND NOT c.is_retry_attempt
LEFT JOIN pending_signals AS s
    ON s.instance_id = i.instance_id AND s.acknowledged_at IS NULL
LEFT JOIN pending_checkpoint_signals AS p
    ON p.instance_id = i.instance_id AND p.checkpoint_id = json_each.value ->> 1;

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
    -- include: clear_wake
WHERE instance_id = :instance_id;

-- name: get
SELECT checkpoint_id, CAST(state AS BLOB) AS state, created_at, wake_at
FROM checkpoints
WHERE instance_id = :instance_id
    AND checkpoint_id = :checkpoint_id
    AND NOT is_retry_attempt;

-- name: sleep.find
SELECT
    i.status,
    i.sleep_until,
    i.run_epoch,
    c.id,
    c.wake_at,
    s.signal_type,
    CAST(coalesce(s.payload, '') AS BLOB)
FROM instances AS i
LEFT JOIN checkpoints AS c
    ON c.instance_id = i.instance_id
    AND c.checkpoint_id = :checkpoint_id
    AND NOT c.is_retry_attempt
LEFT JOIN pending_signals AS s
    ON s.instance_id = i.instance_id AND s.acknowledged_at IS NULL
WHERE i.instance_id = :instance_id;

-- name: sleep.insert
INSERT INTO checkpoints (instance_id, checkpoint_id, created_at, wake_at, state)
VALUES (:instance_id, :checkpoint_id, :at, :wake_at, :state);

-- name: sleep.point
UPDATE instances
SET checkpoint_id = :checkpoint_id
WHERE instance_id = :instance_id;

-- name: sleep.set_deadline
UPDATE checkpoints
SET wake_at = :wake_at
WHERE instance_id = :instance_id AND checkpoint_id = :checkpoint_id;

-- name: sleep.touch
UPDATE instances
SET last_activity_at = max(coalesce(last_activity_at, ''), :at)
WHERE instance_id = :instance_id;

-- name: sleep.fall_asleep
UPDATE instances
SET status = :status,
    sleep_until = :sleep_until,
    waits = :waits
WHERE instance_id = :instance_id;

-- name: sleep.claim
UPDATE instances
SET wake_claim_until = :claim_until,
    wake_claim_by = :token
WHERE instance_id = :instance_id
    AND (
        wake_claim_by IS NULL
        OR wake_claim_until IS NULL
        OR wake_claim_until <= :at
        OR substr(wake_claim_by, 1, instr(wake_claim_by || '/', '/') - 1) = :owner
    );

-- name: record_retry.find
SELECT status, sleep_until, run_epoch
FROM instances
WHERE instance_id = :instance_id;

-- name: record_retry.put
INSERT INTO checkpoints (
    instance_id,
    checkpoint_id,
    created_at,
    is_retry_attempt,
    attempt_number,
    error_message,
    state
)
VALUES (:instance_id, :row_id, :created_at, TRUE, :attempt_number, :error_message, x'')
ON CONFLICT (instance_id, checkpoint_id) DO UPDATE
SET created_at = excluded.created_at,
    attempt_number = excluded.attempt_number,
    error_message = excluded.error_message
WHERE is_retry_attempt;

-- name: record_retry.touch
UPDATE instances
SET last_activity_at = max(coalesce(last_activity_at, ''), :at)
WHERE instance_id = :instance_id;

-- name: page
SELECT
    c.id,
    c.checkpoint_id,
    CASE
        -- SQLite knows the length of a blob without reading it.
        WHEN length(c.state) <= :listed_bytes
            AND length(CAST(c.state AS BLOB)) <= :listed_bytes
        THEN CAST(c.state AS BLOB)
    END AS state,
    c.created_at,
    (
        SELECT count(*) FROM checkpoints AS r
        -- include: retries_of_c
    ) AS failed_attempts,
    (
        SELECT max(r.created_at) FROM checkpoints AS r
        -- include: retries_of_c
    ) AS last_attempt_at,
    c.wake_at
FROM checkpoints AS c
WHERE c.instance_id = :instance_id
    AND c.id > :after_id
    AND NOT c.is_retry_attempt
ORDER BY c.id
LIMIT :one_more;

-- name: count
SELECT count(*)
-- include: checkpoints_found;

-- name: newest
SELECT
    checkpoint_id,
    created_at,
    length(CAST(coalesce(state, '') AS BLOB)),
    CASE
        WHEN length(CAST(coalesce(state, '') AS BLOB)) <= :largest_state
        THEN CAST(coalesce(state, '') AS BLOB)
    END
-- include: checkpoints_found
ORDER BY id DESC
LIMIT :limit
OFFSET :offset;
