-- name: register.find
SELECT
    tenant_id,
    status,
    sleep_until,
    run_epoch,
    CAST(input AS BLOB),
    launch_id,
    run_epoch = 0
    AND NOT EXISTS (SELECT 1 FROM checkpoints AS c WHERE c.instance_id = instances.instance_id),
    s.signal_type,
    CAST(coalesce(s.payload, '') AS BLOB),
    -- Whether a process that names no launch is not the open launch's process.
    launch_id IS NOT NULL AND (launch_sends_id OR run_epoch > coalesce(ended_run, 0)),
    EXISTS (
        SELECT 1 FROM checkpoints AS c
        WHERE c.instance_id = instances.instance_id
            AND c.checkpoint_id = :checkpoint_id
            AND NOT c.is_retry_attempt
    )
FROM instances
LEFT JOIN pending_signals AS s
    ON s.instance_id = instances.instance_id
    AND s.acknowledged_at IS NULL
    AND s.signal_type <> 'resume'
WHERE instances.instance_id = :instance_id;

-- name: register.create
INSERT INTO instances (instance_id, tenant_id, status, created_at)
VALUES (:instance_id, :tenant_id, 'running', :at);

-- name: register.begin_run
UPDATE instances
SET status = :status,
    run_epoch = run_epoch + 1,
    started_at = coalesce(started_at, :at),
    last_activity_at = max(coalesce(last_activity_at, ''), :at),
    -- The name it was started by is kept: its image's code may have another name.
    workflow = coalesce(workflow, :workflow),
    code_version = coalesce(:code_version, code_version),
    error = NULL,
    blocked_signal_at = NULL,
    -- include: clear_wake
WHERE instance_id = :instance_id;

-- name: register.settle_resume
UPDATE pending_signals
SET acknowledged_at = :at
WHERE instance_id = :instance_id AND signal_type = 'resume' AND acknowledged_at IS NULL;

-- name: register.add_started
INSERT INTO instance_events (instance_id, event_type, created_at, payload)
VALUES (:instance_id, 'started', :at, x'');

-- name: mark_active
UPDATE instances
SET last_activity_at = :at
WHERE instance_id = :instance_id
    AND status IN ('pending', 'running', 'suspended')
    AND (:run IS NULL OR :run >= run_epoch)
    AND (last_activity_at IS NULL OR last_activity_at < :at);

-- name: report
UPDATE instances
SET waits = coalesce(:waits, waits),
    progress = coalesce(:progress, progress),
    last_activity_at = max(coalesce(last_activity_at, ''), :at)
WHERE instance_id = :instance_id;

-- name: page.any
SELECT
    -- include: summary
FROM instances
WHERE created_at <= :created_at
    AND (created_at < :created_at OR instance_id > :instance_id)
ORDER BY created_at DESC, instance_id
LIMIT :limit;

-- name: page.of_tenant
SELECT
    -- include: summary
FROM instances
WHERE tenant_id = :tenant_id
-- include: newest_first;

-- name: page.in_status
SELECT
    -- include: summary
FROM instances
WHERE status = :status
-- include: newest_first;

-- name: page.of_tenant_in_status
SELECT
    -- include: summary
FROM instances INDEXED BY idx_instances_status
WHERE tenant_id = :tenant_id AND status = :status
-- include: newest_first;

-- name: page.of_workflow
SELECT
    -- include: summary
-- include: instances_of_workflow
-- include: newest_first;

-- name: page.blocked
SELECT
    -- include: summary
-- include: instances_blocked
-- include: newest_first;

-- name: page.of_parent
SELECT
    -- include: summary
-- include: instances_of_parent
-- include: newest_first;

-- name: count.any
SELECT count(*)
FROM instances;

-- name: count.of_tenant
SELECT count(*)
FROM instances
WHERE tenant_id = :tenant_id;

-- name: count.in_status
SELECT count(*)
FROM instances
WHERE status = :status;

-- name: count.of_tenant_in_status
SELECT count(*)
FROM instances
WHERE tenant_id = :tenant_id AND status = :status;

-- name: count.of_workflow
SELECT count(*)
-- include: instances_of_workflow;

-- name: count.blocked
SELECT count(*)
-- include: instances_blocked;

-- name: count.of_parent
SELECT count(*)
-- include: instances_of_parent;

-- name: prune.find
SELECT instance_id
FROM instances INDEXED BY idx_instances_finished
WHERE finished_at < :finished_before
    AND status IN ('completed', 'failed', 'cancelled')
    AND NOT EXISTS (
        SELECT 1 FROM instances AS p
        WHERE p.instance_id = instances.parent_id
            AND p.status IN ('pending', 'running', 'suspended')
    )
ORDER BY finished_at
LIMIT :limit;

-- name: prune.checkpoints
DELETE FROM checkpoints
WHERE id IN (
    SELECT id FROM checkpoints
    WHERE instance_id IN (SELECT value FROM json_each(:instance_ids))
    LIMIT :rows
);

-- name: prune.events
DELETE FROM instance_events
WHERE id IN (
    SELECT id FROM instance_events
    WHERE instance_id IN (SELECT value FROM json_each(:instance_ids))
    LIMIT :rows
);

-- name: prune.custom_signals
DELETE FROM pending_checkpoint_signals
WHERE id IN (
    SELECT id FROM pending_checkpoint_signals
    WHERE instance_id IN (SELECT value FROM json_each(:instance_ids))
    LIMIT :rows
);

-- name: prune.instances
DELETE FROM instances
WHERE instance_id IN (SELECT value FROM json_each(:instance_ids));

-- name: prune.associations
-- These rows have no foreign key to their instance.
DELETE FROM instance_images
WHERE instance_id IN (SELECT value FROM json_each(:instance_ids));
