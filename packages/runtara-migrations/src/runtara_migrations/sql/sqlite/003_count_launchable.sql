-- Count what environments may launch, whoever made it so: whoever watches compares the number.
--
-- The triggers do what a notification does on PostgreSQL, and nothing else; only those who watch
-- read the number. Nothing is counted that can't be launched within 15 seconds: environments ask at
-- least every 10 when something becomes due. A saved checkpoint, a sleep that is held and the
-- renewal of its claim count nothing.

CREATE TABLE launchable_changes (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    changes INTEGER NOT NULL
);
INSERT INTO launchable_changes (id, changes) VALUES (1, 0);

CREATE TRIGGER runtara_count_put_in
AFTER INSERT ON instances
WHEN NEW.launch_id IS NULL AND NEW.status IN ('pending', 'suspended')
BEGIN
    UPDATE launchable_changes SET changes = changes + 1;
END;

CREATE TRIGGER runtara_count_launchable
AFTER UPDATE OF
    status, sleep_until, wake_claim_until, wake_claim_by, blocked_signal_at, launch_id
ON instances
WHEN NEW.status IN ('pending', 'running', 'suspended')
    AND (
        -- Pending, or without the launch it had.
        (NEW.status = 'pending' AND OLD.status <> 'pending' AND NEW.launch_id IS NULL)
        OR (NEW.launch_id IS NULL AND OLD.launch_id IS NOT NULL)
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
                        OR NEW.wake_claim_until
                            < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+15 seconds')
                    )
            END
        )
    )
BEGIN
    UPDATE launchable_changes SET changes = changes + 1;
END;

CREATE TRIGGER runtara_count_sent
AFTER INSERT ON pending_signals
WHEN NEW.acknowledged_at IS NULL AND NEW.signal_type IN ('cancel', 'resume')
BEGIN
    UPDATE launchable_changes SET changes = changes + 1;
END;

CREATE TRIGGER runtara_count_sent_again
AFTER UPDATE ON pending_signals
WHEN NEW.acknowledged_at IS NULL AND NEW.signal_type IN ('cancel', 'resume')
BEGIN
    UPDATE launchable_changes SET changes = changes + 1;
END;
