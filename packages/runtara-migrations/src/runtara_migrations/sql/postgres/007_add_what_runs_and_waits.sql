-- What an instance runs and waits for, whose child it is, and which signal it blocked with.
--
-- Nullable, without a default: no row is rewritten, and other programs insert without naming them.
-- blocked_signal_at is the created_at of the signal that was pending when the instance blocked.

ALTER TABLE instances
    ADD COLUMN workflow TEXT,
    ADD COLUMN code_version TEXT,
    ADD COLUMN parent_id TEXT,
    ADD COLUMN launch_id TEXT,
    ADD COLUMN waits TEXT,
    ADD COLUMN blocked_signal_at TIMESTAMPTZ;

-- The children of one instance; the instances of one workflow, and the blocked ones, as lists show
-- them. None of these columns is written while a checkpoint is saved.
CREATE INDEX idx_instances_parent ON instances (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX idx_instances_workflow
ON instances (workflow, created_at DESC, instance_id COLLATE "C") WHERE workflow IS NOT NULL;
CREATE INDEX idx_instances_blocked ON instances (created_at DESC, instance_id COLLATE "C")
WHERE status = 'suspended' AND sleep_until IS NULL AND error IS NOT NULL;
