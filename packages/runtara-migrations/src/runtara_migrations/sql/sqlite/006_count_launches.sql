-- Count also back-off that is over or taken back, stops, and places that are free again.
--
-- As before nothing is counted that can't be launched within 15 seconds.

DROP TRIGGER runtara_count_put_in;
CREATE TRIGGER runtara_count_put_in
AFTER INSERT ON instances
WHEN NEW.launch_id IS NULL
    AND NEW.status IN ('pending', 'suspended')
    AND (NEW.launch_after IS NULL OR NEW.launch_after < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+15 seconds'))
BEGIN
    UPDATE launchable_changes SET changes = changes + 1;
END;

DROP TRIGGER runtara_count_launchable;
CREATE TRIGGER runtara_count_launchable
AFTER UPDATE OF
    status,
    sleep_until,
    wake_claim_until,
    wake_claim_by,
    blocked_signal_at,
    launch_id,
    launch_after,
    image_id,
    stop_at
ON instances
WHEN NEW.status IN ('pending', 'running', 'suspended')
    AND (
        (
            NEW.launch_id IS NULL
            AND (NEW.launch_after IS NULL OR NEW.launch_after < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+15 seconds'))
            -- Pending, or without the launch it had, or launched sooner, or by another image.
            AND (
                (NEW.status = 'pending' AND OLD.status <> 'pending')
                OR OLD.launch_id IS NOT NULL
                OR OLD.launch_after IS NOT NEW.launch_after
                OR OLD.image_id IS NOT NEW.image_id
            )
        )
        OR (NEW.stop_at IS NOT NULL AND OLD.stop_at IS NOT NEW.stop_at)
        OR (
            NEW.status = 'suspended'
            AND (
                OLD.status <> 'suspended'
                OR OLD.sleep_until IS NOT NEW.sleep_until
                OR OLD.wake_claim_until IS NOT NEW.wake_claim_until
                OR OLD.wake_claim_by IS NOT NEW.wake_claim_by
                OR OLD.blocked_signal_at IS NOT NEW.blocked_signal_at
            )
            AND CASE
                -- Paused, an instance is launched only for a cancel or a resume that came after
                -- it blocked, if so.
                WHEN NEW.sleep_until IS NULL
                THEN EXISTS (
                    SELECT 1 FROM pending_signals AS s
                    WHERE s.instance_id = NEW.instance_id
                        AND s.acknowledged_at IS NULL
                        AND s.signal_type IN ('cancel', 'resume')
                        AND s.created_at IS NOT NEW.blocked_signal_at
                )
                -- Asleep, soon over, and soon claimed by nobody.
                ELSE NEW.sleep_until < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+15 seconds')
                    AND (
                        NEW.wake_claim_by IS NULL
                        OR NEW.wake_claim_until IS NULL
                        OR NEW.wake_claim_until < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+15 seconds')
                    )
            END
        )
    )
BEGIN
    UPDATE launchable_changes SET changes = changes + 1;
END;

CREATE TRIGGER runtara_count_free_place
AFTER UPDATE OF closed_at ON launches
WHEN OLD.closed_at IS NULL AND NEW.closed_at IS NOT NULL AND NEW.is_bounded
BEGIN
    UPDATE launchable_changes SET changes = changes + 1;
END;

CREATE TRIGGER runtara_count_limit AFTER INSERT ON limits
BEGIN
    UPDATE launchable_changes SET changes = changes + 1;
END;
CREATE TRIGGER runtara_count_changed_limit AFTER UPDATE ON limits
BEGIN
    UPDATE launchable_changes SET changes = changes + 1;
END;
CREATE TRIGGER runtara_count_removed_limit AFTER DELETE ON limits
BEGIN
    UPDATE launchable_changes SET changes = changes + 1;
END;
CREATE TRIGGER runtara_count_release AFTER DELETE ON holds
BEGIN
    UPDATE launchable_changes SET changes = changes + 1;
END;
