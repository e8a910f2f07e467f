-- name: lock_parent
-- include: lock_parent;

-- name: unblock
WITH sent AS (
    INSERT INTO pending_signals AS s (instance_id, signal_type, created_at, payload)
    SELECT instance_id, $2::text::signal_type, $3::timestamptz, ''
    FROM unnest($1::text[]) AS u (instance_id)
    ON CONFLICT (instance_id) DO UPDATE
    SET signal_type = excluded.signal_type,
        created_at = excluded.created_at,
        acknowledged_at = NULL,
        payload = excluded.payload
    WHERE s.acknowledged_at IS NOT NULL
        OR s.signal_type = 'pause'
        OR (excluded.signal_type = 'cancel' AND s.signal_type = 'resume')
)
UPDATE instances
SET blocked_signal_at = NULL,
    launch_after = NULL
WHERE instance_id = ANY ($1);

-- name: supersede
WITH closed AS (
    UPDATE launches AS l
    SET closed_at = $2,
        cause = 'superseded',
        run = CASE WHEN i.run_epoch > coalesce(i.ended_run, 0) THEN i.run_epoch END
    FROM instances AS i
    WHERE i.instance_id = $1 AND l.launch_id = i.launch_id AND l.closed_at IS NULL
)
UPDATE instances
SET launch_id = NULL
WHERE instance_id = $1 AND launch_id IS NOT NULL;
