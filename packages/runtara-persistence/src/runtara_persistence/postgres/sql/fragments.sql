-- name: launched
launch_id,
-- include: state,
run_epoch,
coalesce(ended_run, 0) AS ended_run,
crashes,
checkpoint_id,
judged_checkpoint_id,
backoff_ms,
stop_reason,
memory_peak_bytes,
cpu_usage_usec,
stderr,
launch_count;

-- name: parent
parent AS MATERIALIZED (
    SELECT
        p.instance_id,
        p.status IN ('pending', 'running', 'suspended') AS is_open,
        p.status = 'suspended' AND p.sleep_until IS NOT NULL AS is_asleep
    FROM instances AS c
    JOIN instances AS p ON p.instance_id = c.parent_id AND p.tenant_id = c.tenant_id
    WHERE c.instance_id = $1 AND p.instance_id <> $1
    FOR NO KEY UPDATE OF p
);

-- name: newest_first
AND created_at <= coalesce($1::timestamptz, 'infinity')
    AND ($1 IS NULL OR created_at < $1 OR instance_id COLLATE "C" > $2::text)
ORDER BY created_at DESC, instance_id COLLATE "C"
LIMIT $3;

-- name: lane
hashtextextended(
    coalesce(workflow, ''),
    hashtextextended(
        coalesce(queue, ''),
        hashtextextended(coalesce(image_id, ''), hashtextextended(tenant_id, 0))
    )
);

-- name: waits_since
CASE
    WHEN status = 'suspended' THEN
        CASE
            WHEN sleep_until IS NOT NULL THEN
                greatest(
                    sleep_until,
                    launch_after,
                    CASE WHEN wake_claim_by IS NOT NULL THEN wake_claim_until END
                )
        END
    WHEN status = 'pending' OR (status = 'running' AND ended_run = run_epoch)
    THEN greatest(created_at, launch_after)
END;

-- name: lanes
-- Skips through the index from lane to lane, and reads the first instance of each.
lanes AS (
    (
        SELECT
            -- include: lane
            AS lane,
            priority,
            tenant_id,
            image_id,
            workflow,
            queue,
            -- include: waits_since
            AS since
        FROM instances
        WHERE
            -- include: may_launch
        ORDER BY lane, priority, since, instance_id COLLATE "C"
        LIMIT 1
    )
    UNION ALL
    SELECT further.*
    FROM lanes
    CROSS JOIN LATERAL (
        SELECT
            -- include: lane
            AS lane,
            priority,
            tenant_id,
            image_id,
            workflow,
            queue,
            -- include: waits_since
            AS since
        FROM instances
        WHERE
            -- include: may_launch
            AND (
                -- include: lane,
                priority
            ) > (lanes.lane, lanes.priority)
        ORDER BY lane, priority, since, instance_id COLLATE "C"
        LIMIT 1
    ) AS further
);

