-- Tell waiting servers of a signal, whoever put it in: triggers that only notify.

CREATE FUNCTION runtara_notify_of_signal() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    -- A payload holds 8000 bytes at most, and no id of ours is this long: without one, any instance
    -- may be meant.
    PERFORM pg_catalog.pg_notify(
        'runtara_signals',
        CASE WHEN octet_length(NEW.instance_id) <= 1024 THEN NEW.instance_id ELSE '' END
    );
    RETURN NULL;
END
$$;

CREATE TRIGGER runtara_notify_of_signal
AFTER INSERT OR UPDATE ON pending_signals
FOR EACH ROW WHEN (NEW.acknowledged_at IS NULL)
EXECUTE FUNCTION runtara_notify_of_signal();

CREATE TRIGGER runtara_notify_of_signal
AFTER INSERT OR UPDATE ON pending_checkpoint_signals
FOR EACH ROW
EXECUTE FUNCTION runtara_notify_of_signal();
