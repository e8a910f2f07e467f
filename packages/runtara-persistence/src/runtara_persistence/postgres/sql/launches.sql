-- name: mark_started
UPDATE launches
SET started_at = coalesce(started_at, $3),
    handle = coalesce($2, handle)
WHERE launch_id = $1 AND closed_at IS NULL
RETURNING launch_id;

-- name: page
SELECT
    -- include: launch
FROM launches AS l
JOIN instances AS i ON i.instance_id = l.instance_id
LEFT JOIN launches AS p ON p.launch_id = $4::text
WHERE ($1::text IS NULL OR l.instance_id = $1)
    AND ($2::text IS NULL OR l.environment_id = $2)
    AND (NOT $3::boolean OR l.closed_at IS NULL)
    AND (
        p.launch_id IS NULL
        OR l.created_at < p.created_at
        OR (l.created_at = p.created_at AND l.launch_id COLLATE "C" > p.launch_id)
    )
ORDER BY l.created_at DESC, l.launch_id COLLATE "C"
LIMIT $5;
