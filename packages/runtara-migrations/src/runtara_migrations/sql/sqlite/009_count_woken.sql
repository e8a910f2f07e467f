-- Count also an instance that a core wakes whose process has died meanwhile: its run is over, so it is
-- to be launched at once.

CREATE TRIGGER runtara_count_woken
AFTER UPDATE OF status ON instances
WHEN NEW.status = 'running'
    AND OLD.status = 'suspended'
    AND NEW.launch_id IS NULL
    AND NEW.ended_run = NEW.run_epoch
BEGIN
    UPDATE launchable_changes SET changes = changes + 1;
END;
