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
WHERE i.instance_id = $1;

-- name: take.size
SELECT (
    (
        SELECT coalesce(sum(octet_length(state) + 1000), 0)
        FROM checkpoints
        WHERE instance_id = $1
    ) + (
        SELECT coalesce(sum(coalesce(octet_length(payload), 0) + 1000), 0)
        FROM instance_events
        WHERE instance_id = $1
    ) + (
        SELECT coalesce(sum(coalesce(octet_length(payload), 0) + 1000), 0)
        FROM pending_checkpoint_signals
        WHERE instance_id = $1
    )
) AS size;

-- name: take.checkpoints.sizes
SELECT octet_length(state) AS size
FROM checkpoints
WHERE instance_id = $1
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
WHERE instance_id = $1
ORDER BY id;

-- name: take.events.sizes
SELECT coalesce(octet_length(payload), 0) AS size
FROM instance_events
WHERE instance_id = $1
ORDER BY id;

-- name: take.events
SELECT
    event_type::text AS event_type,
    created_at,
    checkpoint_id,
    subtype,
    payload
FROM instance_events
WHERE instance_id = $1
ORDER BY id;

-- name: take.signals.sizes
SELECT coalesce(octet_length(payload), 0) AS size
FROM pending_checkpoint_signals
WHERE instance_id = $1
ORDER BY id;

-- name: take.signals
SELECT
    checkpoint_id,
    created_at,
    payload
FROM pending_checkpoint_signals
WHERE instance_id = $1
ORDER BY id;

-- name: put.is_same
SELECT 1 AS is_same
FROM instance_events
WHERE instance_id = $1 AND subtype = $2 AND payload = $3
LIMIT 1;

-- name: put.image
-- Locks the image, so that it is not deleted before the instance that uses it is stored.
SELECT image_id
FROM images
WHERE image_id = $1 AND tenant_id = $2 AND deleted_at IS NULL
FOR SHARE;

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
    $1,
    $2,
    $3::text::instance_status,
    $4,
    $5,
    $6,
    $7,
    $8,
    $9,
    $10,
    $11,
    $12,
    $13,
    $14,
    $15,
    $16,
    $17,
    $18,
    $19,
    $20,
    $21,
    $22,
    $23,
    $24,
    $5
)
ON CONFLICT (instance_id) DO NOTHING
RETURNING instance_id;

-- name: put.associate
INSERT INTO instance_images (instance_id, image_id, tenant_id, created_at, env)
VALUES ($1, $2, $3, $4, coalesce($5::text::jsonb, '{}'))
ON CONFLICT (instance_id) DO UPDATE SET image_id = excluded.image_id, env = excluded.env;

-- name: put.checkpoints
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
SELECT
    $1,
    c.checkpoint_id,
    c.state,
    c.created_at,
    c.is_retry_attempt,
    c.attempt_number,
    c.error_message,
    c.wake_at
FROM unnest(
    $2::text[], $3::bytea[], $4::timestamptz[], $5::boolean[], $6::integer[], $7::text[],
    $8::timestamptz[]
) WITH ORDINALITY AS c (
    checkpoint_id, state, created_at, is_retry_attempt, attempt_number, error_message, wake_at,
    place
)
ORDER BY c.place;

-- name: put.events
INSERT INTO instance_events (
    instance_id,
    event_type,
    created_at,
    checkpoint_id,
    subtype,
    payload
)
SELECT
    $1,
    e.event_type::instance_event_type,
    e.created_at,
    e.checkpoint_id,
    e.subtype,
    e.payload
FROM unnest($2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::bytea[])
WITH ORDINALITY AS e (event_type, created_at, checkpoint_id, subtype, payload, place)
ORDER BY e.place;

-- name: put.signals
INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id, created_at, payload)
SELECT
    $1,
    s.checkpoint_id,
    s.created_at,
    s.payload
FROM unnest($2::text[], $3::timestamptz[], $4::bytea[])
WITH ORDINALITY AS s (checkpoint_id, created_at, payload, place)
ORDER BY s.place;
