-- name: newest_first
AND created_at <= :created_at
    AND (created_at < :created_at OR instance_id > :instance_id)
ORDER BY created_at DESC, instance_id
LIMIT :limit;

-- name: waits_since
CASE
    WHEN status = 'suspended'
    THEN max(
        sleep_until,
        coalesce(launch_after, ''),
        CASE WHEN wake_claim_by IS NOT NULL THEN coalesce(wake_claim_until, '') ELSE '' END
    )
    WHEN status = 'pending' OR (status = 'running' AND ended_run = run_epoch)
    THEN max(created_at, coalesce(launch_after, ''))
END;

-- name: told_since
max(
    s.created_at,
    coalesce(i.launch_after, ''),
    CASE WHEN i.wake_claim_by IS NOT NULL THEN coalesce(i.wake_claim_until, '') ELSE '' END
);

-- name: lane
quote(tenant_id) || ',' || quote(image_id) || ',' || quote(workflow) || ',' || quote(queue);

-- name: silent_from
-- An instance whose run is over waits for its back-off instead.
CASE
    -- A worker's run is fenced by its launch, so it need not be silent first.
    WHEN lost_run = run_epoch AND image_id IS NULL
    THEN max(coalesce(launch_after, ''), coalesce(last_activity_at, started_at, created_at))
    WHEN lost_run = run_epoch
    THEN max(
        coalesce(launch_after, ''),
        strftime(
            '%Y-%m-%dT%H:%M:%fZ',
            coalesce(last_activity_at, started_at, created_at),
            :lost_silence
        )
    )
    WHEN image_id IS NOT NULL AND ended_run IS NOT run_epoch
    THEN strftime(
        '%Y-%m-%dT%H:%M:%fZ', coalesce(last_activity_at, started_at, created_at), :silence
    )
END;

-- name: is_unwatched
status = 'running'
    AND launch_id IS NULL
    AND (image_id IS NOT NULL OR lost_run IS NOT NULL)
    AND (image_id IS NOT NULL OR workflow IS NOT NULL);

-- name: next_launchable
-- The earliest moment after :now at which an instance becomes launchable.
SELECT min(moment)
FROM (
    SELECT moment
    FROM (
        SELECT
            -- include: waits_since
            AS moment
        FROM instances INDEXED BY idx_instances_launchable_at
        WHERE
            -- include: may_launch
            AND
            -- include: waits_since
            > :now
        ORDER BY moment
        LIMIT 1
    )
    UNION ALL
    SELECT
        -- include: told_since
        AS moment
    -- include: signalled
    UNION ALL
    SELECT
        -- include: silent_from
        AS moment
    FROM instances INDEXED BY idx_instances_unwatched
    WHERE
        -- include: is_unwatched
)
WHERE moment > :now;

-- name: checkpoints_found
FROM checkpoints
WHERE instance_id = :instance_id
    AND NOT is_retry_attempt
    AND (:checkpoint_id IS NULL OR checkpoint_id = :checkpoint_id)
    AND (:since IS NULL OR created_at >= :since)
    AND (:until IS NULL OR created_at < :until);

-- name: events_found
FROM instance_events
WHERE instance_id = :instance_id
    AND (:type IS NULL OR event_type = :type)
    AND (:subtype IS NULL OR subtype = :subtype)
    AND (:since IS NULL OR created_at >= :since)
    AND (:until IS NULL OR created_at < :until)
    AND (:text IS NULL OR instr(CAST(coalesce(payload, '') AS BLOB), :text) > 0);

-- name: instances_of_workflow
FROM instances INDEXED BY idx_instances_workflow
WHERE workflow = :workflow
    AND (:tenant_id IS NULL OR tenant_id = :tenant_id)
    AND (:status IS NULL OR status = :status);

-- name: instances_blocked
FROM instances INDEXED BY idx_instances_blocked
WHERE status = 'suspended'
    AND sleep_until IS NULL
    AND error IS NOT NULL
    AND (:tenant_id IS NULL OR tenant_id = :tenant_id)
    AND (:status IS NULL OR status = :status)
    AND (:workflow IS NULL OR workflow = :workflow);

-- name: instances_of_parent
FROM instances INDEXED BY idx_instances_parent
WHERE parent_id = :parent_id
    AND (:tenant_id IS NULL OR tenant_id = :tenant_id)
    AND (:status IS NULL OR status = :status)
    AND (:workflow IS NULL OR workflow = :workflow)
    AND (NOT :blocked OR (status = 'suspended' AND sleep_until IS NULL AND error IS NOT NULL));

-- name: signalled
FROM pending_signals AS s
CROSS JOIN instances AS i ON i.instance_id = s.instance_id
WHERE s.acknowledged_at IS NULL
    AND s.signal_type IN ('cancel', 'resume')
    AND i.launch_id IS NULL
    AND i.status = 'suspended'
    AND (i.image_id IS NOT NULL OR i.workflow IS NOT NULL)
    AND (i.sleep_until IS NULL AND i.blocked_signal_at = s.created_at) IS NOT TRUE;

-- name: retries_of_c
WHERE r.instance_id = c.instance_id
    AND r.checkpoint_id > c.checkpoint_id || '::retry::'
    AND r.checkpoint_id < c.checkpoint_id || '::retry:;'
    AND r.is_retry_attempt
    AND r.checkpoint_id = c.checkpoint_id || '::retry::' || r.attempt_number;
