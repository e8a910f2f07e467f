-- name: append
WITH asked AS MATERIALIZED (
    SELECT *
    FROM unnest(
        $1::text[],
        $2::bigint[],
        $3::text[],
        $4::text[],
        $5::text[],
        $6::text[],
        $7::timestamptz[],
        $8::bytea[]
    ) WITH ORDINALITY AS a (
        instance_id, run, states, event_type, checkpoint_id, subtype, created_at, payload, place
    )
),
found AS MATERIALIZED (
    SELECT
        instance_id,
        -- include: state,
        run_epoch
    FROM instances
    WHERE instance_id = ANY ($1)
    ORDER BY instance_id
    FOR NO KEY UPDATE
),
admitted AS MATERIALIZED (
    SELECT asked.*, found.state
    FROM asked
    JOIN found ON found.instance_id = asked.instance_id
    WHERE found.state = ANY (string_to_array(asked.states, ','))
        AND (asked.run IS NULL OR asked.run >= found.run_epoch)
),
added AS (
    INSERT INTO instance_events (
        instance_id, event_type, checkpoint_id, payload, subtype, created_at
    )
    SELECT
        instance_id, event_type::instance_event_type, checkpoint_id, payload, subtype, created_at
    FROM admitted
    ORDER BY place
),
touched AS (
    UPDATE instances AS i
    SET last_activity_at = greatest(i.last_activity_at, $9)
    FROM (
        SELECT DISTINCT instance_id
        FROM admitted
        WHERE state NOT IN ('completed', 'failed', 'cancelled')
    ) AS open
    WHERE i.instance_id = open.instance_id
)
SELECT found.state, found.run_epoch, admitted.place IS NOT NULL AS is_admitted
FROM asked
LEFT JOIN found ON found.instance_id = asked.instance_id
LEFT JOIN admitted ON admitted.place = asked.place
ORDER BY asked.place;

-- name: end
WITH
-- include: parent,
found AS MATERIALIZED (
    SELECT
        *,
        is_current AND state = $4::text AND is_same AS is_repeated,
        is_current
        AND state = ANY ($3::text[])
        AND NOT (state = $4 AND is_same)
        -- A caller without a run number must be from before the instance was reopened.
        AND CASE
            WHEN $2 IS NULL AND state = 'asleep'
            -- The event is not visible here if the instance was reopened while this waited.
            THEN run_epoch <> (SELECT i.run_epoch FROM instances AS i WHERE i.instance_id = $1)
            OR (
                SELECT e.subtype IS NOT DISTINCT FROM $15::text
                FROM instance_events AS e
                WHERE e.instance_id = $1 AND (e.event_type = 'started' OR e.subtype = $15)
                ORDER BY e.id DESC
                LIMIT 1
            )
        END IS NOT TRUE AS is_admitted
    FROM (
        SELECT
            instance_id,
            -- include: state,
            run_epoch,
            launch_id,
            launch_count,
            launch_id IS NOT NULL AND run_epoch > coalesce(ended_run, 0) AS has_open_launch,
            $2::bigint IS NULL OR $2 >= run_epoch AS is_current,
            output IS NOT DISTINCT FROM $5::bytea AND error IS NOT DISTINCT FROM $6::text
                AS is_same
        FROM instances
        -- include: found_parent_first
    ) AS locked
),
added AS (
    INSERT INTO instance_events (
        instance_id, event_type, checkpoint_id, payload, subtype, created_at
    )
    SELECT instance_id, $8::text::instance_event_type, $9, $10, $11, $12
    FROM found
    WHERE is_admitted
),
-- The run has a launch id, so its launch was visible when this statement began.
settled AS (
    UPDATE launches AS l
    SET closed_at = $7,
        run = found.run_epoch,
        cause = 'exited',
        exit_code = $16,
        verdict = 'nothing'
    FROM found
    WHERE $16::integer IS NOT NULL
        AND $2 IS NOT NULL
        AND found.is_admitted
        AND found.has_open_launch
        AND l.launch_id = found.launch_id
        AND l.runner = 'inline'
        AND l.closed_at IS NULL
    RETURNING l.instance_id, found.launch_count - $17::integer AS last_forgotten
),
-- include: forgotten_launches,
moved AS (
    UPDATE instances AS i
    SET status = $4::instance_status,
        output = $5,
        error = $6,
        finished_at = $7,
        last_activity_at = greatest(i.last_activity_at, $7),
        launch_id = CASE WHEN NOT EXISTS (SELECT FROM settled) THEN i.launch_id END,
        -- include: clear_wake
    FROM found
    WHERE i.instance_id = found.instance_id AND found.is_admitted
),
heard AS (
    INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id, payload, created_at)
    SELECT parent.instance_id, $13::text, $14::bytea, $7
    FROM parent, found
    WHERE parent.is_open AND found.is_admitted
    ON CONFLICT (instance_id, checkpoint_id) DO NOTHING
    RETURNING instance_id, created_at
),
-- include: made_due
SELECT
    state,
    run_epoch,
    is_repeated,
    is_admitted,
    $16 IS NOT NULL AND (NOT has_open_launch OR EXISTS (SELECT FROM settled)) AS is_launch_closed
