-- name: get
SELECT checkpoint_id, state, created_at, wake_at
FROM checkpoints
WHERE instance_id = $1 AND checkpoint_id = $2 AND is_retry_attempt IS NOT TRUE;

-- name: sleep
WITH found AS MATERIALIZED (
    SELECT *, state = ANY ($3::text[]) AND ($2::bigint IS NULL OR $2 >= run_epoch) AS is_admitted
    FROM (
        SELECT
            instance_id,
            -- include: state,
            run_epoch,
            CASE WHEN status = 'suspended' THEN sleep_until END AS asleep_until,
            wake_claim_until > $6 AND split_part(wake_claim_by, '/', 1) <> $12 AS is_anothers
        FROM instances
        WHERE instance_id = $1
        FOR NO KEY UPDATE
    ) AS locked
),
told AS MATERIALIZED (
    SELECT s.signal_type::text AS signal_type, s.payload
    FROM found
    JOIN pending_signals AS s ON s.instance_id = found.instance_id
    WHERE found.is_admitted AND s.acknowledged_at IS NULL
),
kept AS (
    INSERT INTO checkpoints AS c (instance_id, checkpoint_id, state, created_at, wake_at)
    SELECT instance_id, $4, $5, $6, $7
    FROM found
    WHERE is_admitted
    ON CONFLICT (instance_id, checkpoint_id) DO UPDATE
    SET wake_at = coalesce(c.wake_at, excluded.wake_at)
    WHERE c.is_retry_attempt IS NOT TRUE
    -- xmax is 0 in an inserted row; an updated row was locked before, which sets xmax.
    RETURNING wake_at, xmax = 0 AS is_fresh
),
settled AS MATERIALIZED (
    SELECT
        found.*,
        kept.*,
        CASE
            WHEN $8::boolean AND found.state = 'running' THEN found.state
            WHEN NOT $14::boolean
                AND (
                    kept.wake_at <= $6 OR EXISTS (SELECT FROM told WHERE signal_type = 'cancel')
                )
            THEN CASE WHEN found.state = 'asleep' THEN $13::text ELSE found.state END
            ELSE 'asleep'
        END AS after
    FROM found, kept
),
moved AS (
    UPDATE instances AS i
    SET checkpoint_id = CASE WHEN settled.is_fresh THEN $4 ELSE i.checkpoint_id END,
        last_activity_at = greatest(i.last_activity_at, $6),
        status = CASE
            WHEN after = 'asleep' THEN 'suspended'
            WHEN after = state THEN i.status
            ELSE after::instance_status
        END,
        waits = CASE
            WHEN after = 'asleep' THEN $15::text
            WHEN after = state THEN i.waits
        END,
        sleep_until = CASE
            WHEN after = 'asleep' THEN least(settled.wake_at, $9, settled.asleep_until)
            WHEN after = state THEN i.sleep_until
        END,
        wake_claim_until = CASE
            WHEN after = 'asleep' AND (is_anothers OR $14) THEN i.wake_claim_until
            WHEN after = 'asleep' THEN $10::timestamptz
            WHEN after = state THEN i.wake_claim_until
        END,
        wake_claim_by = CASE
            WHEN after = 'asleep' AND (is_anothers OR $14) THEN i.wake_claim_by
            WHEN after = 'asleep' THEN $11::text
            WHEN after = state THEN i.wake_claim_by
        END
    FROM settled
    WHERE i.instance_id = settled.instance_id
)
SELECT
    found.state,
    found.run_epoch,
    found.is_admitted,
    settled.wake_at,
    settled.after,
    told.signal_type,
    told.payload
FROM found
LEFT JOIN settled ON TRUE
LEFT JOIN told ON TRUE;

-- name: record_retry
WITH
-- include: found_admitted,
put AS (
    INSERT INTO checkpoints AS c (
        instance_id,
        checkpoint_id,
        state,
        created_at,
        is_retry_attempt,
        attempt_number,
        error_message
    )
    SELECT instance_id, $4, '', $5, TRUE, $6, $7
    FROM found
    WHERE is_admitted
    ON CONFLICT (instance_id, checkpoint_id) DO UPDATE
    SET created_at = excluded.created_at,
        attempt_number = excluded.attempt_number,
        error_message = excluded.error_message
    WHERE c.is_retry_attempt
),
touched AS (
    UPDATE instances AS i
    SET last_activity_at = greatest(i.last_activity_at, $8)
    FROM found
    WHERE i.instance_id = found.instance_id AND found.is_admitted
)
SELECT state, run_epoch
FROM found;

-- name: page
SELECT
    c.id,
    c.checkpoint_id,
    -- PostgreSQL knows the length of a large value without reading it.
    CASE WHEN octet_length(c.state) <= $4 THEN c.state END AS state,
    c.created_at,
    attempts.failed_attempts,
    attempts.last_attempt_at,
    c.wake_at
FROM checkpoints AS c
CROSS JOIN LATERAL (
    SELECT count(*) AS failed_attempts, max(r.created_at) AS last_attempt_at
    FROM checkpoints AS r
    WHERE r.instance_id = c.instance_id
        AND r.checkpoint_id COLLATE "C" > c.checkpoint_id || '::retry::'
        AND r.checkpoint_id COLLATE "C" < c.checkpoint_id || '::retry:;'
        AND r.is_retry_attempt
        AND r.checkpoint_id = c.checkpoint_id || '::retry::' || r.attempt_number
) AS attempts
WHERE c.instance_id = $1
    AND c.id > $2::bigint
    AND c.is_retry_attempt IS NOT TRUE
ORDER BY c.id
LIMIT $3;

-- name: count
SELECT count(*)
-- include: checkpoints_found;

-- name: newest
SELECT
    checkpoint_id,
    created_at,
    coalesce(octet_length(state), 0) AS size_bytes,
    CASE WHEN coalesce(octet_length(state), 0) <= $7::integer THEN coalesce(state, '') END AS state
-- include: checkpoints_found
ORDER BY id DESC
LIMIT $5
OFFSET $6;
