-- Tell environments that they may launch an instance, whoever made it so: triggers that only notify.
--
-- Commits that notify wait for each other. So nothing is told that can't be launched within 15
-- seconds: environments ask at least every 10 when something becomes due. A saved checkpoint, a
-- sleep that is held and the renewal of its claim notify of nothing. The payload is empty: what one
-- transaction makes launchable, however much, is told once.

CREATE FUNCTION runtara_notify_of_launchable() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('runtara_launchable', '');
    RETURN NULL;
END
$$;

-- Paused, an instance is launched only for a cancel or a resume that came after it blocked, if so.
CREATE FUNCTION runtara_notify_of_paused() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('runtara_launchable', '')
    FROM pending_signals AS s
    WHERE s.instance_id = NEW.instance_id
        AND s.acknowledged_at IS NULL
        AND s.signal_type IN ('cancel', 'resume')
        AND s.created_at IS DISTINCT FROM NEW.blocked_signal_at;
    RETURN NULL;
END
$$;

CREATE TRIGGER runtara_notify_of_put_in
AFTER INSERT ON instances
FOR EACH ROW WHEN (NEW.launch_id IS NULL AND NEW.status IN ('pending', 'suspended'))
EXECUTE FUNCTION runtara_notify_of_launchable();

CREATE TRIGGER runtara_notify_of_launchable
AFTER UPDATE OF status, sleep_until, wake_claim_until, wake_claim_by, launch_id ON instances
FOR EACH ROW WHEN (
    -- Pending, or without the launch it had.
    (NEW.status = 'pending' AND OLD.status <> 'pending' AND NEW.launch_id IS NULL)
    OR (
        NEW.status IN ('pending', 'running', 'suspended')
        AND NEW.launch_id IS NULL
        AND OLD.launch_id IS NOT NULL
    )
    -- Asleep, soon over, and soon claimed by nobody.
    OR (
        NEW.status = 'suspended'
        AND NEW.sleep_until < now() + INTERVAL '15 seconds'
        AND (
            NEW.wake_claim_by IS NULL
            OR NEW.wake_claim_until IS NULL
            OR NEW.wake_claim_until < now() + INTERVAL '15 seconds'
        )
        AND (OLD.status, OLD.sleep_until, OLD.wake_claim_until, OLD.wake_claim_by)
            IS DISTINCT FROM
            (NEW.status, NEW.sleep_until, NEW.wake_claim_until, NEW.wake_claim_by)
    )
)
EXECUTE FUNCTION runtara_notify_of_launchable();

CREATE TRIGGER runtara_notify_of_paused
AFTER UPDATE OF status, sleep_until, wake_claim_until, wake_claim_by, blocked_signal_at
ON instances
FOR EACH ROW WHEN (
    NEW.status = 'suspended'
    AND NEW.sleep_until IS NULL
    AND (
        OLD.status,
        OLD.sleep_until,
        OLD.wake_claim_until,
        OLD.wake_claim_by,
        OLD.blocked_signal_at
    ) IS DISTINCT FROM (
        NEW.status,
        NEW.sleep_until,
        NEW.wake_claim_until,
        NEW.wake_claim_by,
        NEW.blocked_signal_at
    )
)
EXECUTE FUNCTION runtara_notify_of_paused();

CREATE TRIGGER runtara_notify_of_launchable
AFTER INSERT OR UPDATE ON pending_signals
FOR EACH ROW WHEN (NEW.acknowledged_at IS NULL AND NEW.signal_type IN ('cancel', 'resume'))
EXECUTE FUNCTION runtara_notify_of_launchable();
