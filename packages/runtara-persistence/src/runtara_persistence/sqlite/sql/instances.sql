-- name: register.find
SELECT
    tenant_id,
    status,
    sleep_until,
    run_epoch,
    CAST(input AS BLOB),
    EXISTS (
        SELECT 1 FROM checkpoints AS c
        WHERE c.instance_id = instances.instance_id
            AND c.checkpoint_id = :checkpoint_id
            AND NOT c.is_retry_attempt
    )
FROM instances
WHERE instance_id = :instance_id;

-- name: register.create
INSERT INTO instances (instance_id, tenant_id, created_at)
VALUES (:instance_id, :tenant_id, :at);

-- name: register.begin_run
UPDATE instances
SET status = :status,
    run_epoch = run_epoch + 1,
    started_at = coalesce(started_at, :at),
    last_activity_at = max(coalesce(last_activity_at, ''), :at),
    sleep_until = NULL,
    wake_claim_until = NULL,
    wake_claim_by = NULL
WHERE instance_id = :instance_id;

-- name: register.settle_resume
UPDATE pending_signals
SET acknowledged_at = :at
WHERE instance_id = :instance_id AND signal_type = 'resume' AND acknowledged_at IS NULL;

-- name: register.add_started
INSERT INTO instance_events (instance_id, event_type, created_at, payload)
VALUES (:instance_id, 'started', :at, x'');

-- name: get
SELECT
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
    CAST(output AS BLOB),
    error
FROM instances
WHERE instance_id = :instance_id;

-- name: standing
SELECT status, sleep_until, run_epoch
FROM instances
WHERE instance_id = :instance_id;

-- name: touch
UPDATE instances
SET last_activity_at = :at
WHERE instance_id = :instance_id
    AND status IN ('pending', 'running', 'suspended')
    AND (:run IS NULL OR :run >= run_epoch)
    AND (last_activity_at IS NULL OR last_activity_at < :at);
