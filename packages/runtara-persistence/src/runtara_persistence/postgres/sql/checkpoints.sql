-- name: save.alone
WITH found AS MATERIALIZED (
    SELECT *, state = ANY ($3::text[]) AND ($2::bigint IS NULL OR $2 >= run_epoch) AS is_admitted
    FROM (
        SELECT
            instance_id,
            CASE
                WHEN status <> 'suspended' THEN status::text
                WHEN sleep_until IS NULL THEN 'paused'
                ELSE 'asleep'
            END AS state,
            run_epoch
        FROM instances
        WHERE instance_id = $1
        FOR NO KEY UPDATE
    ) AS locked
),
kept AS MATERIALIZED (
    SELECT c.state
    FROM found
    JOIN checkpoints AS c ON c.instance_id = found.instance_id AND c.checkpoint_id = $4
    WHERE found.is_admitted AND c.is_retry_attempt IS NOT TRUE
),
saved AS (
    INSERT INTO checkpoints (instance_id, checkpoint_id, state, created_at)
    SELECT instance_id, $4, $5, $6
    FROM found
    WHERE is_admitted AND NOT EXISTS (SELECT FROM kept)
    ON CONFLICT (instance_id, checkpoint_id) DO NOTHING
    RETURNING instance_id, checkpoint_id, created_at
),
moved AS (
    UPDATE instances AS i
    SET checkpoint_id = coalesce(saved.checkpoint_id, i.checkpoint_id),
        last_activity_at = greatest(i.last_activity_at, saved.created_at),
        status = CASE WHEN found.state = 'asleep' THEN $7::text::instance_status ELSE i.status END,
        sleep_until = CASE WHEN found.state <> 'asleep' THEN i.sleep_until END,
        wake_claim_until = CASE WHEN found.state <> 'asleep' THEN i.wake_claim_until END,
        wake_claim_by = CASE WHEN found.state <> 'asleep' THEN i.wake_claim_by END
    FROM found
    LEFT JOIN saved ON saved.instance_id = found.instance_id
    WHERE i.instance_id = found.instance_id
        AND found.is_admitted
        AND (saved.instance_id IS NOT NULL OR found.state = 'asleep')
)
SELECT
    found.state,
    found.run_epoch,
    found.is_admitted,
    EXISTS (SELECT FROM saved) AS is_fresh,
    (SELECT state FROM kept) AS kept,
    s.signal_type::text AS signal_type,
    s.payload,
    p.id IS NOT NULL AS has_custom_signal,
    p.payload AS custom_signal
FROM found
LEFT JOIN pending_signals AS s
    ON s.instance_id = found.instance_id AND s.acknowledged_at IS NULL AND found.is_admitted
LEFT JOIN pending_checkpoint_signals AS p
    ON p.instance_id = found.instance_id AND p.checkpoint_id = $4 AND found.is_admitted;

