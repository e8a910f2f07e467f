-- name: close
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
