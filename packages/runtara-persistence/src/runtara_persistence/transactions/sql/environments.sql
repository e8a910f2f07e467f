-- name: now for postgres
SELECT date_trunc('milliseconds', clock_timestamp()) AS now_at;

-- name: now for sqlite
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS now_at;

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
-- include: tell_launchable;

-- name: renew for postgres
WITH clock AS MATERIALIZED (
    SELECT
        date_trunc('milliseconds', clock_timestamp()) AS now,
        :lost_silence::interval AS lost_silence,
        :silence::interval AS silence
),
renewed AS (
    UPDATE environments AS e
    SET lease_until = clock.now + :ttl::interval,
        clock_offset_ms = :clock_offset_ms
    FROM clock
    WHERE e.environment_id = :environment_id AND e.closed_at IS NULL
    RETURNING e.is_draining, e.lease_until
),
-- include: launchable_moments,
first_one AS MATERIALIZED (
    SELECT
        -- include: waits_since
        AS moment
    FROM instances
    WHERE
        -- include: may_launch
        AND
        -- include: waits_since
        IS NOT NULL
    ORDER BY moment
    LIMIT 1
)
SELECT
    clock.now AS now_at,
    renewed.is_draining,
    renewed.lease_until,
    EXISTS (SELECT FROM first_one WHERE first_one.moment <= clock.now)
    OR EXISTS (SELECT FROM told WHERE told.moment <= clock.now)
    OR EXISTS (SELECT FROM silent_ones WHERE silent_ones.moment <= clock.now)
    AS is_anything_launchable,
    (
        -- include: next_launchable
    ) AS next_launchable_at,
    (
        SELECT min(stop_at)
        FROM instances
        WHERE stop_at IS NOT NULL AND status IN ('pending', 'running', 'suspended')
    ) AS next_stop_at,
    (SELECT min(coalesce(buffered_tick_at, next_tick_at)) FROM cron_schedules) AS next_tick_at,
    to_json(ARRAY(
        SELECT DISTINCT l.environment_id
        FROM launches AS l
        LEFT JOIN environments AS e ON e.environment_id = l.environment_id
        WHERE l.closed_at IS NULL
            AND l.environment_id <> :environment_id
            AND (e.environment_id IS NULL OR e.closed_at IS NOT NULL OR e.lease_until <= clock.now)
    ))::text AS lost,
    (
        SELECT min(e.lease_until)
        FROM launches AS l
        JOIN environments AS e ON e.environment_id = l.environment_id
        WHERE l.closed_at IS NULL
            AND l.environment_id <> :environment_id
            AND e.closed_at IS NULL
            AND e.lease_until > clock.now
    ) AS next_lease_over_at
FROM clock
CROSS JOIN renewed;

-- name: renew.now for sqlite
-- PostgreSQL's renewal asks for the time itself, so that it is one request.
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS now_at;

-- name: renew for sqlite
UPDATE environments
SET lease_until = strftime('%Y-%m-%dT%H:%M:%fZ', :now, :ttl),
    clock_offset_ms = :clock_offset_ms
WHERE environment_id = :environment_id AND closed_at IS NULL
RETURNING
    :now AS now_at,
    is_draining,
    lease_until,
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
    ) AS is_anything_launchable,
    (
        -- include: next_launchable
    ) AS next_launchable_at,
    (
        SELECT min(stop_at)
        FROM instances INDEXED BY idx_instances_stop
        WHERE stop_at IS NOT NULL AND status IN ('pending', 'running', 'suspended')
    ) AS next_stop_at,
    (SELECT min(coalesce(buffered_tick_at, next_tick_at)) FROM cron_schedules) AS next_tick_at,
    (
        SELECT json_group_array(DISTINCT l.environment_id)
        FROM launches AS l
        LEFT JOIN environments AS e ON e.environment_id = l.environment_id
        WHERE l.closed_at IS NULL
            AND l.environment_id <> :environment_id
            AND (e.environment_id IS NULL OR e.closed_at IS NOT NULL OR e.lease_until <= :now)
    ) AS lost,
    (
        SELECT min(e.lease_until)
        FROM launches AS l
        JOIN environments AS e ON e.environment_id = l.environment_id
        WHERE l.closed_at IS NULL
            AND l.environment_id <> :environment_id
            AND e.closed_at IS NULL
            AND e.lease_until > :now
    ) AS next_lease_over_at;

-- name: close
UPDATE environments
SET closed_at = :now,
    lease_until = CASE WHEN lease_until > :now THEN :now ELSE lease_until END
WHERE environment_id = :environment_id AND closed_at IS NULL;

-- name: drain
UPDATE environments
SET is_draining = :draining
WHERE environment_id = :environment_id
RETURNING environment_id;

-- name: leave
UPDATE environments
SET capacity = 0
WHERE environment_id = :environment_id;

-- name: page for postgres
SELECT
    -- include: environment
FROM environments
WHERE lease_until >= clock_timestamp() + :since::interval
ORDER BY environment_id COLLATE "C";

-- name: page for sqlite
SELECT
    -- include: environment
FROM environments
WHERE lease_until >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', :since)
ORDER BY environment_id;
