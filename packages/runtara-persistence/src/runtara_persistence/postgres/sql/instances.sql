-- name: register
WITH found AS MATERIALIZED (
    SELECT
        instance_id,
        tenant_id,
        -- include: state,
        run_epoch,
        input,
        $3::text IS NULL OR EXISTS (
            SELECT FROM checkpoints AS c
            WHERE c.instance_id = instances.instance_id
                AND c.checkpoint_id = $3
                AND c.is_retry_attempt IS NOT TRUE
        ) AS checkpoint_exists,
        $8::text IS NULL OR launch_id IS NOT DISTINCT FROM $8 AS launch_is_open,
        -- By the locked row: an earlier run may just have saved what is not visible here.
        run_epoch = 0 AND NOT EXISTS (
            SELECT FROM checkpoints AS c WHERE c.instance_id = instances.instance_id
        ) AS is_blank,
        -- A process that names no launch is not the open launch's process, and closes that launch.
        $8 IS NULL
        AND launch_id IS NOT NULL
        AND (launch_sends_id OR run_epoch > coalesce(ended_run, 0)) AS takes_over,
        launch_id,
        CASE WHEN run_epoch > coalesce(ended_run, 0) THEN run_epoch END AS launch_run
    FROM instances
    WHERE instance_id = $1
    FOR NO KEY UPDATE
),
begun AS (
    UPDATE instances AS i
    SET status = $7::text::instance_status,
        run_epoch = i.run_epoch + 1,
        started_at = coalesce(i.started_at, $6),
        last_activity_at = greatest(i.last_activity_at, $6),
        -- The name it was started by is kept: its image's code may have another name.
        workflow = coalesce(i.workflow, $9::text),
        code_version = coalesce($10::text, i.code_version),
        launch_id = CASE WHEN found.takes_over THEN NULL ELSE i.launch_id END,
        error = NULL,
        blocked_signal_at = NULL,
        -- include: clear_wake
    FROM found
    WHERE i.instance_id = found.instance_id
        AND found.tenant_id = $2
        AND found.checkpoint_exists
        AND found.launch_is_open
        AND $4::bigint IS NULL
        AND found.state = ANY ($5::text[])
    RETURNING i.instance_id, i.run_epoch
),
superseded AS (
    UPDATE launches AS l
    SET closed_at = $6,
        cause = 'superseded',
        run = found.launch_run
    FROM found
    JOIN begun ON begun.instance_id = found.instance_id
    WHERE found.takes_over AND l.launch_id = found.launch_id AND l.closed_at IS NULL
),
created AS (
    INSERT INTO instances (
        instance_id,
        tenant_id,
        status,
        run_epoch,
        created_at,
        started_at,
        last_activity_at,
        workflow,
        code_version
    )
    SELECT $1, $2, $7::instance_status, 1, $6, $6, $6, $9, $10
    WHERE NOT EXISTS (SELECT FROM found) AND $3 IS NULL AND $4 IS NULL AND $8 IS NULL
    ON CONFLICT (instance_id) DO NOTHING
    RETURNING instance_id, run_epoch
),
settled AS (
    UPDATE pending_signals AS s
    SET acknowledged_at = $6
    FROM begun
    WHERE s.instance_id = begun.instance_id
        AND s.signal_type = 'resume'
        AND s.acknowledged_at IS NULL
),
runs AS (
    SELECT * FROM begun
    UNION ALL
    SELECT * FROM created
),
started AS (
    INSERT INTO instance_events (instance_id, event_type, created_at, payload)
    SELECT instance_id, 'started', $6, ''
    FROM runs
)
SELECT
    found.tenant_id,
    found.state,
    found.run_epoch,
    found.input,
    found.checkpoint_exists,
    found.launch_is_open,
    found.is_blank,
    s.signal_type::text AS signal_type,
    s.payload,
    (SELECT run_epoch FROM runs) AS new_run
FROM (VALUES (1)) AS always (one)
LEFT JOIN found ON TRUE
LEFT JOIN pending_signals AS s
    ON s.instance_id = found.instance_id
    AND s.acknowledged_at IS NULL
    AND s.signal_type <> 'resume';

-- name: mark_active
WITH heard AS (
    SELECT * FROM unnest($1::text[], $2::bigint[]) AS h (instance_id, run)
),
found AS MATERIALIZED (
    SELECT i.instance_id
    FROM instances AS i
    JOIN heard ON heard.instance_id = i.instance_id
    WHERE i.status IN ('pending', 'running', 'suspended')
        AND (heard.run IS NULL OR heard.run >= i.run_epoch)
        AND (i.last_activity_at IS NULL OR i.last_activity_at < $3)
    FOR NO KEY UPDATE OF i SKIP LOCKED
),
touched AS (
    UPDATE instances AS i
    SET last_activity_at = $3
    FROM found
    WHERE i.instance_id = found.instance_id
)
SELECT i.instance_id
FROM instances AS i
JOIN heard ON heard.instance_id = i.instance_id
WHERE i.status IN ('pending', 'running', 'suspended')
    AND (heard.run IS NULL OR heard.run >= i.run_epoch)
    AND (i.last_activity_at IS NULL OR i.last_activity_at < $3)
    AND i.instance_id NOT IN (SELECT found.instance_id FROM found);

