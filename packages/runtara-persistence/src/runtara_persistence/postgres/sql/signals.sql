-- name: pending
SELECT
    -- include: state_of_i,
    i.run_epoch,
    s.signal_type::text AS signal_type,
    s.payload,
    p.checkpoint_ids,
    p.payloads
FROM instances AS i
LEFT JOIN pending_signals AS s ON s.instance_id = i.instance_id AND s.acknowledged_at IS NULL
CROSS JOIN (
    SELECT
        array_agg(checkpoint_id ORDER BY id) AS checkpoint_ids,
        array_agg(payload ORDER BY id) AS payloads
    FROM (
        SELECT
            id,
            checkpoint_id,
            payload,
            row_number() OVER sent = 1
            OR coalesce(sum(octet_length(payload)) OVER sent, 0) <= $3::bigint AS fits
        FROM pending_checkpoint_signals
        WHERE instance_id = $1 AND checkpoint_id = ANY ($2::text[])
        WINDOW sent AS (ORDER BY id)
    ) AS named
    WHERE fits
) AS p
WHERE i.instance_id = $1;

-- name: acknowledge
WITH
-- include: parent,
-- include: found_after_parent,
told AS MATERIALIZED (
    SELECT s.instance_id
    FROM found
    JOIN pending_signals AS s ON s.instance_id = found.instance_id
    WHERE s.acknowledged_at IS NULL AND s.signal_type = $3::text::signal_type
    -- The lock reads the row as it is now, not as it was when the statement began.
    FOR NO KEY UPDATE OF s
),
settled AS MATERIALIZED (
    SELECT found.instance_id, found.state, moves.after
    FROM found
    JOIN told ON told.instance_id = found.instance_id
    JOIN unnest($4::text[], $5::text[]) AS moves (state, after) ON moves.state = found.state
    WHERE $2::bigint IS NULL OR $2 >= found.run_epoch
),
acknowledged AS (
    UPDATE pending_signals AS s
    SET acknowledged_at = $6
    FROM settled
    WHERE s.instance_id = settled.instance_id
),
moved AS (
    UPDATE instances AS i
    SET last_activity_at = greatest(i.last_activity_at, $6),
        status = CASE
            WHEN after IN ('paused', 'asleep') THEN 'suspended'
            ELSE after::instance_status
        END,
        finished_at = CASE WHEN after = 'cancelled' THEN $6 ELSE i.finished_at END,
        waits = CASE WHEN after = state THEN i.waits END,
        sleep_until = CASE WHEN after = state THEN i.sleep_until END,
        wake_claim_until = CASE WHEN after = state THEN i.wake_claim_until END,
        wake_claim_by = CASE WHEN after = state THEN i.wake_claim_by END
    FROM settled
    WHERE i.instance_id = settled.instance_id
),
heard AS (
    INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id, payload, created_at)
    SELECT parent.instance_id, $7::text, $8::bytea, $6
    FROM parent, settled
    WHERE parent.is_open AND settled.after = 'cancelled'
    ON CONFLICT (instance_id, checkpoint_id) DO NOTHING
    RETURNING instance_id, created_at
),
-- include: made_due
SELECT found.state, found.run_epoch, settled.after
FROM found
LEFT JOIN settled ON TRUE;

-- name: send
WITH
-- include: parent,
found AS MATERIALIZED (
    SELECT
        instance_id,
        -- include: state,
        run_epoch,
        blocked_signal_at
    FROM instances
    -- include: found_parent_first
),
unblocked AS (
    UPDATE instances AS i
    SET blocked_signal_at = NULL
    FROM found
    WHERE i.instance_id = found.instance_id
        AND found.blocked_signal_at IS NOT NULL
        AND found.state = 'paused'
        AND found.state = ANY ($2::text[])
        AND $3::text <> 'pause'
),
put AS (
    INSERT INTO pending_signals AS s (
        instance_id, signal_type, payload, created_at, acknowledged_at
    )
    SELECT
        instance_id,
        $3::text::signal_type,
        $4,
        $5::timestamptz,
        CASE WHEN $3 = 'cancel' AND state = 'pending' THEN $5 END
    FROM found
    WHERE state = ANY ($2::text[])
    ON CONFLICT (instance_id) DO UPDATE
    SET signal_type = excluded.signal_type,
        payload = excluded.payload,
        created_at = excluded.created_at,
        acknowledged_at = excluded.acknowledged_at
    WHERE s.acknowledged_at IS NOT NULL OR s.signal_type::text = ANY ($6::text[])
    RETURNING instance_id, acknowledged_at
),
moved AS (
    UPDATE instances AS i
    SET status = 'cancelled',
        finished_at = put.acknowledged_at,
        -- include: clear_wake
    FROM put
    WHERE i.instance_id = put.instance_id AND put.acknowledged_at IS NOT NULL
),
heard AS (
    INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id, payload, created_at)
    SELECT parent.instance_id, $7::text, $8::bytea, $5
    FROM parent, put
    WHERE parent.is_open AND put.acknowledged_at IS NOT NULL
    ON CONFLICT (instance_id, checkpoint_id) DO NOTHING
    RETURNING instance_id, created_at
),
-- include: made_due
SELECT state, run_epoch, EXISTS (SELECT FROM put) AS stands
FROM found;

-- name: send_custom
WITH found AS MATERIALIZED (
    SELECT
        instance_id,
        -- include: state,
        run_epoch,
        waits
    FROM instances
    WHERE instance_id = $1
    FOR NO KEY UPDATE
),
put AS (
    INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id, payload, created_at)
    SELECT instance_id, $3, $4, $5
    FROM found
    WHERE state = ANY ($2::text[])
    ON CONFLICT (instance_id, checkpoint_id) DO NOTHING
    RETURNING instance_id
),
made_due AS (
    UPDATE instances AS i
    SET sleep_until = least(i.sleep_until, $5)
    FROM found
    JOIN put ON put.instance_id = found.instance_id
    -- By the locked row: an instance that just fell asleep is awake in this statement's snapshot.
    WHERE i.instance_id = found.instance_id AND found.state = 'asleep'
)
SELECT state, run_epoch, EXISTS (SELECT FROM put) AS stands, waits
FROM found;
