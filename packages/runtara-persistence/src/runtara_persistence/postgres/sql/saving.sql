-- name: save.alone
WITH
-- include: found_admitted,
-- include: saved_and_told;

-- name: save.unless_held
WITH
-- include: found_admitted_unless_held,
-- include: saved_and_told;

-- name: save.together
WITH asked AS MATERIALIZED (
    SELECT *
    FROM unnest(
        $1::text[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::timestamptz[]
    ) WITH ORDINALITY AS a (instance_id, run, states, checkpoint_id, state, at, place)
),
found AS MATERIALIZED (
    SELECT
        instance_id,
        -- include: state,
        run_epoch
    FROM instances
    WHERE instance_id = ANY ($1)
    ORDER BY instance_id
    -- A row that another step has locked would delay the others: its checkpoint is saved alone.
    FOR NO KEY UPDATE SKIP LOCKED
),
admitted AS MATERIALIZED (
    SELECT asked.*, found.state AS before
    FROM asked
    JOIN found ON found.instance_id = asked.instance_id
    WHERE found.state = ANY (string_to_array(asked.states, ','))
        AND (asked.run IS NULL OR asked.run >= found.run_epoch)
),
kept AS MATERIALIZED (
    SELECT admitted.place, c.state
    FROM admitted
    JOIN checkpoints AS c
        ON c.instance_id = admitted.instance_id AND c.checkpoint_id = admitted.checkpoint_id
    WHERE c.is_retry_attempt IS NOT TRUE
),
saved AS (
    INSERT INTO checkpoints (instance_id, checkpoint_id, state, created_at)
    SELECT instance_id, checkpoint_id, state, at
    FROM admitted
    WHERE NOT EXISTS (SELECT FROM kept WHERE kept.place = admitted.place)
    ORDER BY place
    ON CONFLICT (instance_id, checkpoint_id) DO NOTHING
    RETURNING id, instance_id, checkpoint_id, created_at
),
newest AS (
    SELECT DISTINCT ON (instance_id) instance_id, checkpoint_id, created_at
    FROM saved
    ORDER BY instance_id, id DESC
),
moved AS (
    UPDATE instances AS i
    SET checkpoint_id = newest.checkpoint_id,
        last_activity_at = greatest(i.last_activity_at, newest.created_at)
    FROM newest
    JOIN found ON found.instance_id = newest.instance_id
    WHERE i.instance_id = newest.instance_id AND found.state <> 'asleep'
),
woken AS (
    UPDATE instances AS i
    SET checkpoint_id = coalesce(newest.checkpoint_id, i.checkpoint_id),
        last_activity_at = greatest(i.last_activity_at, newest.created_at),
        status = $7::text::instance_status,
        -- include: clear_wake
    FROM (SELECT DISTINCT instance_id FROM admitted WHERE before = 'asleep') AS asleep
    LEFT JOIN newest ON newest.instance_id = asleep.instance_id
    WHERE i.instance_id = asleep.instance_id
)
SELECT
    found.state,
    found.run_epoch,
    found.instance_id IS NULL
        AND EXISTS (SELECT FROM instances AS i WHERE i.instance_id = asked.instance_id)
        AS is_held,
    admitted.place IS NOT NULL AS is_admitted,
    saved.id IS NOT NULL AS is_fresh,
    kept.place IS NOT NULL AS is_found,
    CASE WHEN octet_length(kept.state) <= $8::int THEN kept.state END AS kept,
    s.signal_type::text AS signal_type,
    s.payload,
    p.id IS NOT NULL AS has_custom_signal,
    p.payload AS custom_signal
FROM asked
LEFT JOIN found ON found.instance_id = asked.instance_id
LEFT JOIN admitted ON admitted.place = asked.place
LEFT JOIN saved
    ON saved.instance_id = asked.instance_id AND saved.checkpoint_id = asked.checkpoint_id
LEFT JOIN kept ON kept.place = asked.place
LEFT JOIN pending_signals AS s
    ON s.instance_id = admitted.instance_id AND s.acknowledged_at IS NULL
LEFT JOIN pending_checkpoint_signals AS p
    ON p.instance_id = admitted.instance_id AND p.checkpoint_id = admitted.checkpoint_id
ORDER BY asked.place;
