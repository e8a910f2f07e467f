-- name: find
-- What a claim begins with, read without a lock: `take` looks again at the rows that it takes. For
-- a worker ($5, $6), and without limits and holds, also what waits in its lanes, up to $7 of each.
WITH RECURSIVE clock AS MATERIALIZED (
    SELECT $2::timestamptz AS now, $3::interval AS lost_silence, $4::interval AS silence
),
environment AS (
    SELECT
        coalesce(bool_or(closed_at IS NULL AND lease_until > $2), FALSE) AS is_living,
        coalesce(bool_or(is_draining OR capacity = 0), FALSE) AS is_draining
    FROM environments
    WHERE environment_id = $1
),
bounds AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM limits) OR EXISTS (SELECT FROM holds) AS is_bounded
),
-- include: launchable_moments,
-- include: lanes
SELECT
    environment.*,
    bounds.is_bounded,
    (
        -- include: next_launchable
    ) AS next_launchable_at,
    found.*
FROM environment
CROSS JOIN bounds
CROSS JOIN clock
LEFT JOIN (
    SELECT
        lane,
        NULL AS instance_id,
        since,
        NULL AS launch_count,
        NULL AS version,
        tenant_id,
        image_id,
        workflow,
        queue,
        priority
    FROM first_ones
    WHERE since <= $2
    UNION ALL
    SELECT
        first_ones.lane,
        waiting.instance_id,
        waiting.since,
        waiting.launch_count,
        waiting.version,
        first_ones.tenant_id,
        first_ones.image_id,
        first_ones.workflow,
        first_ones.queue,
        first_ones.priority
    FROM first_ones
    CROSS JOIN bounds
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
            = first_ones.lane
            AND priority = first_ones.priority
            AND
            -- include: waits_since
            <= $2
        ORDER BY since, instance_id COLLATE "C"
        LIMIT $7::integer
    ) AS waiting
    WHERE first_ones.since <= $2
        AND NOT bounds.is_bounded
        AND first_ones.image_id IS NULL
        AND first_ones.tenant_id = $5::text
        AND first_ones.workflow = ANY ($6::text[])
    UNION ALL
    SELECT
        NULL,
        instance_id,
        moment,
        launch_count,
        version,
        tenant_id,
        image_id,
        workflow,
        queue,
        priority
    FROM told
    WHERE held_until IS NULL OR held_until <= $2
    UNION ALL
    SELECT
        NULL,
        instance_id,
        moment,
        launch_count,
        version,
        tenant_id,
        image_id,
        workflow,
        queue,
        priority
    FROM silent_ones
    WHERE moment <= $2
) AS found ON environment.is_living AND NOT environment.is_draining;

-- name: lock_environment
-- Claims that count open launches come one after the other.
SELECT
FROM environments
WHERE environment_id = $1
FOR NO KEY UPDATE;

-- name: lock_free
SELECT
FROM environments AS e
WHERE environment_id = $1
    AND capacity > (
        SELECT count(*)
        FROM launches AS l
        WHERE l.environment_id = e.environment_id AND l.closed_at IS NULL
    )
FOR NO KEY UPDATE SKIP LOCKED;

-- name: lanes
WITH RECURSIVE
-- include: lanes
SELECT lane, priority, tenant_id, queue
FROM first_ones
WHERE since <= $1::timestamptz;

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
FROM json_to_recordset($1::text::json) AS l (
    place INTEGER, lane BIGINT, priority INTEGER, slots INTEGER, is_by_name BOOLEAN
)
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
        <= $2::timestamptz
        AND (NOT l.is_by_name OR launch_count = 0)
        AND instance_id <> ALL ($3::text[])
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

-- name: take
WITH wanted AS (
    SELECT *
    FROM json_to_recordset($1::text::json) AS w (
        instance_id TEXT,
        version TEXT,
        launch_id TEXT,
        image_id TEXT,
        is_by_name BOOLEAN,
        image_name TEXT,
        runner TEXT,
        placement TEXT,
        sends_id BOOLEAN,
        timeout_ms BIGINT,
        is_bounded BOOLEAN
    )
),
-- Locked, so that nothing is taken under a lease that is over, or once the drain is stored. What was
-- chosen without a look at limits and holds is taken only while there are none.
environment AS MATERIALIZED (
    SELECT environment_id
    FROM environments
    WHERE environment_id = $2
        AND ($4::boolean OR NOT (EXISTS (SELECT FROM limits) OR EXISTS (SELECT FROM holds)))
        AND NOT is_draining
        AND capacity > 0
        AND closed_at IS NULL
        AND lease_until > $3::timestamptz
    FOR NO KEY UPDATE
),
-- Locked, so that an image which an instance now gets by its name is not deleted meanwhile.
kept AS MATERIALIZED (
    SELECT image_id
    FROM images
    WHERE image_id IN (SELECT wanted.image_id FROM wanted WHERE wanted.is_by_name)
        AND deleted_at IS NULL
    FOR SHARE
),
found AS MATERIALIZED (
    SELECT i.instance_id
    FROM wanted
    JOIN instances AS i ON i.instance_id = wanted.instance_id
    -- The row has not changed since it was found; a locked row is being changed, and skipped.
    WHERE i.xmin::text = wanted.version
        AND EXISTS (SELECT FROM environment)
        AND (NOT wanted.is_by_name OR wanted.image_id IN (SELECT kept.image_id FROM kept))
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
        $2,
        taken.tenant_id,
        $3,
        wanted.image_id,
        wanted.image_name,
        taken.workflow,
        taken.queue,
        wanted.runner,
        wanted.placement,
        $3 + least(taken.timeout_ms, wanted.timeout_ms) * INTERVAL '1 millisecond',
        wanted.is_bounded
    FROM taken
    JOIN wanted ON wanted.launch_id = taken.launch_id
)
SELECT * FROM taken;
