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
JOIN instances AS i ON i.instance_id = l.instance_id
LEFT JOIN pending_signals AS s
    ON s.instance_id = l.instance_id AND s.acknowledged_at IS NULL
WHERE l.environment_id = :environment_id AND l.closed_at IS NULL
ORDER BY l.created_at, l.launch_id COLLATE "C";
