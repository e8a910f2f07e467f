-- name: state
CASE
    WHEN status <> 'suspended' THEN status::text
    WHEN sleep_until IS NULL THEN 'paused'
    ELSE 'asleep'
END AS state;

-- name: summary
instance_id,
tenant_id,
status::text AS status,
run_epoch,
checkpoint_id,
created_at,
started_at,
finished_at,
sleep_until,
last_activity_at,
workflow,
code_version,
parent_id,
launch_id,
waits,
CASE WHEN status = 'suspended' AND sleep_until IS NULL THEN error END AS blocked_reason;

-- name: clear_wake
waits = NULL,
sleep_until = NULL,
wake_claim_until = NULL,
wake_claim_by = NULL;

-- name: image
image_id,
tenant_id,
name,
version,
runner_type,
created_at,
description,
sha256,
size_bytes,
is_current,
deleted_at,
metadata::text AS metadata,
binary_path,
problem;

-- name: may_launch
launch_id IS NULL
    AND status IN ('pending', 'running', 'suspended')
    AND (image_id IS NOT NULL OR workflow IS NOT NULL);

-- name: launch
l.launch_id,
l.instance_id,
l.environment_id,
l.number,
l.created_at,
l.image_id,
l.runner,
l.placement,
l.started_at,
l.closed_at,
CASE
    WHEN l.closed_at IS NOT NULL THEN l.run
    WHEN i.run_epoch > coalesce(i.ended_run, 0) THEN i.run_epoch
END AS run,
l.cause,
l.exit_code,
l.exit_signal,
l.memory_peak_bytes,
l.cpu_usage_usec,
l.stderr,
l.verdict;

-- name: listed
i.instance_id,
i.tenant_id,
i.status::text AS status,
i.run_epoch,
i.checkpoint_id,
i.created_at,
i.started_at,
i.finished_at,
i.sleep_until,
i.last_activity_at,
i.workflow,
i.code_version,
i.parent_id,
i.launch_id,
i.waits,
CASE WHEN i.status = 'suspended' AND i.sleep_until IS NULL THEN i.error END AS blocked_reason,
coalesce(i.image_id, a.image_id) AS image_id,
m.name AS image_name,
i.queue,
substr(i.error, 1, 1024) AS shown_error,
i.launch_after;

-- name: schedule
tenant_id,
name,
workflow,
image_id,
cron,
time_zone,
missing,
duplicate,
overlap,
catch_up_ms,
jitter_ms,
input,
queue,
priority,
revision,
created_at,
is_declared,
code_versions,
paused_by,
pause_reason,
next_tick_at,
last_tick_at,
last_instance_id,
buffered_tick_at,
problem;

-- name: instances_with_images
FROM instances AS i
LEFT JOIN instance_images AS a ON a.instance_id = i.instance_id
LEFT JOIN images AS m ON m.image_id = coalesce(i.image_id, a.image_id);

-- name: state_of_i
CASE
    WHEN i.status <> 'suspended' THEN i.status::text
    WHEN i.sleep_until IS NULL THEN 'paused'
    ELSE 'asleep'
END AS state;

-- name: holds
SELECT scope, tenant_id, name, reason, created_at
FROM holds
ORDER BY created_at, scope COLLATE "C", tenant_id COLLATE "C", name COLLATE "C";

-- name: is_stuck
    m.tenant_id = :tenant_id
    AND m.name = :name
    AND m.image_id <> :image_id
    AND i.launch_id IS NULL
    AND i.status IN ('pending', 'running', 'suspended')
    AND (
        m.problem IS NOT NULL
        OR (i.status = 'suspended' AND i.sleep_until IS NULL AND i.error IS NOT NULL)
    );

-- name: tell_launchable for postgres
SELECT pg_notify('runtara_launchable', '');

-- name: tell_launchable for sqlite
UPDATE launchable_changes SET changes = changes + 1;

-- name: environment
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
) AS open_launches;

-- name: meant
    (:tenant_id::text IS NULL OR i.tenant_id = :tenant_id)
    AND (:status::text IS NULL OR i.status = :status::text::instance_status)
    AND (:image_id::text IS NULL OR coalesce(i.image_id, a.image_id) = :image_id)
    AND (:image_name_prefix::text IS NULL OR substr(m.name, 1, length(:image_name_prefix)) = :image_name_prefix)
    -- Each of the two conditions can use an index; with coalesce() there would be none.
    AND (:workflow::text IS NULL OR i.workflow = :workflow OR (i.workflow IS NULL AND m.name = :workflow))
    AND (:queue::text IS NULL OR i.queue = :queue)
    AND (:parent_id::text IS NULL OR i.parent_id = :parent_id)
    -- include: error_contains
    AND (
        :blocked::boolean IS NULL
        OR :blocked = (i.status = 'suspended' AND i.sleep_until IS NULL AND i.error IS NOT NULL)
    )
    AND (:created_since::timestamptz IS NULL OR i.created_at >= :created_since)
    AND (:created_until::timestamptz IS NULL OR i.created_at < :created_until)
    AND (:finished_since::timestamptz IS NULL OR i.finished_at >= :finished_since)
    AND (:finished_until::timestamptz IS NULL OR i.finished_at < :finished_until);

-- name: error_contains for postgres
    AND (:error_contains::text IS NULL OR (i.error IS NOT NULL AND strpos(i.error, :error_contains) > 0))

-- name: error_contains for sqlite
    AND (:error_contains IS NULL OR instr(i.error, :error_contains) > 0)

-- name: sums
count(*) FILTER (WHERE status = 'completed') AS completed,
count(*) FILTER (WHERE status = 'failed') AS failed,
count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
avg(took)::float8 AS average_ms,
min(took) AS shortest_ms,
max(took) AS longest_ms,
sum(memory_peak_bytes)::bigint AS memory_sum,
count(memory_peak_bytes) AS memory_count,
max(memory_peak_bytes) AS max_memory_bytes;

-- name: finished_in_time
    finished_at >= :since
    AND finished_at < :until::timestamptz
    AND tenant_id = :tenant_id
    AND status IN ('completed', 'failed', 'cancelled');

-- name: listed_instances
SELECT
    -- include: listed
-- include: instances_with_images
WHERE
    -- include: meant;

-- name: instance_columns
-- include: summary,
output::bytea AS output,
error,
stderr,
memory_peak_bytes,
cpu_usage_usec;
