-- name: run_state
SELECT
    -- include: state,
    run_epoch
FROM instances
WHERE instance_id = :instance_id;

-- name: run_states
SELECT
    instance_id,
    -- include: state,
    run_epoch
FROM instances
WHERE instance_id = ANY (:instance_ids::text[]);

-- name: create
INSERT INTO instances (instance_id, tenant_id, created_at, input, workflow)
VALUES (:instance_id, :tenant_id, :at, :input, :workflow)
ON CONFLICT (instance_id) DO NOTHING
RETURNING instance_id;

-- name: inactive_since
SELECT
    -- include: summary
FROM instances
WHERE status = 'running'
    AND coalesce(last_activity_at, started_at, created_at) < :since
ORDER BY coalesce(last_activity_at, started_at, created_at), instance_id COLLATE "C"
LIMIT :limit;

-- name: get
SELECT
    -- include: instance_columns
FROM instances
WHERE instance_id = :instance_id;

-- name: input
SELECT input::bytea AS input
FROM instances
WHERE instance_id = :instance_id;
