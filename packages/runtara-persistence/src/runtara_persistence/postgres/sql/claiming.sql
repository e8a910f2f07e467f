-- name: find
-- What a claim begins with, read without a lock: `take` looks again at the rows that it takes.
WITH RECURSIVE
-- include: clock,
environment AS (
    SELECT
        coalesce(bool_or(closed_at IS NULL AND lease_until > $2), FALSE) AS is_living,
        coalesce(bool_or(is_draining OR capacity = 0), FALSE) AS is_draining
    FROM environments
    WHERE environment_id = $1
),
-- include: launchable_moments,
-- include: lanes
SELECT
    environment.*,
    EXISTS (SELECT FROM limits) OR EXISTS (SELECT FROM holds) AS is_bounded,
    (
        -- include: next_launchable
    ) AS next_launchable_at,
    found.*
FROM environment
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
    FROM lanes
    WHERE since <= $2
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

-- name: find_and_take
-- The claim of a worker: up to $7 instances of its tenant ($5) and workflows ($6), in the order of
-- `Candidate.rank`. If there are limits or holds, it takes none. If it takes none, it locks nothing.
WITH RECURSIVE
-- include: clock,
-- include: launchable_moments,
-- include: lanes,
ready AS MATERIALIZED (
    SELECT
        lane,
        NULL AS instance_id,
        NULL AS version,
        since,
        priority,
        -- include: served
        AS is_served
    FROM lanes
    WHERE since <= $2
    UNION ALL
    SELECT
        NULL,
        instance_id,
        version,
        moment,
        priority,
        -- include: served
    FROM told
    WHERE held_until IS NULL OR held_until <= $2
    UNION ALL
    SELECT
        NULL,
        instance_id,
        version,
        moment,
        priority,
        -- include: served
    FROM silent_ones
    WHERE moment <= $2
),
chosen AS MATERIALIZED (
    -- One that was told to go on may wait in a lane, too.
    SELECT instance_id, version, priority, min(since) AS since
    FROM (
        SELECT
            coalesce(waiting.instance_id, ready.instance_id) AS instance_id,
            coalesce(waiting.version, ready.version) AS version,
            ready.priority,
            coalesce(waiting.since, ready.since) AS since
        FROM ready
        LEFT JOIN LATERAL (
            SELECT
                instance_id,
                xmin::text AS version,
                -- include: waits_since
                AS since
            FROM instances
            WHERE
                -- include: may_launch
                AND
                -- include: lane
                = ready.lane
                AND priority = ready.priority
                AND
                -- include: waits_since
                <= $2
            ORDER BY since, instance_id COLLATE "C"
            LIMIT $7::integer
        ) AS waiting ON ready.lane IS NOT NULL
        WHERE ready.is_served
    ) AS candidates
    GROUP BY instance_id, version, priority
    ORDER BY priority DESC, since, instance_id COLLATE "C"
    LIMIT $7
),
-- Locked, so that nothing is taken under a lease that is over, or once the drain is stored.
environment AS MATERIALIZED (
    SELECT environment_id
    FROM environments
    WHERE environment_id = $1
        AND EXISTS (SELECT FROM chosen)
        AND NOT EXISTS (SELECT FROM limits)
        AND NOT EXISTS (SELECT FROM holds)
        AND NOT is_draining
        AND capacity > 0
        AND closed_at IS NULL
        AND lease_until > $2
    FOR NO KEY UPDATE
),
found AS MATERIALIZED (
    SELECT i.instance_id, chosen.since
    FROM chosen
    JOIN instances AS i ON i.instance_id = chosen.instance_id
    -- The row has not changed since it was found; a locked row is being changed, and skipped.
    WHERE i.xmin::text = chosen.version AND EXISTS (SELECT FROM environment)
    FOR NO KEY UPDATE OF i SKIP LOCKED
),
taken AS (
    UPDATE instances AS i
    SET launch_id = replace(gen_random_uuid()::text, '-', ''),
        launch_sends_id = TRUE,
        launch_count = i.launch_count + 1,
        ended_run = i.run_epoch,
        lost_run = NULL,
        launch_after = NULL
    FROM found
    WHERE i.instance_id = found.instance_id
    RETURNING
        found.since,
        -- include: assigned
),
launched AS (
    INSERT INTO launches (
        launch_id,
        instance_id,
        number,
        environment_id,
        tenant_id,
        created_at,
        workflow,
        queue,
        runner,
        placement,
        timeout_at,
        is_bounded
    )
    SELECT
        launch_id,
        instance_id,
        number,
        $1,
        tenant_id,
        $2,
        workflow,
        queue,
        $8,
        $8,
        $2 + timeout_ms * INTERVAL '1 millisecond',
        FALSE
    FROM taken
)
SELECT
    e.closed_at IS NULL AND e.lease_until > $2 AS is_living,
    e.is_draining OR e.capacity = 0 AS is_draining,
    (
        -- include: next_launchable
    ) AS next_launchable_at,
    EXISTS (SELECT FROM ready WHERE NOT is_served) AS has_others,
    (SELECT count(*) FROM chosen) AS chosen,
    taken.*
FROM clock
LEFT JOIN environments AS e ON e.environment_id = $1
LEFT JOIN taken ON TRUE;

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
FROM lanes
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
        -- include: assigned
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
