-- name: lock_parent
-- Locks the parent first, as all steps do that lock both.
SELECT p.instance_id
FROM instances AS c
JOIN instances AS p ON p.instance_id = c.parent_id AND p.tenant_id = c.tenant_id
WHERE c.instance_id = :instance_id AND p.instance_id <> c.instance_id
FOR NO KEY UPDATE OF p;

-- name: image
-- Locks the image, so that it is not deleted before the instance that uses it is stored.
SELECT name, deleted_at IS NULL AS is_there
FROM images
WHERE image_id = :image_id AND tenant_id = :tenant_id
FOR SHARE;

-- name: supersede.close
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

-- name: supersede.release
UPDATE instances
SET launch_id = NULL
WHERE instance_id = :instance_id AND launch_id IS NOT NULL;

-- name: block
UPDATE instances
SET status = :status::text::instance_status,
    error = :reason,
    -- If the instance was blocked before, the signals since then still count.
    blocked_signal_at = CASE
        WHEN status = 'suspended' AND sleep_until IS NULL AND error IS NOT NULL
        THEN blocked_signal_at
        ELSE (
            SELECT s.created_at
            FROM pending_signals AS s
            WHERE s.instance_id = instances.instance_id AND s.acknowledged_at IS NULL
        )
    END,
    -- include: clear_wake
WHERE instance_id = :instance_id;

-- name: unblock.send
INSERT INTO pending_signals (instance_id, signal_type, created_at, payload)
VALUES (:instance_id, :signal_type::text::signal_type, :at, :payload)
ON CONFLICT (instance_id) DO UPDATE
SET signal_type = excluded.signal_type,
    created_at = excluded.created_at,
    acknowledged_at = NULL,
    payload = excluded.payload
WHERE pending_signals.acknowledged_at IS NOT NULL
    OR pending_signals.signal_type = 'pause'
    OR (excluded.signal_type = 'cancel' AND pending_signals.signal_type = 'resume');

-- name: unblock.clear
UPDATE instances
SET blocked_signal_at = NULL,
    launch_after = NULL
WHERE instance_id = ANY (:instance_ids::text[]);

-- name: associate for postgres
INSERT INTO instance_images (instance_id, image_id, tenant_id, created_at, env)
SELECT instance_id, image_id, tenant_id, :at, coalesce(env::jsonb, '{}')
FROM instances
WHERE instance_id = :instance_id AND image_id IS NOT NULL
ON CONFLICT (instance_id) DO UPDATE
SET image_id = excluded.image_id,
    tenant_id = excluded.tenant_id,
    env = excluded.env;

-- name: associate for sqlite
INSERT INTO instance_images (instance_id, image_id, tenant_id, created_at, env)
SELECT instance_id, image_id, tenant_id, :at, env
FROM instances
WHERE instance_id = :instance_id AND image_id IS NOT NULL
ON CONFLICT (instance_id) DO UPDATE
SET image_id = excluded.image_id,
    tenant_id = excluded.tenant_id,
    env = excluded.env;