-- name: launchable_moments
-- When instances become launchable; the CTE `clock` has the time now and the silences. One that was
-- told to go on may be launched before its moment, where that is the time of the signal.
told AS MATERIALIZED (
    SELECT
        greatest(s.created_at, held.until) AS moment,
        held.until AS held_until,
        i.instance_id,
        i.launch_count,
        i.xmin::text AS version,
        i.tenant_id,
        i.image_id,
        i.workflow,
        i.queue,
        i.priority
    FROM pending_signals AS s
    JOIN instances AS i ON i.instance_id = s.instance_id
    CROSS JOIN LATERAL (
        SELECT greatest(
            i.launch_after, CASE WHEN i.wake_claim_by IS NOT NULL THEN i.wake_claim_until END
        ) AS until
    ) AS held
    WHERE s.acknowledged_at IS NULL
        AND s.signal_type IN ('cancel', 'resume')
        AND i.launch_id IS NULL
        AND i.status = 'suspended'
        AND (i.image_id IS NOT NULL OR i.workflow IS NOT NULL)
        AND (i.sleep_until IS NULL AND i.blocked_signal_at = s.created_at) IS NOT TRUE
),
-- RUNNING without an open launch; an instance whose run is over waits for its back-off instead.
silent_ones AS MATERIALIZED (
    SELECT
        CASE
            -- A worker's run is fenced by its launch, so it need not be silent first.
            WHEN lost_run = run_epoch AND image_id IS NULL
            THEN greatest(coalesce(last_activity_at, started_at, created_at), launch_after)
            WHEN lost_run = run_epoch
            THEN greatest(
                coalesce(last_activity_at, started_at, created_at) + clock.lost_silence,
                launch_after
            )
            WHEN image_id IS NOT NULL AND ended_run IS DISTINCT FROM run_epoch
            THEN coalesce(last_activity_at, started_at, created_at) + clock.silence
        END AS moment,
        instance_id,
        launch_count,
        instances.xmin::text AS version,
        tenant_id,
        image_id,
        workflow,
        queue,
        priority
    FROM instances
    CROSS JOIN clock
    WHERE status = 'running'
        AND launch_id IS NULL
        AND (image_id IS NOT NULL OR lost_run IS NOT NULL)
        AND (image_id IS NOT NULL OR workflow IS NOT NULL)
),
-- By the first row of an index: with a condition alone the planner expects many rows.
next_one AS MATERIALIZED (
    SELECT
        -- include: waits_since
        AS moment
    FROM instances
    WHERE
        -- include: may_launch
        AND
        -- include: waits_since
        > (SELECT clock.now FROM clock)
    ORDER BY moment
    LIMIT 1
);

-- name: clock
clock AS MATERIALIZED (
    SELECT $2::timestamptz AS now, $3::interval AS lost_silence, $4::interval AS silence
);

-- name: next_launchable
SELECT min(m.moment)
FROM (
    SELECT moment FROM next_one
    UNION ALL
    SELECT moment FROM told
    UNION ALL
    SELECT moment FROM silent_ones
) AS m
WHERE m.moment > clock.now;

-- name: found_after_parent
found AS MATERIALIZED (
    SELECT
        instance_id,
        -- include: state,
        run_epoch
    FROM instances
    -- include: found_parent_first
);

-- name: found
found AS MATERIALIZED (
    SELECT
        instance_id,
        -- include: state,
        run_epoch
    FROM instances
    WHERE instance_id = $1
    FOR NO KEY UPDATE
);

-- name: found_admitted
found AS MATERIALIZED (
    SELECT *, state = ANY ($3::text[]) AND ($2::bigint IS NULL OR $2 >= run_epoch) AS is_admitted
    FROM (
        SELECT
            instance_id,
            -- include: state,
            run_epoch
        FROM instances
        WHERE instance_id = $1
        FOR NO KEY UPDATE
    ) AS locked
);

