-- name: close
UPDATE launches
SET closed_at = :at,
    cause = 'superseded',
    run = (
        SELECT CASE WHEN i.run_epoch > coalesce(i.ended_run, 0) THEN i.run_epoch END
        FROM instances AS i
        WHERE i.instance_id = :instance_id
    )
WHERE launch_id = (SELECT launch_id FROM instances WHERE instance_id = :instance_id)
    AND closed_at IS NULL;

-- name: release
UPDATE instances
SET launch_id = NULL
WHERE instance_id = :instance_id;
