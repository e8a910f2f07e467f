-- name: mark_started
UPDATE launches
SET started_at = coalesce(started_at, $3),
    handle = coalesce($2, handle)
WHERE launch_id = $1 AND closed_at IS NULL
RETURNING launch_id;
