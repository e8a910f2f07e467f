-- name: claim_due
-- Of either kind the first so many are read and locked; then the first of both.
WITH slept AS MATERIALIZED (
    SELECT instance_id, greatest(sleep_until, wake_claim_until) AS waits_since
    FROM instances
    WHERE status = 'suspended'
        AND sleep_until IS NOT NULL
        AND greatest(sleep_until, wake_claim_until) <= $1
    ORDER BY waits_since, instance_id COLLATE "C"
    LIMIT $2
    -- Somebody who holds a row is claiming it, waking it or ending it.
    FOR NO KEY UPDATE SKIP LOCKED
),
told AS MATERIALIZED (
    SELECT i.instance_id, greatest(s.created_at, i.wake_claim_until) AS waits_since
    FROM pending_signals AS s
    JOIN instances AS i ON i.instance_id = s.instance_id
    WHERE s.acknowledged_at IS NULL
        AND s.signal_type IN ('cancel', 'resume')
        AND i.status = 'suspended'
        AND (i.wake_claim_until IS NULL OR i.wake_claim_until <= $1)
    ORDER BY waits_since, i.instance_id COLLATE "C"
    LIMIT $2
    FOR NO KEY UPDATE OF i SKIP LOCKED
),
chosen AS MATERIALIZED (
    SELECT instance_id, min(waits_since) AS waits_since
    FROM (SELECT * FROM slept UNION ALL SELECT * FROM told) AS waiting
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

-- name: renew_claims
WITH mine AS MATERIALIZED (
    SELECT instance_id
    FROM instances
    WHERE wake_claim_by = $1
    ORDER BY instance_id
    FOR NO KEY UPDATE
)
UPDATE instances AS i
SET wake_claim_until = $2
FROM mine
WHERE i.instance_id = mine.instance_id
RETURNING i.instance_id;

-- name: release_claims
WITH mine AS MATERIALIZED (
    SELECT instance_id
    FROM instances
    WHERE wake_claim_by = $1 AND instance_id = ANY ($2::text[])
    ORDER BY instance_id
    FOR NO KEY UPDATE
)
UPDATE instances AS i
SET wake_claim_until = $3,
    wake_claim_by = NULL
FROM mine
WHERE i.instance_id = mine.instance_id;

-- name: wake
WITH found AS MATERIALIZED (
    SELECT
        instance_id,
        CASE
            WHEN status <> 'suspended' THEN status::text
            WHEN sleep_until IS NULL THEN 'paused'
            ELSE 'asleep'
        END AS state,
        run_epoch,
        CASE
            WHEN wake_claim_by IS DISTINCT FROM $3::text AND wake_claim_until > $5
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
        sleep_until = NULL,
        wake_claim_until = NULL,
        wake_claim_by = NULL
    FROM found
    WHERE i.instance_id = found.instance_id
        AND found.claimed_until IS NULL
        AND found.state = ANY ($4::text[])
        AND ($2::bigint IS NULL OR $2 >= found.run_epoch)
    RETURNING i.instance_id
)
SELECT state, run_epoch, claimed_until, EXISTS (SELECT FROM woken) AS woken
FROM found;
