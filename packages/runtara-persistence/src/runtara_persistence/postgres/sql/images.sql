-- name: put_chunk
WITH put AS (
    INSERT INTO image_chunks (upload_id, position, created_at, data)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (upload_id, position) DO NOTHING
    RETURNING TRUE AS is_same
)
SELECT coalesce(
    (SELECT is_same FROM put),
    (SELECT data = $4 FROM image_chunks WHERE upload_id = $1 AND position = $2)
) AS is_same;

-- name: register.lock
-- An advisory lock, because two first registrations of a name have no row to lock.
SELECT pg_advisory_xact_lock(hashtextextended($2::text, hashtextextended($1::text, 0)));

-- name: register.measure
SELECT
    count(*) AS chunks,
    coalesce(max(position), -1) AS last_position,
    coalesce(sum(octet_length(data)), 0)::bigint AS size
FROM image_chunks
WHERE upload_id = $1;

-- name: register.last_version
SELECT coalesce(max(version), 0) AS version
FROM images
WHERE tenant_id = $1 AND name = $2;

-- name: register.retire
UPDATE images
SET is_current = FALSE
WHERE tenant_id = $1 AND name = $2 AND is_current;

-- name: register.insert
INSERT INTO images (
    image_id,
    tenant_id,
    name,
    description,
    binary_path,
    runner_type,
    created_at,
    updated_at,
    metadata,
    version,
    sha256,
    size_bytes,
    upload_id
)
VALUES ($1, $2, $3, $4, '', $5, $6, $6, $7::text::jsonb, $8, $9, $10, $11)
RETURNING
    -- include: image;

-- name: register.bound
INSERT INTO limits (scope, tenant_id, name, max_concurrent)
VALUES ('image', $1, $2, $3)
ON CONFLICT (scope, tenant_id, name) DO UPDATE SET max_concurrent = excluded.max_concurrent;

-- name: register.move_stuck
WITH stuck AS MATERIALIZED (
    SELECT
        i.instance_id,
        i.status = 'suspended' AND i.sleep_until IS NULL AND i.error IS NOT NULL AS is_blocked
    FROM images AS m
    JOIN instances AS i ON i.image_id = m.image_id
    WHERE m.tenant_id = $1
        AND m.name = $2
        AND m.image_id <> $3
        AND i.launch_id IS NULL
        AND i.status IN ('pending', 'running', 'suspended')
        AND (
            m.problem IS NOT NULL
            OR (i.status = 'suspended' AND i.sleep_until IS NULL AND i.error IS NOT NULL)
        )
    ORDER BY i.instance_id COLLATE "C"
    FOR NO KEY UPDATE OF i
),
moved AS (
    UPDATE instances AS i
    SET image_id = $3
    FROM stuck
    WHERE i.instance_id = stuck.instance_id
)
SELECT instance_id, is_blocked
FROM stuck;

-- name: discard
DELETE FROM image_chunks
WHERE upload_id = $1 AND NOT EXISTS (SELECT FROM images WHERE upload_id = $1);

-- name: get
SELECT
    -- include: image
FROM images
WHERE image_id = $1 AND ($2::text IS NULL OR tenant_id = $2);

-- name: current
SELECT
    -- include: image
FROM images
WHERE tenant_id = $1 AND name = $2 AND is_current AND deleted_at IS NULL;

-- name: page
SELECT
    -- include: image
FROM images
WHERE deleted_at IS NULL
    AND ($1::text IS NULL OR tenant_id = $1)
    AND ($2::boolean OR is_current)
    AND starts_with(name, $3::text)
ORDER BY created_at DESC, image_id COLLATE "C"
LIMIT $4 OFFSET $5;

-- name: count
SELECT count(*)
FROM images
WHERE deleted_at IS NULL
    AND ($1::text IS NULL OR tenant_id = $1)
    AND ($2::boolean OR is_current)
    AND starts_with(name, $3::text);

-- name: chunk
SELECT c.data
FROM images AS i
JOIN image_chunks AS c ON c.upload_id = i.upload_id
WHERE i.image_id = $1 AND c.position = $2;

-- name: delete.lock
SELECT upload_id, name
FROM images
WHERE image_id = $1 AND tenant_id = $2 AND deleted_at IS NULL
FOR UPDATE;

-- name: delete.users
-- A statement of its own, after the lock: it sees all instances that were started before.
SELECT
    count(*) AS users,
    count(*) FILTER (WHERE status IN ('pending', 'running', 'suspended')) AS open
FROM (
    SELECT status FROM instances WHERE image_id = $1
    UNION ALL
    SELECT i.status
    FROM instance_images AS a
    JOIN instances AS i ON i.instance_id = a.instance_id
    WHERE a.image_id = $1 AND i.image_id IS NULL
) AS used;

-- name: delete.outright
DELETE FROM images
WHERE image_id = $1;

-- name: delete.hide
UPDATE images
SET deleted_at = $2,
    is_current = FALSE,
    upload_id = NULL
WHERE image_id = $1;

-- name: delete.chunks
DELETE FROM image_chunks
WHERE upload_id = ANY ($1::text[]);

-- name: delete.point
UPDATE images
SET is_current = TRUE
WHERE image_id = (
    SELECT image_id
    FROM images
    WHERE tenant_id = $1 AND name = $2 AND deleted_at IS NULL
    ORDER BY version DESC
    LIMIT 1
);

-- name: set_problem
UPDATE images
SET problem = $2
WHERE image_id = $1
RETURNING image_id;

-- name: set_problem.waiting
SELECT instance_id
FROM instances
WHERE image_id = $1 AND launch_id IS NULL AND status IN ('pending', 'running')
ORDER BY instance_id COLLATE "C"
FOR NO KEY UPDATE;

-- name: tell
SELECT pg_notify('runtara_launchable', '');

-- name: sweep
SELECT c.upload_id
FROM image_chunks AS c
WHERE c.position = 0
    AND c.created_at < $1
    AND NOT EXISTS (SELECT FROM images AS i WHERE i.upload_id = c.upload_id)
ORDER BY c.upload_id COLLATE "C"
LIMIT $2;
