-- name: environment
SELECT capacity, is_draining, closed_at IS NULL AND lease_until > :at
FROM environments
WHERE environment_id = :environment_id;

-- name: lanes.next
SELECT
    -- include: lane
    AS lane,
    tenant_id,
    image_id,
    workflow,
    queue
FROM instances INDEXED BY idx_instances_launchable
WHERE
    -- include: may_launch
    AND
    -- include: lane
    > :lane
ORDER BY lane
LIMIT 1;

-- name: lanes.next_priority
SELECT priority
FROM instances INDEXED BY idx_instances_launchable
WHERE
    -- include: may_launch
    AND
    -- include: lane
    = :lane
    AND priority > :priority
ORDER BY priority
LIMIT 1;

-- name: waiting
SELECT
    instance_id,
    -- include: waits_since
    AS since,
    launch_count
FROM instances INDEXED BY idx_instances_launchable
WHERE
    -- include: may_launch
    AND
    -- include: lane
    = :lane
    AND priority = :priority
    AND
    -- include: waits_since
    <= :at
    AND (NOT :is_by_name OR launch_count = 0)
ORDER BY since, instance_id
LIMIT :limit;

-- name: ahead
-- How many instances of a lane come before one that has waited since then, up to a limit.
SELECT count(*)
FROM (
    SELECT 1
    FROM instances INDEXED BY idx_instances_launchable
    WHERE
        -- include: may_launch
        AND
        -- include: lane
        = :lane
        AND priority = :priority
        AND
        -- include: waits_since
        <= CASE WHEN :is_first THEN :at ELSE :since END
        AND (
            :is_first
            OR
            -- include: waits_since
            < :since
            OR instance_id < :instance_id
        )
    LIMIT :limit
);

-- name: told
SELECT
    i.instance_id,
    -- include: told_since,
    i.launch_count,
    i.tenant_id,
    i.image_id,
    i.workflow,
    i.queue,
    i.priority
-- include: signalled
    AND (i.wake_claim_by IS NOT NULL AND i.wake_claim_until > :at) IS NOT TRUE
    AND coalesce(i.launch_after, '') <= :at;

-- name: silent
SELECT
    instance_id,
    coalesce(last_activity_at, started_at, created_at),
    lost_run = run_epoch,
    launch_count,
    tenant_id,
    image_id,
    workflow,
    queue,
    priority
FROM instances INDEXED BY idx_instances_unwatched
WHERE status = 'running'
    AND launch_id IS NULL
    AND (image_id IS NOT NULL OR lost_run IS NOT NULL)
    AND (image_id IS NOT NULL OR workflow IS NOT NULL)
    AND CASE
        WHEN lost_run = run_epoch
        THEN coalesce(launch_after, '') <= :at
            AND (
                image_id IS NULL
                OR coalesce(last_activity_at, started_at, created_at) <= :lost_since
            )
        -- An instance whose run is over waits for its back-off instead.
        ELSE image_id IS NOT NULL
            AND ended_run IS NOT run_epoch
            AND coalesce(last_activity_at, started_at, created_at) <= :silent_since
    END;

-- name: images
SELECT
    -- include: image
FROM images
WHERE image_id IN (SELECT value FROM json_each(:image_ids));

-- name: served
SELECT
    -- include: image
FROM images
WHERE is_current
    AND deleted_at IS NULL
    AND tenant_id = :tenant_id
    AND CASE
        WHEN json_valid(metadata) THEN coalesce(nullif(metadata ->> '$.workflow', ''), name)
        ELSE name
    END = :workflow
ORDER BY created_at DESC, image_id DESC
LIMIT 1;

-- name: workers
SELECT tenant_id, workflows
FROM environments
WHERE kind = 'worker' AND tenant_id IS NOT NULL AND closed_at IS NULL AND lease_until > :at;

-- name: limits
SELECT scope, tenant_id, name, max_concurrent, per_environment, rate, rate_period_ms
FROM limits;

-- name: holds
SELECT scope, tenant_id, name, reason, created_at
FROM holds;

-- name: usage
SELECT tenant_id, image_name, queue, environment_id = :environment_id, count(*)
FROM launches
WHERE closed_at IS NULL
GROUP BY tenant_id, image_name, queue, environment_id = :environment_id;

-- name: begun
SELECT count(*), min(created_at)
FROM launches
WHERE tenant_id = :tenant_id AND queue = :queue AND created_at > :since;

-- name: take
UPDATE instances
SET launch_id = :launch_id,
    image_id = :image_id,
    launch_sends_id = :sends_id,
    launch_count = launch_count + 1,
    ended_run = run_epoch,
    lost_run = NULL,
    launch_after = NULL
WHERE instance_id = :instance_id
RETURNING
    tenant_id,
    launch_count,
    run_epoch,
    workflow,
    checkpoint_id,
    coalesce(
        env, (SELECT a.env FROM instance_images AS a WHERE a.instance_id = instances.instance_id)
    ),
    timeout_ms,
    crashes,
    priority,
    queue,
    -- The last launch's cause, if the instance is retried; the new launch is not stored yet. SQLite
    -- 3.40 takes IS NOT NULL for true here, for any column of the row.
    CASE WHEN typeof(backoff_ms) <> 'null' THEN (
        SELECT l.cause FROM launches AS l
        WHERE l.instance_id = instances.instance_id
        ORDER BY l.number DESC
        LIMIT 1
    ) END;

-- name: launch
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
VALUES (
    :launch_id,
    :instance_id,
    :number,
    :environment_id,
    :tenant_id,
    :at,
    :image_id,
    :image_name,
    :workflow,
    :queue,
    :runner,
    :placement,
    :timeout_at,
    :is_bounded
);

-- name: next
-- include: next_launchable;

-- name: open_count
SELECT count(*)
FROM launches
WHERE environment_id = :environment_id AND closed_at IS NULL;
