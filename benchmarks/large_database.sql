-- A database of so many instances, with ten checkpoints each; in one transaction with a TRUNCATE,
-- and with wal_level minimal, so that nothing is written twice. `{count}` is filled in.

TRUNCATE instances CASCADE;
-- Foreign keys hold by construction: to look each up would take most of the time.
SET LOCAL session_replication_role = replica;
SET LOCAL maintenance_work_mem = '1GB';
SET LOCAL statement_timeout = 0;

-- Random ids; created one after another over the last 90 days, the states all mixed up.
INSERT INTO instances (
    instance_id, tenant_id, status, checkpoint_id, created_at, started_at, last_activity_at,
    finished_at, sleep_until, wake_claim_until, wake_claim_by, run_epoch, output
)
SELECT
    md5('i' || n)::uuid::text,
    'tenant-' || (200 * random() * random())::integer,
    CASE
        WHEN share < 4 THEN 'running'
        WHEN share < 6 THEN 'pending'
        WHEN share < 40 THEN 'suspended'
        WHEN share < 80 THEN 'failed'
        WHEN share < 90 THEN 'cancelled'
        ELSE 'completed'
    END::instance_status,
    'step-9',
    made,
    CASE WHEN share NOT IN (4, 5) THEN made END,
    CASE WHEN share NOT IN (4, 5) THEN made + interval '1 minute' END,
    CASE WHEN share >= 40 THEN made + interval '1 hour' END,
    -- Asleep, the others paused. A few of them are due.
    CASE WHEN share BETWEEN 10 AND 39 THEN now() + (random() - 0.01) * interval '10 days' END,
    CASE WHEN share = 10 THEN now() + interval '30 seconds' END,
    CASE WHEN share = 10 THEN 'server-' || n / 1000 % 4 END,
    CASE WHEN share IN (4, 5) THEN 0 ELSE 1 END,
    CASE WHEN share >= 90 THEN convert_to(md5(n::text), 'UTF8') END
FROM generate_series(1, {count}) AS n,
    LATERAL (SELECT n % 1000 AS share, now() - ({count} - n) * interval '90 days' / {count} AS made);

-- First steps first: an instance's rows are far apart.
INSERT INTO checkpoints (
    instance_id, checkpoint_id, state, created_at, is_retry_attempt, attempt_number
)
SELECT
    md5('i' || m * 7919 % {count} + 1)::uuid::text,
    -- One in a hundred or so is the audit row of a retry attempt.
    'step-' || m / {count} || CASE WHEN m % 101 = 0 THEN '::retry::1' ELSE '' END,
    convert_to(repeat(md5(m::text), 6), 'UTF8'),
    now() - (10 * {count} - m) * interval '9 days' / {count},
    m % 101 = 0,
    CASE WHEN m % 101 = 0 THEN 1 END
FROM generate_series(0, 10::bigint * {count} - 1) AS m;

INSERT INTO instance_events (instance_id, event_type, payload, subtype, created_at)
SELECT
    md5('i' || m * 7919 % {count} + 1)::uuid::text,
    CASE m / {count} WHEN 0 THEN 'started' WHEN 1 THEN 'custom' ELSE 'completed' END
        ::instance_event_type,
    convert_to(md5(m::text), 'UTF8'),
    CASE m / {count} WHEN 1 THEN 'progress' END,
    now() - (3 * {count} - m) * interval '30 days' / {count}
FROM generate_series(0, 3::bigint * {count} - 1) AS m;

-- Told once, nearly all of them long ago.
INSERT INTO pending_signals (instance_id, signal_type, created_at, acknowledged_at)
SELECT
    md5('i' || n)::uuid::text,
    CASE n % 3 WHEN 0 THEN 'cancel' WHEN 1 THEN 'pause' ELSE 'resume' END::signal_type,
    now() - interval '1 day',
    CASE WHEN n % 500 <> 8 THEN now() END
FROM generate_series(1, {count}) AS n
WHERE n % 10 = 8;

INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id, payload)
SELECT md5('i' || n)::uuid::text, 'step-5', '\x01'
FROM generate_series(1, {count}) AS n
WHERE n % 10 = 3;
