-- name: claim_due.find
WITH due (instance_id, since) AS (
    SELECT instance_id, sleep_until
    FROM instances INDEXED BY idx_instances_sleep_until
    WHERE status = 'suspended' AND sleep_until <= :at
    UNION ALL
    SELECT instance_id, created_at
    FROM pending_signals
    WHERE acknowledged_at IS NULL AND signal_type IN ('cancel', 'resume')
)
SELECT i.instance_id, i.tenant_id, i.run_epoch, i.checkpoint_id, i.sleep_until
FROM due
CROSS JOIN instances AS i ON i.instance_id = due.instance_id
WHERE i.status = 'suspended'
    -- A signal that was pending when the instance blocked no longer makes it due.
    AND (i.sleep_until IS NULL AND i.blocked_signal_at = due.since) IS NOT TRUE
    AND (i.wake_claim_by IS NOT NULL AND i.wake_claim_until > :at) IS NOT TRUE
GROUP BY i.instance_id
ORDER BY max(min(due.since), coalesce(i.wake_claim_until, '')), i.instance_id
LIMIT :limit;

-- name: claim_due.take
UPDATE instances
SET wake_claim_until = :until,
    wake_claim_by = :token
WHERE instance_id = :instance_id;

-- name: next_due
WITH unclaimed (sleep_until) AS (
    SELECT sleep_until
    FROM instances INDEXED BY idx_instances_sleep_until
    WHERE status = 'suspended'
        AND sleep_until IS NOT NULL
        AND (wake_claim_by IS NULL OR wake_claim_until IS NULL)
    ORDER BY sleep_until
    LIMIT 1
),
due (moment) AS (
    SELECT sleep_until FROM unclaimed
    UNION ALL
    SELECT max(sleep_until, wake_claim_until)
    FROM instances INDEXED BY idx_instances_wake_claim
    WHERE wake_claim_by > '' AND status = 'suspended' AND sleep_until IS NOT NULL
    UNION ALL
    SELECT CASE WHEN i.wake_claim_by IS NULL THEN :at ELSE coalesce(i.wake_claim_until, :at) END
    FROM pending_signals AS s
    CROSS JOIN instances AS i ON i.instance_id = s.instance_id
    WHERE s.acknowledged_at IS NULL
        AND s.signal_type IN ('cancel', 'resume')
        AND i.status = 'suspended'
        AND (i.sleep_until IS NULL AND i.blocked_signal_at = s.created_at) IS NOT TRUE
)
SELECT max(min(moment), :at)
FROM due;

-- name: renew.take
UPDATE instances
SET wake_claim_until = :until,
    wake_claim_by = :token
FROM json_each(:sleepers)
WHERE instances.instance_id = json_each.value ->> 0
    AND coalesce(json_each.value ->> 1 >= run_epoch, TRUE)
    -- The + keeps SQLite from an index by which it would read all sleeping instances for each id.
    AND +status = 'suspended'
    AND +sleep_until IS NOT NULL
    AND (
        wake_claim_by IS NULL
        OR wake_claim_until IS NULL
        OR wake_claim_by = :token
        OR wake_claim_until <= CASE
            WHEN substr(wake_claim_by, 1, instr(wake_claim_by || '/', '/') - 1) = :owner
            THEN :half_way
            ELSE :at
        END
    );

-- name: renew.bring_forward
UPDATE instances
SET sleep_until = json_each.value ->> 2
FROM json_each(:sleepers)
WHERE instances.instance_id = json_each.value ->> 0
    AND coalesce(json_each.value ->> 1 >= run_epoch, TRUE)
    -- The + keeps SQLite from an index by which it would read all sleeping instances for each id.
    AND +status = 'suspended'
    AND +sleep_until > json_each.value ->> 2
    AND substr(wake_claim_by, 1, instr(wake_claim_by || '/', '/') - 1) = :owner;

-- name: renew.find
SELECT instances.instance_id, status, sleep_until, run_epoch
FROM json_each(:sleepers)
CROSS JOIN instances ON instances.instance_id = json_each.value ->> 0;

-- name: release
UPDATE instances
SET wake_claim_until = :at,
    wake_claim_by = NULL
WHERE wake_claim_by = :token
    AND instance_id IN (SELECT value FROM json_each(:instance_ids));

-- name: wake.find
SELECT
    status,
    sleep_until,
    run_epoch,
    CASE
        WHEN wake_claim_until > :at
            AND substr(wake_claim_by, 1, instr(wake_claim_by || '/', '/') - 1) <> :owner
        THEN wake_claim_until
    END
FROM instances
WHERE instance_id = :instance_id;

-- name: wake.move
UPDATE instances
SET status = :status,
    last_activity_at = max(coalesce(last_activity_at, ''), :at),
    -- include: clear_wake
WHERE instance_id = :instance_id;
