-- name: mark_started
UPDATE launches
SET started_at = coalesce(started_at, :at),
    handle = coalesce(:handle, handle)
WHERE launch_id = :launch_id AND closed_at IS NULL;

-- name: start.told
SELECT changes FROM launchable_changes WHERE id = 1;

-- name: start.untell
UPDATE launchable_changes SET changes = :changes;