FROM found;

-- name: suspend
WITH
-- include: parent,
-- include: found_after_parent,
told AS MATERIALIZED (
    SELECT s.signal_type::text AS signal_type, s.created_at
    FROM found
    JOIN pending_signals AS s ON s.instance_id = found.instance_id
    WHERE s.acknowledged_at IS NULL
    -- The lock reads the row as it is now, not as it was when the statement began.
    FOR NO KEY UPDATE OF s
),
settled AS MATERIALIZED (
    SELECT found.instance_id, found.state, moves.after, told.created_at AS told_at
    FROM found
    LEFT JOIN told ON TRUE
    JOIN unnest($3::text[], $4::text[], $5::text[]) AS moves (state, told, after)
        ON moves.state = found.state AND moves.told = coalesce(told.signal_type, '')
    WHERE $2::bigint IS NULL OR $2 >= found.run_epoch
),
added AS (
    INSERT INTO instance_events (
        instance_id, event_type, checkpoint_id, payload, subtype, created_at
    )
    SELECT instance_id, 'suspended', $7, $8, $9, $10
    FROM settled
),
acknowledged AS (
    UPDATE pending_signals AS s
    SET acknowledged_at = $6
    FROM settled
    WHERE s.instance_id = settled.instance_id
        AND s.signal_type IN ('cancel', 'pause')
        AND s.acknowledged_at IS NULL
        AND $13::text IS NULL
),
moved AS (
    UPDATE instances AS i
    SET last_activity_at = greatest(i.last_activity_at, $6),
        status = CASE
            WHEN after IN ('paused', 'asleep') THEN 'suspended'
            ELSE after::instance_status
        END,
        finished_at = CASE WHEN after = 'cancelled' THEN $6 ELSE i.finished_at END,
        error = coalesce($13, i.error),
        -- If the instance was blocked before, the signals since then still count.
        blocked_signal_at = CASE
            WHEN $13 IS NULL OR (state = 'paused' AND i.error IS NOT NULL)
            THEN i.blocked_signal_at
            ELSE told_at
        END,
        waits = CASE
            WHEN after = 'cancelled' THEN NULL
            WHEN after = state AND $13 IS NULL THEN coalesce($14::text, i.waits)
            ELSE $14
        END,
        sleep_until = CASE WHEN after = state THEN i.sleep_until END,
        wake_claim_until = CASE WHEN after = state AND $13 IS NULL THEN i.wake_claim_until END,
        wake_claim_by = CASE WHEN after = state AND $13 IS NULL THEN i.wake_claim_by END
    FROM settled
    WHERE i.instance_id = settled.instance_id
),
heard AS (
    INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id, payload, created_at)
    SELECT parent.instance_id, $11::text, $12::bytea, $6
    FROM parent, settled
    WHERE parent.is_open AND settled.after = 'cancelled'
    ON CONFLICT (instance_id, checkpoint_id) DO NOTHING
    RETURNING instance_id, created_at
),
-- include: made_due
SELECT found.state, found.run_epoch, settled.after
FROM found
LEFT JOIN settled ON TRUE;

-- name: suspend.ended_so
SELECT event_type = 'suspended' AND coalesce(payload, '') = $2 AS is_same
FROM instance_events
WHERE instance_id = $1
    AND event_type IN ('started', 'suspended')
    AND EXISTS (
        SELECT
        FROM pending_signals
        WHERE instance_id = $1 AND signal_type = 'cancel' AND acknowledged_at IS NOT NULL
    )
ORDER BY id DESC
LIMIT 1;

-- name: record_all.lock
-- Locks instances and their parents: ancestors first, by generation and then by id.
WITH RECURSIVE wanted (instance_id) AS (
    SELECT unnest($1::text[])
    UNION
    SELECT parent_id FROM instances WHERE instance_id = ANY ($1) AND parent_id IS NOT NULL
),
lineage (instance_id, ancestor_id) AS (
    SELECT i.instance_id, i.parent_id
    FROM wanted
    JOIN instances AS i ON i.instance_id = wanted.instance_id
    WHERE i.parent_id IS NOT NULL
    UNION
    SELECT lineage.instance_id, i.parent_id
    FROM lineage
    JOIN instances AS i ON i.instance_id = lineage.ancestor_id
    WHERE i.parent_id IS NOT NULL
),
ordered AS MATERIALIZED (
    SELECT wanted.instance_id, count(lineage.ancestor_id) AS generation
    FROM wanted
    LEFT JOIN lineage ON lineage.instance_id = wanted.instance_id
    GROUP BY wanted.instance_id
)
SELECT
FROM ordered
JOIN instances AS i ON i.instance_id = ordered.instance_id
ORDER BY ordered.generation, ordered.instance_id
FOR NO KEY UPDATE OF i;

-- name: page
SELECT
    id,
    instance_id,
    event_type::text AS event_type,
    coalesce(payload, '') AS payload,
    created_at,
    checkpoint_id,
    subtype
-- include: events_found
    AND id > $7::bigint
ORDER BY id
LIMIT $8
OFFSET $9;

-- name: count
SELECT count(*)
-- include: events_found;
