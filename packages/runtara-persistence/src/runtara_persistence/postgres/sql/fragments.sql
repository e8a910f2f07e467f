-- name: summary
instance_id,
tenant_id,
status::text AS status,
run_epoch,
checkpoint_id,
created_at,
started_at,
finished_at,
sleep_until,
last_activity_at,
workflow,
code_version,
parent_id,
launch_id,
waits,
CASE WHEN status = 'suspended' AND sleep_until IS NULL THEN error END AS blocked_reason;

-- name: state
CASE
    WHEN status <> 'suspended' THEN status::text
    WHEN sleep_until IS NULL THEN 'paused'
    ELSE 'asleep'
END AS state;

-- name: clear_wake
waits = NULL,
sleep_until = NULL,
wake_claim_until = NULL,
wake_claim_by = NULL;

-- name: parent
parent AS MATERIALIZED (
    SELECT
        p.instance_id,
        p.status IN ('pending', 'running', 'suspended') AS is_open,
        p.status = 'suspended' AND p.sleep_until IS NOT NULL AS is_asleep
    FROM instances AS c
    JOIN instances AS p ON p.instance_id = c.parent_id AND p.tenant_id = c.tenant_id
    WHERE c.instance_id = $1 AND p.instance_id <> $1
    FOR NO KEY UPDATE OF p
);

-- name: newest_first
    AND created_at <= coalesce($1::timestamptz, 'infinity')
    AND ($1 IS NULL OR created_at < $1 OR instance_id COLLATE "C" > $2::text)
ORDER BY created_at DESC, instance_id COLLATE "C"
LIMIT $3;
