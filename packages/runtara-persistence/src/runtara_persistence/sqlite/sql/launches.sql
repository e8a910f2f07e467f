-- name: mark_started
UPDATE launches
SET started_at = coalesce(started_at, :at),
    handle = coalesce(:handle, handle)
WHERE launch_id = :launch_id AND closed_at IS NULL;

-- name: start.told
SELECT changes FROM launchable_changes WHERE id = 1;

-- name: start.untell
UPDATE launchable_changes SET changes = :changes;

-- name: page.place
SELECT created_at
FROM launches
WHERE launch_id = :after;

-- name: page
SELECT
    -- include: launch
FROM launches AS l
CROSS JOIN instances AS i ON i.instance_id = l.instance_id
WHERE (:instance_id IS NULL OR l.instance_id = :instance_id)
    AND (:environment_id IS NULL OR l.environment_id = :environment_id)
    AND (NOT :open_only OR l.closed_at IS NULL)
    AND (
        :created_at IS NULL
        OR l.created_at < :created_at
        OR (l.created_at = :created_at AND l.launch_id > :after)
    )
ORDER BY l.created_at DESC, l.launch_id
LIMIT :limit;
