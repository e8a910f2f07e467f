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
    AND (i.wake_claim_until IS NULL OR i.wake_claim_until <= :at)
GROUP BY i.instance_id
ORDER BY max(min(due.since), coalesce(i.wake_claim_until, '')), i.instance_id
LIMIT :limit;

-- name: claim_due.take
UPDATE instances
SET wake_claim_until = :until,
    wake_claim_by = :token
WHERE instance_id = :instance_id;

-- name: renew_claims
UPDATE instances
SET wake_claim_until = :until
WHERE wake_claim_by = :token
RETURNING instance_id;

-- name: release_claims
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
    CASE WHEN wake_claim_by IS NOT :token AND wake_claim_until > :at THEN wake_claim_until END
FROM instances
WHERE instance_id = :instance_id;

-- name: wake.move
UPDATE instances
SET status = :status,
    last_activity_at = max(coalesce(last_activity_at, ''), :at),
    sleep_until = NULL,
    wake_claim_until = NULL,
    wake_claim_by = NULL
WHERE instance_id = :instance_id;
