-- name: environment
-- Lock the environment: its claims come one after the other, and not during a renewal of its lease.
SELECT
    capacity,
    is_draining,
    closed_at IS NULL AND lease_until > $2::timestamptz AS is_living,
    (SELECT count(*) FROM launches WHERE environment_id = $1 AND closed_at IS NULL) AS open_count
FROM environments
WHERE environment_id = $1
FOR NO KEY UPDATE;

-- name: lanes
-- Skips through the index from lane to lane; the first instance of each has the lane's columns.
WITH RECURSIVE lanes AS (
    (
        SELECT
            -- include: lane
            AS lane,
            priority
        FROM instances
        WHERE
            -- include: may_launch
        ORDER BY lane, priority
        LIMIT 1
    )
    UNION ALL
    SELECT further.lane, further.priority
    FROM lanes
    CROSS JOIN LATERAL (
        SELECT
            -- include: lane
            AS lane,
            priority
        FROM instances
        WHERE
            -- include: may_launch
            AND (
                -- include: lane,
                priority
            ) > (lanes.lane, lanes.priority)
        ORDER BY lane, priority
        LIMIT 1
    ) AS further
)
SELECT lanes.lane, lanes.priority, one.tenant_id, one.image_id, one.workflow, one.queue
FROM lanes
CROSS JOIN LATERAL (
    SELECT
        tenant_id,
        image_id,
        workflow,
        queue,
        -- include: waits_since
        AS since
    FROM instances
    WHERE
        -- include: may_launch
        AND
        -- include: lane
        = lanes.lane
        AND priority = lanes.priority
    ORDER BY since, instance_id COLLATE "C"
    LIMIT 1
) AS one
WHERE one.since <= $1::timestamptz;

-- name: told
SELECT
    i.instance_id,
    greatest(
        s.created_at,
        i.launch_after,
        CASE WHEN i.wake_claim_by IS NOT NULL THEN i.wake_claim_until END
    ) AS since,
    i.launch_count,
    i.xmin::text AS version,
    i.tenant_id,
    i.image_id,
    i.workflow,
    i.queue,
    i.priority
FROM pending_signals AS s
JOIN instances AS i ON i.instance_id = s.instance_id
WHERE s.acknowledged_at IS NULL
    AND s.signal_type IN ('cancel', 'resume')
    AND i.launch_id IS NULL
    AND i.status = 'suspended'
    AND (i.image_id IS NOT NULL OR i.workflow IS NOT NULL)
    AND (i.sleep_until IS NULL AND i.blocked_signal_at = s.created_at) IS NOT TRUE
    AND (i.wake_claim_by IS NOT NULL AND i.wake_claim_until > $1::timestamptz) IS NOT TRUE
    AND (i.launch_after IS NULL OR i.launch_after <= $1);

-- name: silent
SELECT
    instance_id,
    coalesce(last_activity_at, started_at, created_at) AS heard_at,
    lost_run IS NOT DISTINCT FROM run_epoch AS is_lost,
    launch_count,
    xmin::text AS version,
    tenant_id,
    image_id,
    workflow,
    queue,
    priority
FROM instances
WHERE status = 'running'
    AND launch_id IS NULL
    AND (image_id IS NOT NULL OR lost_run IS NOT NULL)
    AND (image_id IS NOT NULL OR workflow IS NOT NULL)
    AND CASE
        WHEN lost_run = run_epoch
        THEN (launch_after IS NULL OR launch_after <= $1::timestamptz)
            AND (
                image_id IS NULL
                OR coalesce(last_activity_at, started_at, created_at) <= $3::timestamptz
            )
        -- An instance whose run is over waits for its back-off instead.
        ELSE image_id IS NOT NULL
            AND ended_run IS DISTINCT FROM run_epoch
            AND coalesce(last_activity_at, started_at, created_at) <= $2::timestamptz
    END;

-- name: images
SELECT
    -- include: image
FROM images
WHERE image_id = ANY ($1::text[]);

-- name: served
SELECT named.workflow AS served, found.*
FROM unnest($1::text[], $2::text[]) AS named (tenant_id, workflow)
CROSS JOIN LATERAL (
    SELECT
        -- include: image
    FROM images
    WHERE images.is_current
        AND images.deleted_at IS NULL
        AND images.tenant_id = named.tenant_id
        AND coalesce(nullif(images.metadata ->> 'workflow', ''), images.name) = named.workflow
    ORDER BY images.created_at DESC, images.image_id COLLATE "C" DESC
    LIMIT 1
) AS found;

-- name: workers
SELECT tenant_id, workflows
FROM environments
WHERE kind = 'worker'
    AND tenant_id IS NOT NULL
    AND closed_at IS NULL
    AND lease_until > $1::timestamptz;

-- name: limits
-- Locks the limits in one order, so that later counts stay right until the claim is committed.
SELECT l.scope, l.tenant_id, l.name, l.max_concurrent, l.per_environment, l.rate, l.rate_period_ms
FROM limits AS l
WHERE l.tenant_id = ANY ($1::text[])
ORDER BY l.scope COLLATE "C", l.tenant_id COLLATE "C", l.name COLLATE "C"
FOR NO KEY UPDATE;

-- name: give_row
-- Makes a row to lock for a tenant that has no limit but the environments' own setting.
INSERT INTO limits (scope, tenant_id, name)
SELECT 'tenant', tenant_id, ''
FROM unnest($1::text[]) AS t (tenant_id)
WHERE NOT EXISTS (
    SELECT FROM limits AS l WHERE l.scope = 'tenant' AND l.tenant_id = t.tenant_id AND l.name = ''
)
ON CONFLICT (scope, tenant_id, name) DO NOTHING;

