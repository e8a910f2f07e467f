-- What an instance runs and waits for, whose child it is, and which signal it blocked with.
--
-- blocked_signal_at is the created_at of the signal that was pending when the instance blocked.
-- The large columns move behind the new ones: SQLite walks through a large value to reach what is
-- stored behind it.

ALTER TABLE instances ADD COLUMN workflow TEXT;
ALTER TABLE instances ADD COLUMN code_version TEXT;
ALTER TABLE instances ADD COLUMN parent_id TEXT;
ALTER TABLE instances ADD COLUMN launch_id TEXT;
ALTER TABLE instances ADD COLUMN blocked_signal_at TEXT;
ALTER TABLE instances ADD COLUMN waits TEXT;

ALTER TABLE instances ADD COLUMN last_error TEXT;
ALTER TABLE instances ADD COLUMN last_stderr TEXT;
ALTER TABLE instances ADD COLUMN last_input BLOB;
ALTER TABLE instances ADD COLUMN last_output BLOB;
UPDATE instances
SET last_error = error, last_stderr = stderr, last_input = input, last_output = output
WHERE coalesce(error, stderr, input, output) IS NOT NULL;
ALTER TABLE instances DROP COLUMN error;
ALTER TABLE instances DROP COLUMN stderr;
ALTER TABLE instances DROP COLUMN input;
ALTER TABLE instances DROP COLUMN output;
ALTER TABLE instances RENAME COLUMN last_error TO error;
ALTER TABLE instances RENAME COLUMN last_stderr TO stderr;
ALTER TABLE instances RENAME COLUMN last_input TO input;
ALTER TABLE instances RENAME COLUMN last_output TO output;

-- The children of one instance; the instances of one workflow, and the blocked ones, as lists show
-- them. None of these columns is written while a checkpoint is saved.
CREATE INDEX idx_instances_parent ON instances (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX idx_instances_workflow
ON instances (workflow, created_at DESC, instance_id) WHERE workflow IS NOT NULL;
CREATE INDEX idx_instances_blocked ON instances (created_at DESC, instance_id)
WHERE status = 'suspended' AND sleep_until IS NULL AND error IS NOT NULL;