-- name: report
WITH
-- include: found,
said AS (
    UPDATE instances AS i
    SET waits = coalesce($4::text, i.waits),
        progress = coalesce($5::bytea, i.progress),
        last_activity_at = greatest(i.last_activity_at, $6)
    FROM found
    WHERE i.instance_id = found.instance_id
        AND found.state = ANY ($3::text[])
        AND ($2::bigint IS NULL OR $2 >= found.run_epoch)
)
SELECT state, run_epoch
FROM found;

-- name: start_child
WITH found AS MATERIALIZED (
    SELECT
        instance_id,
        tenant_id,
        -- include: state,
        run_epoch,
        workflow,
        image_id,
        env
    FROM instances
    WHERE instance_id = $1
    FOR NO KEY UPDATE
),
created AS (
    INSERT INTO instances (
        instance_id, tenant_id, parent_id, workflow, image_id, env, input, created_at
    )
    SELECT
        $4,
        tenant_id,
        CASE WHEN NOT $8::boolean THEN instance_id END,
        CASE WHEN $8::boolean THEN coalesce(workflow, $5::text) ELSE $5::text END,
        -- A successor runs its predecessor's code.
        CASE WHEN $8::boolean THEN image_id END,
        CASE WHEN $8::boolean THEN env END,
        $6,
        $7
    FROM found
    WHERE state = ANY ($3::text[]) AND ($2::bigint IS NULL OR $2 >= run_epoch)
    ON CONFLICT (instance_id) DO NOTHING
    RETURNING instance_id
)
SELECT
    found.state,
    found.run_epoch,
    EXISTS (SELECT FROM created) AS is_created,
    known.instance_id IS NOT NULL AS is_known,
    -- An older server may have stored the successor as a child.
    known.tenant_id = found.tenant_id AND (
        known.parent_id IS NOT DISTINCT FROM found.instance_id
        OR ($8::boolean AND known.parent_id IS NULL)
    ) AS has_same_parent,
    known.workflow IN ($5::text, CASE WHEN $8::boolean THEN found.workflow END)
        AS has_same_workflow,
    known.input IS NOT DISTINCT FROM $6 AS has_same_input
FROM found
LEFT JOIN instances AS known ON known.instance_id = $4;

-- name: finish
WITH
-- include: parent,
-- include: found_after_parent,
moved AS (
    UPDATE instances AS i
    SET status = $4::text::instance_status,
        output = $5,
        error = $6,
        stderr = $7,
        memory_peak_bytes = $8,
        cpu_usage_usec = $9,
        finished_at = $10,
        -- include: clear_wake
    FROM found
    WHERE i.instance_id = found.instance_id
        AND found.state = ANY ($3::text[])
        AND ($2::bigint IS NULL OR $2 >= found.run_epoch)
),
heard AS (
    INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id, payload, created_at)
    SELECT parent.instance_id, $11::text, $12::bytea, $10
    FROM parent, found
    WHERE parent.is_open AND found.state = ANY ($3::text[])
        AND ($2::bigint IS NULL OR $2 >= found.run_epoch)
    ON CONFLICT (instance_id, checkpoint_id) DO NOTHING
    RETURNING instance_id, created_at
),
-- include: made_due
SELECT state, run_epoch
FROM found;

-- name: block
WITH
-- include: found,
told AS MATERIALIZED (
    SELECT s.created_at
    FROM found
    JOIN pending_signals AS s ON s.instance_id = found.instance_id
    WHERE s.acknowledged_at IS NULL
    -- The lock reads the row as it is now, not as it was when the statement began.
    FOR NO KEY UPDATE OF s
),
moved AS (
    UPDATE instances AS i
    SET status = $5::text::instance_status,
        error = $4::text,
        -- If the instance was blocked before, the signals since then still count.
        blocked_signal_at = CASE
            WHEN found.state = 'paused' AND i.error IS NOT NULL THEN i.blocked_signal_at
            ELSE (SELECT created_at FROM told)
        END,
        -- include: clear_wake
    FROM found
    WHERE i.instance_id = found.instance_id
        AND found.state = ANY ($3::text[])
        AND ($2::bigint IS NULL OR $2 >= found.run_epoch)
)
SELECT state, run_epoch
FROM found;

