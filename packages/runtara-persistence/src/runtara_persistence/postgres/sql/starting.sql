-- name: start
WITH found AS MATERIALIZED (
    SELECT *, state = ANY ($3::text[]) AND ($2::bigint IS NULL OR $2 >= run_epoch) AS is_admitted
    FROM (
        SELECT
            instance_id,
            tenant_id,
            -- include: state,
            run_epoch
        FROM instances
        WHERE instance_id = $1
        FOR NO KEY UPDATE
    ) AS locked
),
asked AS MATERIALIZED (
    SELECT *
    FROM unnest($4::text[], $5::text[], $6::bytea[])
        WITH ORDINALITY AS a (child_id, workflow, input, place)
),
known AS MATERIALIZED (
    SELECT
        asked.place,
        i.tenant_id = found.tenant_id AND i.parent_id IS NOT DISTINCT FROM found.instance_id
            AS has_same_parent,
        i.workflow IS NOT DISTINCT FROM asked.workflow AS has_same_workflow,
        i.input IS NOT DISTINCT FROM asked.input AS has_same_input
    FROM found
    CROSS JOIN asked
    JOIN instances AS i ON i.instance_id = asked.child_id
    WHERE found.is_admitted
),
refused AS MATERIALIZED (
    SELECT *
    FROM known
    WHERE NOT (has_same_parent AND has_same_workflow AND has_same_input)
    ORDER BY place
    LIMIT 1
),
-- All or nothing. A row that is not visible yet makes the statement fail: then, too, it stores
-- nothing.
admitted AS MATERIALIZED (
    SELECT *
    FROM found
    WHERE is_admitted AND NOT EXISTS (SELECT FROM refused)
),
created AS (
    INSERT INTO instances (instance_id, tenant_id, parent_id, workflow, input, created_at)
    SELECT asked.child_id, admitted.tenant_id, admitted.instance_id, workflow, input, $9
    FROM admitted
    CROSS JOIN asked
    WHERE NOT EXISTS (SELECT FROM known WHERE known.place = asked.place)
    -- In one order, so that two statements that insert the same rows don't wait for each other.
    ORDER BY asked.child_id
    RETURNING instance_id
),
written AS MATERIALIZED (
    SELECT w.*, admitted.instance_id
    FROM admitted
    CROSS JOIN unnest($7::text[], $8::bytea[]) WITH ORDINALITY AS w (checkpoint_id, state, place)
),
kept AS MATERIALIZED (
    SELECT written.place, c.state
    FROM written
    JOIN checkpoints AS c
        ON c.instance_id = written.instance_id AND c.checkpoint_id = written.checkpoint_id
    WHERE c.is_retry_attempt IS NOT TRUE
),
saved AS (
    INSERT INTO checkpoints (instance_id, checkpoint_id, state, created_at)
    SELECT instance_id, checkpoint_id, state, $9
    FROM written
    WHERE NOT EXISTS (SELECT FROM kept WHERE kept.place = written.place)
    ORDER BY place
    RETURNING id, checkpoint_id
),
newest AS (
    SELECT checkpoint_id
    FROM saved
    ORDER BY id DESC
    LIMIT 1
),
moved AS (
    UPDATE instances AS i
    SET checkpoint_id = newest.checkpoint_id,
        last_activity_at = greatest(i.last_activity_at, $9)
    FROM newest
    CROSS JOIN admitted
    WHERE i.instance_id = admitted.instance_id AND admitted.state <> 'asleep'
),
-- A statement of its own, because triggers run for each row of one that names these columns.
woken AS (
    UPDATE instances AS i
    SET checkpoint_id = coalesce(newest.checkpoint_id, i.checkpoint_id),
        last_activity_at = CASE
            WHEN newest.checkpoint_id IS NULL THEN i.last_activity_at
            ELSE greatest(i.last_activity_at, $9)
        END,
        status = $10::text::instance_status,
        -- include: clear_wake
    FROM admitted
    LEFT JOIN newest ON true
    WHERE i.instance_id = admitted.instance_id
        AND admitted.state = 'asleep'
        AND cardinality($7::text[]) > 0
)
SELECT
    found.state,
    found.run_epoch,
    found.is_admitted,
    refused.place AS refused,
    refused.has_same_parent,
    refused.has_same_workflow,
    refused.has_same_input,
    ARRAY(
        SELECT asked.place FROM asked JOIN created ON created.instance_id = asked.child_id
    ) AS created,
    ARRAY(SELECT place FROM kept ORDER BY place) AS kept_places,
    -- PostgreSQL knows the size of a large value without reading it.
    ARRAY(
        SELECT CASE WHEN octet_length(state) <= $11::int THEN state END FROM kept ORDER BY place
    ) AS kept_states,
    s.signal_type::text AS signal_type,
    s.payload
FROM found
LEFT JOIN refused ON true
LEFT JOIN pending_signals AS s
    ON s.instance_id = found.instance_id AND s.acknowledged_at IS NULL AND found.is_admitted;
