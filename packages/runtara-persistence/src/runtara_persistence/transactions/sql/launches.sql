-- name: open_launches
SELECT
    l.launch_id,
    l.instance_id,
    l.tenant_id,
    l.environment_id,
    l.number,
    l.created_at,
    l.image_id,
    l.workflow,
    l.queue,
    l.started_at,
    l.handle,
    l.timeout_at,
    -- include: state_of_i,
    i.sleep_until,
    CASE WHEN i.run_epoch > coalesce(i.ended_run, 0) THEN i.run_epoch END AS run,
    coalesce(i.last_activity_at, i.started_at, i.created_at) AS last_activity_at,
    coalesce(i.wake_claim_by IS NOT NULL AND i.wake_claim_until > :at::timestamptz, FALSE)
    AS is_sleep_held,
    i.stop_at,
    i.stop_reason,
    s.signal_type::text AS pending_signal,
    CASE
        WHEN i.status = 'suspended'
            AND s.signal_type IN ('cancel', 'resume')
            AND (i.sleep_until IS NULL AND i.blocked_signal_at = s.created_at) IS NOT TRUE
        THEN s.created_at
    END AS told_at
FROM launches AS l
CROSS JOIN instances AS i
LEFT JOIN pending_signals AS s
    ON s.instance_id = l.instance_id AND s.acknowledged_at IS NULL
WHERE i.instance_id = l.instance_id
    AND l.environment_id = :environment_id
    AND l.closed_at IS NULL
ORDER BY l.created_at, l.launch_id COLLATE "C";

-- name: page
SELECT
    -- include: launch
FROM launches AS l
CROSS JOIN instances AS i
LEFT JOIN launches AS p ON p.launch_id = :after::text
WHERE i.instance_id = l.instance_id
    AND (:instance_id::text IS NULL OR l.instance_id = :instance_id)
    AND (:environment_id::text IS NULL OR l.environment_id = :environment_id)
    AND (NOT :open_only::boolean OR l.closed_at IS NULL)
    AND (
        p.launch_id IS NULL
        OR l.created_at < p.created_at
        OR (l.created_at = p.created_at AND l.launch_id COLLATE "C" > p.launch_id)
    )
ORDER BY l.created_at DESC, l.launch_id COLLATE "C"
LIMIT :limit;