-- name: prune
WITH oldest AS MATERIALIZED (
    SELECT instance_id
    FROM instances
    WHERE finished_at < $1
        AND status IN ('completed', 'failed', 'cancelled')
        AND NOT EXISTS (
            SELECT FROM instances AS p
            WHERE p.instance_id = instances.parent_id
                AND p.status IN ('pending', 'running', 'suspended')
        )
    ORDER BY finished_at
    LIMIT $2
    -- Other deletions may run at the same time: each takes rows that no other has locked.
    FOR UPDATE SKIP LOCKED
),
-- An array: the planner does not know how few rows the limit gives, and would read whole tables.
ids AS MATERIALIZED (
    SELECT ARRAY(SELECT instance_id FROM oldest) AS these
),
old_checkpoints AS MATERIALIZED (
    SELECT id FROM checkpoints WHERE instance_id = ANY ((SELECT these FROM ids)::text[]) LIMIT $3
),
old_events AS MATERIALIZED (
    SELECT id FROM instance_events
    WHERE instance_id = ANY ((SELECT these FROM ids)::text[]) LIMIT $3
),
old_signals AS MATERIALIZED (
    SELECT id FROM pending_checkpoint_signals
    WHERE instance_id = ANY ((SELECT these FROM ids)::text[]) LIMIT $3
),
checkpoints_gone AS (
    DELETE FROM checkpoints WHERE id = ANY (ARRAY(SELECT id FROM old_checkpoints))
),
events_gone AS (
    DELETE FROM instance_events WHERE id = ANY (ARRAY(SELECT id FROM old_events))
),
signals_gone AS (
    DELETE FROM pending_checkpoint_signals WHERE id = ANY (ARRAY(SELECT id FROM old_signals))
),
gone AS (
    DELETE FROM instances
    WHERE instance_id = ANY ((SELECT these FROM ids)::text[])
        AND (SELECT count(*) FROM old_checkpoints) < $3
        AND (SELECT count(*) FROM old_events) < $3
        AND (SELECT count(*) FROM old_signals) < $3
    RETURNING instance_id
),
-- These rows have no foreign key to their instance.
associations_gone AS (
    DELETE FROM instance_images AS a
    USING gone
    WHERE a.instance_id = gone.instance_id
)
SELECT
    (SELECT count(*) FROM oldest) AS found,
    (SELECT count(*) FROM gone) AS gone;

-- name: page.any
SELECT
    -- include: summary
FROM instances
WHERE created_at <= coalesce($1::timestamptz, 'infinity')
    AND ($1 IS NULL OR created_at < $1 OR instance_id COLLATE "C" > $2::text)
ORDER BY created_at DESC, instance_id COLLATE "C"
LIMIT $3;

-- name: page.of_tenant
SELECT
    -- include: summary
FROM instances
WHERE tenant_id = $4
-- include: newest_first;

-- name: page.in_status
SELECT
    -- include: summary
FROM instances
WHERE status = $4::text::instance_status
-- include: newest_first;

-- name: page.of_tenant_in_status
SELECT
    -- include: summary
FROM instances
WHERE tenant_id = $4
    AND status = $5::text::instance_status
-- include: newest_first;

-- name: page.of_workflow
SELECT
    -- include: summary
FROM instances
WHERE workflow = $6::text
    AND ($4::text IS NULL OR tenant_id = $4)
    AND ($5::text IS NULL OR status = $5::text::instance_status)
-- include: newest_first;

-- name: page.blocked
SELECT
    -- include: summary
FROM instances
WHERE status = 'suspended'
    AND sleep_until IS NULL
    AND error IS NOT NULL
    AND ($4::text IS NULL OR tenant_id = $4)
    AND ($5::text IS NULL OR status = $5::text::instance_status)
    AND ($6::text IS NULL OR workflow = $6)
-- include: newest_first;

-- name: page.of_parent
SELECT
    -- include: summary
FROM instances
WHERE parent_id = $7::text
    AND ($4::text IS NULL OR tenant_id = $4)
    AND ($5::text IS NULL OR status = $5::text::instance_status)
    AND ($6::text IS NULL OR workflow = $6)
    AND (NOT $8::boolean OR (status = 'suspended' AND sleep_until IS NULL AND error IS NOT NULL))
-- include: newest_first;

-- name: count.any
SELECT count(*)
FROM instances;

-- name: count.of_tenant
SELECT count(*)
FROM instances
WHERE tenant_id = $1;

-- name: count.in_status
SELECT count(*)
FROM instances
WHERE status = $1::text::instance_status;

-- name: count.of_tenant_in_status
SELECT count(*)
FROM instances
WHERE tenant_id = $1 AND status = $2::text::instance_status;

-- name: count.of_workflow
SELECT count(*)
FROM instances
WHERE workflow = $3::text
    AND ($1::text IS NULL OR tenant_id = $1)
    AND ($2::text IS NULL OR status = $2::text::instance_status);

-- name: count.blocked
SELECT count(*)
FROM instances
WHERE status = 'suspended'
    AND sleep_until IS NULL
    AND error IS NOT NULL
    AND ($1::text IS NULL OR tenant_id = $1)
    AND ($2::text IS NULL OR status = $2::text::instance_status)
    AND ($3::text IS NULL OR workflow = $3);

-- name: count.of_parent
SELECT count(*)
FROM instances
WHERE parent_id = $4::text
    AND ($1::text IS NULL OR tenant_id = $1)
    AND ($2::text IS NULL OR status = $2::text::instance_status)
    AND ($3::text IS NULL OR workflow = $3)
    AND (NOT $5::boolean OR (status = 'suspended' AND sleep_until IS NULL AND error IS NOT NULL));
