-- name: now
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now');

-- name: open
INSERT INTO environments (
    environment_id,
    kind,
    tenant_id,
    machine,
    boot_id,
    version,
    capacity,
    workflows,
    started_at,
    lease_until
)
VALUES (
    :environment_id,
    :kind,
    :tenant_id,
    :machine,
    :boot_id,
    :version,
    :capacity,
    :workflows,
    :now,
    :until
)
ON CONFLICT (environment_id) DO UPDATE
SET kind = excluded.kind,
    tenant_id = excluded.tenant_id,
    machine = excluded.machine,
    boot_id = excluded.boot_id,
    version = excluded.version,
    capacity = excluded.capacity,
    workflows = excluded.workflows,
    started_at = excluded.started_at,
    lease_until = excluded.lease_until,
    clock_offset_ms = 0,
    is_draining = environments.is_draining
    AND excluded.kind = 'worker'
    AND environments.closed_at IS NULL
    AND environments.lease_until > excluded.started_at,
    closed_at = NULL
WHERE environments.kind = excluded.kind
RETURNING is_draining;

-- name: open.forget
DELETE FROM environments
WHERE lease_until < :forgotten
    AND NOT EXISTS (
        SELECT 1 FROM launches AS l
        WHERE l.environment_id = environments.environment_id AND l.closed_at IS NULL
    );

-- name: open.adopt
UPDATE instances
SET image_id = a.image_id
FROM instance_images AS a
WHERE a.instance_id = instances.instance_id
    AND instances.image_id IS NULL
    AND instances.status IN ('pending', 'running', 'suspended');

-- name: tell
UPDATE launchable_changes SET changes = changes + 1;

-- name: renew
UPDATE environments
SET lease_until = :until,
    clock_offset_ms = :clock_offset_ms
WHERE environment_id = :environment_id AND closed_at IS NULL
RETURNING
    is_draining,
    EXISTS (
        SELECT 1
        FROM instances INDEXED BY idx_instances_launchable_at
        WHERE
            -- include: may_launch
            AND
            -- include: waits_since
            <= :now
    ) OR EXISTS (
        SELECT 1
        -- include: signalled
            AND (i.wake_claim_by IS NOT NULL AND i.wake_claim_until > :now) IS NOT TRUE
            AND coalesce(i.launch_after, '') <= :now
    ) OR EXISTS (
        SELECT 1
        FROM instances INDEXED BY idx_instances_unwatched
        WHERE
            -- include: is_unwatched
            AND
            -- include: silent_from
            <= :now
    ),
    (
        -- include: next_launchable
    ),
    (
        SELECT min(stop_at)
        FROM instances INDEXED BY idx_instances_stop
        WHERE stop_at IS NOT NULL AND status IN ('pending', 'running', 'suspended')
    ),
    (SELECT min(coalesce(buffered_tick_at, next_tick_at)) FROM cron_schedules),
    (
        SELECT json_group_array(DISTINCT l.environment_id)
        FROM launches AS l
        LEFT JOIN environments AS e ON e.environment_id = l.environment_id
        WHERE l.closed_at IS NULL
            AND l.environment_id <> :environment_id
            AND (e.environment_id IS NULL OR e.closed_at IS NOT NULL OR e.lease_until <= :now)
    ),
    (
        SELECT min(e.lease_until)
        FROM launches AS l
        JOIN environments AS e ON e.environment_id = l.environment_id
        WHERE l.closed_at IS NULL
            AND l.environment_id <> :environment_id
            AND e.closed_at IS NULL
            AND e.lease_until > :now
    );

-- name: close
UPDATE environments
SET closed_at = :now,
    lease_until = min(lease_until, :now)
WHERE environment_id = :environment_id AND closed_at IS NULL;

-- name: drain
UPDATE environments
SET is_draining = :draining
WHERE environment_id = :environment_id;

-- name: leave
UPDATE environments
SET capacity = 0
WHERE environment_id = :environment_id;

-- name: page
SELECT
    environment_id,
    kind,
    tenant_id,
    machine,
    boot_id,
    version,
    capacity,
    workflows,
    started_at,
    lease_until,
    clock_offset_ms,
    is_draining,
    closed_at,
    (
        SELECT count(*) FROM launches AS l
        WHERE l.environment_id = environments.environment_id AND l.closed_at IS NULL
    ) AS open_launches
FROM environments
WHERE lease_until >= :since
ORDER BY environment_id;
