-- name: claim_due
-- The first rows of each kind are read and locked; then the first of them all are chosen.
WITH slept AS MATERIALIZED (
    SELECT instance_id, greatest(sleep_until, wake_claim_until) AS waits_since
    FROM instances
    WHERE status = 'suspended'
        AND sleep_until IS NOT NULL
        AND greatest(sleep_until, wake_claim_until) <= $1
    ORDER BY waits_since, instance_id COLLATE "C"
    LIMIT $2
    -- A row is skipped if another step has locked it, to claim, wake or end the instance.
    FOR NO KEY UPDATE SKIP LOCKED
),
-- Claims given back at a moment in the future: the clock was set back since.
given_back AS MATERIALIZED (
    SELECT instance_id, wake_claim_until AS waits_since
    FROM instances
    WHERE status = 'suspended'
        AND wake_claim_by IS NULL
        AND sleep_until <= wake_claim_until
        AND wake_claim_until > $1
        AND sleep_until <= $1
    ORDER BY waits_since, instance_id COLLATE "C"
    LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED
),
told AS MATERIALIZED (
    SELECT i.instance_id, greatest(s.created_at, i.wake_claim_until) AS waits_since
    FROM pending_signals AS s
    JOIN instances AS i ON i.instance_id = s.instance_id
    WHERE s.acknowledged_at IS NULL
        AND s.signal_type IN ('cancel', 'resume')
        AND i.status = 'suspended'
        -- A signal that was pending when the instance blocked no longer makes it due.
        AND (i.sleep_until IS NULL AND i.blocked_signal_at = s.created_at) IS NOT TRUE
        AND (i.wake_claim_by IS NOT NULL AND i.wake_claim_until > $1) IS NOT TRUE
    ORDER BY waits_since, i.instance_id COLLATE "C"
    LIMIT $2
    FOR NO KEY UPDATE OF i SKIP LOCKED
),
chosen AS MATERIALIZED (
    SELECT instance_id, min(waits_since) AS waits_since
    FROM (
        SELECT * FROM slept UNION ALL SELECT * FROM given_back UNION ALL SELECT * FROM told
    ) AS waiting
    GROUP BY instance_id
    ORDER BY waits_since, instance_id COLLATE "C"
    LIMIT $2
),
claimed AS (
    UPDATE instances AS i
    SET wake_claim_until = $3,
        wake_claim_by = $4
    FROM chosen
    WHERE i.instance_id = chosen.instance_id
    RETURNING
        i.instance_id,
        i.tenant_id,
        i.run_epoch,
        i.checkpoint_id,
        i.sleep_until,
        chosen.waits_since
)
SELECT instance_id, tenant_id, run_epoch, checkpoint_id, sleep_until
FROM claimed
ORDER BY waits_since, instance_id COLLATE "C";

-- name: next_due
SELECT CASE WHEN min(moment) IS NOT NULL THEN greatest(min(moment), $1::timestamptz) END AS moment
FROM (
    (
        SELECT greatest(sleep_until, wake_claim_until) AS moment
        FROM instances
        WHERE status = 'suspended' AND sleep_until IS NOT NULL
        ORDER BY greatest(sleep_until, wake_claim_until), instance_id COLLATE "C"
        LIMIT 1
    )
    UNION ALL
    SELECT min(sleep_until)
    FROM instances
    WHERE status = 'suspended'
        AND wake_claim_by IS NULL
        AND sleep_until <= wake_claim_until
        AND wake_claim_until > $1
    UNION ALL
    SELECT min(CASE WHEN i.wake_claim_by IS NULL THEN $1 ELSE coalesce(i.wake_claim_until, $1) END)
    FROM pending_signals AS s
    JOIN instances AS i ON i.instance_id = s.instance_id
    WHERE s.acknowledged_at IS NULL
        AND s.signal_type IN ('cancel', 'resume')
        AND i.status = 'suspended'
        AND (i.sleep_until IS NULL AND i.blocked_signal_at = s.created_at) IS NOT TRUE
) AS due;

-- name: renew
WITH sleepers AS (
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::timestamptz[]) AS s (instance_id, run, moment)
),
found AS MATERIALIZED (
    SELECT
        i.instance_id,
        -- include: state_of_i,
        i.run_epoch,
        sleepers.run IS NULL OR sleepers.run >= i.run_epoch AS is_admitted,
        least(i.sleep_until, sleepers.moment) AS sleep_until,
        i.wake_claim_by IS NULL
        OR i.wake_claim_until IS NULL
        OR i.wake_claim_by = $4
        OR i.wake_claim_until <= CASE
            WHEN split_part(i.wake_claim_by, '/', 1) = $5 THEN $7::timestamptz ELSE $6
        END AS is_free,
        split_part(i.wake_claim_by, '/', 1) = $5 AS is_same_owners
    FROM sleepers
    JOIN instances AS i ON i.instance_id = sleepers.instance_id
    -- Waiting for one locked row would delay all the other rows.
    FOR NO KEY UPDATE OF i SKIP LOCKED
),
renewed AS (
    UPDATE instances AS i
    SET sleep_until = found.sleep_until,
        wake_claim_until = CASE WHEN found.is_free THEN $8 ELSE i.wake_claim_until END,
        wake_claim_by = CASE WHEN found.is_free THEN $4 ELSE i.wake_claim_by END
    FROM found
    WHERE i.instance_id = found.instance_id
        AND found.state = 'asleep'
        AND found.is_admitted
        AND (found.is_free OR (found.is_same_owners AND found.sleep_until < i.sleep_until))
)
SELECT instance_id, state, run_epoch
FROM found;

-- name: release
WITH mine AS MATERIALIZED (
    SELECT instance_id
    FROM instances
    WHERE wake_claim_by = $1 AND instance_id = ANY ($2::text[])
    FOR NO KEY UPDATE SKIP LOCKED
),
released AS (
    UPDATE instances AS i
    SET wake_claim_until = $3,
        wake_claim_by = NULL
    FROM mine
    WHERE i.instance_id = mine.instance_id
)
SELECT instance_id
FROM instances
WHERE wake_claim_by = $1
    AND instance_id = ANY ($2::text[])
    AND instance_id NOT IN (SELECT mine.instance_id FROM mine);

-- name: wake
WITH found AS MATERIALIZED (
    SELECT
        instance_id,
        -- include: state,
        run_epoch,
        CASE
            WHEN wake_claim_until > $5 AND split_part(wake_claim_by, '/', 1) <> $3
            THEN wake_claim_until
        END AS claimed_until
    FROM instances
    WHERE instance_id = $1
    FOR NO KEY UPDATE
),
woken AS (
    UPDATE instances AS i
    SET status = $6::text::instance_status,
        last_activity_at = greatest(i.last_activity_at, $5),
        -- include: clear_wake
    FROM found
    WHERE i.instance_id = found.instance_id
        AND found.claimed_until IS NULL
        AND found.state = ANY ($4::text[])
        AND ($2::bigint IS NULL OR $2 >= found.run_epoch)
    RETURNING i.instance_id
)
SELECT state, run_epoch, claimed_until, EXISTS (SELECT FROM woken) AS woken
FROM found;