-- name: save.together
WITH asked AS MATERIALIZED (
    SELECT *
    FROM unnest(
        $1::text[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::timestamptz[]
    ) WITH ORDINALITY AS a (instance_id, run, states, checkpoint_id, state, at, place)
),
found AS MATERIALIZED (
    SELECT
        instance_id,
        CASE
            WHEN status <> 'suspended' THEN status::text
            WHEN sleep_until IS NULL THEN 'paused'
            ELSE 'asleep'
        END AS state,
        run_epoch
    FROM instances
    WHERE instance_id = ANY ($1)
    ORDER BY instance_id
    -- One that somebody else holds would keep the others waiting: it is asked for alone.
    FOR NO KEY UPDATE SKIP LOCKED
),
admitted AS MATERIALIZED (
    SELECT asked.*, found.state AS before
    FROM asked
    JOIN found ON found.instance_id = asked.instance_id
    WHERE found.state = ANY (string_to_array(asked.states, ','))
        AND (asked.run IS NULL OR asked.run >= found.run_epoch)
),
kept AS MATERIALIZED (
    SELECT admitted.place, c.state
    FROM admitted
    JOIN checkpoints AS c
        ON c.instance_id = admitted.instance_id AND c.checkpoint_id = admitted.checkpoint_id
    WHERE c.is_retry_attempt IS NOT TRUE
),
saved AS (
    INSERT INTO checkpoints (instance_id, checkpoint_id, state, created_at)
    SELECT instance_id, checkpoint_id, state, at
    FROM admitted
    WHERE NOT EXISTS (SELECT FROM kept WHERE kept.place = admitted.place)
    ORDER BY place
    ON CONFLICT (instance_id, checkpoint_id) DO NOTHING
    RETURNING id, instance_id, checkpoint_id, created_at
),
newest AS (
    SELECT DISTINCT ON (instance_id) instance_id, checkpoint_id, created_at
    FROM saved
    ORDER BY instance_id, id DESC
),
stirred AS (
    SELECT DISTINCT instance_id, before = 'asleep' AS is_asleep
    FROM admitted
),
moved AS (
    UPDATE instances AS i
    SET checkpoint_id = coalesce(newest.checkpoint_id, i.checkpoint_id),
        last_activity_at = greatest(i.last_activity_at, newest.created_at),
        status = CASE WHEN is_asleep THEN $7::text::instance_status ELSE i.status END,
        sleep_until = CASE WHEN NOT is_asleep THEN i.sleep_until END,
        wake_claim_until = CASE WHEN NOT is_asleep THEN i.wake_claim_until END,
        wake_claim_by = CASE WHEN NOT is_asleep THEN i.wake_claim_by END
    FROM stirred
    LEFT JOIN newest ON newest.instance_id = stirred.instance_id
    WHERE i.instance_id = stirred.instance_id
        AND (newest.instance_id IS NOT NULL OR is_asleep)
)
SELECT
    found.state,
    found.run_epoch,
    found.instance_id IS NULL
        AND EXISTS (SELECT FROM instances AS i WHERE i.instance_id = asked.instance_id)
        AS is_held,
    admitted.place IS NOT NULL AS is_admitted,
    saved.id IS NOT NULL AS is_fresh,
    kept.state AS kept,
    s.signal_type::text AS signal_type,
    s.payload,
    p.id IS NOT NULL AS has_custom_signal,
    p.payload AS custom_signal
FROM asked
LEFT JOIN found ON found.instance_id = asked.instance_id
LEFT JOIN admitted ON admitted.place = asked.place
LEFT JOIN saved
    ON saved.instance_id = asked.instance_id AND saved.checkpoint_id = asked.checkpoint_id
LEFT JOIN kept ON kept.place = asked.place
LEFT JOIN pending_signals AS s
    ON s.instance_id = admitted.instance_id AND s.acknowledged_at IS NULL
LEFT JOIN pending_checkpoint_signals AS p
    ON p.instance_id = admitted.instance_id AND p.checkpoint_id = admitted.checkpoint_id
ORDER BY asked.place;

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
            CASE
                WHEN status <> 'suspended' THEN status::text
                WHEN sleep_until IS NULL THEN 'paused'
                ELSE 'asleep'
            END AS state,
            run_epoch,
            CASE WHEN status = 'suspended' THEN sleep_until END AS asleep_until
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
    -- A row that this statement inserted has nobody's mark of change or lock on it.
    RETURNING wake_at, xmax = 0 AS is_fresh
),
settled AS MATERIALIZED (
    SELECT
        found.*,
        kept.*,
        CASE
            WHEN kept.wake_at <= $6 OR EXISTS (SELECT FROM told WHERE signal_type = 'cancel')
            THEN CASE WHEN found.state = 'asleep' THEN $12::text ELSE found.state END
            WHEN $8::boolean AND found.state = 'running' THEN found.state
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
        sleep_until = CASE
            WHEN after = 'asleep' THEN least(settled.wake_at, $9, settled.asleep_until)
            WHEN after = state THEN i.sleep_until
        END,
        wake_claim_until = CASE
            WHEN after = 'asleep' THEN $10::timestamptz
            WHEN after = state THEN i.wake_claim_until
        END,
        wake_claim_by = CASE
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
WITH found AS MATERIALIZED (
    SELECT *, state = ANY ($3::text[]) AND ($2::bigint IS NULL OR $2 >= run_epoch) AS is_admitted
    FROM (
        SELECT
            instance_id,
            CASE
                WHEN status <> 'suspended' THEN status::text
                WHEN sleep_until IS NULL THEN 'paused'
                ELSE 'asleep'
            END AS state,
            run_epoch
        FROM instances
        WHERE instance_id = $1
        FOR NO KEY UPDATE
    ) AS locked
),
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
    -- The length of a value stored apart is known without reading it.
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
FROM checkpoints
WHERE instance_id = $1 AND is_retry_attempt IS NOT TRUE;
