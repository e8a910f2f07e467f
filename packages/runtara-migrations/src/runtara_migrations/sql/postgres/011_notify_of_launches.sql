-- Tell environments also of back-off that is over or taken back, of stops, and of places that are
-- free again: triggers that only notify.
--
-- As before nothing is told that can't be launched within 15 seconds, so a long back-off or delay
-- notifies of nothing.

DROP TRIGGER runtara_notify_of_put_in ON instances;
CREATE TRIGGER runtara_notify_of_put_in
AFTER INSERT ON instances
FOR EACH ROW WHEN (
    NEW.launch_id IS NULL
    AND NEW.status IN ('pending', 'suspended')
    AND (NEW.launch_after IS NULL OR NEW.launch_after < now() + INTERVAL '15 seconds')
)
EXECUTE FUNCTION runtara_notify_of_launchable();

DROP TRIGGER runtara_notify_of_launchable ON instances;
CREATE TRIGGER runtara_notify_of_launchable
AFTER UPDATE OF
    status,
    sleep_until,
    wake_claim_until,
    wake_claim_by,
    launch_id,
    launch_after,
    image_id,
    stop_at
ON instances
FOR EACH ROW WHEN (
    (
        NEW.launch_id IS NULL
        AND (NEW.launch_after IS NULL OR NEW.launch_after < now() + INTERVAL '15 seconds')
        AND (
            -- Pending, or without the launch it had, or launched sooner, or by another image.
            (NEW.status = 'pending' AND OLD.status <> 'pending')
            OR (
                NEW.status IN ('pending', 'running', 'suspended')
                AND (
                    OLD.launch_id IS NOT NULL
                    OR OLD.launch_after IS DISTINCT FROM NEW.launch_after
                    OR OLD.image_id IS DISTINCT FROM NEW.image_id
                )
            )
        )
    )
    -- Asleep, soon over, and soon claimed by nobody: with an open launch its environment must look.
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
    OR (NEW.stop_at IS NOT NULL AND OLD.stop_at IS DISTINCT FROM NEW.stop_at)
)
EXECUTE FUNCTION runtara_notify_of_launchable();

CREATE TRIGGER runtara_notify_of_free_place
AFTER UPDATE OF closed_at ON launches
FOR EACH ROW WHEN (OLD.closed_at IS NULL AND NEW.closed_at IS NOT NULL AND NEW.is_bounded)
EXECUTE FUNCTION runtara_notify_of_launchable();

CREATE TRIGGER runtara_notify_of_limit
AFTER INSERT OR UPDATE OR DELETE ON limits
FOR EACH STATEMENT
EXECUTE FUNCTION runtara_notify_of_launchable();

CREATE TRIGGER runtara_notify_of_release
AFTER DELETE ON holds
FOR EACH STATEMENT
EXECUTE FUNCTION runtara_notify_of_launchable();
