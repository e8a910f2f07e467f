-- Tell environments also of an instance that a core wakes whose process has died meanwhile: its run
-- is over, so it is to be launched at once. A trigger that only notifies.

CREATE TRIGGER runtara_notify_of_woken
AFTER UPDATE OF status ON instances
FOR EACH ROW WHEN (
    NEW.status = 'running'
    AND OLD.status = 'suspended'
    AND NEW.launch_id IS NULL
    AND NEW.ended_run = NEW.run_epoch
)
EXECUTE FUNCTION runtara_notify_of_launchable();