-- name: holds
SELECT scope, tenant_id, name, reason, created_at
FROM holds
ORDER BY created_at, scope COLLATE "C", tenant_id COLLATE "C", name COLLATE "C";

-- name: usage
SELECT
    tenant_id,
    image_name,
    queue,
    environment_id = $1::text AS is_here,
    count(*) AS open
FROM launches
WHERE closed_at IS NULL
GROUP BY tenant_id, image_name, queue, environment_id = $1;

-- name: begun
SELECT count(*) AS begun, min(created_at) AS begun_at
FROM launches
WHERE tenant_id = $1 AND queue = $2 AND created_at > $3;

-- name: waiting
SELECT l.place, c.instance_id, c.since, c.launch_count, c.version
FROM unnest($1::bigint[], $2::integer[], $3::integer[], $4::boolean[])
    WITH ORDINALITY AS l (lane, priority, slots, is_by_name, place)
CROSS JOIN LATERAL (
    SELECT
        instance_id,
        -- include: waits_since
        AS since,
        launch_count,
        xmin::text AS version
    FROM instances
    WHERE
        -- include: may_launch
        AND
        -- include: lane
        = l.lane
        AND priority = l.priority
        AND
        -- include: waits_since
        <= $5::timestamptz
        AND (NOT l.is_by_name OR launch_count = 0)
        AND instance_id <> ALL ($6::text[])
    ORDER BY since, instance_id COLLATE "C"
    LIMIT l.slots
) AS c;

-- name: ahead
-- How many instances of these lanes come before one that has waited since then, up to a limit.
SELECT count(*) AS ahead
FROM (
    SELECT
    FROM unnest($1::bigint[], $2::integer[]) AS l (lane, priority)
    JOIN instances ON
        -- include: may_launch
        AND
        -- include: lane
        = l.lane
        AND instances.priority = l.priority
        AND
        -- include: waits_since
        <= CASE WHEN l.priority > $3::integer THEN $4::timestamptz ELSE $5::timestamptz END
    WHERE l.priority > $3
        OR
        -- include: waits_since
        < $5
        OR instance_id COLLATE "C" < $6::text
    LIMIT $7
) AS found;

-- name: keep_images
-- Locks images found by name, which the instances now get, so that they are not deleted meanwhile.
SELECT image_id
FROM images
WHERE image_id = ANY ($1::text[]) AND deleted_at IS NULL
FOR SHARE;

-- name: take
WITH wanted AS (
    SELECT *
    FROM unnest(
        $1::text[],
        $2::text[],
        $3::text[],
        $4::text[],
        $5::text[],
        $6::text[],
        $7::text[],
        $8::boolean[],
        $9::bigint[],
        $10::boolean[]
    ) AS w (
        instance_id,
        version,
        launch_id,
        image_id,
        image_name,
        runner,
        placement,
        sends_id,
        timeout_ms,
        is_bounded
    )
),
found AS MATERIALIZED (
    SELECT i.instance_id
    FROM wanted
    JOIN instances AS i ON i.instance_id = wanted.instance_id
    -- The row has not changed since it was found; a locked row is being changed, and skipped.
    WHERE i.xmin::text = wanted.version
    FOR NO KEY UPDATE OF i SKIP LOCKED
),
taken AS (
    UPDATE instances AS i
    SET launch_id = wanted.launch_id,
        image_id = wanted.image_id,
        launch_sends_id = wanted.sends_id,
        launch_count = i.launch_count + 1,
        ended_run = i.run_epoch,
        lost_run = NULL,
        launch_after = NULL
    FROM wanted
    JOIN found ON found.instance_id = wanted.instance_id
    WHERE i.instance_id = wanted.instance_id
    RETURNING
        i.launch_id,
        i.instance_id,
        i.tenant_id,
        i.launch_count AS number,
        i.run_epoch AS run,
        i.workflow,
        i.checkpoint_id,
        coalesce(
            i.env, (SELECT a.env::text FROM instance_images AS a WHERE a.instance_id = i.instance_id)
        ) AS env,
        -- Another program may have stored a timeout that is too long to add to a moment.
        CASE WHEN i.timeout_ms IS NOT NULL THEN
            greatest(0, least(i.timeout_ms, 4294967295000))
        END AS timeout_ms,
        i.crashes,
        i.priority,
        i.queue,
        -- The last launch's cause, if the instance is retried; the new launch is not visible here.
        CASE WHEN i.backoff_ms IS NOT NULL THEN (
            SELECT l.cause FROM launches AS l
            WHERE l.instance_id = i.instance_id
            ORDER BY l.number DESC
            LIMIT 1
        ) END AS last_cause
),
launched AS (
    INSERT INTO launches (
        launch_id,
        instance_id,
        number,
        environment_id,
        tenant_id,
        created_at,
        image_id,
        image_name,
        workflow,
        queue,
        runner,
        placement,
        timeout_at,
        is_bounded
    )
    SELECT
        taken.launch_id,
        taken.instance_id,
        taken.number,
        $11,
        taken.tenant_id,
        $12,
        wanted.image_id,
        wanted.image_name,
        taken.workflow,
        taken.queue,
        wanted.runner,
        wanted.placement,
        $12::timestamptz
        + least(taken.timeout_ms, wanted.timeout_ms) * INTERVAL '1 millisecond',
        wanted.is_bounded
    FROM taken
    JOIN wanted ON wanted.launch_id = taken.launch_id
)
SELECT * FROM taken;

-- name: next
WITH clock AS MATERIALIZED (
    SELECT $1::timestamptz AS now, $2::interval AS lost_silence, $3::interval AS silence
),
-- include: launchable_moments
SELECT (
    -- include: next_launchable
) AS next_launchable_at
FROM clock;
