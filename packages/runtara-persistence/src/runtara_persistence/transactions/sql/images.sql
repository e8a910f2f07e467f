-- name: put_chunk
INSERT INTO image_chunks (upload_id, position, created_at, data)
VALUES (:upload_id, :position, :at, :data)
ON CONFLICT (upload_id, position) DO NOTHING
RETURNING position;

-- name: put_chunk.is_same
SELECT data = :data AS is_same
FROM image_chunks
WHERE upload_id = :upload_id AND position = :position;

-- name: register.lock for postgres
-- An advisory lock, because two first registrations of a name have no row to lock.
SELECT pg_advisory_xact_lock(hashtextextended(:name::text, hashtextextended(:tenant_id::text, 0)));

-- name: register.measure
SELECT
    count(*) AS chunks,
    coalesce(max(position), -1) AS last_position,
    coalesce(sum(length(data)), 0)::bigint AS size
FROM image_chunks
WHERE upload_id = :upload_id;

-- name: register.last_version
SELECT coalesce(max(version), 0) AS version
FROM images
WHERE tenant_id = :tenant_id AND name = :name;

-- name: register.retire
UPDATE images
SET is_current = FALSE
WHERE tenant_id = :tenant_id AND name = :name AND is_current;

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
VALUES (
    :image_id,
    :tenant_id,
    :name,
    :description,
    '',
    :runner_type,
    :at,
    :at,
    :metadata::text::jsonb,
    :version,
    :sha256,
    :size_bytes,
    :upload_id
)
RETURNING
    -- include: image;

-- name: register.bound
INSERT INTO limits (scope, tenant_id, name, max_concurrent)
VALUES ('image', :tenant_id, :name, :max_concurrent)
ON CONFLICT (scope, tenant_id, name) DO UPDATE SET max_concurrent = excluded.max_concurrent;

-- name: register.stuck for postgres
SELECT
    i.instance_id,
    i.status = 'suspended' AND i.sleep_until IS NULL AND i.error IS NOT NULL AS is_blocked
FROM images AS m
JOIN instances AS i ON i.image_id = m.image_id
WHERE
    -- include: is_stuck
ORDER BY i.instance_id COLLATE "C"
FOR NO KEY UPDATE OF i;

-- name: register.stuck for sqlite
-- Images come first: there are fewer of a name than instances in a status.
SELECT
    i.instance_id,
    i.status = 'suspended' AND i.sleep_until IS NULL AND i.error IS NOT NULL AS is_blocked
FROM images AS m
CROSS JOIN instances AS i ON i.image_id = m.image_id
WHERE
    -- include: is_stuck;

-- name: register.move
UPDATE instances
SET image_id = :image_id
WHERE instance_id = ANY (:instance_ids::text[]);

-- name: discard
DELETE FROM image_chunks
WHERE upload_id = :upload_id
    AND NOT EXISTS (SELECT 1 FROM images WHERE upload_id = :upload_id);

-- name: get
SELECT
    -- include: image
FROM images
WHERE image_id = :image_id AND (:tenant_id::text IS NULL OR tenant_id = :tenant_id);

-- name: current
SELECT
    -- include: image
FROM images
WHERE tenant_id = :tenant_id AND name = :name AND is_current AND deleted_at IS NULL;

-- name: page
SELECT
    -- include: image
FROM images
WHERE deleted_at IS NULL
    AND (:tenant_id::text IS NULL OR tenant_id = :tenant_id)
    AND (:all_versions::boolean OR is_current)
    AND substr(name, 1, length(:name_prefix)) = :name_prefix::text
ORDER BY created_at DESC, image_id COLLATE "C"
LIMIT :limit OFFSET :offset;

-- name: count
SELECT count(*) AS count
FROM images
WHERE deleted_at IS NULL
    AND (:tenant_id::text IS NULL OR tenant_id = :tenant_id)
    AND (:all_versions::boolean OR is_current)
    AND substr(name, 1, length(:name_prefix)) = :name_prefix::text;

-- name: chunk
SELECT c.data
FROM images AS i
JOIN image_chunks AS c ON c.upload_id = i.upload_id
WHERE i.image_id = :image_id AND c.position = :position;

-- name: delete.lock
SELECT upload_id, name
FROM images
WHERE image_id = :image_id AND tenant_id = :tenant_id AND deleted_at IS NULL
FOR UPDATE;

-- name: delete.users
-- A statement of its own, after the lock: it sees all instances that were started before.
SELECT
    count(*) AS users,
    count(*) FILTER (WHERE status IN ('pending', 'running', 'suspended')) AS open
FROM (
    SELECT status FROM instances WHERE image_id = :image_id
    UNION ALL
    SELECT i.status
    FROM instance_images AS a
    JOIN instances AS i ON i.instance_id = a.instance_id
    WHERE a.image_id = :image_id AND i.image_id IS NULL
) AS used;

-- name: delete.outright
DELETE FROM images
WHERE image_id = :image_id;

-- name: delete.hide
UPDATE images
SET deleted_at = :at,
    is_current = FALSE,
    upload_id = NULL
WHERE image_id = :image_id;

-- name: delete.chunks
DELETE FROM image_chunks
WHERE upload_id = :upload_id;

-- name: delete.point
UPDATE images
SET is_current = TRUE
WHERE image_id = (
    SELECT image_id
    FROM images
    WHERE tenant_id = :tenant_id AND name = :name AND deleted_at IS NULL
    ORDER BY version DESC
    LIMIT 1
);

-- name: set_problem
UPDATE images
SET problem = :problem
WHERE image_id = :image_id
RETURNING image_id;

-- name: set_problem.waiting
SELECT instance_id
FROM instances
WHERE image_id = :image_id AND launch_id IS NULL AND status IN ('pending', 'running')
ORDER BY instance_id COLLATE "C"
FOR NO KEY UPDATE;

-- name: tell
-- include: tell_launchable;

-- name: sweep
SELECT c.upload_id
FROM image_chunks AS c
WHERE c.position = 0
    AND c.created_at < :before
    AND NOT EXISTS (SELECT 1 FROM images AS i WHERE i.upload_id = c.upload_id)
ORDER BY c.upload_id COLLATE "C"
LIMIT :limit;
