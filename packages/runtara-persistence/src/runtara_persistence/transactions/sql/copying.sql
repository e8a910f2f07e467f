-- name: take
SELECT
    i.instance_id,
    i.tenant_id,
    i.status::text AS status,
    i.created_at,
    i.run_epoch,
    i.priority,
    i.checkpoint_id,
    i.started_at,
    i.finished_at,
    i.last_activity_at,
    i.workflow,
    i.code_version,
    i.waits,
    i.queue,
    i.timeout_ms,
    i.memory_peak_bytes,
    i.cpu_usage_usec,
    i.error,
    i.stderr,
    i.input,
    i.output,
    i.progress,
    coalesce(i.image_id, a.image_id) AS image_id,
    m.name AS image_name,
    coalesce(i.env, a.env::text) AS env,
    i.sleep_until,
    i.launch_id,
    (
        SELECT p.instance_id
        FROM instances AS p
        WHERE p.instance_id = i.parent_id
            AND p.tenant_id = i.tenant_id
            AND p.instance_id <> i.instance_id
            AND p.status IN ('pending', 'running', 'suspended')
    ) AS open_parent_id,
    (
        SELECT min(c.instance_id COLLATE "C")
        FROM instances AS c
        WHERE c.parent_id = i.instance_id
            AND c.tenant_id = i.tenant_id
            AND c.instance_id <> i.instance_id
            AND c.status IN ('pending', 'running', 'suspended')
    ) AS open_child_id,
    (
        SELECT s.signal_type::text
        FROM pending_signals AS s
        WHERE s.instance_id = i.instance_id AND s.acknowledged_at IS NULL
    ) AS pending_signal
-- include: instances_with_images
WHERE i.instance_id = :instance_id;

-- name: take.size
SELECT (
    (
        SELECT coalesce(sum(length(state) + 1000), 0)
        FROM checkpoints
        WHERE instance_id = :instance_id
    ) + (
        SELECT coalesce(sum(coalesce(length(payload), 0) + 1000), 0)
        FROM instance_events
        WHERE instance_id = :instance_id
    ) + (
        SELECT coalesce(sum(coalesce(length(payload), 0) + 1000), 0)
        FROM pending_checkpoint_signals
        WHERE instance_id = :instance_id
    )
) AS size;

-- name: take.checkpoints.sizes
SELECT id::bigint AS id, length(state) AS size
FROM checkpoints
WHERE instance_id = :instance_id
ORDER BY id;

-- name: take.checkpoints
SELECT
    checkpoint_id,
    state,
    created_at,
    is_retry_attempt IS TRUE AS is_retry_attempt,
    attempt_number,
    error_message,
    wake_at
FROM checkpoints
WHERE instance_id = :instance_id AND id BETWEEN :first_id::bigint AND :last_id::bigint
ORDER BY id;

-- name: take.events.sizes
SELECT id::bigint AS id, coalesce(length(payload), 0) AS size
FROM instance_events
WHERE instance_id = :instance_id
ORDER BY id;

-- name: take.events
SELECT
    event_type::text AS event_type,
    created_at,
    checkpoint_id,
    subtype,
    payload
FROM instance_events
WHERE instance_id = :instance_id AND id BETWEEN :first_id::bigint AND :last_id::bigint
ORDER BY id;

-- name: take.signals.sizes
SELECT id::bigint AS id, coalesce(length(payload), 0) AS size
FROM pending_checkpoint_signals
WHERE instance_id = :instance_id
ORDER BY id;

-- name: take.signals
SELECT
    checkpoint_id,
    created_at,
    payload
FROM pending_checkpoint_signals
WHERE instance_id = :instance_id AND id BETWEEN :first_id::bigint AND :last_id::bigint
ORDER BY id;

-- name: put
INSERT INTO instances (
    instance_id,
    tenant_id,
    status,
    created_at,
    run_epoch,
    priority,
    checkpoint_id,
    started_at,
    finished_at,
    last_activity_at,
    workflow,
    code_version,
    waits,
    queue,
    timeout_ms,
    memory_peak_bytes,
    cpu_usage_usec,
    error,
    stderr,
    input,
    output,
    progress,
    image_id,
    env,
    ended_run
)
VALUES (
    :instance_id,
    :tenant_id,
    :status::text::instance_status,
    :created_at,
    :run_epoch,
    :priority,
    :checkpoint_id,
    :started_at,
    :finished_at,
    :last_activity_at,
    :workflow,
    :code_version,
    :waits,
    :queue,
    :timeout_ms,
    :memory_peak_bytes,
    :cpu_usage_usec,
    :error,
    :stderr,
    :input,
    :output,
    :progress,
    :image_id,
    :env,
    :run_epoch
)
ON CONFLICT (instance_id) DO NOTHING
RETURNING instance_id;

-- name: put.is_same
SELECT 1 AS is_same
FROM instance_events
WHERE instance_id = :instance_id AND subtype = :subtype AND payload = :source
LIMIT 1;

-- name: put.checkpoint
INSERT INTO checkpoints (
    instance_id,
    checkpoint_id,
    state,
    created_at,
    is_retry_attempt,
    attempt_number,
    error_message,
    wake_at
)
VALUES (
    :instance_id,
    :checkpoint_id,
    :state,
    :created_at,
    :is_retry_attempt,
    :attempt_number,
    :error_message,
    :wake_at
);

-- name: put.event
INSERT INTO instance_events (
    instance_id,
    event_type,
    created_at,
    checkpoint_id,
    subtype,
    payload
)
VALUES (:instance_id, :event_type::text::instance_event_type, :created_at, :checkpoint_id, :subtype, :payload);

-- name: put.signal
INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id, created_at, payload)
VALUES (:instance_id, :checkpoint_id, :created_at, :payload);
