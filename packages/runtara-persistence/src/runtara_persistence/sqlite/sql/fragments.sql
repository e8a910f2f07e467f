-- name: summary
instance_id,
tenant_id,
status,
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

-- name: clear_wake
waits = NULL,
sleep_until = NULL,
wake_claim_until = NULL,
wake_claim_by = NULL;

-- name: newest_first
    AND created_at <= :created_at
    AND (created_at < :created_at OR instance_id > :instance_id)
ORDER BY created_at DESC, instance_id
LIMIT :limit;
