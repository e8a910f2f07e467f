-- name: open.forget
DELETE FROM environments AS e
WHERE e.lease_until < clock_timestamp() - INTERVAL '1 day'
    AND NOT EXISTS (
        SELECT FROM launches AS l
        WHERE l.environment_id = e.environment_id AND l.closed_at IS NULL
    );

-- name: open.adopt
UPDATE instances AS i
SET image_id = a.image_id
FROM instance_images AS a
WHERE a.instance_id = i.instance_id
    AND i.image_id IS NULL
    AND i.status IN ('pending', 'running', 'suspended');

-- name: open
WITH clock AS (
    SELECT date_trunc('milliseconds', clock_timestamp()) AS now
)
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
SELECT $1, $2, $3, $4, $5, $6, $7, $8, now, now + $9::interval
FROM clock
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
RETURNING started_at AS now, lease_until, is_draining;

-- name: tell
SELECT pg_notify('runtara_launchable', '');

-- name: renew
WITH clock AS MATERIALIZED (
    SELECT
        date_trunc('milliseconds', clock_timestamp()) AS now,
        $4::interval AS lost_silence,
        $5::interval AS silence
),
renewed AS (
    UPDATE environments AS e
    SET lease_until = clock.now + $2::interval,
        clock_offset_ms = $3
    FROM clock
    WHERE e.environment_id = $1 AND e.closed_at IS NULL
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
    clock.now,
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
    ARRAY(
        SELECT DISTINCT l.environment_id
        FROM launches AS l
        LEFT JOIN environments AS e ON e.environment_id = l.environment_id
        WHERE l.closed_at IS NULL
            AND l.environment_id <> $1
            AND (e.environment_id IS NULL OR e.closed_at IS NOT NULL OR e.lease_until <= clock.now)
    ) AS lost,
    (
        SELECT min(e.lease_until)
        FROM launches AS l
        JOIN environments AS e ON e.environment_id = l.environment_id
        WHERE l.closed_at IS NULL
            AND l.environment_id <> $1
            AND e.closed_at IS NULL
            AND e.lease_until > clock.now
    ) AS next_lease_over_at
FROM clock
CROSS JOIN renewed;

-- name: close
UPDATE environments
SET closed_at = clock_timestamp(),
    lease_until = least(lease_until, clock_timestamp())
WHERE environment_id = $1 AND closed_at IS NULL;

-- name: drain
WITH drained AS (
    UPDATE environments
    SET is_draining = $2
    WHERE environment_id = $1
    RETURNING environment_id
)
SELECT pg_notify('runtara_launchable', '')
FROM drained;

-- name: leave
UPDATE environments
SET capacity = 0
WHERE environment_id = $1;

-- name: page
SELECT
    e.environment_id,
    e.kind,
    e.tenant_id,
    e.machine,
    e.boot_id,
    e.version,
    e.capacity,
    e.workflows,
    e.started_at,
    e.lease_until,
    e.clock_offset_ms,
    e.is_draining,
    e.closed_at,
    (
        SELECT count(*) FROM launches AS l
        WHERE l.environment_id = e.environment_id AND l.closed_at IS NULL
    ) AS open_launches
FROM environments AS e
WHERE e.lease_until >= clock_timestamp() - $1::interval
ORDER BY e.environment_id COLLATE "C";