-- name: found_admitted_unless_held
found AS MATERIALIZED (
    SELECT *, state = ANY ($3::text[]) AND ($2::bigint IS NULL OR $2 >= run_epoch) AS is_admitted
    FROM (
        SELECT
            instance_id,
            -- include: state,
            run_epoch
        FROM instances
        WHERE instance_id = $1
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS locked
);

-- name: saved_and_told
-- Saves one checkpoint ($4 to $6) in the instance that is `found`, and reads what waits for it.
kept AS MATERIALIZED (
    SELECT c.state
    FROM found
    JOIN checkpoints AS c ON c.instance_id = found.instance_id AND c.checkpoint_id = $4
    WHERE found.is_admitted AND c.is_retry_attempt IS NOT TRUE
),
saved AS (
    INSERT INTO checkpoints (instance_id, checkpoint_id, state, created_at)
    SELECT instance_id, $4, $5, $6
    FROM found
    WHERE is_admitted AND NOT EXISTS (SELECT FROM kept)
    ON CONFLICT (instance_id, checkpoint_id) DO NOTHING
    RETURNING instance_id, checkpoint_id, created_at
),
moved AS (
    UPDATE instances AS i
    SET checkpoint_id = saved.checkpoint_id,
        last_activity_at = greatest(i.last_activity_at, saved.created_at)
    FROM saved
    JOIN found ON found.state <> 'asleep'
    WHERE i.instance_id = saved.instance_id
),
-- A statement of its own, because it sets the columns of a wake-up: triggers run for each row of a
-- statement that names these columns, whether they change or not.
woken AS (
    UPDATE instances AS i
    SET checkpoint_id = coalesce(saved.checkpoint_id, i.checkpoint_id),
        last_activity_at = greatest(i.last_activity_at, saved.created_at),
        status = $7::text::instance_status,
        -- include: clear_wake
    FROM found
    LEFT JOIN saved ON saved.instance_id = found.instance_id
    WHERE i.instance_id = found.instance_id AND found.is_admitted AND found.state = 'asleep'
)
SELECT
    found.state,
    found.run_epoch,
    found.is_admitted,
    EXISTS (SELECT FROM saved) AS is_fresh,
    EXISTS (SELECT FROM kept) AS is_found,
    -- PostgreSQL knows the size of a large value without reading it.
    (SELECT state FROM kept WHERE octet_length(state) <= $8::int) AS kept,
    s.signal_type::text AS signal_type,
    s.payload,
    p.id IS NOT NULL AS has_custom_signal,
    p.payload AS custom_signal
FROM found
LEFT JOIN pending_signals AS s
    ON s.instance_id = found.instance_id AND s.acknowledged_at IS NULL AND found.is_admitted
LEFT JOIN pending_checkpoint_signals AS p
    ON p.instance_id = found.instance_id AND p.checkpoint_id = $4 AND found.is_admitted;

-- name: lock_parent
-- Locks the parent first, as all steps do that lock both.
SELECT p.instance_id
FROM instances AS c
JOIN instances AS p ON p.instance_id = c.parent_id AND p.tenant_id = c.tenant_id
WHERE c.instance_id = $1 AND p.instance_id <> $1
FOR NO KEY UPDATE OF p;

-- name: made_due
made_due AS (
    UPDATE instances AS i
    SET sleep_until = least(i.sleep_until, heard.created_at)
    FROM parent
    JOIN heard ON heard.instance_id = parent.instance_id
    WHERE i.instance_id = parent.instance_id AND parent.is_asleep
);

-- name: events_found
FROM instance_events
WHERE instance_id = $1
    AND ($2::text IS NULL OR event_type = $2::instance_event_type)
    AND ($3::text IS NULL OR subtype = $3)
    AND ($4::timestamptz IS NULL OR created_at >= $4)
    AND ($5::timestamptz IS NULL OR created_at < $5)
    AND ($6::bytea IS NULL OR position($6 IN coalesce(payload, '')) > 0);

-- name: found_parent_first
WHERE instance_id = $1
    -- All steps that lock both lock the parent first.
    AND (SELECT count(*) FROM parent) >= 0
FOR NO KEY UPDATE;

-- name: checkpoints_found
FROM checkpoints
WHERE instance_id = $1
    AND is_retry_attempt IS NOT TRUE
    AND ($2::text IS NULL OR checkpoint_id = $2)
    AND ($3::timestamptz IS NULL OR created_at >= $3)
    AND ($4::timestamptz IS NULL OR created_at < $4);

-- name: forgotten_launches
forgotten AS (
    DELETE FROM launches AS l
    USING settled
    WHERE l.instance_id = settled.instance_id
        AND settled.last_forgotten > 0
        AND l.number <= settled.last_forgotten
        AND l.closed_at IS NOT NULL
);

-- name: served
(image_id IS NULL AND tenant_id = $5::text AND workflow = ANY ($6::text[])) IS TRUE;

-- name: assigned
-- What a claim returns of an instance `i` that it has just given to a launch.
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
) END AS last_cause;
